"""One pass anew over a run that is there: other captions of clips that were cut last month.

Every earlier pass is taken as the run has it, with the options that `run.json` recorded; only the pass itself
comes from a pipeline. Its tables lie beside those of before, which stay until `curate gc`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.config import load_yaml, override, packaged_pipelines
from curate.plan import Plan, plan_tree, whole_path
from curate.presets import SELECTIONS
from curate.records import Source
from curate.registry import nearest
from curate.units import Unit
from shards import tables
from shards.errors import ConfigError
from shards.run import RunFiles, RunInfo
from shards.schemas import CLIPS

__all__ = ["plan_again", "units_of"]


def plan_again(
    run: RunFiles, name: str, pipeline: str, path: Path | None = None, assignments: Sequence[str] = ()
) -> Plan:
    """Return the plan of the run, whose pass `name` is that of `pipeline` (in `path`, or packaged).

    Raises ConfigError where the run has other passes before it than the plan needs, or where they would no
    longer give the results that the run has.
    """
    info = run.info()
    file = path or packaged_pipelines()
    pipelines = load_yaml(file)
    pipelines.pop(SELECTIONS, None)
    if pipeline not in pipelines:
        raise ConfigError(f"{file.name}: no pipeline {pipeline!r}; {nearest(pipeline, list(pipelines))}")
    tree = override(pipelines[pipeline], assignments, whole_path)
    passes = tree.get("passes") or {}
    if name not in passes:
        raise ConfigError(f"pipeline {pipeline!r} has no pass {name!r}; {nearest(name, list(passes))}")
    recorded: dict[str, Any] = {key: value for key, value in info.pipeline.items() if key != "name"}
    had = list(recorded["passes"])
    before = had[: had.index(name)] if name in had else had
    if not before:
        raise ConfigError(f"--only {name}: the first pass reads its sources; give --input")
    recorded["passes"] = recorded["passes"] | {name: passes[name]}
    # A preset was resolved when the run was made; both would be refused.
    if recorded.get("select"):
        recorded["select"] = {k: v for k, v in recorded["select"].items() if k != "preset"}
    plan = plan_tree(str(info.pipeline.get("name", pipeline)), recorded, file, _carried(run, info))
    for pass_ in plan.passes[: len(before)]:
        if pass_.fingerprint != info.passes[pass_.name].fingerprint:
            raise ConfigError(
                f"{run.storage.root}: the pass {pass_.name!r} was made by another version of its stages or "
                "models than this one; run the whole pipeline over the run first"
            )
    return plan


def units_of(run: RunFiles) -> list[Unit]:
    """Return the units of the run; one that its first pass has not committed yet has no sources."""
    info = run.info()
    parts = {part.unit: part for part in run.parts(info, "sources")}
    columns = ["source_uri", "bytes"]
    read = tables.for_each(
        run.storage,
        lambda path: tables.read_table(run.storage, path, columns),
        [p.path for p in parts.values()],
    )
    sources = {
        unit: tuple(Source(row["source_uri"], row["bytes"] or 0, "as recorded") for row in table.to_pylist())
        for unit, table in zip(parts, read, strict=True)
    }
    return [Unit(unit, sources.get(unit, ())) for unit in info.units or sources]


def _carried(run: RunFiles, info: RunInfo) -> pa.Schema | None:
    """Return the columns of the clips table that an input list brought along."""
    parts = run.parts(info, "clips")
    if not parts:
        return None
    schema, _ = tables.part_shape(run.storage, parts[0].path)
    return pa.schema([field for field in schema if field.name not in CLIPS.names])
