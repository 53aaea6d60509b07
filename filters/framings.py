"""Which clips of a run may be crops of one another: those whose portraits share a key through some window.

The steps of a trace (`filters.moments`) are too coarse for exact windows. A portrait is fine enough for a
hundred of them, and there is one of each clip, so this finds what was cut by up to a sixth of a side, on or
off centre, where the camera stands or both clips are whole; the steps find what moves and was trimmed.

Cost: 0.03 ms a clip, some 13 us a collision. Memory: 500 bytes a clip.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from filters.crops import SAME, line_matrix
from filters.crowds import key_bits
from filters.neighbours import among, colliding, indexed, merged
from filters.portrait import SIDE, correlated
from filters.trace import BLOCKS
from filters.traces import Traces
from filters.waves import NO_KEY, WHOLE_WINDOW, mirrored_mask, packed_signs, plain, wave_numbers

__all__ = ["near_framings"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.float32]
Ends: TypeAlias = tuple[float, float]
"""what is cut off the two ends of a side, in shares of it"""

_TOTALS: Final = (0.05, 0.1, 0.15)
_ENDS: Final[tuple[Ends, ...]] = (
    (0.0, 0.0),
    *((part * total, total - part * total) for total in _TOTALS for part in (0, 0.5, 1)),
)
_WHOLE: Final = (0.0, 0.0)
_BITS: Final = 24
_AT_ONCE: Final = 1 << 10
_SOME: Final = 1 << 9
_GROUP: Final = SIDE // BLOCKS
_SCALES: Final = (1 << 15, 1 << 12)
"""of waves down and across: sums of whole numbers stay below 2**24"""
_EIGHTHS: Final = 8
"""of a level, in which pictures are held between the two"""


def near_framings(traces: Traces, *, min_framed: float, bucket: int) -> tuple[Ints, Ints]:
    """Return codes of pairs of clips, of each two as they are and of those with the second mirrored.

    A code is the better clip times the number of clips plus the worse, each once, in order. Of each, one's
    portrait looks like a window of the other's: a correlation of the 8 x 8 blocks of at least `min_framed`.
    """
    clips = np.flatnonzero(traces.steps > 0).astype(np.int64)
    bits = key_bits(_BITS, len(clips))
    keys, blocks = _keys(traces, clips, bits)
    numbers = np.arange(len(clips), dtype=np.int32)
    base = indexed(keys[0], numbers)
    mask = np.uint32(mirrored_mask(WHOLE_WINDOW, bits))
    found = _Found(traces, blocks, False, min_framed), _Found(traces, blocks, True, min_framed)
    for number, (rows, columns) in enumerate(product(_ENDS, _ENDS)):
        if rows == columns == _WHOLE:
            continue
        for side in found:
            seen = keys[number]
            if side.mirrored:
                seen = np.where(seen == NO_KEY, NO_KEY, seen ^ mask)
            met = colliding(base, indexed(seen, numbers), bucket)
            side.compare(((clips[one], clips[two]) for one, two in met), rows, columns)
    return found[0].codes, found[1].codes


class _Found:
    """What was found so far of clips as they are, or of those with the second mirrored."""

    def __init__(self, traces: Traces, blocks: Bytes, mirrored: bool, min_framed: float) -> None:
        self.mirrored = mirrored
        self.codes: Ints = np.empty(0, np.int64)
        self._traces, self._blocks, self._min_framed = traces, blocks, min_framed
        self._same: Ints = np.empty(0, np.int64)
        """codes of clips that look alike as they are"""

    def compare(self, met: Iterable[tuple[Ints, Ints]], rows: Ends, columns: Ends) -> None:
        """Add those of the pairs of which the second looks like the first through the window."""
        found, same = [self.codes], [self._same]
        for one, two in met:
            code = np.minimum(one, two) * len(self._traces) + np.maximum(one, two)
            fresh = np.flatnonzero((one != two) & ~among(self.codes, code) & ~among(self._same, code))
            for start in range(0, len(fresh), _AT_ONCE):
                some = fresh[start : start + _AT_ONCE]
                other = self._traces.portraits(two[some])
                (window,) = _shown(other.astype(np.float32), rows, (columns,), self.mirrored)
                alike = np.flatnonzero(correlated(self._blocks[one[some]], window) >= self._min_framed)
                some, other = some[alike], other[alike]
                # Shots of one set look alike as they are: no crops, and in a long run there are millions.
                other = other[:, :, ::-1] if self.mirrored else other
                as_they_are = correlated(self._traces.portraits(one[some]), other) >= SAME
                same.append(code[some[as_they_are]])
                found.append(code[some[~as_they_are]])
        self.codes, self._same = merged(found), merged(same)


def _keys(traces: Traces, clips: Ints, bits: int) -> tuple[npt.NDArray[np.uint32], Bytes]:
    """Return (windows, clips) keys of the clips' portraits, the windows' rows and columns in order.

    And, by all ranks, the blocks (ranks, 64) of the whole portraits.
    """
    waves = wave_numbers(WHOLE_WINDOW, bits)
    most = max(max(wave) for wave in waves) + 1
    down, across = (
        np.rint(scale * _side_waves(most)).astype(np.float32).reshape(-1, SIDE) for scale in _SCALES
    )
    keys = np.empty((len(_ENDS) ** 2, len(clips)), np.uint32)
    shown = np.zeros((len(traces), BLOCKS * BLOCKS), np.uint8)
    for start in range(0, len(clips), _SOME):
        pictures = traces.portraits(clips[start : start + _SOME])
        lines = np.rint(np.matmul(down, pictures.astype(np.float32)) * np.float32(_EIGHTHS / _SCALES[0]))
        found = np.matmul(lines, across.T).reshape(len(pictures), len(_ENDS), most, len(_ENDS), most)
        chosen = np.stack([found[:, :, u, :, v] for u, v in waves], axis=-1)
        here = packed_signs(chosen.reshape(len(pictures), -1, bits), bits).T
        (blocks,) = _shown(pictures.astype(np.float32), _WHOLE, (_WHOLE,), False)
        # A window of so much is plain where the whole is.
        here[:, plain(blocks)] = NO_KEY
        keys[:, start : start + len(pictures)] = here
        shown[clips[start : start + _SOME]] = blocks
    return keys, shown


def _side_waves(most: int) -> npt.NDArray[np.float64]:
    """Return (ends, waves, 32) how much of each pixel's line is in each wave of the part between the ends."""
    turns = np.pi * np.outer(np.arange(most), np.arange(BLOCKS) + 0.5) / BLOCKS
    sides = np.stack([_side(ends) for ends in _ENDS]).astype(np.float64)
    waves: npt.NDArray[np.float64] = np.cos(turns) @ sides / sides[0].sum()
    return waves


@cache
def _side(ends: Ends) -> Levels:
    """Return (8, 32) 128ths of each block of a portrait's line in each of 8 of the part between the ends."""
    grouped: Levels = line_matrix(*ends, SIDE).reshape(BLOCKS, _GROUP, SIDE).sum(1)
    return grouped


def _shown(pictures_N32: Levels, rows: Ends, columns: tuple[Ends, ...], mirrored: bool) -> list[Bytes]:
    """Return the blocks (N, 64) of windows of portraits; sums of whole numbers, exact in float32."""
    lines = np.matmul(_side(rows), pictures_N32)
    shown: list[Bytes] = []
    for ends in columns:
        across = _side(ends)[::-1] if mirrored else _side(ends)
        window = np.matmul(lines, across.T) / np.float32((32 * _GROUP) ** 2)
        shown.append(np.rint(window).astype(np.uint8).reshape(-1, BLOCKS * BLOCKS))
    return shown
