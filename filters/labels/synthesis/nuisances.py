"""What real footage has and no label says: hands that sway, light that wanders, frames that come unevenly.

Rendered film is cleaner than any camera's. A classifier that has learned from it takes the first jolt, flash
or repeated frame for the work of an editor. So these befall films with a cue and without one alike. All of
them are mild: nobody would call a film unclear, edited or still for them.

`carried` is what happens before the lens and in the camera: it comes before graphics are laid over a film.
`delivery` is what happens to the file afterwards, whatever it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curate.footage.canvas import Size
from curate.footage.textures import Floats, Image
from filters.labels.synthesis.holding import wobble
from filters.labels.synthesis.recordings import Change, Recording
from filters.labels.synthesis.takes import Random, Take, floats

__all__ = ["Delivery", "carried", "delivery"]

_LARGEST_PX: Final = 960
_LONGEST_GAP: Final = 4


def carried(take: Take, rng: Random) -> Take:
    """Return the take as a person films it: at random with sway, changing light, flashes, a hunting lens.

    Something may go by close to the lens. About a third of the takes stay as they are.
    """
    changes: list[Change] = []
    if rng.random() < 0.1:
        changes.append(_passer_by(take, rng))
    if rng.random() < 0.36:
        changes.append(_sway(take, rng))
    if rng.random() < 0.1:
        changes.append(_hunt(take, rng))
    if rng.random() < 0.36:
        changes.append(_light(take, rng))
    if not changes:
        return take

    def change(frame: Image, index: int) -> Image:
        for one in changes:
            frame = one(frame, index)
        return frame

    return replace(take, frames=Recording(take.frames, change, alike=False))


def _sway(take: Take, rng: Random) -> Change:
    """A hand, a walk, or a knock against the stand."""
    width, height = take.size
    total, fps = len(take.frames), float(take.fps)
    t = np.arange(total) / fps
    kind = rng.random()
    if kind < 0.6:
        way = wobble(rng, total, fps, 0.15, 2.0) * (*(rng.uniform(0.003, 0.016, 1).repeat(2)), 0.006)
    elif kind < 0.82:
        way = wobble(rng, total, fps, 0.2, 1.0) * (0.012, 0.008, 0.008)
        way[:, 1] += rng.uniform(0.005, 0.014) * np.sin(2 * np.pi * rng.uniform(1.5, 2.2) * t)
    else:
        since = np.maximum(t - rng.uniform(0.1, 0.9) * t[-1], 0)
        size = rng.uniform(0.006, 0.022) * np.exp(-rng.uniform(3, 8) * since) * (since > 0)
        way = size[:, None] * np.sin(2 * np.pi * rng.uniform(3, 6, 3) * since[:, None]) * (0.6, 1.0, 0.3)
    grown = 1 + 2.2 * float(np.abs(way[:, :2]).max()) + 1.6 * float(np.abs(way[:, 2]).max())

    def change(frame: Image, index: int) -> Image:
        x, y, angle = way[index]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(angle), grown)
        matrix[:, 2] += (x * height, y * height)
        made: Image = cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        return made

    return change


def _light(take: Take, rng: Random) -> Change:
    """Exposure that adapts or breathes, a flickering tube, colours that drift, or photographers' flashes."""
    total, fps = len(take.frames), float(take.fps)
    t = np.arange(total) / fps
    gain = np.ones((total, 3))
    kind = rng.random()
    if kind < 0.35:
        middle, takes = rng.uniform(0.1, 0.9) * t[-1], rng.uniform(0.04, 0.4)
        gain *= (1 + rng.uniform(-0.35, 0.35) / (1 + np.exp(-(t - middle) / takes)))[:, None]
    elif kind < 0.55:
        gain *= (1 + rng.uniform(0.03, 0.15) * np.sin(rng.uniform(0.6, 4) * t + rng.uniform(0, 6)))[:, None]
    elif kind < 0.75:
        gain *= (1 + rng.uniform(0.008, 0.04) * np.sin(rng.uniform(8, 50) * t))[:, None]
    elif kind < 0.88:
        drift = rng.uniform(-0.1, 0.1, 3)
        gain *= 1 + drift * (0.5 + 0.5 * np.tanh((t - t[-1] / 2) / rng.uniform(0.2, 2)))[:, None]
    else:
        for start in rng.uniform(0, total, int(rng.integers(1, 4))).astype(int):
            gain[start : start + int(rng.integers(1, 4))] *= rng.uniform(1.3, 2.6)
    gains: Floats = floats(gain)

    def change(frame: Image, index: int) -> Image:
        made: Image = cv2.transform(frame, np.diag(gains[index]))
        return made

    return change


