"""What driving costs: units a second and the driver's memory, over units of a pass that does nothing.

The driver, the schedule, the executor and its workers are the real ones; a worker answers at once. So what
is left is the cost of a unit in messages and in memory.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from rich.table import Table

from curate.driver import Totals, run_schedule
from curate.executors.base import Progress
from curate.executors.place import Place
from curate.plan import load_plan
from curate.progress import Reporter
from curate.records import Source
from curate.schedule import Schedule
from curate.tasks import Done, Report, Task
from curate.units import Unit
from curate.worker import Worker, WorkerSpec

__all__ = ["Driving", "measure_driving", "render_driving"]


@dataclass(frozen=True, slots=True)
class Driving:
    """The figures of one number of units."""

    units: int
    seconds: float
    peak_bytes: int
    """of the driver, at the end: what 100 times the units add is the difference"""

    @property
    def units_per_s(self) -> float:
        """Units a second."""
        return self.units / self.seconds


class _IdleWorker(Worker):
    """Commits nothing."""

    def run(self, task: Task, report: Callable[[Progress], None]) -> Report:  # noqa: ARG002
        return Done({"rows": 0}, {})


@dataclass(frozen=True, slots=True)
class _IdleSpec(WorkerSpec):
    def worker(self) -> Worker:
        return _IdleWorker(self)


def measure_driving(place: Place, folder: str, counts: list[int], reporter: Reporter) -> Iterator[Driving]:
    """Yield the figures for each of `counts` units, which rise: the peak of memory never falls."""
    plan = load_plan("default")
    split = plan.passes[0]
    with place.joined(), place.executor(_IdleSpec(plan, folder), [split], reporter.note, []) as executor:
        for count in counts:
            units = [
                Unit(f"{n:016x}", (Source(f"s3://bucket/raw/{n:09}.mp4", 10**8, ""),)) for n in range(count)
            ]
            schedule = Schedule([split.name], units, {}, attempts={split.name: 3})
            del units
            started_s = perf_counter()
            reporter.start({split.name: (0, count)})
            run_schedule(schedule, [split.name], executor, reporter, Totals())
            seconds = perf_counter() - started_s
            yield Driving(count, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def render_driving(measured: Sequence[Driving]) -> Table:
    """Return the figures as a table; growth is against the first row."""
    table = Table("units", "units/s", "driver, MB", "growth, MB", title="a pass that does nothing", box=None)
    for row in measured:
        grown = row.peak_bytes - measured[0].peak_bytes
        table.add_row(
            f"{row.units:,}", f"{row.units_per_s:.0f}", f"{row.peak_bytes / 1e6:.0f}", f"{grown / 1e6:.0f}"
        )
    return table
