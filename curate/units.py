"""The division of the input into units: the atoms of scheduling, retry, commit and resume.

Sources in URI order are grouped until either bound is reached. The division depends on the input and the two
bounds alone, and a unit's id on its members alone, so that a second run finds what the first one committed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curate.records import Source

__all__ = ["Unit", "divide"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A group of sources that is read, computed and committed together."""

    id: str
    sources: tuple[Source, ...]

    @property
    def bytes(self) -> int:
        """Size of the sources."""
        return sum(source.bytes for source in self.sources)


def unit_id(sources: Iterable[Source], columns: Sequence[str] = ()) -> str:
    """Return 16 hex digits of a hash of the members: URI, size, version and whose copy each one is.

    Where an input list carries `columns`, their names and values count too.
    """
    members: list[object] = [[s.uri, s.bytes, s.version, s.duplicate_of, *s.carried] for s in sources]
    if columns:
        members.append(list(columns))
    return hashlib.sha256(json.dumps(members, default=str).encode()).hexdigest()[:16]


def divide(
    sources: Iterable[Source], *, unit_bytes: int, unit_sources: int, columns: Sequence[str] = ()
) -> list[Unit]:
    """Return `sources`, which are in URI order, in groups of at least one.

    A group is closed before the source that would take it past `unit_bytes`, or at `unit_sources`.
    """
    units: list[Unit] = []
    group: list[Source] = []
    size = 0
    for source in sources:
        if group and (size + source.bytes > unit_bytes or len(group) >= unit_sources):
            units.append(Unit(unit_id(group, columns), tuple(group)))
            group, size = [], 0
        group.append(source)
        size += source.bytes
    if group:
        units.append(Unit(unit_id(group, columns), tuple(group)))
    return units
