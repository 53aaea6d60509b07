"""At which offsets in time two clips may show the same: those that most of their equal keys speak for.

Keys that are equal by chance lie at any offset; those of a copy lie at one (Wang, ISMIR 2003, finds songs in
noise so). A clip that stands still for a while collides at wrong offsets too, hence two candidates and not
one.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from filters.traces import Traces

__all__ = ["Met", "Place", "voted"]

Ints: TypeAlias = npt.NDArray[np.int64]
Place: TypeAlias = tuple[Ints, Ints]
"""clips and steps of them"""

_OFFSETS: Final = 2
"""that two clips are compared at"""


class Met(NamedTuple):
    """Pairs of clips laid over each other: step i of the one meets step i + offset of the other."""

    one: Ints
    two: Ints
    step: Ints
    """of the one, at which they share a key"""
    offset: Ints

    def some(self, which: slice | npt.NDArray[np.bool_] | Ints) -> Met:
        """Return those of the pairs."""
        return Met(*(column[which] for column in self))

    def span(self, traces: Traces) -> tuple[Ints, Ints]:
        """Return the steps [start, end) of the first that meet steps of the second."""
        ends = traces.steps[self.one].astype(np.int64), traces.steps[self.two] - self.offset
        return np.maximum(0, -self.offset), np.minimum(*ends)


def voted(traces: Traces, one: Place, two: Place, min_overlap: float) -> Met:
    """Return each two clips at the offsets with most collisions, the smaller offset where these are equal.

    Offsets at which less than `min_overlap` of the shorter clip meets the other don't count.
    """
    met = Met(one[0], two[0], one[1], two[1] - one[1])
    start, end = met.span(traces)
    shorter = np.minimum(traces.steps[met.one], traces.steps[met.two])
    met = met.some(end - start >= min_overlap * shorter)
    pair = met.one * len(traces) + met.two
    order = np.lexsort((met.step, met.offset, pair))
    met, pair = met.some(order), pair[order]
    first = np.ones(len(pair), bool)
    first[1:] = (pair[1:] != pair[:-1]) | (met.offset[1:] != met.offset[:-1])
    at = np.flatnonzero(first)
    votes = np.diff(np.append(at, len(pair)))
    met, pair = met.some(at), pair[at]
    order = np.lexsort((met.offset, np.abs(met.offset), -votes, pair))
    met, pair = met.some(order), pair[order]
    place = np.arange(len(pair)) - np.searchsorted(pair, pair)
    return met.some(place < _OFFSETS)
