"""Whether one clip is a copy of another: the same pictures, and the same changes, at one offset in time.

At each offset by whole samples, the hashes of the samples that meet must agree in the mean, and so must what
*changes*: each clip's block means less their mean over the samples that meet, compared by correlation. A
fixed set, its actors elsewhere, has like pictures and unlike changes; a logo or a filter changes the pictures
and not their changes. Where nothing changes in either clip, the pictures alone decide, by a stricter bound.

All sums are of whole numbers: the result doesn't depend on which pairs are verified together.
Cost: some 30 microseconds a pair of clips of eight samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.neighbours import Samples, hamming
from filters.phash import BLOCK_BYTES, BLOCKS, MIRRORED, VIEWS

__all__ = ["Candidates", "changes", "copies", "look"]

_CHUNK: Final = 2_000
_SIXTEENTHS: Final = 16
_FEW: Final = 3
"""samples that must meet at least, where the clips have them"""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of clips (pairs, 2): the second, seen in `view` and mirrored or not, may be the first."""

    pairs: npt.NDArray[np.int64]
    view: int = 0
    mirrored: bool = False


@cache
def _view_matrix(view: int, mirrored: bool) -> npt.NDArray[np.float32]:
    """Return the matrix (64, 64) from a picture's blocks to 1024 times those of the view of it."""
    at = (np.arange(BLOCKS) + 0.5 - BLOCKS / 2) * VIEWS[view] + BLOCKS / 2 - 0.5
    near = np.clip(np.floor(at).astype(int), 0, BLOCKS - 2)
    part = np.rint(32 * (at - near))
    line = np.zeros((BLOCKS, BLOCKS), np.float32)
    line[np.arange(BLOCKS), near] = 32 - part
    line[np.arange(BLOCKS), near + 1] = part
    return np.kron(line, line[::-1] if mirrored else line)


def look(blocks_N64: npt.NDArray[np.uint8], view: int, mirrored: bool) -> npt.NDArray[np.float32]:
    """Return the blocks of the picture as it is in that view, in levels."""
    shown: npt.NDArray[np.float32] = blocks_N64.astype(np.float32) @ _view_matrix(view, mirrored).T
    return shown / np.float32(1024)


def changes(blocks_PN64: npt.NDArray[np.float32], valid_PN: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return blocks less their mean over the valid samples: sixteen times the square root, signed, whole.

    The root keeps one bright change from drowning the others; the sum of squares is 256 times that of the
    changes' sizes.
    """
    mask = valid_PN[..., None]
    total = np.where(mask, blocks_PN64, 0).sum(1, dtype=np.float64, keepdims=True)
    rest = np.where(mask, blocks_PN64 - total / np.maximum(1, mask.sum(1, keepdims=True)), 0)
    roots: npt.NDArray[np.int64] = np.rint(np.sign(rest) * np.sqrt(np.abs(rest)) * _SIXTEENTHS).astype(
        np.int64
    )
    return roots


def copies(
    samples: Samples,
    first: npt.NDArray[np.int64],
    candidates: Candidates,
    *,
    max_bits: int,
    min_agreement: float,
    still_levels: float,
    still_bits: int,
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
            rows = rows[aligned.near(rows, offset, max_bits, min_overlap)]
            if len(rows):
                still = aligned.still(rows, offset, still_levels)
                alike = aligned.moves_alike(rows, offset, min_agreement)
                bits = aligned.bits(rows, offset)
                same[part[rows]] = np.where(still, bits <= still_bits, alike)
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
        self._blocks = (
            look(samples.blocks[whole], 0, False),
            look(samples.blocks[viewed], candidates.view, candidates.mirrored),
        )

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

    def bits(self, rows: npt.NDArray[np.int64], offset: int) -> npt.NDArray[np.float64]:
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
        enough[enough] = self.bits(rows[enough], offset) <= max_bits
        return enough

    def moves_alike(
        self, rows: npt.NDArray[np.int64], offset: int, min_agreement: float
    ) -> npt.NDArray[np.bool_]:
        """Return in which rows the clips change alike, at `offset` samples or half a sample more."""
        one, two, valid = self._meeting(rows, offset)
        a, b = self._blocks[0][rows, one], self._blocks[1][rows, two]
        alike: npt.NDArray[np.bool_] = _agree(a, b, valid, min_agreement)
        # The grid of a trimmed copy lies between the original's: there it is guessed from both neighbours.
        between = valid[:, :-1] & valid[:, 1:]
        enough = between.sum(1) >= _FEW
        alike[enough] |= _agree(
            (a[enough, :-1] + a[enough, 1:]) / np.float32(2), b[enough, :-1], between[enough], min_agreement
        )
        return alike

    def still(self, rows: npt.NDArray[np.int64], offset: int, still_levels: float) -> npt.NDArray[np.bool_]:
        """Return in which rows neither clip changes by more than that, over the samples that meet."""
        one, two, valid = self._meeting(rows, offset)
        scale = valid.sum(1) * (BLOCK_BYTES * _SIXTEENTHS**2) * still_levels
        sizes = [
            (changes(blocks[rows, part], valid) ** 2).sum((1, 2))
            for blocks, part in zip(self._blocks, (one, two), strict=True)
        ]
        quiet: npt.NDArray[np.bool_] = np.maximum(*sizes) <= scale
        return quiet


def _agree(
    a_PN64: npt.NDArray[np.float32],
    b_PN64: npt.NDArray[np.float32],
    valid_PN: npt.NDArray[np.bool_],
    min_agreement: float,
) -> npt.NDArray[np.bool_]:
    """Return which pairs' changes correlate enough: more, the fewer the samples (chance does more there)."""
    a, b = changes(a_PN64, valid_PN), changes(b_PN64, valid_PN)
    aa, bb, ab = ((x * y).sum((1, 2)) for x, y in ((a, a), (b, b), (a, b)))
    correlation = ab / np.sqrt(np.maximum(1.0, aa.astype(np.float64) * bb.astype(np.float64)))
    chance = (1 - min_agreement) / np.maximum(1, valid_PN.sum(1))
    agree: npt.NDArray[np.bool_] = correlation >= min_agreement + chance
    return agree
