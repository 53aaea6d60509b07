"""Which samples of a run may show the same picture: those that share a key, found by sorting.

Locality-sensitive hashing by bands (Indyk and Motwani, STOC 1998): two samples are compared when one of
several keys of 24 bits is equal in both. Windows of a picture give keys (signs of the DCT of six overlapping
halves of its block means), so that a logo in one corner leaves the keys of the other half as they were; and
triples of rows of PDQ hashes, for cropped views. No training, no random numbers, no threads: the same pairs
on every machine, in any order of the input.

Linear: a query meets at most `bucket` entries of its key, the best-ranked clips first. Memory: the
sorted keys and a chunk of pairs beside the hashes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.phash import BLOCKS, HASH_BYTES, MIRRORED, VIEWS

__all__ = [
    "KEY_BITS",
    "NO_KEY",
    "WINDOWS",
    "Samples",
    "colliding",
    "hamming",
    "near_samples",
    "row_keys",
    "window_keys",
    "window_waves",
]

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]

KEY_BITS: Final = 24
NO_KEY: Final = np.uint32(0xFFFFFFFF)
_CHUNK: Final = 1 << 22
"""pairs or samples at a time"""

WINDOWS: Final = (
    (0, 8, 0, 4),
    (0, 8, 4, 8),
    (0, 4, 0, 8),
    (4, 8, 0, 8),
    (2, 6, 0, 8),
    (0, 8, 2, 6),
    (0, 8, 0, 8),
)
"""first and last row, first and last column, in blocks; the last is the whole picture"""
_PLAIN: Final = 3.0
"""mean deviation of a window, in levels, below which its signs are noise"""

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


@cache
def _basis(rows: int, columns: int, bits: int) -> npt.NDArray[np.float32]:
    """Return so many of the lowest frequencies but the mean of a 2-D DCT-II: columns of integers up to 127.

    Whole numbers: their products with bytes sum exactly in float32, in whatever order.
    """
    order = sorted(
        (u * u / rows**2 + v * v / columns**2, u, v) for u in range(rows) for v in range(columns) if u + v
    )
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    waves = [np.outer(np.cos(np.pi * u * y), np.cos(np.pi * v * x)).ravel() for _, u, v in order[:bits]]
    basis: npt.NDArray[np.float32] = np.rint(127 * np.array(waves)).T.astype(np.float32)
    return basis


def window_waves(blocks_N64: npt.NDArray[np.uint8], window: int, bits: int) -> npt.NDArray[np.float32]:
    """Return (N, bits) how much of each of the lowest waves is in each picture's window: whole numbers."""
    top, bottom, left, right = WINDOWS[window]
    part = blocks_N64.reshape(-1, BLOCKS, BLOCKS)[:, top:bottom, left:right].reshape(len(blocks_N64), -1)
    waves: npt.NDArray[np.float32] = part.astype(np.float32) @ _basis(bottom - top, right - left, bits)
    return waves


