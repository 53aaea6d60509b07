"""How one scene gives way to another, by a clip's trace: what tells a wipe, a dissolve and a pan apart.

In a film that is one scene first and another last, each block has a moment at which it changes. In a cut or a
dissolve that moment is one and the same; in a wipe it travels straight across the picture; where a camera
turns, no block changes once. A dissolve is a mixture of two pictures at all times; a pan is not.

Shape letters: T steps, B the 64 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.trace import BLOCKS

__all__ = ["HANDOVERS", "handover_numbers"]

Levels = npt.NDArray[np.float32]

HANDOVERS: Final = (
    "trace_once", "trace_once_far", "trace_travel_x", "trace_travel_y", "trace_travel_out", "trace_travel_s",
    "trace_unmixed", "trace_mix_step", "trace_mix_between", "trace_mix_back",
)  # fmt: skip
"""in the order of `handover_numbers`"""

_EDGE: Final = 3
_QUIET: Final = 0.3
_MOVED: Final = 6.0
_LEAST_BLOCKS: Final = 12


def handover_numbers(levels_TB: Levels) -> Sequence[float]:
    """Return the numbers of `HANDOVERS` for block means in levels, at least 10 steps of them."""
    return *_moments(levels_TB.astype(np.float64)), *_mixture(levels_TB.astype(np.float64))


def _moments(levels_TB: npt.NDArray[np.float64]) -> Sequence[float]:
    """Say how well blocks are told by one step up or down each, how many have one, and how it travels.

    How well, median over the blocks that change by some levels for good, and their share; how well a plane in
    x, in y, or the distance from the middle tells the moments; and their spread in time, as a share of the
    clip. Nothing travels where few blocks change.
    """
    steps = len(levels_TB)
    sums_TB = np.cumsum(levels_TB, axis=0)[:-1]
    total_B, count_T1 = levels_TB.sum(0), np.arange(1, steps)[:, None]
    before_TB, after_TB = sums_TB / count_T1, (total_B - sums_TB) / (steps - count_T1)
    told_TB = (count_T1 * (steps - count_T1) / steps) * (after_TB - before_TB) ** 2
    told_TB = told_TB[_EDGE:-_EDGE]
    at_B = told_TB.argmax(0)
    best_B = np.take_along_axis(told_TB, at_B[None], 0)[0]
    spread_B = ((levels_TB - levels_TB.mean(0)) ** 2).sum(0)
    share_B = best_B / (spread_B + _QUIET * steps)
    apart_B = np.abs(np.take_along_axis((after_TB - before_TB)[_EDGE:-_EDGE], at_B[None], 0)[0])
    moved_B = apart_B > _MOVED
    if moved_B.sum() < _LEAST_BLOCKS:
        return float(np.median(share_B)), float(moved_B.mean()), 0.0, 0.0, 0.0, 0.0
    y, x = np.mgrid[0:BLOCKS, 0:BLOCKS].reshape(2, -1)[:, moved_B] - (BLOCKS - 1) / 2
    weight = share_B[moved_B] ** 2
    when = at_B[moved_B].astype(np.float64)
    return (
        float(np.median(share_B[moved_B])),
        float(moved_B.mean()),
        _told(when, x, weight),
        _told(when, y, weight),
        _told(when, np.hypot(x, y), weight),
        float(np.subtract(*np.quantile(when, (0.9, 0.1)))) / steps,
    )


def _told(
    when: npt.NDArray[np.float64], place: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> float:
    """Return the weighted squared correlation of moments (in steps) and places; of one moment, 0."""
    weight = weight / weight.sum()
    when, place = when - weight @ when, place - weight @ place
    spread = (weight @ (when * when) + 0.25) * (weight @ (place * place) + 0.1)
    return float((weight @ (when * place)) ** 2 / spread)


def _mixture(levels_TB: npt.NDArray[np.float64]) -> Sequence[float]:
    """Tell each picture as a mixture of the first and the last quarter's.

    What is left over of all that changes; the largest step of the share of the last; the part of the time in
    which both are seen; and how often the share turns back by a fifth.
    """
    steps = len(levels_TB)
    quarter = max(3, steps // 4)
    first_B, last_B = levels_TB[:quarter].mean(0), levels_TB[-quarter:].mean(0)
    way_B = last_B - first_B
    share_T = (levels_TB - first_B) @ way_B / (way_B @ way_B + _QUIET * levels_TB.shape[1])
    rest_TB = levels_TB - first_B - share_T[:, None] * way_B
    spread = ((levels_TB - levels_TB.mean(0)) ** 2).sum() + _QUIET * levels_TB.size
    change_T = np.diff(share_T)
    return (
        float((rest_TB**2).sum() / spread),
        float(np.clip(np.abs(change_T).max(), 0, 3)),
        float(((share_T > 0.15) & (share_T < 0.85)).mean()),
        float((change_T < -0.2).mean()),
    )
