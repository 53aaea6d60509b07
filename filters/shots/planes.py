"""A frame as the shot detector keeps it: three tiny planes, made by halving.

A few kilobytes a frame, so that seconds of history cost a few megabytes. All distances are mean absolute
differences in gray levels: independent of the number of pixels, and nearly of resolution, because planes of
any source end between half the stated size and all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2

from curate.frames import Plane, SmallFrame, halve

__all__ = ["TinyFrame", "chroma_distance", "luma_distance", "shrink", "tiny_distance"]

SMALL_PX = 80
TINY_PX = 40


@dataclass(frozen=True, slots=True)
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


def shrink(frame: SmallFrame, like: TinyFrame | None) -> TinyFrame:
    """Return the planes of `frame`; sizes follow `like` where a stream changes its resolution."""
    small = frame.luma.at_most(SMALL_PX)
    chroma = frame.chroma.at_most(TINY_PX)
    if like is not None and small.shape != like.small_HW.shape:
        small, chroma = _resized(small, like.small_HW), _resized(chroma, like.chroma_2hw)
        return TinyFrame(frame.index, frame.time_s, small, cast(Plane, halve(small, TINY_PX)), chroma)
    return TinyFrame(frame.index, frame.time_s, small, frame.luma.at_most(TINY_PX), chroma)


def _resized(plane: Plane, like: Plane) -> Plane:
    height, width = like.shape
    return cast(Plane, cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))


def luma_distance(a: TinyFrame, b: TinyFrame) -> float:
    """Return the mean absolute difference of the small luma planes, gray levels."""
    return float(cv2.norm(a.small_HW, b.small_HW, cv2.NORM_L1)) / a.small_HW.size


def chroma_distance(a: TinyFrame, b: TinyFrame) -> float:
    """Return the mean absolute difference of the chroma planes, gray levels."""
    return float(cv2.norm(a.chroma_2hw, b.chroma_2hw, cv2.NORM_L1)) / a.chroma_2hw.size


def tiny_distance(a: TinyFrame, b: TinyFrame, chroma: float | None = None) -> float:
    """Return the mean absolute difference of the tiny luma planes plus that of chroma, if it is known."""
    luma = float(cv2.norm(a.tiny_hw, b.tiny_hw, cv2.NORM_L1)) / a.tiny_hw.size
    return luma + (chroma_distance(a, b) if chroma is None else chroma)
