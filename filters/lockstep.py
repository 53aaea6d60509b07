"""Whether two clips show the same moment: their traces change alike at one offset in time.

The traces are laid over each other at every offset. Where they meet, what *changes* in each (its codes less
their mean there) is compared by correlation over all blocks and steps: it stays near 1 under compression,
scaling, grading, marks and trims, and falls to some 0.2 between two moments before a fixed camera.

A cropped copy changes alike at the same offset, but less so. There the portrait of the one is laid into the
other's (`filters.crops`): a window must fit clearly better than the whole does, and then what changes in it
must agree, less strictly. Two moments before a fixed camera don't look like crops of each other.

One large thing that changes alike in two recordings, a window that pops up on the screens of two desktops,
must not decide alone: what changes must also agree block by block, a large change counting no more than a
small one.

Products of codes are whole numbers that float32 holds: the result doesn't depend on the order of sums.
Cost: 0.4 ms a pair of clips of five seconds, 2 to 5 ms where a window is looked for: closely, only where what
changes through a rough one agrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from filters.crops import WHOLE, Crop, best_crop, crop_matrix
from filters.glance import promising
from filters.laid import SIXTEENTHS, between_steps, levels, roots
from filters.trace import BLOCKS, RATE, pack, unpack
from filters.traces import Trace, Traces, mirrored
from filters.waves import WINDOWS

__all__ = ["Agreement", "Bounds", "agreement", "copy_agreement", "in_lockstep", "offsets"]

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Levels: TypeAlias = npt.NDArray[np.float32]

_EVERYWHERE: Final = 0.58
"""mean agreement of the blocks that is wanted besides"""
_PEAKS: Final = 2
_HINT: Final = 0.3
"""correlation below which an offset isn't looked at through crops"""
_PARTLY: Final = 0.24
"""agreement wanted on top, where nothing of the shorter clip met the longer"""
_LOST: Final = 0.06
_FORGIVEN: Final = 0.1
"""what the noise of compression takes of the correlation of changes of one level, and at most"""
_NOISE: Final = 0.1
"""mean change of blocks, in levels, up to which nothing is said to change"""
_FITTING: Final = 0.93
"""correlation of the portraits through a crop"""
_BETTER: Final = 0.3
"""share of what the whole portrait leaves unexplained that a crop may leave; a slight crop leaves more"""
_ROUGHLY: Final = 0.2
"""agreement that a window misses by lying a few hundredths of a side off"""
_HARDLY: Final = 0.6
"""the most that it may leave, if what changes agrees the better, by half of the excess"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What two clips must have in common."""

    min_agreement: float
    """correlation of what changes"""
    min_crop_agreement: float
    """the same, through a crop that fits"""
    min_picture: float
    """correlation of the mean pictures"""
    min_overlap: float
    """share of the shorter clip"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two traces laid over each other: at each offset of the second against the first."""

    offset: Ints
    correlation: Floats
    """of what changes, over the steps that meet"""
    levels: Floats
    """the mean change of blocks in that of the two that changes more"""


def offsets(first: int, second: int, min_overlap: float) -> tuple[Ints, Ints, Ints]:
    """Return (offset, start, end): step i of [start, end) of the first meets step i + offset of the second.

    At least `min_overlap` of the shorter meets, and a second, or all of it.
    """
    offset = np.arange(1 - first, second)
    start, end = np.maximum(0, -offset), np.minimum(first, second - offset)
    shorter = min(first, second)
    enough = (end - start >= min(RATE, shorter)) & (end - start >= min_overlap * shorter)
    return offset[enough], start[enough], end[enough]


def agreement(one: Trace, two: Trace, min_overlap: float) -> Agreement:
    """Return how alike two traces change at each offset."""
    a, b = one.codes.astype(np.float32), two.codes.astype(np.float32)
    offset, start, end = offsets(len(a), len(b), min_overlap)
    count = end - start
    # Row i of the reversed products, shifted by i, has its offset for a column.
    width = len(a) + len(b)
    shifted = np.zeros((len(a), width), np.float32)
    shifted[:, : len(b)] = a[::-1] @ b.T
    sums = shifted.ravel()[: len(a) * (width - 1)].reshape(len(a), width - 1).sum(0, dtype=np.float64)
    sum_a, square_a = _between(a, start, end)
    sum_b, square_b = _between(b, start + offset, end + offset)
    together = sums[offset + len(a) - 1] - (sum_a * sum_b).sum(1) / count
    own_a = np.maximum(0.0, square_a - (sum_a * sum_a).sum(1) / count)
    own_b = np.maximum(0.0, square_b - (sum_b * sum_b).sum(1) / count)
    levels = np.maximum(own_a * one.size**2, own_b * two.size**2) / (count * BLOCKS * BLOCKS)
    return Agreement(offset, together / np.maximum(1.0, np.sqrt(own_a * own_b)), levels)


def _between(codes_T64: Levels, start: Ints, end: Ints) -> tuple[Floats, Floats]:
    """Return the sums (offsets, 64) of the codes in each [start, end), and the sums of all their squares."""
    total = np.zeros((len(codes_T64) + 1, BLOCKS * BLOCKS))
    np.cumsum(codes_T64, axis=0, dtype=np.float64, out=total[1:])
    squares = np.concatenate(([0.0], np.cumsum((codes_T64 * codes_T64).sum(1), dtype=np.float64)))
    return total[end] - total[start], squares[end] - squares[start]


