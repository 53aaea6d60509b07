"""Random numbers that depend on their key alone: no state, no order, the same on every machine.

SplitMix64's finalizer (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") over
key, item, counter and field. Whole arrays at once; what numpy's generators draw may change with its version,
these numbers may not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["Longs", "hashed", "key_of", "mixed", "uniforms"]

Longs = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mixed(values_N: Longs) -> Longs:
    """Return 64 well-mixed bits for each of 64 bits: a bijection."""
    x = values_N + _STEP
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def key_of(*parts: int | str) -> int:
    """Return a key of 64 bits for what `parts` name, by BLAKE2b."""
    text = "\x1f".join(repr(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hashed(texts: Iterable[str], key: str = "") -> Longs:
    """Return 64 bits for each text, by BLAKE2b under `key`."""
    under = key.encode()
    digests = (hashlib.blake2b(text.encode(), digest_size=8, key=under).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def uniforms(
    key: int, items_N: Longs, counters_N: npt.NDArray[np.integer], fields: int
) -> npt.NDArray[np.float64]:
    """Return numbers in [0, 1), shape (N, fields): `fields` of each pair of item and counter."""
    bits_N = mixed(mixed(items_N ^ np.uint64(key)) ^ mixed(counters_N.astype(np.uint64)))
    steps_F = mixed(np.arange(1, fields + 1, dtype=np.uint64))
    bits_NF = mixed(bits_N[:, None] ^ steps_F[None, :])
    return (bits_NF >> np.uint64(11)).astype(np.float64) * 2.0**-53
