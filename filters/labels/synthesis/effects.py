"""Editing as an effect over all of a film: flashes, torn pictures, filters."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from curate.footage.textures import Floats, Image
from filters.labels.synthesis.base import Base
from filters.labels.synthesis.joins import dissolve, zoomed
from filters.labels.synthesis.takes import Made, Random, Take, answers, floats, mapped

__all__ = ["flashes", "glitch", "stylized"]

_UNLIKE: Final = 60.0
"""degrees of hue (CIELAB) between a duotone's colours; with less it is a tint, as light or a grade gives"""
_COLOURED: Final = 15.0
"""of their chroma"""


def flashes(base: Base, rng: Random) -> Made:
    """White or coloured flashes and punches of zoom on a beat."""
    fps = float(base.one.fps)
    beat = rng.uniform(0.3, 0.7)
    tint = rng.choice([(255, 255, 255), (255, 255, 255), (0, 0, 0), (255, 120, 40), (80, 120, 255)]).astype(
        np.uint8
    )
    punch = rng.uniform(0.0, 0.2)
    swap = rng.random() < 0.4

    def change(frame: Image, index: int, time_s: float) -> Image:
        phase = (time_s % beat) / beat
        if swap and int(time_s / beat) % 2:
            frame = base.two.frames[index].copy()
        strength = max(0.0, 1 - phase * beat * fps / 5)
        if punch > 0.04:
            frame = zoomed(frame, 1 + punch * max(0.0, 1 - 3 * phase))
        if strength > 0.02:
            frame = dissolve(frame, np.full_like(frame, tint), 0.85 * strength)
        return frame

    return Made(mapped(base.one, change), "editing_flashes", answers(editing="yes"))


def glitch(base: Base, rng: Random) -> Made:
    """Bursts of torn lines, split colours and negatives."""
    height = base.one.size[1]
    bursts = rng.uniform(0, 1, (6, 2)) * (base.one.duration_s, 0.8)
    always = rng.random() < 0.5
    lines = rng.random() < 0.5
    seed = int(rng.integers(1 << 30))

    def change(frame: Image, index: int, time_s: float) -> Image:
        on = always or any(start <= time_s < start + 0.15 + long for start, long in bursts)
        if not on:
            return frame
        own = np.random.default_rng([seed, index // 2])
        split = int(own.integers(2, max(3, height // 22)))
        frame[..., 0] = np.roll(frame[..., 0], split, axis=1)
        frame[..., 2] = np.roll(frame[..., 2], -split, axis=1)
        for _ in range(int(own.integers(2, 8))):
            top, tall = int(own.integers(height)), int(own.integers(2, height // 8))
            frame[top : top + tall] = np.roll(frame[top : top + tall], int(own.integers(-40, 40)), axis=1)
        if lines:
            frame[::3] = frame[::3] // 2
        return frame if own.random() > 0.1 else 255 - frame

    said = answers(editing="yes", low_quality="unsure")
    return Made(mapped(base.one, change), "editing_glitch", said, base.one)


def stylized(base: Base, rng: Random) -> Made:
    """A filter over all of it: posters, neon edges, mirrors, duotones, old film."""
    kind = str(rng.choice(["poster", "neon", "mirror", "duotone", "old_film", "kaleidoscope"]))
    width, height = base.one.size
    lut = _duotone(base.one, rng)
    seed = int(rng.integers(1 << 30))

    def change(frame: Image, index: int, _time_s: float) -> Image:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        match kind:
            case "poster":
                poster: Image = cv2.medianBlur(frame, 5) // 64 * 64 + 32
                return poster
            case "neon":
                edge = cv2.convertScaleAbs(
                    cv2.Laplacian(cv2.GaussianBlur(frame, (3, 3), 0), cv2.CV_16S, ksize=3), alpha=3
                )
                made: Image = cv2.addWeighted(frame, 0.2, edge, 1.0, 0)
                return made
            case "mirror":
                frame[:, width - width // 2 :] = frame[:, : width // 2][:, ::-1]
                return frame
            case "kaleidoscope":
                frame[:, width - width // 2 :] = frame[:, : width // 2][:, ::-1]
                frame[height - height // 2 :] = frame[: height // 2][::-1]
                return frame
            case "duotone":
                toned: Image = lut[gray]
                return toned
        own = np.random.default_rng([seed, index])
        sepia = cv2.multiply(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), (1.05, 0.92, 0.72, 0))
        sepia = np.roll(sepia, int(own.integers(-2, 3)), axis=0)
        for _ in range(int(own.integers(0, 4))):
            x = int(own.integers(width))
            cv2.line(sepia, (x, 0), (x, height), (225, 215, 190), 1)
        for _ in range(int(own.integers(0, 9))):
            spot = (int(own.integers(width)), int(own.integers(height)))
            cv2.circle(sepia, spot, int(own.integers(1, 4)), (30, 25, 20), -1)
        aged: Image = cv2.convertScaleAbs(sepia, alpha=float(own.uniform(0.85, 1.1)))
        return aged

    return Made(mapped(base.one, change), f"editing_{kind}", answers(editing="yes"), base.one)


def _duotone(take: Take, rng: Random) -> Image:
    """Return (256, 3): from one colour to the other over the range of grays that a take has.

    Without levelling, mist and sea would have but a tint, which could be the light's.
    """
    dark, bright = _two_tones(rng)
    grays = [
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in take.frames[:: max(1, len(take.frames) // 4)]
    ]
    low, high = np.quantile(np.stack(grays), (0.02, 0.98))
    share = np.clip((np.arange(256)[:, None] - low) / max(1.0, high - low), 0, 1)
    lut: Image = (dark + (bright - dark) * share).astype(np.uint8)
    return lut


def _two_tones(rng: Random) -> tuple[Floats, Floats]:
    """Return a dark and a bright colour, RGB (3,) of 0 to 255, so unlike in hue that no camera sees so."""
    while True:
        dark, bright = floats(rng.uniform(0, 90, 3)), floats(rng.uniform(140, 255, 3))
        one, two = cv2.cvtColor(np.stack([dark, bright])[None] / 255, cv2.COLOR_RGB2LAB)[0, :, 1:]
        if min(np.hypot(*one), np.hypot(*two)) < _COLOURED:
            continue
        if abs(np.angle(complex(*one) / complex(*two), deg=True)) >= _UNLIKE:
            return dark, bright