def copy_agreement(one: Trace, two: Trace, bounds: Bounds) -> float:
    """Return how well two clips agree, all blocks alike, if one is a copy of the other; 0 if it isn't.

    Never where nothing changes.
    """
    laid = agreement(one, two, bounds.min_overlap)
    changing = np.where(laid.levels > _NOISE, laid.correlation, 0.0)
    for at in _peaks(changing):
        a, b = _meeting(one, two, int(laid.offset[at]))
        forgiven = min(_FORGIVEN, _LOST / float(laid.levels[at]))
        wanted = bounds.min_agreement + _more(a, one, two) - forgiven
        if max(float(laid.correlation[at]), between_steps(a, b, roots).alike) < wanted:
            continue
        everywhere = between_steps(a, b, levels).everywhere()
        if everywhere >= _EVERYWHERE - forgiven and _pictures(a, b) >= bounds.min_picture:
            return everywhere
    return _crop_agreement(one, two, bounds)


def _peaks(correlation: Floats) -> list[int]:
    """Return where the correlation is greatest: some places, each above its neighbours, the best first."""
    before = np.concatenate(([-1.0], correlation[:-1]))
    after = np.concatenate((correlation[1:], [-1.0]))
    high = np.flatnonzero((correlation >= before) & (correlation > after) & (correlation >= _HINT))
    return [int(at) for at in high[np.argsort(-correlation[high], kind="stable")][:_PEAKS]]


def _meeting(one: Trace, two: Trace, offset: int) -> tuple[Levels, Levels]:
    """Return the blocks (steps, 64) of the two where they meet, in levels."""
    start, end = max(0, -offset), min(len(one.codes), len(two.codes) - offset)
    return one.levels(start, end), two.levels(start + offset, end + offset)


def _pictures(a_T64: Levels, b_T64: Levels) -> float:
    """Return the correlation of two clips' mean pictures in the half in which they are most alike.

    A mark in a corner leaves at least one half as it was.
    """
    a, b = (_mean(x).reshape(BLOCKS, BLOCKS) for x in (a_T64, b_T64))
    halves = WINDOWS[:4]
    return max(
        float(_correlation(a[top:bottom, left:right].ravel(), b[top:bottom, left:right].reshape(1, -1))[0])
        for top, bottom, left, right in halves
    )


def _crop_agreement(one: Trace, two: Trace, bounds: Bounds) -> float:
    """Return how well two clips agree, if one is the other through a window; 0 if it isn't.

    By their portraits and by what changes in the window.
    """
    for seen, other in ((one, two), (two, one)):
        fit = best_crop(seen.picture, other.picture, partial(_likely, seen, other, bounds))
        left = (1 - fit.like) / max(1e-6, 1 - fit.whole)
        if fit.crop == WHOLE or fit.like < _FITTING or left > _HARDLY:
            continue
        wanted = bounds.min_crop_agreement + max(0.0, left - _BETTER) / 2
        view = _through(other, fit.crop)
        laid = agreement(seen, view, bounds.min_overlap)
        for at in _peaks(np.where(laid.levels > _NOISE, laid.correlation, 0.0)):
            a, b = _meeting(seen, view, int(laid.offset[at]))
            # Not the roots: a window between blocks spoils the small changes.
            found = between_steps(a, b, levels)
            if found.alike >= wanted + _more(a, seen, other):
                return found.everywhere()
    return 0.0


def _likely(seen: Trace, other: Trace, bounds: Bounds, crop: Crop) -> bool:
    """Return whether what changes in a window, which need not fit well yet, agrees at all."""
    laid = agreement(seen, _through(other, crop), bounds.min_overlap)
    return bool((laid.correlation >= bounds.min_crop_agreement - _ROUGHLY).any())


def _more(meeting_T64: Levels, one: Trace, two: Trace) -> float:
    """Return the agreement wanted on top.

    Clips that meet in part have many offsets to agree at by chance, and less to agree on.
    """
    return _PARTLY * (1 - len(meeting_T64) / min(len(one.codes), len(two.codes)))


def _through(trace: Trace, crop: Crop) -> Trace:
    """Return the trace of a clip seen through a window."""
    matrix = crop_matrix(crop, False, BLOCKS).T
    levels = np.rint(trace.levels(0, len(trace.codes)) * SIXTEENTHS) @ matrix / np.float32(1024 * SIXTEENTHS)
    return Trace(*unpack(pack(levels.astype(np.float64), trace.picture)))


def _mean(levels_T64: Levels) -> Levels:
    mean: Levels = levels_T64.mean(0, dtype=np.float64).astype(np.float32)
    return mean


def _correlation(a_64: Levels, b_K64: Levels) -> Floats:
    """Return the correlation of a picture's blocks with those of others; 0 where one is plain."""
    a, b = (x.astype(np.float64) for x in (a_64, b_K64))
    a, b = a - a.mean(), b - b.mean(1, keepdims=True)
    own = np.sqrt((a * a).sum() * (b * b).sum(1))
    correlation: Floats = (a * b).sum(1) / np.maximum(1e-6, own)
    return correlation


def in_lockstep(traces: Traces, pairs: Ints, flipped: bool, bounds: Bounds) -> Floats:
    """Return how well each pair (pairs, 2) of clips, by the first in order, agrees, 0 if they are no copies.

    The second as it is mirrored if `flipped`.
    """
    likely = promising(
        traces,
        pairs,
        flipped,
        min_agreement=bounds.min_agreement,
        min_crop_agreement=bounds.min_crop_agreement,
        min_overlap=bounds.min_overlap,
    )
    agreed = np.zeros(len(pairs))
    last = -1
    for number in np.flatnonzero(likely).tolist():
        first, second = pairs[number].tolist()
        if first != last:
            last, one = first, traces.of(first)
        two = traces.of(second)
        agreed[number] = copy_agreement(one, mirrored(two) if flipped else two, bounds)
    return agreed
