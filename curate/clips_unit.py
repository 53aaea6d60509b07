"""A unit of a pass over clips: read what earlier passes wrote, admit, compute what is missing, commit.

A part that is already there is kept: only admitted clips that it lacks are computed, and the new part is the
union, in the order of the clips table. So a widened `where`, or clips that a retried split brought, cost
their own work only. Several threads may each run a unit; a stage computes for one of them at a time, unless
it is `concurrent`: then several batches of a unit are under way at once, too, and none waits for the slowest
clip of another. Memory, for each unit in flight: its rows, and the samples of one batch of clips, or of
`BATCHES` where the stages are concurrent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter, process_time
from typing import Any

import pyarrow as pa

from curate.commit import commit_unit, failure_row, failures_path
from curate.executors.base import Progress
from curate.plan import PassPlan
from curate.records import Clip, Failure, Outcome, Row, Sample, Stage
from curate.tally import Tally
from curate.tasks import Done, Task
from shards import tables
from shards.condition import connect, matching_ids, widened
from shards.errors import StageError
from shards.storage import Storage

__all__ = ["ClipsRunner"]

# Clips handed to a stage at once: enough for an engine to batch, few enough to hold their samples.
BATCH_CLIPS = 64
# Batches of a unit under way at once, where every stage is concurrent.
BATCHES = 3


@dataclass(slots=True)
class _Batch:
    """What became of a batch of clips."""

    kept: dict[str, list[Row]] = field(default_factory=dict)
    """rows, by clip"""
    failed: dict[str, Row] = field(default_factory=dict)
    """rows of failures, by clip"""
    seconds: Tally = field(default_factory=Tally)


class ClipsRunner:
    """Runs units of one pass over clips in a worker; its stages are set up once."""

    def __init__(
        self,
        pass_: PassPlan,
        earlier: Sequence[PassPlan],
        storage: Storage,
    ) -> None:
        self._pass = pass_
        self._earlier = earlier
        self._storage = storage
        self._stages: dict[str, Stage] = {}
        self._turns: dict[str, AbstractContextManager[object]] = {}
        self.stage_cpu_s = Tally()
        """processor seconds of this process while each stage computed; exact with one unit in flight"""
        try:
            for plan in pass_.stages:
                stage = self._stages[plan.name] = plan.cls(plan.options)
                self._turns[plan.name] = nullcontext() if stage.concurrent else threading.Lock()
                stage.setup()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every stage."""
        for stage in self._stages.values():
            stage.close()
        self._stages.clear()

    def run(self, task: Task, report: Callable[[Progress], None]) -> Done:
        """Bring the unit's part up to date and commit it, unless the task is to try one source alone."""
        unit, seconds = task.unit.id, Tally()
        started_s = perf_counter()
        upstream = self._upstream(unit)
        admitted = set(_admit(upstream, self._pass.where))
        clips: list[Row] = upstream.to_pylist()
        seconds["load"] += perf_counter() - started_s
        kept, failed = self._kept(task, {str(row["clip_id"]) for row in clips}, admitted)
        for row in clips:
            failure = task.condemned.get(str(row["source_uri"]))
            if failure is not None and row["clip_id"] in admitted and row["clip_id"] not in kept:
                attempts = self._pass.resources.attempts
                failed[str(row["clip_id"])] = self._failed(task, self._pass.name, row, failure, attempts)
        missing = [
            row
            for row in clips
            if row["clip_id"] in admitted
            and row["clip_id"] not in kept
            and row["clip_id"] not in failed
            and task.only in (None, row["source_uri"])
        ]
        for batch, done in self._batches(task, missing):
            kept |= done.kept
            failed |= done.failed
            seconds.add(done.seconds)
            report(Progress({"clips": len(batch)}))
        if task.only is not None:
            return Done({}, {})
        order = [str(row["clip_id"]) for row in clips]
        rows = [row for ident in order for row in kept.get(ident, ())]
        failures = [failed[ident] for ident in order if ident in failed]
        written = sum(ident in kept for ident in order)
        counts = {
            "clips_in": len(order),
            "failed": len(failures),
            "not_admitted": len(order) - written - len(failures),
        }
        started_s = perf_counter()
        parts = {self._pass.table: (self._pass.schema, rows)}
        commit_unit(self._storage, self._pass, unit, parts, failures, counts=counts)
        seconds["store"] += perf_counter() - started_s
        # What was there already has been counted in `kept` before: only the work of this task goes on.
        counted = Tally()
        for stage in self._stages.values():
            counted.add(stage.counts())
        return Done({**counts, "rows": len(rows), "computed": len(missing), **counted}, dict(seconds))

    def _upstream(self, unit: str) -> pa.Table:
        """Return the unit's clips with the columns of every earlier pass, in the order of the clips table."""
        split, *others = self._earlier
        clips = self._read(split, "clips", unit)
        joined = [("signals", self._read(split, "signals", unit))]
        for pass_ in others:
            table = self._read(pass_, pass_.table, unit)
            if "variant" in table.column_names:
                table = _first_caption(table)
            joined.append((pass_.table, table))
        order = pa.array(range(clips.num_rows), pa.int64())
        with connect(threads=1) as connection:
            connection.register("t0", clips.append_column("__order", order))
            sql = "from t0"
            for number, (_, table) in enumerate(joined, 1):
                connection.register(f"t{number}", table.cast(widened(table.schema)))
                sql += f" left join t{number} using (clip_id)"
            result = connection.sql(f"select * {sql} order by __order").to_arrow_table()
        return result.drop_columns(["__order"])

    def _read(self, pass_: PassPlan, table: str, unit: str) -> pa.Table:
        return tables.read_table(self._storage, tables.table_path(table, pass_.fp8, unit))

    def _kept(
        self, task: Task, present: set[str], admitted: set[str]
    ) -> tuple[dict[str, list[Row]], dict[str, Row]]:
        """Return rows and failures of an earlier commit that still hold."""
        unit = task.unit.id
        path = tables.table_path(self._pass.table, self._pass.fp8, unit)
        kept: dict[str, list[Row]] = {}
        failed: dict[str, Row] = {}
        if not self._storage.exists(path):
            return kept, failed
        for row in tables.read_table(self._storage, path).to_pylist():
            if row["clip_id"] in present:
                kept.setdefault(row["clip_id"], []).append(row)
        if self._storage.exists(failures_path(self._pass, unit)):
            for row in tables.read_table(self._storage, failures_path(self._pass, unit)).to_pylist():
                again = task.retry is not None and (not task.retry or row["error"] in task.retry)
                if row["clip_id"] in admitted and row["clip_id"] not in kept and not again:
                    failed[row["clip_id"]] = row
        return kept, failed

    def _batches(self, task: Task, rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], _Batch]]:
        """Yield batches of the rows with what became of them, as they are done."""
        batches = [rows[start : start + BATCH_CLIPS] for start in range(0, len(rows), BATCH_CLIPS)]
        if len(batches) < 2 or not all(stage.concurrent for stage in self._stages.values()):
            for batch in batches:
                yield batch, self._compute(task, batch)
            return
        waiting = iter(batches)
        with ThreadPoolExecutor(BATCHES, thread_name_prefix="batch") as pool:
            under_way: dict[Future[_Batch], Sequence[Row]] = {}
            for batch in islice(waiting, BATCHES):
                under_way[pool.submit(self._compute, task, batch)] = batch
            while under_way:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(future), future.result()
                    for batch in islice(waiting, 1):
                        under_way[pool.submit(self._compute, task, batch)] = batch

    def _compute(self, task: Task, rows: Sequence[Row]) -> _Batch:
        """Run every stage over a batch; a clip that one fails goes no further."""
        done = _Batch()
        merged = {str(row["clip_id"]): dict(row) for row in rows}
        provided: dict[str, list[dict[str, Any]]] = {ident: [{"clip_id": ident}] for ident in merged}
        alive = list(merged)
        cache: dict[str, tuple[Sample, ...]] = {}
        for name, stage in self._stages.items():
            clips = [self._clip(merged[ident], cache) for ident in alive]
            if "samples" in stage.needs:
                # Before the stage's turn: what one unit reads hides behind what another one computes.
                started_s = perf_counter()
                for clip in clips:
                    clip.samples()
                done.seconds["read"] += perf_counter() - started_s
            with self._turns[name]:
                started_s, cpu_s = perf_counter(), process_time()
                outcomes = _checked(stage, name, clips, stage.process(clips)) if clips else []
                done.seconds[name] += perf_counter() - started_s
                self.stage_cpu_s[name] += process_time() - cpu_s
            surviving = []
            for ident, outcome in zip(alive, outcomes, strict=True):
                if isinstance(outcome, Failure):
                    done.failed[ident] = self._failed(task, name, merged[ident], outcome, 1)
                    continue
                surviving.append(ident)
                if isinstance(outcome, tuple):
                    provided[ident] = [{"clip_id": ident, **row} for row in outcome]
                else:
                    provided[ident][0].update(outcome)
                    merged[ident].update(outcome)
            alive = surviving
        done.kept |= {ident: list(provided[ident]) for ident in alive}
        return done

    def _clip(self, row: Row, cache: dict[str, tuple[Sample, ...]]) -> Clip:
        ident = str(row["clip_id"])

        def samples() -> tuple[Sample, ...]:
            if ident not in cache:
                cache[ident] = read_samples(self._storage, row)
            return cache[ident]

        def media() -> bytes:
            return self._storage.read(row["tar"], row["offset"], row["bytes"])

        return Clip(row, samples, media)

    def _failed(self, task: Task, stage: str, row: Row, failure: Failure, attempts: int) -> Row:
        ident, uri = str(row["clip_id"]), str(row["source_uri"])
        return failure_row(task, stage, uri, ident, failure, attempts)


