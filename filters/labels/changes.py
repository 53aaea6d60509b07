"""What a clip's trace tells of editing: numbers that the classifier reads as signals.

Samples lie a second apart, and a flash, a jump or a wipe may fall between two of them. The trace (8 x 8 block
means of luma, eight times a second, `filters.trace`) sees them all. Each number is a ratio, a share or a
correlation, so that a fast film and a slow one, a dark and a bright one are told alike. No number is a
verdict: which of them matter, and where, the classifier learns.

A long clip is told by its parts of five seconds, each number by the median over them: the largest of many
changes is larger than that of few, and rendered films to learn from last five seconds at most, clips in use
up to 20. A label, too, is what holds for most of a clip's time. Nothing is said of a clip with fewer than 10
steps. Cost: 1 ms a clip of 4 s, 3 ms at 20 s.

Shape letters: T steps, B the 64 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.labels.handovers import HANDOVERS, handover_numbers
from filters.trace import BLOCKS, unpack

__all__ = ["CHANGES", "LEAST_STEPS", "change_numbers", "levels_of"]

Levels = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float32]

CHANGES: Final = (
    "trace_change", "trace_jump", "trace_jump_2", "trace_jump_4", "trace_jump_levels",
    "trace_spike", "trace_spikes", "trace_flash", "trace_flashes", "trace_light_range", "trace_light_jump",
    "trace_flash_flat", "trace_beat",
    "trace_far", "trace_loop", "trace_return", "trace_reversal",
    "trace_scene", "trace_scene_like", "trace_parts",
    "trace_still", "trace_stops", "trace_pace", "trace_unsteady",
    "trace_pop", "trace_pops", "trace_fixed", "trace_uneven", "trace_edge",
    "trace_mirror", "trace_flip", "trace_symmetry", "trace_seam_x", "trace_seam_y", "trace_seam",
    *HANDOVERS,
)  # fmt: skip
"""in the order of `change_numbers`; they are made of the column `trace`"""
LEAST_STEPS: Final = 10
_PART_STEPS: Final = 41

# Levels that quantization and codecs leave between equal pictures: added below fractions.
_QUIET: Final = 0.3
_STILL: Final = 0.12


def levels_of(trace: bytes) -> Levels:
    """Return a trace's block means in levels of 255, (T, B)."""
    size, mean_B, codes_TB, _ = unpack(trace)
    roots_TB = codes_TB.astype(np.float32) * np.float32(size)
    levels: Levels = mean_B.astype(np.float32) + roots_TB * np.abs(roots_TB)
    return levels


