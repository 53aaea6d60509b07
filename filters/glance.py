"""A first look at two clips: whether a few low waves of what changes in them agree at any offset in time.

Through a window cut by a sixth of a side low waves are nearly what they were, so the same look serves crops
and whole pictures. Most pairs that share a key are two moments of one set, and go no further.

Sums of whole numbers: the result doesn't depend on their order. Cost: 60 us a pair of clips of five seconds.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from filters.crops import SAME
from filters.portrait import correlated
from filters.trace import BLOCKS, RATE
from filters.traces import Traces

__all__ = ["promising"]

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

_TURNS: Final = tuple(
    sorted(((u, v) for u in range(5) for v in range(5)), key=lambda t: t[0] ** 2 + t[1] ** 2)
)[:16]
"""of waves, from top to bottom and left to right"""
_SCALE: Final = 4
_PARTLY: Final = 0.4
"""taken off where nothing of the shorter clip meets the longer: of such offsets there are many"""
_LOST: Final = 0.25
"""agreement of all blocks that low waves may miss"""
_LOST_BY_CROPS: Final = 0.23
"""the same, where the one may be seen through a window, too"""
_AT_ONCE: Final = 1 << 20
"""products at a time"""


def _waves() -> npt.NDArray[np.float32]:
    """Return (64, waves) orthogonal waves of one size, in whole numbers."""
    at = np.pi * (np.arange(BLOCKS) + 0.5) / BLOCKS
    waves = np.stack([np.outer(np.cos(u * at), np.cos(v * at)).ravel() for u, v in _TURNS], axis=1)
    whole: npt.NDArray[np.float32] = np.rint(256 * waves / np.sqrt((waves * waves).sum(0))).astype(np.float32)
    return whole


def promising(
    traces: Traces,
    pairs: Ints,
    flipped: bool,
    *,
    min_agreement: float,
    min_crop_agreement: float,
    min_overlap: float,
) -> npt.NDArray[np.bool_]:
    """Return which pairs (pairs, 2) of clips may be copies, the second as it is mirrored if `flipped`.

    Those of which what changes may agree as much as is asked; of clips that look alike as they are, which
    can't be crops of one another, more is asked.
    """
    found = np.zeros(len(pairs), bool)
    longest = traces.steps[pairs].max(1, initial=1).astype(np.int64)
    # Clips of about one length together, so that little is padded.
    order = np.lexsort((pairs[:, 1], pairs[:, 0], longest))
    longest = longest[order]
    low = 0
    while low < len(order):
        padded = int(longest[low]) * 5 // 4
        high = min(
            low + max(1, _AT_ONCE // (2 * padded * padded)), int(np.searchsorted(longest, padded, "right"))
        )
        some = order[low:high]
        one, two = (traces.portraits(pairs[some, side]) for side in (0, 1))
        same = correlated(one, two[:, :, ::-1] if flipped else two) >= SAME
        wanted = np.where(same, min_agreement - _LOST, min_crop_agreement - _LOST_BY_CROPS)
        found[some] = _best(traces, pairs[some], flipped, min_overlap) >= wanted
        low = high
    return found


def _best(traces: Traces, pairs: Ints, flipped: bool, min_overlap: float) -> Floats:
    """Return the best correlation of each pair."""
    first, second = traces.steps[pairs[:, 0]].astype(np.int64), traces.steps[pairs[:, 1]].astype(np.int64)
    a, b = _projected(traces, pairs[:, 0], False), _projected(traces, pairs[:, 1], flipped)
    height, width = a.shape[1], a.shape[1] + b.shape[1]
    shifted = np.zeros((len(pairs), height, width), np.float32)
    np.matmul(a[:, ::-1], b.transpose(0, 2, 1), out=shifted[:, :, : b.shape[1]])
    # Row i of the reversed products, shifted by i, has its offset for a column.
    lined = shifted.reshape(len(pairs), -1)[:, : height * (width - 1)].reshape(len(pairs), height, width - 1)
    offset = np.arange(width - 1) - (height - 1)
    shorter = np.minimum(first, second)[:, None]
    start = np.maximum(0, -offset)
    end = np.minimum(first[:, None], second[:, None] - offset)
    count = end - start
    enough = (count >= np.minimum(RATE, shorter)) & (count >= min_overlap * shorter)
    some = np.flatnonzero(enough.any(0))
    offset, start, end, count, enough = (
        offset[some],
        start[some],
        end[:, some],
        count[:, some],
        enough[:, some],
    )
    sums = lined[:, :, some].sum(1, dtype=np.float64)
    start, end = np.broadcast_to(start, end.shape), np.maximum(end, start)
    sum_a, own_a = _between(a, start, end)
    sum_b, own_b = _between(b, start + offset, np.minimum(end + offset, b.shape[1]))
    size = np.maximum(1, count)
    together = sums - np.einsum("pok,pok->po", sum_a, sum_b) / size
    own_a -= np.einsum("pok,pok->po", sum_a, sum_a) / size
    own_b -= np.einsum("pok,pok->po", sum_b, sum_b) / size
    alike = together / np.sqrt(np.maximum(1.0, own_a) * np.maximum(1.0, own_b))
    alike -= _PARTLY * (1 - count / shorter)
    best: Floats = np.where(enough, alike, 0.0).max(1, initial=0.0)
    return best


def _projected(traces: Traces, clips: Ints, flipped: bool) -> npt.NDArray[np.float32]:
    """Return (clips, steps, waves) how much of each wave is in what changes; 0 after a clip's end."""
    known, of = np.unique(clips, return_inverse=True)
    steps = traces.steps[known].astype(np.int64)
    clip = np.repeat(np.arange(len(known)), steps)
    step = np.arange(len(clip)) - np.repeat(np.cumsum(steps) - steps, steps)
    found = np.zeros((len(known), int(steps.max()), len(_TURNS)), np.float32)
    found[clip, step] = np.rint(traces.codes(known[clip], step) @ _waves() / np.float32(256 / _SCALE))
    if flipped:
        found *= np.array([-1.0 if v % 2 else 1.0 for _, v in _TURNS], np.float32)
    projected: npt.NDArray[np.float32] = found[of]
    return projected


def _between(waves_BTK: npt.NDArray[np.float32], start_BO: Ints, end_BO: Ints) -> tuple[Floats, Floats]:
    """Return the sums (B, offsets, K) of the steps [start, end), and the sums of all their squares."""
    clips, steps, waves = waves_BTK.shape
    total = np.zeros((clips, steps + 1, waves + 1))
    np.cumsum(waves_BTK, axis=1, dtype=np.float64, out=total[:, 1:, :waves])
    np.cumsum((waves_BTK * waves_BTK).sum(2), axis=1, dtype=np.float64, out=total[:, 1:, waves])
    which = np.arange(clips)[:, None]
    found = total[which, end_BO] - total[which, start_BO]
    return found[:, :, :waves], found[:, :, waves]
