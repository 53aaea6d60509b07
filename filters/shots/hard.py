"""Is there a cut between two neighbouring frames? The features that the scorer judges.

A cut is a jump between two states that each hold: every distance across it is large, every distance on
either side small, nothing on one side can be moved or relit into the other. So the features compare the
jump with its neighbours (ratios, which adapt to the footage), look whether the old state comes back (a flash
does, a cut doesn't), and how much is left after optical flow and after gain and offset are taken out (fast
camera moves and lamps leave little). They are symmetric in time wherever a cut is.

Cost: about 1 ms a candidate; candidates are the few gaps that stand out of their neighbours at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from curate.frames import Plane
from filters.shots.planes import TinyFrame, chroma_distance, luma_distance

__all__ = ["FEATURES", "Warp", "detail", "gap_features", "log", "ncc", "stands_out", "warp"]

Floats = npt.NDArray[np.float32]

NEAR = 4
"""frames: the least neighbourhood, whatever the frame rate"""
_FLOOR = 0.3
"""gray levels added to both sides of a ratio: below that, distances are noise"""
_DUPLICATE = 0.1
"""gray levels: a frame this close to its predecessor repeats it (frame rates converted by repetition)"""
_PATCH = 12

FEATURES = (
    "luma", "chroma", "near_less", "near_more", "far_less", "far_more", "median", "first", "second", "third",
    "cross_least", "cross_mean", "inner_most", "block", "back",
    "q25", "q50", "q75", "q95", "spread", "histogram", "histogram_centred",
    "mean_change", "brighter", "darker_std", "gain_left", "ncc", "edges_kept",
    "warped", "warped_ratio", "warped_share", "warped_ncc", "warped_ncc_drop", "warped_q50", "warped_cells",
    "flow", "flow_ratio", "rough", "rough_ratio",
)  # fmt: skip


def stands_out(gaps: Sequence[float], at: int) -> bool:
    """Return whether gap `at` is worth a closer look: larger than a level and 1.3 of its neighbours' median."""
    here = gaps[at]
    if here < 1.0:
        return False
    around = sorted(
        g for g in (*gaps[max(0, at - NEAR) : at], *gaps[at + 1 : at + 1 + NEAR]) if g > _DUPLICATE
    )
    return not around or here > 1.3 * around[len(around) // 2]


def log(value: float) -> float:
    return float(np.log(value + _FLOOR))


def gap_features(before: Sequence[TinyFrame], after: Sequence[TinyFrame], reach: int) -> Floats:
    """Return the features of the gap between `before[-1]` and `after[0]`, in the order of `FEATURES`.

    Both sides hold at least one frame; `reach` is the neighbourhood in frames for 0.5 s. At the ends of a
    source sides are short, and what is missing repeats the nearest.
    """
    p, q = before[-1], after[0]
    return np.array(
        _ratios(before, after, reach) + _states(before, after, reach) + _pair(p, q) + _moved(before, after),
        np.float32,
    )


def _gaps(frames: Sequence[TinyFrame]) -> list[float]:
    return [luma_distance(a, b) + chroma_distance(a, b) for a, b in zip(frames, frames[1:], strict=False)]


def _ratios(before: Sequence[TinyFrame], after: Sequence[TinyFrame], reach: int) -> list[float]:
    """Compare the jump with the jumps around it."""
    p, q = before[-1], after[0]
    luma, chroma = luma_distance(p, q), chroma_distance(p, q)
    here = luma + chroma
    left, right = _gaps(before[-1 - reach :])[::-1], _gaps(after[: reach + 1])
    near = [log(here) - log(max(side[:NEAR], default=0.0)) for side in (left, right)]
    far = [log(here) - log(max(side, default=0.0)) for side in (left, right)]
    moving = sorted(g for g in left + right if g > _DUPLICATE)
    median = moving[len(moving) // 2] if moving else 0.0
    first, second, third = ([0.0, 0.0, 0.0, *moving])[:-4:-1]
    return [
        log(luma), log(chroma), min(near), max(near), min(far), max(far),
        log(here) - log(median), log(here) - log(first), log(here) - log(second), log(here) - log(third),
    ]  # fmt: skip


def _states(before: Sequence[TinyFrame], after: Sequence[TinyFrame], reach: int) -> list[float]:
    """Compare distances across the gap with distances on either side of it."""
    steps = (0, 1, 3, reach // 2)
    left = [before[-1 - min(s, len(before) - 1)] for s in steps]
    right = [after[min(s, len(after) - 1)] for s in steps]
    cross = [luma_distance(a, b) for a in left for b in right]
    inner = [max(luma_distance(side[0], f) for f in side[1:]) for side in (left, right)]
    least, mean = min(cross), sum(cross) / len(cross)
    # The old state back after the last frame that differs: flashes, stray frames.
    back = min(
        min(luma_distance(left[0], f) for f in right[1:]), min(luma_distance(right[0], f) for f in left[1:])
    )
    here = cross[0]
    return [
        log(least) - log(here),
        log(mean) - log(here),
        log(max(inner)) - log(here),
        log(least) - log(max(inner)),
        log(back) - log(here),
    ]


def _histogram(plane: Plane) -> Floats:
    counts = cv2.calcHist([plane], [0], None, [32], [0, 256])[:, 0]
    return np.asarray(counts / plane.size, np.float32)


def _pair(p: TinyFrame, q: TinyFrame) -> list[float]:
    """Compare the two frames at the gap, without motion."""
    a, b = p.small_hw.astype(np.float32), q.small_hw.astype(np.float32)
    difference = np.abs(a - b)
    q25, q50, q75, q95 = (log(v) for v in np.quantile(difference, (0.25, 0.5, 0.75, 0.95)))
    cells = cv2.resize(difference, (8, 6), interpolation=cv2.INTER_AREA)
    spread = float(np.mean(cells > 0.5 * difference.mean()))
    mean_a, mean_b = float(a.mean()), float(b.mean())
    shift = np.float32(mean_a - mean_b)
    moved = np.clip(b + shift, 0, 255).astype(np.uint8)
    histogram = float(np.abs(_histogram(p.small_hw) - _histogram(q.small_hw)).sum())
    centred = float(np.abs(_histogram(p.small_hw) - _histogram(moved)).sum())
    std_a, std_b = float(a.std()), float(b.std())
    covariance = float(np.mean((a - mean_a) * (b - mean_b)))
    same = (covariance + 1) / (std_a * std_b + 1)
    # What gain and offset cannot explain, of the brighter-contrast frame's variance.
    left = 1 - covariance**2 / (std_a**2 * std_b**2 + 1)
    ea, eb = detail(p.mid_HW), detail(q.mid_HW)
    return [
        q25, q50, q75, q95, spread, histogram, centred,
        abs(mean_a - mean_b), max(mean_a, mean_b), min(std_a, std_b), left, same, ncc(ea, eb),
    ]  # fmt: skip


def detail(plane: Plane) -> Floats:
    """Return local structure without light: the plane less its blur, over its local contrast."""
    x = plane.astype(np.float32)
    high = x - cv2.boxFilter(x, -1, (_PATCH + 1, _PATCH + 1))
    contrast = cv2.boxFilter(np.abs(high), -1, (_PATCH + 1, _PATCH + 1))
    return np.asarray(high / (contrast + 2), np.float32)


def ncc(a: Floats, b: Floats) -> float:
    return float(np.sum(a * b) / (np.sqrt(np.sum(a * a) * np.sum(b * b)) + 1e-3))


@cache
def _dis() -> cv2.DISOpticalFlow:
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow.setFinestScale(1)
    return flow


@cache
def _grid(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    height, width = shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


@dataclass(frozen=True, slots=True)
class Warp:
    """What is left between two frames once one is moved onto the other."""

    mean: float
    """absolute residual, gray levels"""
    median: float
    cells: float
    """share of cells with much residual"""
    ncc: float
    """correlation of detail"""
    length: float
    """mean of the flow's components, px of the mid plane"""
    rough: float
    """mean deviation of the flow from its blur, px"""


def warp(a: TinyFrame, b: TinyFrame) -> Warp:
    """Move `b` onto `a` by dense optical flow (DIS, ultrafast)."""
    x, y = a.mid_HW, b.mid_HW
    flow = _dis().calc(x, y, None)
    grid_x, grid_y = _grid(x.shape)
    warped = cv2.remap(
        y, grid_x + flow[..., 0], grid_y + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    residual = cv2.absdiff(x, warped)
    kept = ncc(detail(x), detail(warped))
    cells = cv2.resize(residual, (16, 9), interpolation=cv2.INTER_AREA)
    length = float(np.abs(flow).mean())
    rough = float(np.abs(flow - cv2.boxFilter(flow, -1, (9, 9))).mean())
    mean = float(residual.mean())
    return Warp(mean, float(np.median(residual)), float(np.mean(cells > 12)), kept, length, rough)


def _moved(before: Sequence[TinyFrame], after: Sequence[TinyFrame]) -> list[float]:
    """Compare what motion leaves at the gap with what it leaves beside it."""
    p, q = before[-1], after[0]
    here = warp(p, q)
    beside = [warp(side[i], side[j]) for side, i, j in ((before, -2, -1), (after, 0, 1)) if len(side) > 1]
    mean = max((b.mean for b in beside), default=0.0)
    kept = min((b.ncc for b in beside), default=1.0)
    length = max((b.length for b in beside), default=0.0)
    rough = max((b.rough for b in beside), default=0.0)
    return [
        log(here.mean), log(here.mean) - log(mean), log(here.mean) - log(luma_distance(p, q)),
        here.ncc, kept - here.ncc, log(here.median), here.cells,
        log(here.length), log(here.length) - log(length), log(here.rough), log(here.rough) - log(rough),
    ]  # fmt: skip
