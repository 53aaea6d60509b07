"""How a stored picture is shown: the display matrix (quarter turns, mirrors) and the shape of its pixels.

Pure functions. Any display matrix is rounded to the nearest of the eight ways to lay a rectangle on its
sides: other angles occur in test files only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["Orientation", "display_size", "fit_short_side"]


@dataclass(frozen=True, slots=True)
class Orientation:
    """Transpose first, then mirror."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: bytes) -> Orientation:
        """Read FFmpeg's display matrix: nine native int32, (a b u, c d v, x y w).

        A pixel at (x, y) is shown at (ax + cy, bx + dy), up to a shift (libavutil/display.h).
        """
        a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, np.int32, 5))
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @classmethod
    def from_rotation(cls, degrees: int) -> Orientation:
        """Return the quarter turn nearest to a counterclockwise rotation."""
        return (cls(), cls(True, False, True), cls(False, True, True), cls(True, True, False))[
            round(degrees / 90) % 4
        ]

    def inverse(self) -> Orientation:
        """Return what undoes this."""
        return Orientation(True, self.mirror_y, self.mirror_x) if self.transpose else self

    def matrix(self) -> list[int]:
        """Return the display matrix that `from_matrix` reads as this."""
        x, y = (-1 if self.mirror_x else 1) << 16, (-1 if self.mirror_y else 1) << 16
        linear = [0, y, 0, x, 0, 0] if self.transpose else [x, 0, 0, 0, y, 0]
        return [*linear, 0, 0, 1 << 30]

    def apply(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the picture (rows first) as it is shown; contiguous."""
        if self.transpose:
            picture = np.swapaxes(picture, 0, 1)
        if self.mirror_x:
            picture = picture[:, ::-1]
        if self.mirror_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


def display_size(width_px: int, height_px: int, pixel_aspect: Fraction, turned: bool) -> tuple[int, int]:
    """Return (width, height) with square pixels, after rotation: the width is stretched, the height kept."""
    shown = max(1, round(width_px * pixel_aspect)), height_px
    return (shown[1], shown[0]) if turned else shown


def fit_short_side(width_px: int, height_px: int, short_side_px: int) -> tuple[int, int]:
    """Return the size with the short side at `short_side_px`, never larger than the given one."""
    short = min(width_px, height_px)
    if short <= short_side_px:
        return width_px, height_px
    return (
        max(1, round(width_px * short_side_px / short)),
        max(1, round(height_px * short_side_px / short)),
    )
