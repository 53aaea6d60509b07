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

from filters.neighbours import NO_KEY, colliding, window_waves

__all__ = ["NO_MORE", "Keys", "Place", "going_on", "key_bits", "meet", "no_keys", "runs"]

Ints: TypeAlias = npt.NDArray[np.int64]
Place: TypeAlias = tuple[Ints, Ints]
"""clips and steps of them"""

_MORE_BITS: Final = 6
NO_MORE: Final = 255
"""of a picture of which it isn't known how it goes on"""
_CROWD: Final = 16
"""clips with one key, above which it isn't enough"""
_LONG: Final = 1 << 17
_SPREAD: Final = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B))
"""odd numbers, by whose products the keys of crowds are spread (Knuth, TAOCP 3, 6.4)"""


class Keys(NamedTuple):
    """Keys of pictures, how each goes on, and of which clip and step it is."""

    keys: npt.NDArray[np.uint32]
    more: npt.NDArray[np.uint8]
    clip: npt.NDArray[np.int32]
    step: npt.NDArray[np.int16]


def key_bits(bits: int, clips: int) -> int:
    """Return how long a run's keys are: past a quarter million clips a bit more for each fourfold.

    What is equal by chance grows with the square of the run. A bit halves it, and costs some crops.
    """
    return bits + (clips // _LONG).bit_length() // 2


def going_on(
    blocks_N64: npt.NDArray[np.uint8], clip_N: npt.NDArray[np.int32], window: int, rows: int
) -> npt.NDArray[np.uint8]:
    """Return the signs of what changes in a window from each picture to that so many rows on, of one clip."""
    more = np.full(len(clip_N), NO_MORE, np.uint8)
    waves = window_waves(blocks_N64, window, _MORE_BITS)
    same = clip_N[rows:] == clip_N[:-rows]
    signs = np.packbits(waves[rows:] > waves[:-rows], axis=1, bitorder="little")[:, 0]
    more[: len(signs)][same] = signs[same]
    return more


def no_keys() -> Keys:
    """Return keys of no picture."""
    return Keys(np.empty(0, np.uint32), np.empty(0, np.uint8), np.empty(0, np.int32), np.empty(0, np.int16))


def runs(keys: Keys) -> Keys:
    """Return the pictures that have a key, of a run of equal ones in a clip the first."""
    fresh = _fresh(keys, keys.more[1:] != keys.more[:-1])
    return Keys(keys.keys[fresh], keys.more[fresh], keys.clip[fresh], keys.step[fresh])


def _fresh(keys: Keys, otherwise: npt.NDArray[np.bool_] | bool) -> npt.NDArray[np.bool_]:
    """Return which pictures have a key and differ from the one before by it, or by clip, or `otherwise`."""
    fresh: npt.NDArray[np.bool_] = keys.keys != NO_KEY
    fresh[1:] &= (keys.keys[1:] != keys.keys[:-1]) | (keys.clip[1:] != keys.clip[:-1]) | otherwise
    return fresh


def meet(base: Keys, query: Keys, bucket: int, *, symmetric: bool) -> Iterator[tuple[Place, Place]]:
    """Yield two times (clips, steps): pictures of different clips that have equal keys."""
    crowds = _crowds(base)
    none_base, none_query = (np.full(len(keys.keys), NO_KEY) for keys in (base, query))
    clip = np.concatenate((base.clip, query.clip))
    step = np.concatenate((base.step, query.step))
    found = colliding(
        np.concatenate((_parted(base, crowds), none_query)),
        np.concatenate((none_base, _parted(query, crowds))),
        clip,
        bucket,
        symmetric=symmetric,
    )
    for one, two in found:
        yield (
            (clip[one].astype(np.int64), step[one].astype(np.int64)),
            (clip[two].astype(np.int64), step[two].astype(np.int64)),
        )


def _crowds(keys: Keys) -> npt.NDArray[np.uint32]:
    """Return the keys that stand in a crowd, in order."""
    ordered = np.sort(keys.keys[_fresh(keys, otherwise=False)])
    return np.unique(ordered[_CROWD:][ordered[_CROWD:] == ordered[:-_CROWD]])


def _parted(keys: Keys, crowds: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the keys; those of crowds together with how each goes on."""
    if not len(crowds):
        return keys.keys
    at = np.minimum(np.searchsorted(crowds, keys.keys), len(crowds) - 1)
    crowded = np.flatnonzero(crowds[at] == keys.keys)
    parted = keys.keys.copy()
    more = keys.more[crowded]
    # Two that fall together by chance are compared in vain, no more.
    spread = keys.keys[crowded] * _SPREAD[0] + more * _SPREAD[1]
    parted[crowded] = np.where(more == NO_MORE, NO_KEY, np.minimum(spread, NO_KEY - np.uint32(1)))
    return parted
