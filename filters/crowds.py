"""Which pictures of different clips meet: those with equal keys, and in a crowd those that go on alike, too.

Shots of one set share their keys, and none is told from another by them: all would be compared with all. So
where a key stands in many clips, it counts together with what changes in the next half second, in six signs:
a copy has these too at some of its steps, another moment rarely.

Memory: some 30 bytes a key while they are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from filters.neighbours import Index, colliding, indexed
from filters.waves import NO_KEY, packed_signs

__all__ = [
    "MORE_BITS",
    "NO_MORE",
    "Crowd",
    "Keys",
    "Place",
    "gathered",
    "going_on",
    "key_bits",
    "meet",
    "runs",
]

Ints: TypeAlias = npt.NDArray[np.int64]
Place: TypeAlias = tuple[Ints, Ints]
"""clips and steps of them"""

MORE_BITS: Final = 6
NO_MORE: Final = 255
"""of a picture of which it isn't known how it goes on"""
_CROWD: Final = 16
"""clips with one key, above which it isn't enough"""
_LONG: Final = 1 << 17
_SLOTS: Final = np.uint32(1 << 22)
_SPREAD: Final = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B))
"""odd numbers, by whose products the keys of crowds are spread (Knuth, TAOCP 3, 6.4)"""


class Keys(NamedTuple):
    """Keys of pictures, how each goes on, and of which clip and step it is."""

    keys: npt.NDArray[np.uint32]
    more: npt.NDArray[np.uint8]
    clip: npt.NDArray[np.int32]
    step: npt.NDArray[np.int16]


class Crowd(NamedTuple):
    """Pictures among which others are looked up."""

    clip: npt.NDArray[np.int32]
    step: npt.NDArray[np.int16]
    keys: Index
    crowds: npt.NDArray[np.uint32]
    """keys that stand in many clips, in order"""


def key_bits(bits: int, clips: int) -> int:
    """Return how long a run's keys are: past a quarter million clips a bit more for each fourfold.

    What is equal by chance grows with the square of the run. A bit halves it, and costs some crops.
    """
    return bits + (clips // _LONG).bit_length() // 2


def going_on(
    waves_NKB: npt.NDArray[np.float32], clip_N: npt.NDArray[np.int32], rows: int
) -> npt.NDArray[np.uint8]:
    """Return (N, K) signs of what changes in waves from each picture to that so many rows on, of one clip."""
    more = np.full(waves_NKB.shape[:2], NO_MORE, np.uint8)
    same = clip_N[rows:] == clip_N[:-rows]
    signs = packed_signs(waves_NKB[rows:, :, :MORE_BITS] - waves_NKB[:-rows, :, :MORE_BITS], MORE_BITS)
    more[: len(same)][same] = signs[same]
    return more


def runs(keys: Keys) -> Keys:
    """Return the pictures that have a key, of a run of equal ones in a clip the first."""
    fresh = np.flatnonzero(_fresh(keys, keys.more[1:] != keys.more[:-1]))
    return Keys(keys.keys[fresh], keys.more[fresh], keys.clip[fresh], keys.step[fresh])


def _fresh(keys: Keys, otherwise: npt.NDArray[np.bool_] | bool) -> npt.NDArray[np.bool_]:
    """Return which pictures have a key and differ from the one before by it, or by clip, or `otherwise`."""
    fresh: npt.NDArray[np.bool_] = keys.keys != NO_KEY
    fresh[1:] &= (keys.keys[1:] != keys.keys[:-1]) | (keys.clip[1:] != keys.clip[:-1]) | otherwise
    return fresh


def gathered(base: Keys) -> Crowd:
    """Return pictures so that others can be looked up among them."""
    ordered = np.sort(base.keys[_fresh(base, otherwise=False)])
    crowds = np.unique(ordered[_CROWD:][ordered[_CROWD:] == ordered[:-_CROWD]])
    return Crowd(base.clip, base.step, indexed(_parted(base, crowds), base.clip), crowds)


def meet(base: Crowd, query: Keys, bucket: int, *, symmetric: bool) -> Iterator[tuple[Place, Place]]:
    """Yield two times (clips, steps): pictures of different clips that have equal keys.

    Where keys are `symmetric`, the better clip is that of the base.
    """
    for one, two in colliding(base.keys, indexed(_parted(query, base.crowds), query.clip), bucket):
        clips = base.clip[one], query.clip[two]
        keep = np.flatnonzero(clips[0] < clips[1] if symmetric else clips[0] != clips[1])
        yield (
            (clips[0][keep].astype(np.int64), base.step[one[keep]].astype(np.int64)),
            (clips[1][keep].astype(np.int64), query.step[two[keep]].astype(np.int64)),
        )


def _parted(keys: Keys, crowds: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the keys; those of crowds together with how each goes on."""
    if not len(crowds):
        return keys.keys
    # Most keys stand in no crowd, and a table of a part of their bits says so at once.
    likely = np.zeros(_SLOTS, bool)
    likely[crowds % _SLOTS] = True
    crowded = np.flatnonzero(likely[keys.keys % _SLOTS])
    at = np.minimum(np.searchsorted(crowds, keys.keys[crowded]), len(crowds) - 1)
    crowded = crowded[crowds[at] == keys.keys[crowded]]
    parted = keys.keys.copy()
    more = keys.more[crowded]
    # Two that fall together by chance are compared in vain, no more.
    spread = keys.keys[crowded] * _SPREAD[0] + more * _SPREAD[1]
    parted[crowded] = np.where(more == NO_MORE, NO_KEY, np.minimum(spread, NO_KEY - np.uint32(1)))
    return parted
