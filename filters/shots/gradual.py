"""Does one shot turn into another over these frames? Candidates and features of gradual transitions.

In a dissolve, fade or wipe every pixel goes from its old value to its new one without turning back, so the
net change across the window is nearly as long as the path of small changes that led there: *straightness*,
net over path, is near 1. Motion in a shot makes pixels go to and fro. Windows of several lengths are tried at
every frame; where net change times straightness has a peak, the frames are looked at closely: are the middle
ones mixtures of both ends, is their contrast lower, can optical flow or a change of light explain the change?

Cost: a few microseconds a frame; 1 ms a glance at a candidate, up to 2 ms more for the few that pass it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from filters.shots.compare import (
    Floats,
    apart,
    contrast,
    correlation,
    detail,
    histogram,
    level,
    light,
    upper_median,
    warp,
)
from filters.shots.planes import TinyFrame, luma_distance, tiny_distance

__all__ = [
    "FEATURES",
    "GLANCE",
    "HALVES_S",
    "Ramp",
    "Span",
    "closer",
    "glance",
    "half_frames",
    "ramp",
    "straightness",
]

HALVES_S = (0.12, 0.25, 0.5, 0.9)
"""half lengths of the windows, seconds"""
_LEAST_NET = 5.0
"""gray levels of net change below which nothing is a transition"""
_PEAK_SHARE = 0.5
"""a window whose largest step is more than this share of its path holds a cut, not a transition"""

GLANCE = (
    "net", "straight", "peak", "peak_second", "half_frames", "length_s", "length_frames",
    "active_before", "active_after", "drift_before", "drift_after", "lasting",
    "mix_error", "mix_error_most", "turns", "share_middle",
    "correlation", "gain_left", "contrast_dip", "detail_dip", "blank_end", "blank_inside", "level_change",
    "brighter", "histogram", "spread", "cells_changed", "pixel_steps", "step_order",
)  # fmt: skip
"""names of the features that are had without optical flow"""
FEATURES = (
    *GLANCE,
    "detail_kept", "warped", "warped_share", "warped_kept", "inner_warped_share", "inner_warped_kept",
    "step_warped_share", "step_warped_kept",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Frames from `first` to `last` that may be a transition, within a wider window."""

    frames: Sequence[TinyFrame]
    gaps: Sequence[float]
    """tiny distances of neighbours: gaps[i] lies between frames i and i + 1"""
    first: int
    last: int
    fps: float


@dataclass(frozen=True, slots=True)
class Ramp:
    """How the frames of a window go from the span's first state to its last."""

    share_T: Floats
    """0 at the span's first frame, 1 at its last: the least-squares share of the new state"""
    error_T: Floats
    """what the mixture leaves, over the distance of the states"""
    end_frame: int
    """first frame of the transition, counted in the window"""
    start_frame: int
    """first frame of the new state, counted in the window"""


@lru_cache(maxsize=64)
def half_frames(fps: float, most: int) -> tuple[int, ...]:
    """Return the half lengths of the windows in frames, rising, without repeats, at most `most`."""
    return tuple(sorted({min(most, max(3, round(s * fps))) for s in HALVES_S}))


def straightness(net: float, path: float, peak: float) -> float:
    """Return net change times straightness, in gray levels; 0 where the window holds no gradual change."""
    if net < _LEAST_NET or peak > _PEAK_SHARE * path:
        return 0.0
    straight = net / (path + 0.5)
    return net * straight if straight > 0.5 else 0.0


def ramp(span: Span) -> Ramp:
    """Describe the frames as mixtures of the span's ends; find where the mixing starts and ends."""
    luma_px = span.frames[0].tiny_hw.size
    x = np.empty((len(span.frames), luma_px + span.frames[0].chroma_2hw.size), np.float32)
    x[:, :luma_px] = np.stack([frame.tiny_hw for frame in span.frames]).reshape(len(x), -1)
    x[:, luma_px:] = np.stack([frame.chroma_2hw for frame in span.frames]).reshape(len(x), -1)
    first, last = span.first, span.last
    x -= x[first].copy()
    v = x[last]
    length = float(v @ v) + 1e-3
    share = x @ v / length
    # The mixture is a projection: what it leaves is the rest of the squared distance.
    error = np.sqrt(np.maximum(np.einsum("tn,tn->t", x, x) / length - share**2, 0))
    middle = first + int(np.argmin(np.abs(share[first : last + 1] - 0.5)))
    low, high = middle, middle
    while low > 0 and share[low] > 0.1:
        low -= 1
    while high < len(x) - 1 and share[high] < 0.9:
        high += 1
    # From the 10 % and 90 % points to the ends of an even ramp.
    more = int(np.ceil((high - low) * 0.125))
    return Ramp(share, error, max(0, low + 1 - more), min(len(x), high + more))