def change_numbers(trace: bytes | None) -> Numbers:
    """Return the numbers of `CHANGES`, float32; not a number of no trace, or of too short a one."""
    if trace is None:
        return np.full(len(CHANGES), np.nan, np.float32)
    levels_TB = levels_of(trace)
    if len(levels_TB) < LEAST_STEPS:
        return np.full(len(CHANGES), np.nan, np.float32)
    parts = -(-len(levels_TB) // _PART_STEPS)
    starts = np.linspace(0, max(0, len(levels_TB) - _PART_STEPS), parts).round().astype(int)
    found = [_numbers(levels_TB[start : start + _PART_STEPS]) for start in starts]
    numbers: Numbers = np.median(found, axis=0).astype(np.float32)
    return numbers


def _numbers(levels_TB: Levels) -> Sequence[float]:
    """Return the numbers of `CHANGES` of a part of a clip."""
    steps_TB = np.diff(levels_TB, axis=0)
    change_T = np.abs(steps_TB).mean(1)
    usual = float(np.median(change_T)) + _QUIET
    return (
        *_jumps(change_T, usual),
        *_undone(levels_TB, usual),
        *_light(levels_TB.mean(1)),
        *_flashes(levels_TB),
        *_repeats(levels_TB),
        *_scenes(levels_TB),
        *_pace(change_T, usual),
        *_local(levels_TB, steps_TB),
        *_layout(levels_TB),
        *handover_numbers(levels_TB),
    )


def _jumps(change_T: Levels, usual: float) -> Sequence[float]:
    """Cuts and bursts: the usual change a step, and how far the largest, second and fourth are above it."""
    largest = np.sort(change_T)[::-1]
    return (
        usual - _QUIET,
        largest[0] / usual,
        largest[1] / usual,
        largest[3] / usual,
        largest[0],
    )


def _undone(levels_TB: Levels, usual: float) -> Sequence[float]:
    """A picture that differs from both its neighbours more than these differ: one stray picture."""
    before_TB, now_TB, after_TB = levels_TB[:-2], levels_TB[1:-1], levels_TB[2:]
    stray_T = np.abs(now_TB - (before_TB + after_TB) / 2).mean(1) - np.abs(after_TB - before_TB).mean(1) / 2
    return float(stray_T.max()) / usual, float((stray_T > 3).mean())


def _light(luma_T: Levels) -> Sequence[float]:
    """Flashes: the mean luma's largest detour of one step, the four largest, its range, its largest step."""
    detour_T = np.abs(luma_T[1:-1] - (luma_T[:-2] + luma_T[2:]) / 2)
    return (
        float(detour_T.max()),
        float(np.sort(detour_T)[-4:].mean()),
        float(np.ptp(luma_T)),
        float(np.abs(np.diff(luma_T)).max()),
    )


def _flashes(levels_TB: Levels) -> Sequence[float]:
    """Whether a flash is laid over the picture or lights it, and whether flashes and jumps keep a beat.

    The picture's contrast in the step whose mean luma stands out most, against its neighbours': more where a
    lamp lights the scene, less where white covers it. The largest correlation of the changes with themselves
    a quarter of a second to 1.5 s later.
    """
    luma_T, contrast_T = levels_TB.mean(1), levels_TB.std(1) + 1
    detour_T = np.abs(luma_T[1:-1] - (luma_T[:-2] + luma_T[2:]) / 2)
    at = int(detour_T.argmax()) + 1
    flat = float(np.log(2 * contrast_T[at] / (contrast_T[at - 1] + contrast_T[at + 1])))
    change_T = np.sqrt(np.abs(np.diff(levels_TB, axis=0)).mean(1))
    change_T -= change_T.mean()
    size = float(change_T @ change_T) + _QUIET
    lags = range(2, min(12, len(change_T) // 2) + 1)
    beat = max(
        float(change_T[lag:] @ change_T[:-lag]) * len(change_T) / (len(change_T) - lag) for lag in lags
    )
    return flat * min(1.0, float(detour_T.max()) / 6), beat / size


def _repeats(levels_TB: Levels) -> Sequence[float]:
    """Time that loops, comes back or runs backwards: how like pictures far apart in time are.

    How far pictures at least 3/4 s apart differ; how much less those do that are one certain time apart; the
    nearest fiftieth of them; and how much less pictures differ that lie on both sides of one moment, as far
    from it, than any as far apart: 0 where time turns round there.
    """
    steps = len(levels_TB)
    apart_TT = np.abs(levels_TB[:, None] - levels_TB[None]).mean(2)
    by_lag = _usual_by_lag(apart_TT)[: steps - 4]
    far = apart_TT[np.triu_indices(steps, 6)]
    usual = float(np.median(far)) + _QUIET
    loop = float(by_lag[6:].min()) / usual if len(by_lag) > 6 else 1.0
    turn = float(min(1.0, _turns(apart_TT, by_lag).min()))
    return usual - _QUIET, loop, float(np.quantile(far, 0.02)) / usual, turn


def _usual_by_lag(apart_TT: Levels) -> Levels:
    """Return the median of each diagonal from the main one on."""
    steps = len(apart_TT)
    at = np.arange(steps)
    later = at[:, None] + at
    by_lag_LT = np.where(later < steps, apart_TT[at, np.minimum(later, steps - 1)], np.inf)
    by_lag_LT.sort(axis=1)
    counts = steps - at
    usual: Levels = (by_lag_LT[at, (counts - 1) // 2] + by_lag_LT[at, counts // 2]) / 2
    return usual


def _turns(apart_TT: Levels, by_lag: Levels) -> Levels:
    """Return of each moment how far pictures on both sides of it differ, over any that are as far apart."""
    steps = len(apart_TT)
    middle = np.arange(4, steps - 4)[:, None]
    reach = np.arange(2, 13)
    within = reach <= np.minimum(middle, steps - 1 - middle)
    there = apart_TT[np.maximum(middle - reach, 0), np.minimum(middle + reach, steps - 1)]
    wanted = by_lag[np.minimum(2 * reach, len(by_lag) - 1)] + _QUIET
    turns: Levels = (there * within).sum(1) / (wanted * within).sum(1)
    return turns


def _scenes(levels_TB: Levels) -> Sequence[float]:
    """Another scene at the end than at the beginning, and how well two mean pictures tell the whole clip."""
    steps = len(levels_TB)
    quarter = max(3, steps // 4)
    first_TB, last_TB = levels_TB[:quarter], levels_TB[-quarter:]
    first_B, last_B = first_TB.mean(0), last_TB.mean(0)
    within = float((first_TB.std(0) + last_TB.std(0)).mean()) / 2 + 0.5
    sums_TB = np.cumsum(levels_TB.astype(np.float64), axis=0)
    total_B = sums_TB[-1]
    count_T = np.arange(1, steps, dtype=np.float64)
    parts_T = (sums_TB[:-1] ** 2).sum(1) / count_T + ((total_B - sums_TB[:-1]) ** 2).sum(1) / (
        steps - count_T
    )
    one = float((total_B**2).sum()) / steps
    spread = float((levels_TB.astype(np.float64) ** 2).sum()) - one
    told = float(parts_T[3:-3].max()) - one
    return (
        float(np.abs(first_B - last_B).mean()) / within,
        _correlation(first_B, last_B),
        told / (spread + _QUIET * levels_TB.size),
    )


def _pace(change_T: Levels, usual: float) -> Sequence[float]:
    """Stills and ramps of speed: the share of steps without change, of slow ones, and how uneven they are."""
    smooth_T = np.convolve(change_T, np.ones(4) / 4, "valid") + _QUIET
    return (
        float((change_T < _STILL).mean()),
        float((change_T < usual / 4).mean()),
        float(np.log(np.quantile(smooth_T, 0.9) / np.quantile(smooth_T, 0.1))),
        float(change_T.std()) / usual,
    )


def _local(levels_TB: Levels, steps_TB: Levels) -> Sequence[float]:
    """Graphics: blocks that jump while most do not, that stand while most move, and where the motion is."""
    size_TB = np.abs(steps_TB)
    most_T1 = np.median(size_TB, axis=1, keepdims=True)
    pops_T = ((size_TB > 6) & (size_TB > 6 * (most_T1 + _QUIET))).mean(1)
    spread_B = levels_TB.std(0)
    usual = float(np.median(spread_B))
    low, high = np.quantile(spread_B, (0.25, 0.9))
    grid = spread_B.reshape(BLOCKS, BLOCKS)
    inner = float(grid[2:-2, 2:-2].mean())
    outer = float(np.concatenate([grid[[0, -1]].ravel(), grid[1:-1, [0, -1]].ravel()]).mean())
    return (
        float(pops_T.max()),
        float((pops_T > 0.015).mean()),
        float((spread_B < 0.15 * usual).mean()) if usual > 0.7 else 0.0,
        float(np.log((high + _QUIET) / (low + _QUIET))),
        float(np.log((outer + _QUIET) / (inner + _QUIET))),
    )


def _layout(levels_TB: Levels) -> Sequence[float]:
    """Mirrors and split screens: halves that change alike, and lines across which nothing changes alike."""
    mean_B = levels_TB.mean(0)
    change = (levels_TB - mean_B).reshape(-1, BLOCKS, BLOCKS)
    size = np.sqrt((change**2).sum(0)) + 1

    def alike(one: npt.NDArray[np.intp], two: npt.NDArray[np.intp], axis: int) -> npt.NDArray[np.float64]:
        """Return the mean correlation of rows (axis 0) or columns (1) in time, by pair."""
        products = (change.take(one, axis + 1) * change.take(two, axis + 1)).sum(0)
        found: npt.NDArray[np.float64] = (products / (size.take(one, axis) * size.take(two, axis))).mean(
            1 - axis
        )
        return found

    near, half = np.arange(BLOCKS - 1), np.arange(BLOCKS // 2)
    rows, columns = alike(near, near + 1, 0), alike(near, near + 1, 1)
    middle = BLOCKS // 2 - 1
    picture = mean_B.reshape(BLOCKS, BLOCKS) - mean_B.mean()
    return (
        float(alike(half, BLOCKS - 1 - half, 1).mean()),
        float(alike(half, BLOCKS - 1 - half, 0).mean()),
        float((picture * picture[:, ::-1]).mean() / (picture.var() + 4)),
        float(np.delete(columns, middle).mean() - columns[middle]),
        float(np.delete(rows, middle).mean() - rows[middle]),
        float(max(np.median(columns) - columns.min(), np.median(rows) - rows.min())),
    )


def _correlation(one_B: Levels, two_B: Levels) -> float:
    """Return the correlation of two pictures, 0 where one of them is plain."""
    one, two = one_B - one_B.mean(), two_B - two_B.mean()
    size = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum()) / size if size > 1e-3 else 0.0
