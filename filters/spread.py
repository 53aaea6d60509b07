"""Some of many, evenly spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["spread"]

T = TypeVar("T")


def spread(items: Sequence[T], at_most: int) -> list[T]:
    """Return at most so many of `items`, evenly spread: the middles of as many equal spans."""
    if len(items) <= at_most:
        return list(items)
    return [items[(2 * k + 1) * len(items) // (2 * at_most)] for k in range(at_most)]
