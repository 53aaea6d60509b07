"""A frame as the shot detector keeps it: three tiny planes, made by halving.

A few kilobytes a frame, so that seconds of history cost a few megabytes. All distances are mean absolute
differences in gray levels: independent of the number of pixels, and nearly of resolution, because planes of
any source end between half the stated size and all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane, Pyramid, SmallFrame, halve

__all__ = [
    "Step",
    "TinyFrame",
    "chroma_distance",
    "distances",
    "luma_distance",
    "shrink",
    "steps",
    "tiny_distance",
]

SMALL_PX = 80
TINY_PX = 40


@dataclass(slots=True)  # not frozen: one is made of every frame, in a third of the time
class TinyFrame:
    """Planes of one frame, 8 bit; the long side is at most 80, 40 and 40 px."""

    index: int
    time_s: float
    small_HW: Plane
    """luma, for distances between neighbours and, on candidates, optical flow"""
    tiny_hw: Plane
    """luma, for distances over a second: blurred so far that noise and slow motion hardly count"""
    chroma_2hw: Plane
    """u over v"""


class Step(NamedTuple):
    """How far a frame is from the one before it, gray levels; 0 for the first."""

    small: float
    """mean absolute difference of the small luma planes, plus that of chroma"""
    tiny: float
    """mean absolute difference of the tiny luma planes, plus that of chroma"""


def shrink(frames: Sequence[SmallFrame], like: TinyFrame | None) -> list[TinyFrame]:
    """Return the planes of frames; sizes follow `like`, else the first, where a stream changes its size."""
    lumas = [frame.luma for frame in frames]
    planes = (
        Pyramid.each_at_most(lumas, SMALL_PX),
        Pyramid.each_at_most(lumas, TINY_PX),
        Pyramid.each_at_most([frame.chroma for frame in frames], TINY_PX),
    )
    out: list[TinyFrame] = []
    for frame, small, tiny, chroma in zip(frames, *planes, strict=True):
        made = TinyFrame(frame.index, frame.time_s, small, tiny, chroma)
        like = like or made
        out.append(made if small.shape == like.small_HW.shape else _fitted(made, like))
    return out


def _fitted(frame: TinyFrame, like: TinyFrame) -> TinyFrame:
    """Return the frame at the sizes of another."""
    small = _resized(frame.small_HW, like.small_HW)
    chroma = _resized(frame.chroma_2hw, like.chroma_2hw)
    return TinyFrame(frame.index, frame.time_s, small, cast(Plane, halve(small, TINY_PX)), chroma)


def _resized(plane: Plane, like: Plane) -> Plane:
    height, width = like.shape
    return cast(Plane, cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))


def steps(frames: Sequence[TinyFrame], before: TinyFrame | None) -> list[Step]:
    """Return the distances of frames to those before them; `before` is what came before the first."""
    chain = [before or frames[0], *frames]
    small = _changes([frame.small_HW for frame in chain])
    tiny = _changes([frame.tiny_hw for frame in chain])
    chroma = _changes([frame.chroma_2hw for frame in chain])
    return list(map(Step, (small + chroma).tolist(), (tiny + chroma).tolist()))


def _changes(planes: Sequence[Plane]) -> npt.NDArray[np.float64]:
    """Return the mean absolute difference of each plane after the first to the one before it, gray levels.

    One call for all of them: the sums are whole numbers, exact however they are made.
    """
    rows = np.concatenate(planes).reshape(len(planes), -1)
    return distances(rows[1:], rows[:-1])


def distances(rows: Plane, others: Plane) -> npt.NDArray[np.float64]:
    """Return the mean absolute difference of each row of pixels to the other in its place, gray levels."""
    sums = cv2.reduce(cv2.absdiff(rows, others), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.asarray(sums[:, 0] / rows.shape[1], np.float64)


def luma_distance(a: TinyFrame, b: TinyFrame) -> float:
    """Return the mean absolute difference of the small luma planes, gray levels."""
    return float(cv2.norm(a.small_HW, b.small_HW, cv2.NORM_L1)) / a.small_HW.size


def chroma_distance(a: TinyFrame, b: TinyFrame) -> float:
    """Return the mean absolute difference of the chroma planes, gray levels."""
    return float(cv2.norm(a.chroma_2hw, b.chroma_2hw, cv2.NORM_L1)) / a.chroma_2hw.size


def tiny_distance(a: TinyFrame, b: TinyFrame) -> float:
    """Return the mean absolute difference of the tiny luma planes plus that of chroma, gray levels."""
    return float(cv2.norm(a.tiny_hw, b.tiny_hw, cv2.NORM_L1)) / a.tiny_hw.size + chroma_distance(a, b)
