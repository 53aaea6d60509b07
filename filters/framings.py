"""Which clips of a run may be crops of one another: those whose portraits share a key through some window.

The steps of a trace (`filters.moments`) are too coarse for exact windows. A portrait is fine enough for a
hundred of them, and there is one of each clip, so this finds what was cut by up to a sixth of a side, on or
off centre, where the camera stands or both clips are whole; the steps find what moves and was trimmed.

Cost: 0.15 ms a clip, 20 us a collision. Memory: 20 bytes a clip and some thousands of portraits at a time.
"""

from __future__ import annotations

from functools import cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from filters.crops import SAME, line_matrix
from filters.crowds import Keys, key_bits, meet
from filters.moments import correlation
from filters.neighbours import NO_KEY, WINDOWS, window_keys
from filters.portrait import SIDE
from filters.trace import BLOCKS
from filters.traces import Traces

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
_WHOLE_WINDOW: Final = len(WINDOWS) - 1
_AT_ONCE: Final = 1 << 14
_GROUP: Final = SIDE // BLOCKS


def near_framings(traces: Traces, mirrored: bool, *, min_framed: float, bucket: int) -> Ints:
    """Return codes, better clip times the number of clips plus worse, each once, of pairs of clips.

    Of each, one's portrait looks like a window of the other's: a correlation of the 8 x 8 blocks of at least
    `min_framed`.
    """
    clips = np.flatnonzero(traces.steps > 0).astype(np.int64)
    found: list[Ints] = [np.empty(0, np.int64)]
    if len(clips):
        (base,) = _keys(traces, clips, _WHOLE, (_WHOLE,), False)
        for rows in _ENDS:
            for columns, query in zip(_ENDS, _keys(traces, clips, rows, _ENDS, mirrored), strict=True):
                if rows == columns == _WHOLE:
                    continue
                for (one, _), (two, _) in meet(base, query, bucket, symmetric=False):
                    found.append(_alike(traces, (one, two), rows, columns, mirrored, min_framed))
    return np.unique(np.concatenate(found))


def _alike(
    traces: Traces, pairs: tuple[Ints, Ints], rows: Ends, columns: Ends, mirrored: bool, min_framed: float
) -> Ints:
    """Return the codes of those pairs of which the second looks like the first through the window."""
    found: list[Ints] = []
    for start in range(0, len(pairs[0]), _AT_ONCE):
        one, two = (side[start : start + _AT_ONCE] for side in pairs)
        seen, other = (traces.portraits(side) for side in (one, two))
        (blocks,) = _shown(seen.astype(np.float32), _WHOLE, (_WHOLE,), False)
        (window,) = _shown(other.astype(np.float32), rows, (columns,), mirrored)
        alike = correlation(blocks, window) >= min_framed
        # Shots of one set look alike as they are: no crops, and in a long run there are millions of them.
        other = other[:, :, ::-1] if mirrored else other
        alike[alike] = _correlated(seen[alike], other[alike]) < SAME
        low, high = np.minimum(one, two)[alike], np.maximum(one, two)[alike]
        found.append(low * len(traces) + high)
    return np.concatenate([np.empty(0, np.int64), *found])


def _correlated(a_N32: Bytes, b_N32: Bytes) -> npt.NDArray[np.float64]:
    """Return the correlation of the whole portraits."""
    return correlation(a_N32.reshape(-1, SIDE * SIDE), b_N32.reshape(-1, SIDE * SIDE))


def _keys(traces: Traces, clips: Ints, rows: Ends, columns: tuple[Ends, ...], mirrored: bool) -> list[Keys]:
    """Return the keys of the clips' portraits through windows with those rows, by the windows' columns."""
    keys = np.empty((len(columns), len(clips)), np.uint32)
    bits = key_bits(_BITS, len(clips))
    for start in range(0, len(clips), _AT_ONCE):
        pictures = traces.portraits(clips[start : start + _AT_ONCE]).astype(np.float32)
        for number, blocks in enumerate(_shown(pictures, rows, columns, mirrored)):
            keys[number, start : start + _AT_ONCE] = window_keys(blocks, _WHOLE_WINDOW, bits=bits)
    some = keys != NO_KEY
    of = [clips[kept].astype(np.int32) for kept in some]
    return [
        Keys(one[kept], np.zeros(len(clip), np.uint8), clip, np.zeros(len(clip), np.int16))
        for one, kept, clip in zip(keys, some, of, strict=True)
    ]


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
