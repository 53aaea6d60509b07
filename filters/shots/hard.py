"""Is there a cut between two neighbouring frames? The features that the judge sees.

A cut is a jump between two states that each hold: every distance across it is large, every distance on
either side small, nothing on one side can be moved or relit into the other. So the features compare the jump
with its neighbours (ratios, which adapt to the footage), look whether the old state comes back (a flash
does, a cut doesn't), and how much is left after optical flow and after gain and offset are taken out (fast
camera moves and lamps leave little). They know no direction of time, and no size or rate of frames.

Cost: a glance 0.2 ms; 0.5 ms more for those that pass it, and 1 ms for two in five of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Final

import cv2
import numpy as np

from filters.shots.compare import (
    Floats,
    Warp,
    apart,
    correlation,
    detail,
    histogram,
    in_order,
    level,
    level_and_contrast,
    light,
    warp,
)
from filters.shots.planes import TinyFrame, chroma_distance, distances, luma_distance

__all__ = ["FEATURES", "GLANCE", "REACH_S", "Gap", "closer", "glance", "reach_frames", "stands_out"]

REACH_S = 0.5
"""seconds: how far the neighbourhood reaches to either side"""
NEAR: Final = 4
"""frames: the nearest neighbourhood, whatever the frame rate"""
_DUPLICATE = 0.1
"""gray levels: a frame this close to its predecessor repeats it (frame rates converted by repetition)"""
# Four frames before the jump, four after it: each with each across, then each side's first with its others.
_FROM = (*np.repeat(range(4), 4).tolist(), 0, 0, 0, 4, 4, 4)
_TO = (*(4, 5, 6, 7) * 4, 1, 2, 3, 5, 6, 7)
_UNKNOWN = Warp(nan, nan, nan, nan, nan, nan)

GLANCE = (
    "luma", "chroma", "near_less", "near_more", "far_less", "far_more", "median",
    "first", "second", "third",
    "repeats", "held_most", "held_least",
    "cross_least", "cross_mean", "inner_most", "block", "back",
    "q25", "q50", "q75", "q95", "unchanged", "spread", "histogram", "histogram_centred",
    "mean_change", "brighter", "darker_std", "gain_left", "correlation", "detail_kept",
)  # fmt: skip
"""names of the features that are had without optical flow"""
FEATURES = (
    *GLANCE,
    "warped", "warped_more", "warped_share", "warped_kept", "warped_kept_less", "warped_median",
    "warped_cells",
    "flow", "flow_more", "rough", "rough_more",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """A jump between two frames, and what is around it, nearest first on both sides."""

    before: Sequence[TinyFrame]
    after: Sequence[TinyFrame]
    gaps_before: Sequence[float]
    """luma and chroma distances between neighbours before the jump"""
    gaps_after: Sequence[float]


def reach_frames(fps: float) -> int:
    """Return the neighbourhood to either side in frames: 0.5 s, between 6 and 32."""
    return round(min(32.0, max(6.0, REACH_S * fps)))


def stands_out(gaps: Sequence[float], at: int) -> bool:
    """Return whether gap `at` is worth a glance: above a level and 1.5 of its neighbours' median."""
    here = gaps[at]
    if here < 1.0:
        return False
    around = [*gaps[max(0, at - NEAR) : at], *gaps[at + 1 : at + 1 + NEAR]]
    moving = sorted([g for g in around if g > _DUPLICATE])
    return not moving or here > 1.5 * moving[len(moving) // 2]


def glance(gap: Gap) -> Floats:
    """Return the features named by `GLANCE`."""
    luma = luma_distance(gap.before[0], gap.after[0])
    chroma = chroma_distance(gap.before[0], gap.after[0])
    return np.array(
        _ratios(gap, luma, chroma) + _states(gap, luma) + _pair(gap.before[0], gap.after[0]), np.float32
    )


def closer(gap: Gap, glanced: Floats) -> Iterator[Floats]:
    """Yield all features, given those of `glance`: without those that compare flows (NaN), then with them."""
    here = warp(gap.before[0], gap.after[0])
    yield np.concatenate([glanced, np.array(_moved(gap, here, [_UNKNOWN]), np.float32)])
    beside = [warp(side[0], side[1]) for side in (gap.before, gap.after) if len(side) > 1]
    yield np.concatenate([glanced, np.array(_moved(gap, here, beside), np.float32)])


def _ratios(gap: Gap, luma: float, chroma: float) -> list[float]:
    """Compare the jump with the jumps around it."""
    sides = (gap.gaps_before, gap.gaps_after)
    here = level(luma + chroma)
    near = [here - level(max(side[:NEAR], default=0.0)) for side in sides]
    far = [here - level(max(side, default=0.0)) for side in sides]
    every = [*gap.gaps_before, *gap.gaps_after]
    moving = sorted(g for g in every if g > _DUPLICATE)
    median = moving[len(moving) // 2] if moving else 0.0
    first, second, third = (0.0, 0.0, 0.0, *moving)[:-4:-1]
    held = [next((i for i, g in enumerate(side) if g > _DUPLICATE), len(side)) for side in sides]
    return [
        level(luma), level(chroma), min(near), max(near), min(far), max(far),
        here - level(median), here - level(first), here - level(second), here - level(third),
        1 - len(moving) / max(1, len(every)), float(max(held)), float(min(held)),
    ]  # fmt: skip


def _states(gap: Gap, luma: float) -> list[float]:
    """Compare distances across the gap with distances on either side of it."""
    steps = (0, 1, 3, (len(gap.gaps_before) + len(gap.gaps_after)) // 4)
    rows = np.stack([
        side[min(s, len(side) - 1)].small_HW.ravel() for side in (gap.before, gap.after) for s in steps
    ])  # fmt: skip
    apart_by = distances(rows.take(_FROM, axis=0), rows.take(_TO, axis=0)).tolist()
    cross, inner = apart_by[:16], max(apart_by[16:])
    # The old state back after the last frame that differs: flashes, stray frames.
    back = min(*cross[1:4], *cross[4::4])
    least, mean, here = level(min(cross)), level(sum(cross) / len(cross)), level(luma)
    return [least - here, mean - here, level(inner) - here, least - level(inner), level(back) - here]


def _pair(p: TinyFrame, q: TinyFrame) -> list[float]:
    """Compare the two frames at the gap, without motion."""
    a, b = p.small_HW, q.small_HW
    difference: Any = cv2.absdiff(a, b)
    ordered = in_order(difference)
    quantiles = [level(float(ordered[int(q * (ordered.size - 1))])) for q in (0.25, 0.5, 0.75, 0.95)]
    cells = cv2.resize(difference, (8, 6), interpolation=cv2.INTER_AREA)
    (mean_a, contrast_a), (mean_b, contrast_b) = level_and_contrast(a), level_and_contrast(b)
    moved: Any = cv2.addWeighted(b, 1.0, b, 0.0, mean_a - mean_b)
    same, left = light(a, b)
    bins = histogram(a)
    return [
        *quantiles,
        int(np.searchsorted(ordered, 1, "right")) / ordered.size,
        np.count_nonzero(cells > 0.5 * cv2.mean(difference)[0]) / cells.size,
        apart(bins, histogram(b)) / a.size, apart(bins, histogram(moved)) / a.size,
        abs(mean_a - mean_b), max(mean_a, mean_b),
        min(contrast_a, contrast_b), left, same,
        correlation(detail(a), detail(b)),
    ]  # fmt: skip


def _moved(gap: Gap, here: Warp, beside: Sequence[Warp]) -> list[float]:
    """Compare what motion leaves at the gap with what it leaves beside it."""
    mean = max((w.mean for w in beside), default=0.0)
    kept = min((w.kept for w in beside), default=1.0)
    length = max((w.length for w in beside), default=0.0)
    rough = max((w.rough for w in beside), default=0.0)
    return [
        level(here.mean), level(here.mean) - level(mean),
        level(here.mean) - level(luma_distance(gap.before[0], gap.after[0])),
        here.kept, kept - here.kept, level(here.median), here.cells,
        level(here.length), level(here.length) - level(length),
        level(here.rough), level(here.rough) - level(rough),
    ]  # fmt: skip
