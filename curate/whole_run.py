"""A pass over the whole run: it reads the index after a barrier and writes a part for every unit.

What it finds of one clip depends on all others, so its parts stand or fall together: they hold while no part
of an earlier pass is younger, the units are the same ones, and the pass has the same `where`. A killed
driver leaves some parts of the new kind and some of the old; all are then made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from time import perf_counter, process_time

import pyarrow as pa
import pyarrow.compute as pc

from curate.commit import commit_unit, write_metrics
from curate.plan import PassPlan, Plan
from curate.records import WholeRunStage
from curate.tasks import Done
from shards import tables
from shards.condition import matching_ids, widened
from shards.errors import InputError, StageError
from shards.index import build_index
from shards.run import RunFiles, RunInfo
from shards.storage import at_hand

__all__ = ["current_units", "run_whole_pass"]

_UNITS = "units"


def current_units(run: RunFiles, info: RunInfo, plan: Plan, pass_: PassPlan) -> set[str]:
    """Return the units that need no second look: all of them, or none."""
    own = run.committed(info, pass_.name)
    if not info.units or set(own) != set(info.units):
        return set()
    earlier = plan.passes[: plan.passes.index(pass_)]
    made_ns = min(part.entry.mtime_ns for part in own.values())
    for before in earlier:
        parts = run.committed(info, before.name).values()
        if any(part.entry.mtime_ns > made_ns for part in parts):
            return set()
    said = tables.for_each(
        run.storage,
        lambda path: tables.part_metadata(run.storage, path),
        [part.path for part in own.values()],
    )
    digest = _digest(info.units)
    holds = all(m.get(_UNITS) == digest and m.get("where") == pass_.where for m in said)
    return set(own) if holds else set()


def run_whole_pass(run: RunFiles, info: RunInfo, plan: Plan, pass_: PassPlan) -> Iterator[Done]:
    """Run a pass over all clips and commit a part for each unit; yields what became of each.

    Raises InputError when an earlier pass has not been over every unit, StageError when the stage breaks its
    contract. Memory: the columns needed of every clip, and what the stage makes of them.
    """
    units = list(info.units or ())
    for before in plan.passes[: plan.passes.index(pass_)]:
        if missing := set(units) - set(run.committed(info, before.name)):
            raise InputError(
                f"pass {pass_.name!r} looks at the whole run: {len(missing)} of {len(units)} units have not "
                f"been through {before.name!r}"
            )
    started_s, cpu_s = perf_counter(), process_time()
    stage: WholeRunStage = pass_.stages[0].cls(pass_.stages[0].options)
    clips = _read(run, stage, pass_.where)
    loaded_s = perf_counter()
    made = _checked(stage, pass_, clips, stage.process(clips))
    found = {row["clip_id"]: row for row in made.to_pylist()}
    seconds = {"load": loaded_s - started_s, pass_.stages[0].name: perf_counter() - loaded_s}
    cpu_s = process_time() - cpu_s
    parts = run.committed(info, plan.passes[0].name)
    members = tables.for_each(
        run.storage,
        lambda unit: tables.read_table(run.storage, parts[unit].path, ["clip_id"])["clip_id"].to_pylist(),
        units,
    )
    count = sum(map(len, members)) or 1
    more = {_UNITS: _digest(units)}
    for unit, idents in zip(units, members, strict=True):
        rows = [found[ident] for ident in idents if ident in found]
        counts = {"clips_in": len(idents), "failed": 0, "not_admitted": len(idents) - len(rows)}
        parts_made = {pass_.table: (pass_.schema, rows)}
        commit_unit(run.storage, pass_, unit, parts_made, [], counts=counts, more=more)
        share = len(idents) / count
        done = Done(
            {**counts, "rows": len(rows), "computed": len(rows), "cpu_s": cpu_s * share},
            {step: spent_s * share for step, spent_s in seconds.items()},
        )
        write_metrics(run.storage, pass_, unit, done)
        yield done


def _read(run: RunFiles, stage: WholeRunStage, where: str | None) -> pa.Table:
    """Return the columns needed of the clips admitted, in order of clip."""
    import pyarrow.dataset as pads  # brings pandas along, where it is installed

    index = build_index(run)
    with run.storage.scratch() as scratch:
        here, copy = at_hand(run.storage, index, scratch)
        table = tables.read_table(here, copy, ["clip_id", *sorted(stage.needs)])
        if where is not None:
            schema = widened(tables.part_schema(here, copy))
            rows = pads.dataset([here.name(copy)], schema=schema, format="parquet")
            admitted = pa.array(matching_ids(rows, where), pa.string())
            table = table.filter(pc.is_in(table["clip_id"], value_set=admitted))
    return table


def _checked(stage: WholeRunStage, pass_: PassPlan, clips: pa.Table, made: pa.Table) -> pa.Table:
    """Return `made` if it has one row for each clip and the columns that the stage provides."""
    name = pass_.stages[0].name
    wanted = {"clip_id", *stage.provides.names}
    if set(made.column_names) != wanted:
        raise StageError(f"stage {name!r} returned {sorted(made.column_names)} and not {sorted(wanted)}")
    if sorted(made["clip_id"].to_pylist()) != clips["clip_id"].to_pylist():
        raise StageError(
            f"stage {name!r} returned {made.num_rows} rows for {clips.num_rows} clips, or others"
        )
    return made


def _digest(units: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(units)).encode()).hexdigest()[:16]
