"""Which clips of a run may show the same moment: those of whose traces a step shares a key.

As in `filters.neighbours`, from all steps of a trace and not from samples a second apart: wherever a copy was
trimmed, some step of it lies within a sixteenth of a second of one of the original. Two joins: halves of the
picture by long keys, so that a logo in one of them does no harm; and the whole picture by short keys against
nine windows of it, for crops, off centre or not.

The longer the run, the more of what collides is chance. So what collides is compared block by block, and
then by what changes, at the offsets in time that most collisions of the two clips speak for
(`filters.votes`). Keys that stand in many clips, as in a set of many shots, are told apart by what changes
next (`filters.crowds`).

Cost: 0.55 ms a clip of five seconds, 15 us two clips at one offset. The same pairs on every machine. Memory:
some 50 bytes a key while they are sorted, and a clip of five seconds has about 40.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.crops import WHOLE, Crop, crop_matrix
from filters.crowds import Keys, going_on, key_bits, meet, no_keys, runs
from filters.neighbours import WINDOWS, window_keys
from filters.trace import BLOCKS
from filters.traces import Traces
from filters.votes import Met, voted

__all__ = ["CROPS", "correlation", "near_moments"]

Ints = npt.NDArray[np.int64]
Levels = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

CROPS: Final = tuple(
    Crop(left, 0.08 - left, top, 0.08 - top) for left in (0, 0.04, 0.08) for top in (0, 0.04, 0.08)
)

_HALF_BITS: Final = 28
_WHOLE_BITS: Final = 24
_EVERY: Final = 4
"""one step of so many is looked up among all"""
_PLACES: Final = 12
"""steps at which what changes is compared"""
_AT_ONCE: Final = 1 << 10
"""pairs that are compared at a time"""


def near_moments(
    traces: Traces, mirrored: bool, *, min_like: float, min_hint: float, min_overlap: float, bucket: int
) -> Ints:
    """Return codes, better clip times the number of clips plus worse, each once, of pairs of clips.

    Two steps of theirs look alike, a correlation of the blocks of at least `min_like`; and at that offset,
    where `min_overlap` of the shorter clip meets the other, what changes agrees to at least `min_hint`.
    """
    found: list[Ints] = [np.empty(0, np.int64)]
    for met, window, crop in _joins(traces, mirrored, min_overlap, bucket):
        for start in range(0, len(met.one), _AT_ONCE):
            part = met.some(slice(start, start + _AT_ONCE))
            one = _bytes(traces.pictures(part.one, part.step))
            two = _shown(_bytes(traces.pictures(part.two, part.step + part.offset)), crop, mirrored)
            part = part.some(correlation(_part(one, window), _part(two, window)) >= min_like)
            part = part.some(_changes_alike(traces, part, crop, mirrored) >= min_hint)
            low, high = np.minimum(part.one, part.two), np.maximum(part.one, part.two)
            found.append(np.unique(low * len(traces) + high))
    return np.unique(np.concatenate(found))


def _changes_alike(traces: Traces, met: Met, crop: Crop, mirrored: bool) -> Floats:
    """Return the correlation of what changes in two clips at an offset, at some places of where they meet."""
    start, end = met.span(traces)
    shares = (np.arange(_PLACES) + 0.5) / _PLACES
    place = start[:, None] + (shares * (end - start)[:, None]).astype(np.int64)
    one = _bytes(traces.pictures(np.repeat(met.one, _PLACES), place.ravel()))
    two = _bytes(traces.pictures(np.repeat(met.two, _PLACES), (place + met.offset[:, None]).ravel()))
    # By block: sums of whole numbers below 2**24, exact in float32; over the blocks in float64.
    shown = one, _shown(two, crop, mirrored)
    a, b = (x.reshape(-1, _PLACES, BLOCKS * BLOCKS).astype(np.float32) for x in shown)
    sum_a, sum_b = a.sum(1, dtype=np.float64), b.sum(1, dtype=np.float64)

    def common(x: Levels, y: Levels, sums: Floats) -> Floats:
        by_block = np.einsum("pkn,pkn->pn", x, y).astype(np.float64)
        whole: Floats = _PLACES * by_block.sum(1) - sums.sum(1)
        return whole

    own = common(a, a, sum_a * sum_a) * common(b, b, sum_b * sum_b)
    alike: Floats = common(a, b, sum_a * sum_b) / np.sqrt(np.maximum(own, 1.0))
    return alike


def _joins(
    traces: Traces, mirrored: bool, min_overlap: float, bucket: int
) -> Iterator[tuple[Met, int, Crop]]:
    """Yield (pairs, window, crop) of steps that share a key, the second in the crop."""
    for window in range(len(WINDOWS) - 1):
        base = _keys(traces, window, _HALF_BITS)
        query = _keys(traces, window, _HALF_BITS, WHOLE, mirrored, _EVERY)
        for pairs in meet(base, query, bucket, symmetric=True):
            yield voted(traces, *pairs, min_overlap), window, WHOLE
    whole = len(WINDOWS) - 1
    bits = key_bits(_WHOLE_BITS, len(traces))
    base = _keys(traces, whole, bits)
    for crop in CROPS:
        query = _keys(traces, whole, bits, crop, mirrored, _EVERY)
        for pairs in meet(base, query, bucket, symmetric=False):
            yield voted(traces, *pairs, min_overlap), whole, crop


def _keys(
    traces: Traces, window: int, bits: int, crop: Crop = WHOLE, mirrored: bool = False, nth: int = 1
) -> Keys:
    """Return the keys of every `nth` step; a run of equal ones in a clip once."""
    parts = [no_keys()]
    for clip, step in traces.every(nth):
        shown = _shown(_bytes(traces.pictures(clip.astype(np.int64), step.astype(np.int64))), crop, mirrored)
        keys = window_keys(shown, window, bits=bits)
        more = going_on(shown, clip, window, _EVERY // nth)
        parts.append(runs(Keys(keys, more, clip, step.astype(np.int16))))
    return Keys(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _bytes(levels_N64: Levels) -> npt.NDArray[np.uint8]:
    whole = np.rint(levels_N64)
    return np.clip(whole, 0, 255, out=whole).astype(np.uint8)


def _shown(blocks_N64: npt.NDArray[np.uint8], crop: Crop, mirrored: bool) -> npt.NDArray[np.uint8]:
    """Return the pictures as they are in the crop; sums of whole numbers, exact in float32."""
    if crop == WHOLE and not mirrored:
        return blocks_N64
    shown = blocks_N64.astype(np.float32) @ crop_matrix(crop, mirrored, BLOCKS).T
    rounded: npt.NDArray[np.uint8] = np.rint(shown / np.float32(1024)).astype(np.uint8)
    return rounded


def _part(blocks_N64: npt.NDArray[np.uint8], window: int) -> npt.NDArray[np.uint8]:
    """Return the blocks of a window of the pictures."""
    top, bottom, left, right = WINDOWS[window]
    count = len(blocks_N64), (bottom - top) * (right - left)
    return blocks_N64.reshape(-1, BLOCKS, BLOCKS)[:, top:bottom, left:right].reshape(count)


def correlation(a_NB: npt.NDArray[np.uint8], b_NB: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the correlation of the blocks of each two pictures; 0 where one is plain."""
    a, b = (x - x.mean(1, keepdims=True) for x in (a_NB.astype(np.float64), b_NB.astype(np.float64)))
    both = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    like: npt.NDArray[np.float64] = (a * b).sum(1) / np.maximum(both, 1e-9)
    return like
