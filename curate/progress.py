"""How a run looks while it goes on: one live bar a pass, plain lines where there is no terminal, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from time import monotonic
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from curate.tally import Tally
from curate.tasks import Done

__all__ = ["BarReporter", "JsonReporter", "LineReporter", "Reporter"]

_LINE_EVERY_S = 5.0


class Reporter(Protocol):
    """Shows how a run goes on."""

    def start(self, totals: Mapping[str, tuple[int, int]]) -> None:
        """Begin: pass → (units committed before, units in all)."""

    def progress(self, pass_name: str, counts: Mapping[str, float]) -> None:
        """Add what a running unit has done since it last said so."""

    def unit_done(self, pass_name: str, done: Done) -> None:
        """A unit is committed."""

    def note(self, text: str) -> None:
        """Say something that the user should know."""

    def stop(self) -> None:
        """End; whatever happened."""


class _Figures:
    """What the reporters share: units and running counts of each pass."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.of: dict[str, int] = {}
        self.counts: dict[str, Tally] = {}
        self.started_s = monotonic()

    def start(self, totals: Mapping[str, tuple[int, int]]) -> None:
        for name, (done, of) in totals.items():
            self.done[name], self.of[name], self.counts[name] = done, of, Tally()

    def words(self, name: str) -> str:
        """Return "41 clips, 3.2 min of video" or nothing."""
        counts = self.counts[name]
        parts = [f"{counts['clips']:.0f} clips"] if counts["clips"] else []
        if counts["video_s"]:
            parts.append(f"{counts['video_s'] / 60:.1f} min of video")
        return ", ".join(parts)


class BarReporter:
    """Live bars on a terminal."""

    def __init__(self, console: Console) -> None:
        self._figures = _Figures()
        self._bars = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("units"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def start(self, totals: Mapping[str, tuple[int, int]]) -> None:
        """Begin."""
        self._figures.start(totals)
        for name, (done, of) in totals.items():
            self._tasks[name] = self._bars.add_task(name, total=of, completed=done, words="")
        self._bars.start()

    def progress(self, pass_name: str, counts: Mapping[str, float]) -> None:
        """Add to the running counts."""
        self._figures.counts[pass_name].add(counts)
        self._bars.update(self._tasks[pass_name], words=self._figures.words(pass_name))

    def unit_done(self, pass_name: str, done: Done) -> None:  # noqa: ARG002
        """Move the bar."""
        self._bars.advance(self._tasks[pass_name])

    def note(self, text: str) -> None:
        """Print above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()


class LineReporter:
    """A line every few seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._figures = _Figures()
        self._last_s = float("-inf")

    def start(self, totals: Mapping[str, tuple[int, int]]) -> None:
        """Begin."""
        self._figures.start(totals)
        self._line(force=True)

    def progress(self, pass_name: str, counts: Mapping[str, float]) -> None:
        """Add to the running counts."""
        self._figures.counts[pass_name].add(counts)
        self._line()

    def unit_done(self, pass_name: str, done: Done) -> None:  # noqa: ARG002
        """Count the unit."""
        self._figures.done[pass_name] += 1
        self._line()

    def note(self, text: str) -> None:
        """Print."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def stop(self) -> None:
        """Print the last figures."""
        if self._figures.of:
            self._line(force=True)

    def _line(self, *, force: bool = False) -> None:
        now = monotonic()
        if not force and now - self._last_s < _LINE_EVERY_S:
            return
        self._last_s = now
        figures = self._figures
        parts = [
            f"{name} {figures.done[name]}/{figures.of[name]}"
            + (f" ({words})" if (words := figures.words(name)) else "")
            for name in figures.of
        ]
        self._out.write(f"[{now - figures.started_s:6.1f} s] {'; '.join(parts)}\n")
        self._out.flush()


class JsonReporter:
    """One JSON object a line: `start`, `unit`, `note`, `stop`."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._figures = _Figures()

    def start(self, totals: Mapping[str, tuple[int, int]]) -> None:
        """Begin."""
        self._figures.start(totals)
        self._write("start", units={name: {"done": done, "of": of} for name, (done, of) in totals.items()})

    def progress(self, pass_name: str, counts: Mapping[str, float]) -> None:
        """Add to the running counts; they are written with the unit."""
        self._figures.counts[pass_name].add(counts)

    def unit_done(self, pass_name: str, done: Done) -> None:
        """Write the unit's figures."""
        self._figures.done[pass_name] += 1
        figures = {"done": self._figures.done[pass_name], "of": self._figures.of[pass_name]}
        self._write(
            "unit", **{"pass": pass_name}, **figures, counts=dict(done.counts), seconds=dict(done.seconds)
        )

    def note(self, text: str) -> None:
        """Write it."""
        self._write("note", text=text)

    def stop(self) -> None:
        """Write the running counts."""
        self._write("stop", counts={name: dict(counts) for name, counts in self._figures.counts.items()})

    def _write(self, event: str, **fields: object) -> None:
        elapsed_s = round(monotonic() - self._figures.started_s, 3)
        self._out.write(json.dumps({"event": event, "elapsed_s": elapsed_s, **fields}) + "\n")
        self._out.flush()