def _hunt(take: Take, rng: Random) -> Change:
    """A lens that loses and finds its focus once."""
    t = np.arange(len(take.frames)) / float(take.fps)
    middle, lasts = rng.uniform(0, 1) * t[-1], rng.uniform(0.12, 0.4)
    sigma = rng.uniform(0.8, 3.0) * take.size[1] / 270 * np.exp(-(((t - middle) / lasts) ** 2))

    def change(frame: Image, index: int) -> Image:
        if sigma[index] < 0.3:
            return frame
        made: Image = cv2.GaussianBlur(frame, (0, 0), float(sigma[index]))
        return made

    return change


def _passer_by(take: Take, rng: Random) -> Change:
    """Something out of focus that goes by close to the lens: a shoulder, a leaf, a car, a bird."""
    width, height = take.size
    fps = float(take.fps)
    middle = rng.uniform(0.1, 0.9) * take.duration_s
    pace = rng.choice([-1, 1]) * rng.uniform(1.0, 5.0) * width
    y, axes = rng.uniform(0.1, 1.0) * height, (rng.uniform(0.05, 0.5, 2) * (width, height)).astype(int)
    blur, tone = rng.uniform(2, 9) * height / 270, (rng.uniform(0.02, 0.7) + rng.normal(0, 0.06, 3)) * 255
    turn = rng.uniform(0, 180)
    plain = np.clip(tone, 0, 255).astype(np.uint8)

    def change(frame: Image, index: int) -> Image:
        x = width / 2 + pace * (index / fps - middle)
        if not -width < x < 2 * width:
            return frame
        mask = np.zeros((height // 2, width // 2), np.uint8)
        half = (int(x / 2), int(y / 2)), (int(axes[0] / 2) + 1, int(axes[1] / 2) + 1)
        cv2.ellipse(mask, half[0], half[1], turn, 0, 360, 255, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), blur / 2)
        full = cv2.cvtColor(cv2.resize(mask, (width, height)), cv2.COLOR_GRAY2RGB)
        over = cv2.multiply(np.full_like(frame, plain), full, scale=1 / 255)
        made: Image = cv2.add(over, cv2.multiply(frame, cv2.bitwise_not(full), scale=1 / 255))
        return made

    return change


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a file comes out: which frame is shown when, and how large."""

    shown: Sequence[int]
    """index of each frame that the file has"""
    ticks: Sequence[int]
    """when each of them is shown, in frames of the take, and when the last one ends"""
    size: Size

    def frame(self, image: Image) -> Image:
        """Return an image at the size of the file."""
        if image.shape[1::-1] == self.size:
            return image
        made: Image = cv2.resize(image, self.size, interpolation=cv2.INTER_CUBIC)
        return made


def delivery(frames: int, size: Size, rng: Random) -> Delivery:
    """Return how a take of so many frames reaches the viewer: mostly as it is.

    Else with frames repeated in a pattern (another rate), held and skipped (a busy recorder) or left out
    (uneven in time); some are also made larger.
    """
    shown, kept = np.arange(frames), np.ones(frames, np.bool_)
    kind = rng.random()
    if kind < 0.12:
        every = int(rng.integers(3, 7))
        shown = shown - (shown % every == every - 1)
    elif kind < 0.17:
        shown = shown // 2 * 2
    elif kind < 0.29:
        for start in rng.uniform(0, frames, int(rng.integers(1, 4))).astype(int):
            shown[start : start + int(rng.integers(2, _LONGEST_GAP + 2))] = start
    elif kind < 0.42:
        kept = _thinned(frames, rng.uniform(0.02, 0.3), rng)
    ticks = np.flatnonzero(kept)
    grown = rng.uniform(1.2, 1.8) if rng.random() < 0.12 else 1.0
    grown = min(grown, max(1.0, _LARGEST_PX / max(size)))
    larger = (round(size[0] * grown) // 2 * 2, round(size[1] * grown) // 2 * 2)
    return Delivery(shown[kept].tolist(), [*ticks.tolist(), frames], larger)


def _thinned(frames: int, share: float, rng: Random) -> npt.NDArray[np.bool_]:
    """Return which frames stay when so many are lost at random, the first and last never, few in a row."""
    kept = rng.random(frames) >= share
    kept[[0, -1]] = True
    gap = 0
    for index in range(frames):
        gap = 0 if kept[index] else gap + 1
        if gap > _LONGEST_GAP:
            kept[index], gap = True, 0
    return kept
