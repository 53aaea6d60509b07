"""Which samples of a run may show the same picture: those that share a key, found by sorting.

Locality-sensitive hashing by bands (Indyk and Motwani, STOC 1998): two samples are compared when one of
several keys of 24 bits is equal in both. Windows of a picture give keys (`filters.waves`), and triples of
rows of PDQ hashes, for cropped views. No training, no random numbers, no threads: the same pairs on every
machine, in any order of the input.

Linear: a query meets at most `bucket` entries of its key, the best-ranked clips first. Memory: the
sorted keys and a chunk of pairs beside the hashes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.phash import HASH_BYTES, MIRRORED, VIEWS
from filters.waves import HALVES, NO_KEY, window_keys

__all__ = [
    "Index",
    "Samples",
    "among",
    "colliding",
    "hamming",
    "indexed",
    "merged",
    "near_samples",
    "row_keys",
]

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]

_CHUNK: Final = 1 << 22
"""pairs or samples at a time"""

# PDQ writes its frequencies from high to low: rows 8 to 15, columns 8 to 15 are the low ones, a byte a row.
_LOW_BYTES: Final = tuple(2 * row + 1 for row in range(8, 16))
_TRIPLES: Final = tuple(combinations(_LOW_BYTES, 3))[::7]


@dataclass(frozen=True, slots=True)
class Samples:
    """The usable samples of a run, grouped by clip, the clips from best to worst."""

    hashes: npt.NDArray[np.uint64]
    """(samples, views, 4)"""
    blocks: npt.NDArray[np.uint8]
    """(samples, 64)"""
    clip: npt.NDArray[np.int32]
    """the rank of each sample's clip, rising"""


def hamming(a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    """Return in how many bits the hashes (..., 4) differ, 0 to 256."""
    bits: npt.NDArray[np.uint16] = np.bitwise_count(a ^ b).sum(-1, dtype=np.uint16)
    return bits


def row_keys(hashes: npt.NDArray[np.uint64], view: int, triple: int, *, mirrored: bool = False) -> Keys:
    """Return a key of 24 bits of each hash (samples, views, 4): three rows of its low frequencies."""
    octets = hashes.view(np.uint8).reshape(len(hashes), len(VIEWS), HASH_BYTES)
    keys: Keys = np.zeros(len(hashes), np.uint32)
    for at in _TRIPLES[triple]:
        octet = octets[:, view, at] ^ (MIRRORED[at] if mirrored else np.uint8(0))
        keys = keys * np.uint32(256) + octet.astype(np.uint32)
    return keys


class Index(NamedTuple):
    """Entries by key, then in order: those that have a key, a run of equal ones within a clip once."""

    keys: Keys
    entries: Ints


def indexed(keys_N: Keys, clip_N: npt.NDArray[np.int32]) -> Index:
    """Return the entries by key."""
    some = keys_N != NO_KEY
    some[1:] &= (keys_N[1:] != keys_N[:-1]) | (clip_N[1:] != clip_N[:-1])
    entries = np.flatnonzero(some)
    packed = keys_N[entries].astype(np.uint64)
    packed <<= np.uint64(32)
    packed |= entries.astype(np.uint64)
    packed.sort()
    keys = (packed >> np.uint64(32)).astype(np.uint32)
    packed &= np.uint64(0xFFFFFFFF)
    return Index(keys, packed.view(np.int64))


def colliding(base: Index, query: Index, bucket: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield (entries of the base, entries of the query) that have equal keys.

    A query meets the first `bucket` entries of its key.
    """
    start = np.searchsorted(base.keys, query.keys, "left")
    count = np.searchsorted(base.keys, query.keys, "right")
    count -= start
    np.minimum(count, bucket, out=count)
    found = np.flatnonzero(count)
    start, count, queries = start[found], count[found], query.entries[found]
    total = np.cumsum(count)
    low = 0
    while low < len(queries):
        high = max(low + 1, int(np.searchsorted(total, (total[low - 1] if low else 0) + _CHUNK, "right")))
        size = count[low:high]
        nth = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        yield base.entries[np.repeat(start[low:high], size) + nth], np.repeat(queries[low:high], size)
        low = high


def among(known: Ints, codes: Ints) -> npt.NDArray[np.bool_]:
    """Return which of the codes are known; these are in order."""
    if not len(known):
        return np.zeros(len(codes), bool)
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    among: npt.NDArray[np.bool_] = known[at] == codes
    return among


def merged(codes: Sequence[Ints]) -> Ints:
    """Return all of the codes, each once, in order."""
    ordered: Ints = np.concatenate([np.empty(0, np.int64), *codes])
    ordered.sort()
    once: Ints = ordered[np.diff(ordered, prepend=-1) != 0]
    return once


def near_samples(samples: Samples, *, max_bits: int, bucket: int) -> Iterator[tuple[int, bool, Ints]]:
    """Yield (view, mirrored, pairs): clips (whole, viewed) of which two samples lie within `max_bits`.

    `viewed`, seen in that view and mirrored or not, may be `whole`. Pairs (pairs, 2) are sorted, each once.
    """
    clips = int(samples.clip[-1]) + 1 if len(samples.clip) else 0
    mask = MIRRORED.view(np.uint64)
    for view in range(len(VIEWS)):
        for mirrored in (False, True):
            found: list[Ints] = []
            for base, query in _joins(samples, view, mirrored, bucket):
                seen = samples.hashes[query, view]
                near = hamming(samples.hashes[base, 0], seen ^ mask if mirrored else seen) <= max_bits
                pairs = samples.clip[base[near]].astype(np.int64) * clips + samples.clip[query[near]]
                found.append(merged([pairs]))
            codes = merged(found)
            yield view, mirrored, np.stack((codes // max(1, clips), codes % max(1, clips)), axis=1)


def _joins(samples: Samples, view: int, mirrored: bool, bucket: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield colliding samples of different clips over all keys that serve a view; of whole pictures, a pair
    once, the better clip first."""
    clip = samples.clip
    if view == 0:
        for window in HALVES:
            base = indexed(window_keys(samples.blocks, window), clip)
            query = indexed(window_keys(samples.blocks, window, mirrored=True), clip) if mirrored else base
            for one, two in colliding(base, query, bucket):
                keep = clip[one] < clip[two]
                yield one[keep], two[keep]
        return
    for triple in range(len(_TRIPLES)):
        base = indexed(row_keys(samples.hashes, 0, triple), clip)
        query = indexed(row_keys(samples.hashes, view, triple, mirrored=mirrored), clip)
        for one, two in colliding(base, query, bucket):
            keep = clip[one] != clip[two]
            yield one[keep], two[keep]
