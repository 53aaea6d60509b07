"""Whether clips in which nothing moves, and pictures, are copies: their samples are alike at one offset.

At each offset by whole samples, the hashes of the samples that meet must agree in the mean. Clips in which
something changes are compared by that (`filters.lockstep`): pictures of one set are alike at all moments.

All sums are of whole numbers: the result doesn't depend on which pairs are verified together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.neighbours import Samples, hamming
from filters.phash import MIRRORED

__all__ = ["Candidates", "copies"]

_CHUNK: Final = 2_000
_FEW: Final = 3
"""samples that must meet at least, where the clips have them"""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of clips (pairs, 2): the second, seen in `view` and mirrored or not, may be the first."""

    pairs: npt.NDArray[np.int64]
    view: int = 0
    mirrored: bool = False


def copies(
    samples: Samples,
    first: npt.NDArray[np.int64],
    candidates: Candidates,
    *,
    max_bits: int,
    min_overlap: float,
) -> npt.NDArray[np.bool_]:
    """Return for each pair whether it is a copy; `first` says where each clip's samples begin."""
    pairs = candidates.pairs
    same = np.zeros(len(pairs), bool)
    sizes = np.diff(first)
    # Pairs of like length together: they are padded to the longest.
    longest = sizes[pairs].max(1) if len(pairs) else np.empty(0, np.int64)
    order = np.argsort(longest, kind="stable")
    for start in range(0, len(order), _CHUNK):
        part = order[start : start + _CHUNK]
        aligned = _Aligned(samples, first, Candidates(pairs[part], candidates.view, candidates.mirrored))
        for offset in aligned.offsets():
            rows = np.flatnonzero(~same[part])
            same[part[rows]] = aligned.near(rows, offset, max_bits, min_overlap)
    return same


class _Aligned:
    """A chunk of pairs, padded to the longest clip."""

    def __init__(self, samples: Samples, first: npt.NDArray[np.int64], candidates: Candidates) -> None:
        self._sizes = np.diff(first)[candidates.pairs]
        self._width = int(self._sizes.max(initial=1))
        steps = np.arange(self._width)
        whole, viewed = (first[candidates.pairs[:, side], None] + steps for side in (0, 1))
        last = len(samples.clip) - 1
        whole, viewed = np.minimum(whole, last), np.minimum(viewed, last)
        seen = samples.hashes[viewed, candidates.view]
        if candidates.mirrored:
            seen = seen ^ MIRRORED.view(np.uint64)
        self._hashes = samples.hashes[whole, 0], seen

    def offsets(self) -> range:
        """Return every offset of the second clip's samples against the first's."""
        return range(-(self._width - 1), self._width)

    def _meeting(
        self, rows: npt.NDArray[np.int64], offset: int
    ) -> tuple[slice, slice, npt.NDArray[np.bool_]]:
        """Return which samples meet, of the first and of the second, and in which rows both exist."""
        low, high = max(0, -offset), self._width - max(0, offset)
        one, two = slice(low, high), slice(low + offset, high + offset)
        at = np.arange(low, high)
        sizes = self._sizes[rows]
        return one, two, (at < sizes[:, :1]) & (at + offset < sizes[:, 1:])

    def _bits(self, rows: npt.NDArray[np.int64], offset: int) -> npt.NDArray[np.float64]:
        """Return the mean bits in which the samples that meet differ."""
        one, two, valid = self._meeting(rows, offset)
        distance = np.where(valid, hamming(self._hashes[0][rows, one], self._hashes[1][rows, two]), 0)
        mean: npt.NDArray[np.float64] = distance.sum(1, dtype=np.int64) / np.maximum(1, valid.sum(1))
        return mean

    def near(
        self, rows: npt.NDArray[np.int64], offset: int, max_bits: int, min_overlap: float
    ) -> npt.NDArray[np.bool_]:
        """Return in which rows enough samples meet and are like each other.

        Enough: `min_overlap` of the shorter clip, and three, or all of it. A single picture meets no clip.
        """
        _, _, valid = self._meeting(rows, offset)
        shorter, longer = self._sizes[rows].min(1), self._sizes[rows].max(1)
        meeting = valid.sum(1)
        enough: npt.NDArray[np.bool_] = (meeting >= np.minimum(shorter, _FEW)) & (
            meeting >= min_overlap * shorter
        )
        enough &= (shorter > 1) | (longer == 1)
        enough[enough] = self._bits(rows[enough], offset) <= max_bits
        return enough
