"""In which order rows are drawn: an endless keyed permutation of each manifest, manifests mixed by weight.

No list is shuffled: a row's place is computed by a Feistel network (Luby and Rackoff 1988), which walks on
where it leaves the manifest (Black and Rogaway 2002). Constant memory, any draw at once; a position within
it is one number a manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.plan.keyed import Longs, key_of, mixed

__all__ = ["Draws", "Order", "permuted"]

Ints = npt.NDArray[np.int64]
_ROUNDS = 6


def permuted(draws_N: Ints, size: int, key: int) -> tuple[Ints, Ints]:
    """Return which of `size` rows come at these draws, and in which epoch: draws from 0, without end.

    Every epoch holds each row once, in an order of its own.
    """
    epochs_N, places_N = np.divmod(draws_N, size)
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    keys_N = mixed(epochs_N.astype(np.uint64) ^ np.uint64(key))
    values_N = _feistel(places_N.astype(np.uint64), keys_N, half)
    while (outside := np.flatnonzero(values_N >= size)).size:
        values_N[outside] = _feistel(values_N[outside], keys_N[outside], half)
    return values_N.astype(np.int64), epochs_N


def _feistel(values_N: Longs, keys_N: Longs, half: int) -> Longs:
    """Permute numbers of twice `half` bits."""
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values_N >> bits, values_N & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (mixed(keys_N + (right << np.uint64(8)) + np.uint64(turn)) & mask)
    return (left << bits) | right


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Rows in the order in which they are drawn."""

    rows_N: Ints
    visits_N: Ints
    """how often each row was drawn before"""
    sources_N: Ints
    """of which manifest"""


class Order:
    """The endless order over several manifests.

    Args:
        rows: the rows of each manifest that may be drawn, by their numbers over all manifests.
        weights: how often a row of each is drawn, against those of another.
        seed: of the permutations.

    Manifests take turns as evenly as their numbers of rows times their weights allow (stride scheduling):
    the k-th draw of a manifest is due at (k + 1/2) / rate.
    """

    def __init__(self, rows: Sequence[Ints], weights: Sequence[float], seed: int) -> None:
        self._rows = [np.asarray(one, np.int64) for one in rows]
        self._rates = [len(one) * weight for one, weight in zip(self._rows, weights, strict=True)]
        self._keys = [key_of("order", seed, place) for place in range(len(self._rows))]

    @property
    def sizes(self) -> list[int]:
        """How many rows each manifest has; an epoch of it is so many draws."""
        return [len(one) for one in self._rows]

    @property
    def epoch_draws(self) -> int:
        """Draws after which every manifest that is drawn from at all was drawn through, at least."""
        rates = [rate for rate in self._rates if rate]
        longest = max(len(r) / rate for r, rate in zip(self._rows, self._rates, strict=True) if rate)
        return int(longest * sum(rates)) + len(rates)

    def draws(self, drawn: Sequence[int], count: int) -> Draws:
        """Return the next `count` draws, where so many of each manifest were drawn already."""
        due, which = [], []
        for place, (rate, before) in enumerate(zip(self._rates, drawn, strict=True)):
            if rate:
                due.append((np.arange(before, before + count) + 0.5) / rate)
                which.append(np.full(count, place))
        sources_N = np.concatenate(which)[np.argsort(np.concatenate(due), kind="stable")[:count]]
        rows_N, visits_N = np.empty(count, np.int64), np.empty(count, np.int64)
        for place, before in enumerate(drawn):
            mine = np.flatnonzero(sources_N == place)
            if mine.size:
                local, visits_N[mine] = permuted(
                    np.arange(before, before + mine.size), len(self._rows[place]), self._keys[place]
                )
                rows_N[mine] = self._rows[place][local]
        return Draws(rows_N, visits_N, sources_N)
