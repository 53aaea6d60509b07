"""How a camera is held: the way that a hand goes, and the picture that it gives."""

from __future__ import annotations

import math

import cv2
import numpy as np

from curate.footage.textures import Image
from filters.labels.synthesis.takes import Random, Take, mapped

__all__ = ["handheld", "swung", "tracking", "wobble"]


def wobble(rng: Random, frames: int, fps: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Return a random way (frames, 3) of x, y and turn, of unit size, with power between two frequencies."""
    t = np.arange(frames) / fps
    total = np.zeros((frames, 3))
    for hz in np.geomspace(low_hz, high_hz, 7):
        total += np.sin(2 * np.pi * hz * t[:, None] + rng.uniform(0, 6.3, 3)) * rng.normal(0, 1, 3) / hz**0.6
    made: np.ndarray = total / max(float(np.abs(total[:, :2]).max()), 1e-6)
    return made


def swung(take: Take, way: np.ndarray, swing: float, turn: float, smear: float) -> Take:
    """Return the take as a hand holds it: `swing` in frame heights, `turn` in radians."""
    width, height = take.size
    spare = 1 + 2.2 * swing + 0.8 * turn

    def change(frame: Image, index: int, _time_s: float) -> Image:
        x, y, angle = way[index] * (swing * height, swing * height, turn)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(angle), spare)
        matrix[:, 2] += (x, y)
        made: Image = cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        step = (way[index] - way[max(0, index - 1)])[:2] * swing * height * smear
        length = float(np.hypot(step[0], step[1]))
        if length >= 2.5:
            made = _streak(made, step, length)
        return made

    return mapped(take, change)


def _streak(image: Image, step: np.ndarray, length: float) -> Image:
    """Return the image blurred along `step` (px)."""
    side = min(61, int(length)) | 1
    kernel = np.zeros((side, side), np.float32)
    half = side // 2
    dx, dy = step / length * half
    ends = (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy))
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA)
    made: Image = cv2.filter2D(image, -1, kernel / kernel.sum())
    return made


def tracking(take: Take, rng: Random) -> Take:
    """A camera that follows something fast: wide smooth swings, the blur of them, no tremble."""
    way = wobble(rng, len(take.frames), float(take.fps), 0.08, 0.4)
    return swung(take, way, rng.uniform(0.1, 0.28), rng.uniform(0.0, 0.03), rng.uniform(0.2, 0.6))


def handheld(take: Take, rng: Random) -> Take:
    """A calm hand: slow sway of a percent or two."""
    way = wobble(rng, len(take.frames), float(take.fps), 0.15, 1.2)
    return swung(take, way, rng.uniform(0.006, 0.02), rng.uniform(0.002, 0.01), 0.0)
