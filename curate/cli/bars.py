"""A bar for commands that count to a known number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["counting"]


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes (done, of) and moves a bar on standard error, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(label, total=None)

        def move(done: int, of: int) -> None:
            bars.update(task, completed=done, total=of)

        yield move
