"""Sharpness, light and colour of a clip, from a few frames a second.

All are means over the frames measured. They are of the small planes (320 px at most): a picture that is soft
only at its full size passes for sharp here.

Cost: 0.25 ms a frame measured, one every 0.8 s: 0.01 ms a frame at 30 frames a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.frames import Plane, SmallFrame
from curate.records import Options, Row
from filters.track import Cadence, Track, mean
from shards.schemas import column

__all__ = ["Chroma", "Light", "QualitySignal", "measure_chroma", "measure_light", "sharpness"]

# Levels of 255 at and beyond which shadows and highlights hold no detail.
_DARK, _BRIGHT = 8, 247
_BLUR_PX = 9


def sharpness(luma_HW: Plane, step: int = 1) -> float | None:
    """Return how much of the picture's local contrast a blur takes away, 0 (blurred) to 1 (sharp).

    One less the "blur effect" of Crété-Roffet et al., "The Blur Effect: Perception and Estimation with a New
    No-Reference Perceptual Blur Metric" (SPIE 6492, 2007), with its box of 9 px, in the less sharp of the two
    directions. A ratio: it does not depend on contrast or brightness, and little on what is shown;
    photographs lie at 0.4 to 0.8. None for a picture without any gradient. In each direction every
    `step`-th line is looked at.
    """
    values: list[float] = []
    lines = (np.ascontiguousarray(luma_HW[:, ::step]), luma_HW[::step])
    for axis, (luma, box) in enumerate(zip(lines, ((1, _BLUR_PX), (_BLUR_PX, 1)), strict=True)):
        if luma.shape[axis] < 2:
            continue
        # Sums in place of means: exact in 16 bit, at half the memory of float32.
        edges = cv2.multiply(_steps(luma, axis), _BLUR_PX, dtype=cv2.CV_16U)
        blurred = cv2.boxFilter(luma, cv2.CV_16U, box, normalize=False, borderType=cv2.BORDER_REFLECT_101)
        total = cv2.sumElems(edges)[0]
        if total > 0:
            # Subtraction of unsigned numbers stops at zero.
            lost = cv2.subtract(edges, _steps(blurred, axis))
            values.append(cv2.sumElems(lost)[0] / total)
    return min(values) if values else None


def _steps(plane_HW: cv2.typing.MatLike, axis: int) -> cv2.typing.MatLike:
    """Return the absolute differences of neighbours along `axis`."""
    before, after = (plane_HW[:-1], plane_HW[1:]) if axis == 0 else (plane_HW[:, :-1], plane_HW[:, 1:])
    return cv2.absdiff(after, before)


class Light(NamedTuple):
    """Brightness of one picture."""

    exposure: float
    """mean luma, 0 (black) to 1 (white)"""
    contrast: float
    """standard deviation of luma over its range, 0 to 0.5"""
    dark_clipped: float
    """share of the picture at or below 8 of 255"""
    bright_clipped: float
    """share of the picture at or above 247 of 255"""


def measure_light(luma_HW: Plane) -> Light:
    """Return mean, RMS contrast (Peli, "Contrast in complex images", JOSA A 7, 1990) and clipped shares."""
    mean, deviation = cv2.meanStdDev(luma_HW)
    dark, bright = np.count_nonzero(luma_HW <= _DARK), np.count_nonzero(luma_HW >= _BRIGHT)
    return Light(
        float(mean[0, 0]) / 255, float(deviation[0, 0]) / 255, dark / luma_HW.size, bright / luma_HW.size
    )


class Chroma(NamedTuple):
    """Colour of one picture."""

    saturation: float
    """mean distance of the chroma from neutral, 0 (gray) to 1; vivid pictures have 0.2"""
    colorfulness: float
    """of Hasler and Süsstrunk: 15 slightly, 33 moderately, 59 quite, 82 highly colourful"""


def measure_chroma(u_hw: Plane, v_hw: Plane) -> Chroma:
    """Return how far from gray and how varied the colours are, from full-range chroma planes (uint8).

    Colourfulness follows Hasler and Süsstrunk, "Measuring colorfulness in natural images" (SPIE 5007, 2003):
    the spread and the mean of R - G and (R + G) / 2 - B. Luma cancels out of both; by BT.601 they are
    2.116 V + 0.344 U and 0.344 V - 1.944 U.
    """
    u, v = (plane.astype(np.float32) - 128 for plane in (u_hw, v_hw))
    red_green = 2.116136 * v + 0.344136 * u
    yellow_blue = 0.343932 * v - 1.944068 * u
    (rg_mean, rg_std), (yb_mean, yb_std) = (
        (float(mean[0, 0]), float(std[0, 0])) for mean, std in map(cv2.meanStdDev, (red_green, yellow_blue))
    )
    spread = float(np.hypot(rg_std, yb_std))
    offset = float(np.hypot(rg_mean, yb_mean))
    # Not cv2.magnitude: its last bit depends on where in memory an array lies.
    distance = float(np.sqrt(u * u + v * v).mean())
    return Chroma(min(1.0, distance / 128), spread + 0.3 * offset)


class QualityOptions(Options):
    """When quality is measured."""

    every_s: float = Field(0.8, gt=0, description="one frame about every so often")


class QualitySignal:
    """Sharpness, light and colour of clips while their source is decoded."""

    version: ClassVar[int] = 3
    Options: ClassVar[type[Options]] = QualityOptions
    provides: ClassVar[pa.Schema] = pa.schema(
        [
            column(
                "sharpness",
                pa.float64(),
                "1",
                "1 - blur effect at 320 px; null of a picture without gradients",
            ),
            column("exposure", pa.float64(), "1", "mean luma, 0 black to 1 white"),
            column("contrast", pa.float64(), "1", "standard deviation of luma, 0 to 0.5"),
            column("dark_clipped", pa.float64(), "1", "share of the picture that is black"),
            column("bright_clipped", pa.float64(), "1", "share of the picture that is burnt out"),
            column("saturation", pa.float64(), "1", "mean distance of the chroma from gray"),
            column("colorfulness", pa.float64(), "", "Hasler and Süsstrunk 2003, 0 to about 120"),
        ]
    )

    def __init__(self, options: QualityOptions) -> None:
        self._cadence = Cadence(options.every_s)
        self._frames: Track[dict[str, float]] = Track()

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames; only one every `every_s` is measured."""
        for frame in self._cadence.among(frames):
            self._measure(frame)

    def _measure(self, frame: SmallFrame) -> None:
        u_hw, v_hw = frame.u_hw[::2], frame.v_hw[::2]  # colours need no more than every second row
        measured = measure_light(frame.luma_HW)._asdict() | measure_chroma(u_hw, v_hw)._asdict()
        sharp = sharpness(frame.luma_HW, 2)
        if sharp is not None:
            measured["sharpness"] = sharp
        self._frames.add(frame.index, frame.index, measured)

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the means over the frames measured; null where none was."""
        frames = self._frames.within(start_frame, end_frame)
        return {
            name: mean([frame[name] for frame in frames if name in frame]) for name in self.provides.names
        }

    def forget(self, before_frame: int) -> None:
        """Drop earlier frames."""
        self._frames.forget(before_frame)
