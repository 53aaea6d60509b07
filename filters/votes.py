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
_STEPS: Final = 1 << 16
"""offsets that there may be: eight steps a second of clips of an hour"""


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

    def laid(self, traces: Traces) -> Ints:
        """Return a number for each two clips and offset, rising with the clips."""
        return (self.one * len(traces) + self.two) * _STEPS + self.offset + _STEPS // 2

    def span(self, traces: Traces) -> tuple[Ints, Ints]:
        """Return the steps [start, end) of the first that meet steps of the second."""
        ends = traces.steps[self.one].astype(np.int64), traces.steps[self.two] - self.offset
        return np.maximum(0, -self.offset), np.minimum(*ends)


def voted(traces: Traces, one: Place, two: Place, min_overlap: float) -> Met:
    """Return each two clips at the offsets with most collisions, the smaller offset where these are equal.

    In the order of the clips. Offsets at which less than `min_overlap` of the shorter clip meets the other
    don't count.
    """
    met = Met(one[0], two[0], one[1], two[1] - one[1])
    start, end = met.span(traces)
    shorter = np.minimum(traces.steps[met.one], traces.steps[met.two])
    met = met.some(np.flatnonzero(end - start >= min_overlap * shorter))
    laid = met.laid(traces)
    order = np.argsort(laid)
    laid = laid[order]
    at = np.flatnonzero(np.diff(laid, prepend=-1))
    if not len(at):
        return met
    votes = np.diff(np.append(at, len(laid)))
    step = np.minimum.reduceat(met.step[order], at)
    met = met.some(order[at])._replace(step=step)
    pair = met.one * len(traces) + met.two
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    offsets = np.repeat(np.diff(np.append(first, len(pair))), np.diff(np.append(first, len(pair))))
    kept = offsets <= _OFFSETS
    many = np.flatnonzero(~kept)
    ranked = many[np.lexsort((met.offset[many], np.abs(met.offset[many]), -votes[many], pair[many]))]
    place = np.arange(len(many)) - np.searchsorted(pair[ranked], pair[ranked])
    kept[ranked[place < _OFFSETS]] = True
    return met.some(np.flatnonzero(kept))
