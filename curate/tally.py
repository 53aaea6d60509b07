"""Named amounts that are added up: counts, seconds, bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

__all__ = ["Tally"]


class Tally(defaultdict[str, float]):
    """A mapping from a name to an amount; what was never added is 0."""

    def __init__(self) -> None:
        super().__init__(float)

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add each of `amounts` to its name."""
        for name, amount in amounts.items():
            self[name] += amount