def _deviation(blocks_NB: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the mean deviation of each picture's blocks, at most 64, from their mean, in levels."""
    blocks = blocks_NB.shape[1]
    rest = blocks_NB.astype(np.int16)
    rest *= np.int16(blocks)
    rest -= blocks_NB.sum(1, keepdims=True, dtype=np.int16)
    deviation: npt.NDArray[np.float64] = np.abs(rest).sum(1, dtype=np.int32) / blocks**2
    return deviation


def window_keys(
    blocks_N64: npt.NDArray[np.uint8], window: int, *, mirrored: bool = False, bits: int = KEY_BITS
) -> Keys:
    """Return a key of so many bits, at most 31, of each picture's window; `NO_KEY` where it is plain."""
    top, bottom, left, right = WINDOWS[window]
    basis = _basis(bottom - top, right - left, bits)
    keys: Keys = np.empty(len(blocks_N64), np.uint32)
    for start in range(0, len(keys), _CHUNK // 8):
        grid = blocks_N64[start : start + _CHUNK // 8].reshape(-1, BLOCKS, BLOCKS)
        if mirrored:
            grid = grid[:, :, ::-1]
        part = grid[:, top:bottom, left:right].reshape(len(grid), -1)
        signs = np.zeros((len(grid), 32), bool)
        np.greater(part.astype(np.float32) @ basis, 0, out=signs[:, :bits])
        found: Keys = np.packbits(signs, axis=1, bitorder="little").view("<u4")[:, 0].astype(np.uint32)
        found[_deviation(part) < _PLAIN] = NO_KEY
        keys[start : start + len(grid)] = found
    return keys


def row_keys(hashes: npt.NDArray[np.uint64], view: int, triple: int, *, mirrored: bool = False) -> Keys:
    """Return a key of 24 bits of each hash (samples, views, 4): three rows of its low frequencies."""
    octets = hashes.view(np.uint8).reshape(len(hashes), len(VIEWS), HASH_BYTES)
    keys: Keys = np.zeros(len(hashes), np.uint32)
    for at in _TRIPLES[triple]:
        octet = octets[:, view, at] ^ (MIRRORED[at] if mirrored else np.uint8(0))
        keys = keys * np.uint32(256) + octet.astype(np.uint32)
    return keys


def colliding(
    base_N: Keys, query_N: Keys, clip_N: npt.NDArray[np.int32], bucket: int, *, symmetric: bool
) -> Iterator[tuple[Ints, Ints]]:
    """Yield (samples by their base key, samples by their query key) of different clips with equal keys.

    A run of equal keys within a clip stands in a bucket once. Where keys are `symmetric`, a pair comes once,
    the better clip first.
    """
    keys, members = _sorted(base_N, clip_N)
    wanted, queries = (keys, members) if base_N is query_N else _sorted(query_N, clip_N)
    start = np.searchsorted(keys, wanted, "left")
    count = np.minimum(np.searchsorted(keys, wanted, "right") - start, bucket)
    found = count > 0
    queries, start, count = queries[found], start[found], count[found]
    total = np.cumsum(count)
    low = 0
    while low < len(queries):
        high = max(low + 1, int(np.searchsorted(total, (total[low - 1] if low else 0) + _CHUNK, "right")))
        size = count[low:high]
        query = np.repeat(queries[low:high], size)
        offset = np.arange(len(query)) - np.repeat(np.cumsum(size) - size, size)
        base = members[np.repeat(start[low:high], size) + offset]
        low = high
        keep = clip_N[base] < clip_N[query] if symmetric else clip_N[base] != clip_N[query]
        yield base[keep], query[keep]


def _sorted(keys_N: Keys, clip_N: npt.NDArray[np.int32]) -> tuple[Keys, Ints]:
    """Return keys and samples by key, then by sample: those that have one, a run within a clip once."""
    again = np.zeros(len(keys_N), bool)
    again[1:] = (keys_N[1:] == keys_N[:-1]) & (clip_N[1:] == clip_N[:-1])
    some = np.flatnonzero(~again & (keys_N < NO_KEY))
    packed = np.sort(keys_N[some].astype(np.uint64) << np.uint64(32) | some.astype(np.uint64))
    samples = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return (packed >> np.uint64(32)).astype(np.uint32), samples


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
                found.append(np.unique(pairs))
            codes = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
            yield view, mirrored, np.stack((codes // max(1, clips), codes % max(1, clips)), axis=1)


def _joins(samples: Samples, view: int, mirrored: bool, bucket: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield colliding samples over all keys that serve a view."""
    if view == 0:
        for window in range(len(WINDOWS) - 1):
            base = window_keys(samples.blocks, window)
            query = window_keys(samples.blocks, window, mirrored=True) if mirrored else base
            yield from colliding(base, query, samples.clip, bucket, symmetric=True)
        return
    for triple in range(len(_TRIPLES)):
        base = row_keys(samples.hashes, 0, triple)
        query = row_keys(samples.hashes, view, triple, mirrored=mirrored)
        yield from colliding(base, query, samples.clip, bucket, symmetric=False)
