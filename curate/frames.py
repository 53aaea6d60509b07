"""What the split pass shows of a frame, and the two protocols that look at it.

Every source is decoded once; detectors and signals see small planes of each frame and keep what they need.
Full-size RGB is never made for them. Implementations live in `filters` and are named in the YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import cv2
import numpy.typing as npt
import pyarrow as pa

from curate.pyramid import Plane, Pyramid, Sheet, half, halve
from curate.records import Options, Row

__all__ = [
    "Boundary",
    "Detector",
    "NativeLuma",
    "Plane",
    "Pyramid",
    "Signal",
    "SmallFrame",
    "Transition",
    "gather",
    "half",
    "halve",
]

Transition = Literal["hard", "dissolve", "fade", "wipe"]


# ITU-R BT.601/709: luma 16 to 235, chroma 16 to 240 about 128. (scale, offset) to full range.
_STRETCH_LUMA = (255 / 219, -16 * 255 / 219)
_STRETCH_CHROMA = (255 / 224, 128 - 128 * 255 / 224)


@dataclass(frozen=True, slots=True)
class NativeLuma:
    """The decoder's luma at its full size, before anything was halved, stretched or turned."""

    samples_HW: npt.NDArray[Any]
    """uint8 or uint16, rows as they are stored: a view of the decoder's memory, to be copied if kept"""
    scale: float
    """levels of 255 that one step of a sample is worth"""
    black: float
    """the sample that is level 0: 16 in 8 bit of limited range"""


class SmallFrame:
    """One decoded frame, shrunk by halving until its long side is at most 320 px.

    The luma is the decoder's own, turned as it is shown, in storage pixels; the chroma planes (128 is
    neutral) are at most 160 px long, also by halving; for gray sources both are all 128. All is 8 bit and
    full range: 0–255. A detector may keep the arrays. They may lie in memory that frames share (`gather`):
    what is kept long of a few frames should be copied.
    """

    __slots__ = ("_native", "chroma", "index", "luma", "time_s")

    def __init__(
        self,
        index: int,
        time_s: float,
        luma_HW: Plane,
        u_hw: Plane,
        v_hw: Plane,
        *,
        limited: bool = False,
        native: Callable[[], NativeLuma] | None = None,
    ) -> None:
        """Take the planes; `limited` says that they are in limited range, `native` gives the full size."""
        self._take(index, time_s, luma_HW, cv2.vconcat([u_hw, v_hw]), limited, native)

    @classmethod
    def of_stack(
        cls,
        index: int,
        time_s: float,
        luma_HW: Plane,
        chroma_2hw: Plane,
        *,
        limited: bool = False,
        native: Callable[[], NativeLuma] | None = None,
        sheets: tuple[Sheet, Sheet] | tuple[None, None] = (None, None),
    ) -> Self:
        """Return the frame of planes whose chroma is one already, u over v.

        `sheets` are what luma and chroma lie on, in the places last given.
        """
        frame = cls.__new__(cls)
        frame._take(index, time_s, luma_HW, chroma_2hw, limited, native, sheets)
        return frame

    def _take(
        self,
        index: int,
        time_s: float,
        luma_HW: Plane,
        chroma_2hw: Plane,
        limited: bool,
        native: Callable[[], NativeLuma] | None,
        sheets: tuple[Sheet, Sheet] | tuple[None, None] = (None, None),
    ) -> None:
        self.index = index
        """counted from 0 in display order over the decodable frames"""
        self.time_s = time_s
        """presentation time on the source's clock; strictly rising"""
        self.luma = Pyramid(luma_HW, _STRETCH_LUMA if limited else None, 1, sheets[0])
        self.chroma = Pyramid(chroma_2hw, _STRETCH_CHROMA if limited else None, 2, sheets[1])
        """u over v"""
        self._native = native

    def native_luma(self) -> NativeLuma | None:
        """Return the luma at full size; None where the frame was made of small planes.

        Costs nothing until it is asked for, and reads in place: look at a part of a frame now and then. It
        can be had only while the frame is pushed: kept frames don't keep full-size pictures.

        Raises RuntimeError once the next frame has been made.
        """
        return None if self._native is None else self._native()

    @property
    def luma_HW(self) -> Plane:
        """The luma at its full small size."""
        return self.luma.whole

    @property
    def u_hw(self) -> Plane:
        """The blue-difference chroma at its full small size."""
        chroma = self.chroma.whole
        return chroma[: len(chroma) // 2]

    @property
    def v_hw(self) -> Plane:
        """The red-difference chroma at its full small size."""
        chroma = self.chroma.whole
        return chroma[len(chroma) // 2 :]


def gather(frames: Sequence[SmallFrame]) -> None:
    """Let frames that are looked at together be halved together; their planes stay the same, to the bit."""
    Pyramid.join([frame.luma for frame in frames])
    Pyramid.join([frame.chroma for frame in frames])


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where one shot ends and the next starts; the frames between (none at a hard cut) are the transition.

    A fade-in from black at the beginning of a source has `end_frame` 0; a fade-out at its end has
    `start_frame` equal to the number of frames.
    """

    end_frame: int
    start_frame: int
    kind: Transition


class Detector(Protocol):
    """Frames in, shot boundaries out, in order, with a bounded delay."""

    version: ClassVar[int]
    Options: ClassVar[type[Options]]

    def digests(self) -> Mapping[str, str]:
        """Return name → digest of each model file that decides the boundaries."""

    @property
    def settled(self) -> int:
        """No boundary that is still to come ends before this frame index."""

    def push(self, frames: Sequence[SmallFrame]) -> Sequence[Boundary]:
        """Take the next frames, at least one; return the boundaries that have become certain, in order.

        They are the same however the frames come, one at a time or many.
        """

    def finish(self) -> Sequence[Boundary]:
        """Return what is left at the end of the source."""


class Signal(Protocol):
    """Measurements of a clip made while the source is decoded: small planes in, columns out.

    Frames are pushed some at a time; the columns are the same however many. A signal that asks for
    `native_luma` says so with `native = True`, and is pushed frames one by one, while their pictures are
    there, and only those that may be looked at in full size (see `split.deblock`).
    """

    version: ClassVar[int]
    provides: ClassVar[pa.Schema]
    Options: ClassVar[type[Options]]

    def push(self, frames: Sequence[SmallFrame]) -> None:
        """Take the next frames, at least one."""

    def summary(self, start_frame: int, end_frame: int) -> Row:
        """Return the columns for frames [start_frame, end_frame), which have all been pushed."""

    def forget(self, before_frame: int) -> None:
        """Drop what was kept of earlier frames: no summary will ask for them again."""
