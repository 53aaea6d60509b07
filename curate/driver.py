"""The loop that drives a run: what is committed already, what is next, who does it, what became of it.

There is no state but the run directory: a listing of each pass's commit table says which units are done. A
part that is older than what it was made from, or that was made under another `where`, is looked at again by
its worker, which computes only what is missing. Ctrl-C and SIGTERM end the workers and leave the rest whole.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep

from curate.commit import failures_path
from curate.executors.base import (
    Died,
    Event,
    Executor,
    Loaded,
    LoadFailed,
    NotBegun,
    Note,
    Progress,
    TaskEvent,
)
from curate.plan import PassPlan, Plan
from curate.progress import Reporter
from curate.schedule import Schedule
from curate.spikes import check_spikes, spike_limits
from curate.tally import Tally
from curate.tasks import Done, TaskFailed
from curate.units import Unit
from curate.versions import package_versions
from curate.whole_run import current_units, run_whole_pass
from shards import tables
from shards.errors import CurateError, StorageError
from shards.run import Part, PassInfo, RunFiles, RunInfo

__all__ = ["RunFailedError", "Totals", "committed_units", "describe_run", "drive", "run_schedule"]


class RunFailedError(CurateError):
    """A task met an error of the program or its surroundings."""

    def __init__(self, failed: TaskFailed) -> None:
        super().__init__(failed.message)
        self.exit_code = failed.exit_code
        self.trace = failed.trace


# A listing may lag behind what was put for so long.
LISTING_S = 60.0


@dataclass(slots=True)
class Totals:
    """What this invocation did, by pass."""

    counts: dict[str, Tally] = field(default_factory=dict)
    seconds: dict[str, Tally] = field(default_factory=dict)
    units: Tally = field(default_factory=Tally)

    def add(self, pass_name: str, done: Done) -> None:
        """Add a committed unit."""
        self.units[pass_name] += 1
        self.counts.setdefault(pass_name, Tally()).add(done.counts)
        self.seconds.setdefault(pass_name, Tally()).add(done.seconds)


def describe_run(plan: Plan, units: Sequence[Unit], before: RunInfo | None) -> RunInfo:
    """Return what run.json is to say; what was purged stays purged."""
    return RunInfo(
        passes={
            p.name: PassInfo(p.fingerprint, p.tables, p.reads, p.where, spike_limits(p)) for p in plan.passes
        },
        pipeline={"name": plan.pipeline, **plan.resolved},
        units=tuple(unit.id for unit in units),
        versions=package_versions(),
        host={"system": platform.system(), "machine": platform.machine()},
        purged=before.purged if before else (),
    )


def committed_units(run: RunFiles, info: RunInfo, plan: Plan) -> dict[str, set[str]]:
    """Return pass → units whose part is there and needs no second look. One listing a pass.

    Where a pass is to look at a unit again, so are those after it: its part will be younger than theirs.
    """
    result: dict[str, set[str]] = {}
    upstream: dict[str, Part] | None = None
    settled: set[str] | None = None
    for pass_ in plan.passes:
        parts = run.committed(info, pass_.name)
        if pass_.whole_run:
            result[pass_.name] = current_units(run, info, plan, pass_)
        elif upstream is None:
            result[pass_.name] = set(parts)
        else:
            younger = [
                part
                for unit, part in parts.items()
                if unit in upstream and part.entry.mtime_ns >= upstream[unit].entry.mtime_ns
            ]
            made = tables.for_each(
                run.storage, lambda path: tables.part_metadata(run.storage, path), [p.path for p in younger]
            )
            result[pass_.name] = {
                part.unit
                for part, metadata in zip(younger, made, strict=True)
                if metadata.get("where") == pass_.where and (settled is None or part.unit in settled)
            }
        # A pass over the whole run is looked at before those after it: their turn comes with a new listing.
        settled = None if pass_.whole_run else result[pass_.name]
        upstream = parts
    return result


def drive(
    plan: Plan,
    run: RunFiles,
    units: Sequence[Unit],
    executor: Executor,
    reporter: Reporter,
    *,
    only: str | None = None,
    retry: frozenset[str] | None = None,
) -> Totals:
    """Run every unit of every pass (or of the pass `only`) that is not committed yet.

    Raises RunFailedError on the first error that is not a source's or a clip's, SpikeError when all is done
    but too many captions are equal; what was committed stays.
    """
    info = run.info()
    if retry is not None:
        _reopen_split(plan, run, info, retry, only)

    def find_committed() -> dict[str, set[str]]:
        found = committed_units(run, info, plan)
        if retry is not None:
            for pass_ in plan.passes[1:]:
                found[pass_.name] -= _units_with_failures(run, info, pass_, retry)
        return found

    names = [only] if only else plan.names
    ready = [unit for unit in units if _can_start(plan, run, unit, names[0])]
    if len(ready) < len(units):
        reporter.note(
            f"{len(units) - len(ready)} of {len(units)} units are left out: "
            f"the passes before {names[0]!r} have not been run over them"
        )
    attempts = {p.name: p.resources.attempts for p in plan.passes}
    committed = find_committed()
    reporter.start(_done_of(plan, names, committed, {unit.id for unit in ready}))
    totals = Totals()
    for number, leg in enumerate(_legs(plan, names)):
        if number:
            committed = find_committed()
        if plan.pass_named(leg[0]).whole_run:
            _run_whole(plan, plan.pass_named(leg[0]), run, info, totals, reporter)
        else:
            run_schedule(
                Schedule(leg, ready, committed, attempts=attempts, retry=retry),
                leg, executor, reporter, totals,
            )  # fmt: skip
        for name in leg:
            _await_listing(run, info, name, {unit.id for unit in ready})
            check_spikes(run, info, name)
    return totals


def _done_of(
    plan: Plan, names: Sequence[str], committed: Mapping[str, set[str]], ready: set[str]
) -> dict[str, tuple[int, int]]:
    """Return pass → units that need nothing, and units in all.

    A pass over the whole run is done anew when a unit of an earlier one is, and what comes after it then
    looks at every unit again.
    """
    done: dict[str, tuple[int, int]] = {}
    anew = unfinished = False
    for name in names:
        anew = anew or (plan.pass_named(name).whole_run and (unfinished or not ready <= committed[name]))
        count = 0 if anew else len(committed[name] & ready)
        unfinished = unfinished or count < len(ready)
        done[name] = count, len(ready)
    return done


def _legs(plan: Plan, names: Sequence[str]) -> list[list[str]]:
    """Return the passes that go on side by side, in order; one over the whole run is alone."""
    legs: list[list[str]] = []
    for name in names:
        alone = plan.pass_named(name).whole_run
        if legs and not alone and not plan.pass_named(legs[-1][0]).whole_run:
            legs[-1].append(name)
        else:
            legs.append([name])
    return legs


def _run_whole(
    plan: Plan, pass_: PassPlan, run: RunFiles, info: RunInfo, totals: Totals, reporter: Reporter
) -> None:
    """Run a pass over the whole run, unless what is there still holds."""
    if info.units and current_units(run, info, plan, pass_):
        return
    for done in run_whole_pass(run, info, plan, pass_):
        totals.add(pass_.name, done)
        reporter.unit_done(pass_.name, done)


def _await_listing(run: RunFiles, info: RunInfo, name: str, units: set[str]) -> None:
    """Wait until a listing shows what was committed: some stores, and shared file systems, lag behind.

    What reads the run after this (the index, a selection) goes by listings.
    """
    deadline_s = monotonic() + LISTING_S
    while missing := units - set(run.committed(info, name)):
        if monotonic() > deadline_s:
            raise StorageError(
                f"{run.storage.root}: {len(missing)} committed units of {name!r} are not listed after "
                f"{LISTING_S:.0f} s; run again"
            )
        sleep(0.5)


def run_schedule(
    schedule: Schedule, names: Sequence[str], executor: Executor, reporter: Reporter, totals: Totals
) -> None:
    """Offer tasks and take note of what becomes of them until the schedule has finished."""
    while not schedule.finished:
        # Later passes first, so that results come early and little waits.
        for name in reversed(names):
            while (task := schedule.peek(name)) is not None and executor.offer(task):
                schedule.begun(name)
        for event in executor.wait(1.0, schedule.waiting()):
            _take_note(event, schedule, totals, reporter)


def _take_note(event: Event, schedule: Schedule, totals: Totals, reporter: Reporter) -> None:
    match event:
        case TaskEvent(task, Progress(counts)):
            reporter.progress(task.pass_name, counts)
        case TaskEvent(task, Done() as done):
            schedule.done(task)
            if task.only is None:
                totals.add(task.pass_name, done)
                reporter.unit_done(task.pass_name, done)
        case TaskEvent(task, Died(how)):
            schedule.died(task)
            reporter.note(f"a worker was {how} in unit {task.unit.id} of {task.pass_name!r}; trying again")
        case TaskEvent(task, NotBegun()):
            schedule.returned(task)
        case TaskEvent(task, TaskFailed() as failed):
            if not schedule.stumbled(task, failed):
                raise RunFailedError(failed)
            reporter.note(f"{failed.message}; trying unit {task.unit.id} of {task.pass_name!r} again")
        case Loaded(pass_name):
            schedule.loaded(pass_name)
        case LoadFailed(pass_name, how):
            reporter.note(f"a worker was {how} while loading {pass_name!r}; trying again")
            schedule.load_failed(pass_name, how)
        case Note(text):
            reporter.note(text)


def _can_start(plan: Plan, run: RunFiles, unit: Unit, first: str) -> bool:
    """Say whether every pass before `first` has committed `unit`."""
    earlier = plan.passes[: plan.names.index(first)]
    return all(run.storage.exists(tables.table_path(p.table, p.fp8, unit.id)) for p in earlier)


def _units_with_failures(run: RunFiles, info: RunInfo, pass_: PassPlan, classes: frozenset[str]) -> set[str]:
    """Return the units in which `pass_` had failures of `classes` (all, if empty)."""
    found = set()
    for part in run.failures(info, pass_.name):
        errors = set(tables.read_table(run.storage, part.path, ["error"])["error"].to_pylist())
        if not classes or errors & classes:
            found.add(part.unit)
    return found


def _reopen_split(
    plan: Plan, run: RunFiles, info: RunInfo, classes: frozenset[str], only: str | None
) -> None:
    """Take back the commit of every unit in which the split pass failed: it is done again, as a whole.

    Later passes see a younger part than theirs, and add what is new to it.
    """
    split = plan.passes[0]
    if only not in (None, split.name):
        return
    for unit in sorted(_units_with_failures(run, info, split, classes)):
        run.storage.delete(tables.table_path(split.table, split.fp8, unit))
        run.storage.delete(failures_path(split, unit))