def glance(span: Span, found: Ramp) -> Floats:
    """Return the features named by `GLANCE`."""
    parts = (_shape(span, found), _mixture(span, found), _ends(span), _pixels(span))
    return np.array([value for part in parts for value in part], np.float32)


def closer(span: Span, glanced: Floats) -> Iterator[Floats]:
    """Yield all features, given those of `glance`, after each flow; those not yet known are NaN."""
    known = glanced
    for moved in _moved(span):
        known = np.concatenate([known, np.array(moved, np.float32)])
        unknown = np.full(len(FEATURES) - len(known), np.nan, np.float32)
        yield np.concatenate([known, unknown])


def _shape(span: Span, found: Ramp) -> list[float]:
    frames, gaps, first, last = span.frames, span.gaps, span.first, span.last
    inside = gaps[first:last]
    path, steps = sum(inside), sorted(inside)
    net = tiny_distance(frames[first], frames[last])
    a, b = found.end_frame, found.start_frame
    mixing = gaps[max(0, a - 1) : b]
    mean = level(sum(mixing) / max(1, len(mixing)))
    active = [
        level(sum(s) / len(s) if s else 0.0) - mean
        for s in (gaps[max(0, a - 9) : max(0, a - 1)], gaps[b : b + 8])
    ]
    before, after = frames[max(0, a - 1)], frames[min(len(frames) - 1, b)]
    return [
        level(net), net / (path + 0.5), steps[-1] / (path + 0.5), steps[-2] / (path + 0.5),
        (last - first) / 2, (b - a) / span.fps, float(b - a), *active,
        level(tiny_distance(frames[0], before)) - level(net),
        level(tiny_distance(after, frames[-1])) - level(net),
        level(tiny_distance(frames[0], frames[-1])) - level(net),
    ]  # fmt: skip


def _mixture(span: Span, found: Ramp) -> list[float]:
    inside = slice(span.first, span.last + 1)
    share, error = found.share_T[inside], found.error_T[inside]
    turns = float(np.abs(np.diff(share)).sum()) - 1
    return [float(error.mean()), float(error.max()), turns, float(share[len(share) // 2])]


def _ends(span: Span) -> list[float]:
    frames, first, last = span.frames, span.first, span.last
    a, b, middle = frames[first], frames[last], frames[(first + last) // 2]
    x, y = a.small_HW, b.small_HW
    same, left = light(x, y)
    contrasts = [contrast(f.tiny_hw) for f in frames[first : last + 1]]
    mean_x, mean_y = cv2.mean(x)[0], cv2.mean(y)[0]
    sharp = [contrast(cv2.Laplacian(f.small_HW, cv2.CV_16S, ksize=3)) for f in (a, middle, b)]
    return [
        same, left,
        level(min(contrasts)) - level((contrasts[0] + contrasts[-1]) / 2),
        level(sharp[1]) - level((sharp[0] + sharp[2]) / 2),
        level(min(contrasts[0], contrasts[-1])), level(min(contrasts)),
        abs(mean_x - mean_y), max(mean_x, mean_y),
        apart(histogram(x), histogram(y)) / x.size,
    ]  # fmt: skip


def _pixels(span: Span) -> list[float]:
    """Tell a wipe, where each pixel changes at a time of its own, from a mixture."""
    stack = np.stack([f.tiny_hw for f in span.frames[span.first : span.last + 1]])
    change: Any = cv2.absdiff(stack[-1], stack[0]).astype(np.float32)
    cells = cv2.resize(change, (8, 6), interpolation=cv2.INTER_AREA)
    # Of pixels that change: the share of their largest step, and how far apart in time these are.
    moved = change > max(8.0, upper_median(change))
    if not moved.any():
        return [0.0, 0.0, 0.0, 0.0]
    changing = np.ascontiguousarray(stack[:, moved])
    steps: Any = cv2.absdiff(changing[1:], changing[:-1])
    concentration = float(np.mean(steps.max(0) / (steps.sum(0, dtype=np.float32) + 1)))
    order = float(np.std(steps.argmax(0) / len(steps)))
    spread = np.count_nonzero(cells > 0.5 * cv2.mean(change)[0]) / cells.size
    return [spread, np.count_nonzero(cells > 10) / cells.size, concentration, order]


def _moved(span: Span) -> Iterator[list[float]]:
    """Compare frames ever nearer to the middle: motion explains more and more of the change, mixing never."""
    frames, first, last = span.frames, span.first, span.last
    middle, half = (first + last) // 2, (last - first) // 2
    a, b = frames[first], frames[last]
    apart = warp(a, b)
    yield [
        correlation(detail(a.small_HW), detail(b.small_HW)),
        level(apart.mean), level(apart.mean) - level(luma_distance(a, b)), apart.kept,
    ]  # fmt: skip
    for reach in (max(1, half // 2), max(1, half // 6)):
        c, d = frames[middle - reach], frames[middle + reach]
        inner = warp(c, d)
        yield [level(inner.mean) - level(luma_distance(c, d)), inner.kept]