def read_samples(storage: Storage, row: Row) -> tuple[Sample, ...]:
    """Return a clip's samples by its row of the clips table."""
    times: Any = row["sample_times_s"]
    spans = zip(times, row["sample_offsets"], row["sample_bytes"], strict=True)
    tar = str(row["samples_tar"])
    return tuple(Sample(time_s, storage.read(tar, offset, length)) for time_s, offset, length in spans)


def _admit(upstream: pa.Table, where: str | None) -> list[str]:
    """Return the ids of the clips for which `where` is true."""
    if where is None:
        return [str(ident) for ident in upstream["clip_id"].to_pylist()]
    return matching_ids(upstream, where)


def _first_caption(table: pa.Table) -> pa.Table:
    """Return one row a clip of a table of captions: the first usable one, by variant."""
    with connect(threads=1) as connection:
        connection.register("captions", table)
        return connection.sql(
            "select clip_id, arg_min(caption, variant) as caption, min(caption_model) as caption_model"
            " from captions where caption_ok group by clip_id"
        ).to_arrow_table()


def _checked(
    stage: Stage, name: str, clips: Sequence[Clip], outcomes: Sequence[Outcome]
) -> Sequence[Outcome]:
    """Return `outcomes` if there is one for each clip and each names only columns that the stage provides."""
    if len(outcomes) != len(clips):
        raise StageError(f"stage {name!r} returned {len(outcomes)} outcomes for {len(clips)} clips")
    columns = set(stage.provides.names)
    for outcome in outcomes:
        for row in (
            () if isinstance(outcome, Failure) else outcome if isinstance(outcome, tuple) else (outcome,)
        ):
            if extra := sorted(set(row) - columns):
                raise StageError(
                    f"stage {name!r} returned the column {extra[0]!r}, which it does not provide"
                )
    return outcomes
