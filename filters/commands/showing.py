"""Bars and tables of `curate filters`: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from filters.labels.progress import Epoch

__all__ = ["Bars", "table", "wide_console"]

_WIDE = 120


class Bars:
    """Progress of features and training; a line an epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def counting(self, name: str) -> Callable[[int], Callable[[int], None]]:
        """Return what begins a bar of so many, and returns what moves it on."""

        def begin(total: int) -> Callable[[int], None]:
            task = self._bars.add_task(name, total=total)
            return lambda done: self._bars.advance(task, done)

        return begin

    def stepping(self, name: str) -> Callable[[int, int], None]:
        """Return what shows `done` of `total`."""
        task: Any = self._bars.add_task(name, total=None)
        return lambda done, total: self._bars.update(task, completed=done, total=total)

    def epoch(self, epoch: Epoch) -> None:
        """Say what came of an epoch."""
        accuracy = ", ".join(f"{label} {value:.3f}" for label, value in epoch.val_balanced_accuracy.items())
        mean = fmean(epoch.val_balanced_accuracy.values())
        self._console.print(
            f"epoch {epoch.epoch + 1}: {epoch.steps} updates, loss {epoch.train_loss:.4f}, "
            f"val {epoch.val_loss:.4f}, balanced accuracy {mean:.3f} ({accuracy})",
            soft_wrap=True,
        )


def wide_console() -> Console:
    """Return standard output; as wide as the tables where nobody says how wide it is."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=max(_WIDE, plain.width))


def table(rows: Sequence[Sequence[str]]) -> Table:
    """Return rows as a table; the first is its head."""
    head, *rest = rows
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for cell in head:
        shown.add_column(cell, overflow="fold")
    for row in rest:
        shown.add_row(*row)
    return shown
