"""Planes halved again and again: the sizes that detectors and signals look at, each made once.

Of small planes, most of the cost is in the calls: the planes of frames that are looked at together are laid
one above the other, on a sheet, and halved and stretched as one. They stay the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Plane", "Pyramid", "Sheet", "half", "halve"]

Plane = npt.NDArray[np.uint8]


def half(plane: npt.NDArray[Any], stacked: int = 1, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Return the plane at half its size by 2x2 means, in `out` if given; odd last lines are left out.

    `plane` may be so many planes of one size, `stacked` one above the other: each is halved on its own.
    """
    rows, width = plane.shape
    height = rows // stacked
    if (height | width) & 1:
        height, width = height & ~1 or 1, width & ~1 or 1
        if stacked > 1:
            plane = plane.reshape(stacked, rows // stacked, -1)[:, :height, :width].reshape(-1, width)
        else:
            plane = plane[:height, :width]
    size = (width >> 1 or 1, stacked * (height >> 1 or 1))
    small: npt.NDArray[Any] = cv2.resize(plane, size, out, 0, 0, cv2.INTER_AREA)
    return small


def halve(plane: npt.NDArray[Any], long_px: int) -> npt.NDArray[Any]:
    """Return the plane halved until its long side is at most `long_px`; it may be `plane` itself."""
    while max(plane.shape) > long_px:
        plane = half(plane)
    return plane


class Sheet:
    """Room for planes of one size, one above the other, given out from the top."""

    __slots__ = ("_rows", "given", "planes")

    def __init__(self, places: int, height: int, width: int) -> None:
        self.planes: Plane = np.empty((places * height, width), np.uint8)
        self.given = 0
        """places that are taken"""
        self._rows = height

    @property
    def full(self) -> bool:
        """Whether no place is left."""
        return self.given * self._rows == len(self.planes)

    def place(self) -> Plane:
        """Return the next place, to be filled."""
        top = self.given * self._rows
        self.given += 1
        return self.planes[top : top + self._rows]


class Pyramid:
    """A plane at its size and halved again and again, in full range; each is computed when first asked for.

    Stretching limited to full range costs more than halving does, so it is done last, on what is wanted.
    """

    __slots__ = (
        "_levels", "_long_px", "_nth", "_sheet", "_shown", "_stacked", "_stretch", "_together",
    )  # fmt: skip

    def __init__(
        self,
        plane: Plane,
        stretch: tuple[float, float] | None = None,
        stacked: int = 1,
        sheet: Sheet | None = None,
    ) -> None:
        """Take a plane, or so many `stacked`, and the (scale, offset) to full range; None if they are.

        `sheet` is what the plane lies on, in the place last given.
        """
        height, width = plane.shape
        self._levels = [plane]
        self._long_px: int = max(height // stacked, width)
        self._shown: dict[int, Plane] = {}
        self._stacked = stacked
        self._stretch = stretch
        self._sheet = sheet
        self._nth = sheet.given - 1 if sheet is not None else 0
        self._together: Pyramid | None = None

    def at_most(self, long_px: int) -> Plane:
        """Return the plane halved until its long side is at most `long_px`, 0–255."""
        if self._together is not None and long_px < self._long_px:
            planes = self._together.at_most(long_px)
            rows = len(planes) // self._together._stacked * self._stacked
            return planes[self._nth * rows : (self._nth + 1) * rows]
        # A halved side is rounded down, as a shift does.
        levels, level = self._levels, 0
        while self._long_px >> level > long_px:
            level += 1
            if level == len(levels):
                levels.append(half(levels[-1], self._stacked))
        if self._stretch is None:
            return levels[level]
        if level not in self._shown:
            scale, offset = self._stretch
            self._shown[level] = cv2.addWeighted(levels[level], scale, levels[level], 0.0, offset)
        return self._shown[level]

    @property
    def whole(self) -> Plane:
        """The plane at its own size, 0–255."""
        return self.at_most(self._long_px)

    @staticmethod
    def each_at_most(parts: Sequence[Pyramid], long_px: int) -> list[Plane]:
        """Return what `at_most` gives for each; for those that are halved together it costs little more."""
        first = parts[0]
        together = first._together
        if together is None or long_px >= first._long_px:
            return [one.at_most(long_px) for one in parts]
        planes = together.at_most(long_px)
        rows = len(planes) // together._stacked * first._stacked
        stack = planes.reshape(-1, rows, planes.shape[1])
        return [stack[one._nth] if one._together is together else one.at_most(long_px) for one in parts]

    @staticmethod
    def join(parts: Sequence[Pyramid]) -> None:
        """Let pyramids be halved and stretched together from now on, if their planes are of one size.

        What lies on one sheet, from its top in order, is not even copied. What is not halved is left to each:
        few ask for it.
        """
        first = parts[0]
        sheet, stretch, shape = first._sheet, first._stretch, first._levels[0].shape
        if any(one._stretch != stretch or one._levels[0].shape != shape for one in parts):
            return
        if sheet is not None and all(one._sheet is sheet and one._nth == n for n, one in enumerate(parts)):
            planes = sheet.planes[: len(parts) * shape[0]]
        else:
            planes = np.concatenate([one._levels[0] for one in parts])
        together = Pyramid(planes, stretch, first._stacked * len(parts))
        for nth, one in enumerate(parts):
            one._nth, one._together = nth, together
