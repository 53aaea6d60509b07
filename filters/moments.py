"""Which clips of a run may show the same moment: those of whose traces a step shares a key.

As in `filters.neighbours`, from all steps of a trace and not from samples a second apart: wherever a copy was
trimmed, some step of it lies within a sixteenth of a second of one of the original. Two joins: halves of the
picture by long keys, so that a logo in one of them does no harm; and the whole picture by short keys
against nine windows of it, for crops, off centre or not.

The longer the run, the more of what collides is chance. So what collides is compared block by block, and
then by what changes, at the offsets in time that most collisions of the two clips speak for
(`filters.votes`); of whole pictures once an offset, in whichever joins the two meet. Keys that stand in many
clips, as in a set of many shots, are told apart by what changes next (`filters.crowds`).

Cost: 0.1 ms a clip of five seconds, 14 us two clips at one offset. The same pairs on every machine. Memory:
55 bytes a step, as many a key while they are sorted, and 8 two clips compared; a clip of five seconds has
about 40 steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.crops import WHOLE, Crop, crop_matrix
from filters.crowds import gathered, meet
from filters.neighbours import among, merged
from filters.portrait import correlated
from filters.step_keys import CROPS, step_keys
from filters.trace import BLOCKS
from filters.traces import Traces
from filters.votes import Met, voted
from filters.waves import HALVES, WHOLE_WINDOW, window_rows

__all__ = ["near_moments"]

Ints = npt.NDArray[np.int64]
Levels = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_PLACES: Final = 12
"""steps at which what changes is compared"""
_AT_ONCE: Final = 1 << 10
"""pairs that are compared at a time"""


def near_moments(
    traces: Traces, *, min_like: float, min_hint: float, min_overlap: float, bucket: int
) -> tuple[Ints, Ints]:
    """Return codes of pairs of clips, of each two as they are and of those with the second mirrored.

    A code is the better clip times the number of clips plus the worse, each once, in order. Two steps of
    theirs look alike, a correlation of the blocks of at least `min_like`; and at that offset, where
    `min_overlap` of the shorter clip meets the other, what changes agrees to at least `min_hint`.
    """
    keys = step_keys(traces)
    found = _Found(traces, False, min_like, min_hint), _Found(traces, True, min_like, min_hint)
    for window in HALVES:
        base = gathered(keys.base(window))
        for side in found:
            query = keys.query(window, side.mirrored)
            met = meet(base, query, bucket, symmetric=True)
            side.compare((voted(traces, *pairs, min_overlap) for pairs in met), window, WHOLE)
    base = gathered(keys.base(WHOLE_WINDOW))
    for number, crop in enumerate(CROPS):
        for side in found:
            query = keys.crop_query(number, side.mirrored)
            met = meet(base, query, bucket, symmetric=False)
            side.compare((voted(traces, *pairs, min_overlap) for pairs in met), WHOLE_WINDOW, crop)
    return found[0].codes, found[1].codes


class _Found:
    """What was found so far of clips as they are, or of those with the second mirrored."""

    def __init__(self, traces: Traces, mirrored: bool, min_like: float, min_hint: float) -> None:
        self.mirrored = mirrored
        self.codes: Ints = np.empty(0, np.int64)
        self._traces, self._min_like, self._min_hint = traces, min_like, min_hint
        self._compared: Ints = np.empty(0, np.int64)
        """clips and offsets at which what changes was compared, of whole pictures"""

    def compare(self, found: Iterable[Met], window: int, crop: Crop) -> None:
        """Add those of the pairs that look alike and change alike, the second seen through the crop."""
        codes, compared = [self.codes], [self._compared]
        for met in found:
            low, high = np.minimum(met.one, met.two), np.maximum(met.one, met.two)
            code = low * len(self._traces) + high
            fresh = ~among(self.codes, code)
            if crop == WHOLE:
                fresh &= ~among(self._compared, met.laid(self._traces))
            at = np.flatnonzero(fresh)
            for start in range(0, len(at), _AT_ONCE):
                some = at[start : start + _AT_ONCE]
                some = some[self._like(met.some(some), window, crop) >= self._min_like]
                part = met.some(some)
                codes.append(code[some[self._changes_alike(part, crop) >= self._min_hint]])
                if crop == WHOLE:
                    compared.append(part.laid(self._traces))
        self.codes, self._compared = merged(codes), merged(compared)

    def _like(self, met: Met, window: int, crop: Crop) -> Floats:
        """Return the correlation of the steps that share a key."""
        one = _bytes(self._traces.pictures(met.one, met.step))
        two = _shown(_bytes(self._traces.pictures(met.two, met.step + met.offset)), crop, self.mirrored)
        return correlated(window_rows(one, window), window_rows(two, window))

    def _changes_alike(self, met: Met, crop: Crop) -> Floats:
        """Return the correlation of what changes in clips at an offset, at some places of where they meet."""
        start, end = met.span(self._traces)
        shares = (np.arange(_PLACES) + 0.5) / _PLACES
        place = start[:, None] + (shares * (end - start)[:, None]).astype(np.int64)
        one = _bytes(self._traces.pictures(np.repeat(met.one, _PLACES), place.ravel()))
        place += met.offset[:, None]
        two = _bytes(self._traces.pictures(np.repeat(met.two, _PLACES), place.ravel()))
        # By block: sums of whole numbers below 2**24, exact in float32; over the blocks in float64.
        shown = one, _shown(two, crop, self.mirrored)
        a, b = (x.reshape(-1, _PLACES, BLOCKS * BLOCKS).astype(np.float32) for x in shown)
        sum_a, sum_b = a.sum(1, dtype=np.float64), b.sum(1, dtype=np.float64)

        def common(x: Levels, y: Levels, sums: Floats) -> Floats:
            by_block = np.einsum("pkn,pkn->pn", x, y).astype(np.float64)
            whole: Floats = _PLACES * by_block.sum(1) - sums.sum(1)
            return whole

        own = common(a, a, sum_a * sum_a) * common(b, b, sum_b * sum_b)
        alike: Floats = common(a, b, sum_a * sum_b) / np.sqrt(np.maximum(own, 1.0))
        return alike


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
