"""A pipeline from YAML to a checked plan: what can be known to be wrong is said before anything runs.

A plan is passes in order; each is stages with checked options, the columns that it needs, the tables that
it writes and a fingerprint. The fingerprint covers what decides the results (options, versions, models, and
the passes whose columns are needed) and nothing else: not resources, not `where`, not the executor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.config import load_yaml, override, packaged_pipelines, validate, with_unsaid
from curate.pipeline import PackOptions, PassOptions, PipelineOptions, Resources, SelectOptions
from curate.presets import SELECTIONS, find_preset
from curate.records import Options, Stage, WholeRunStage
from curate.registry import nearest, resolve
from curate.split.stage import Split
from shards.condition import matching_ids
from shards.errors import ConfigError
from shards.schemas import CAPTIONS, CLIPS

__all__ = ["PassPlan", "Plan", "StagePlan", "load_plan", "plan_tree", "whole_path"]

# The table that a pass commits with; a pass of another name writes a table of its own name.
COMMIT_TABLES = {"split": "clips", "score": "scores", "label": "labels", "caption": "captions"}
ARTIFACTS = frozenset({"samples", "media"})


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage with checked options."""

    name: str
    cls: type[Any]
    """a Stage, a WholeRunStage, or Split"""
    options: Options


@dataclass(frozen=True, slots=True)
class PassPlan:
    """A pass that can run: what it needs, what it writes, and what names its folders."""

    name: str
    table: str
    """the table whose part is the commit of a unit"""
    tables: tuple[str, ...]
    """every table written, the commit last"""
    stages: tuple[StagePlan, ...]
    reads: tuple[str, ...]
    """earlier passes whose columns its stages need"""
    where: str | None
    resources: Resources
    schema: pa.Schema
    """of the commit table, for passes over clips"""
    fingerprint: str

    @property
    def fp8(self) -> str:
        """The name of this pass's folders."""
        return self.fingerprint[:8]

    @property
    def whole_run(self) -> bool:
        """Its stage looks at all clips at once: the driver runs it, after every unit has come so far."""
        return issubclass(self.stages[0].cls, WholeRunStage)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole pipeline, checked."""

    pipeline: str
    passes: tuple[PassPlan, ...]
    unit_bytes: int
    unit_sources: int
    select: SelectOptions | None
    pack: PackOptions
    resolved: Mapping[str, Any]
    """the options with every default, for run.json"""

    def pass_named(self, name: str) -> PassPlan:
        """Return the pass called `name`; ConfigError names the nearest."""
        for pass_ in self.passes:
            if pass_.name == name:
                return pass_
        raise ConfigError(f"pipeline {self.pipeline!r} has no pass {name!r}; {nearest(name, self.names)}")

    @property
    def names(self) -> list[str]:
        """The passes' names, in order."""
        return [pass_.name for pass_ in self.passes]


def load_plan(
    pipeline: str,
    path: Path | None = None,
    assignments: Sequence[str] = (),
    carried: pa.Schema | None = None,
) -> Plan:
    """Return the checked plan of `pipeline`, read from `path` or the packaged pipelines.yaml.

    `carried` are the columns that the input's lists bring along: the clips table has them too.
    Raises ConfigError for whatever is wrong in it.
    """
    file = path or packaged_pipelines()
    pipelines = load_yaml(file)
    pipelines.pop(SELECTIONS, None)
    if pipeline not in pipelines:
        raise ConfigError(f"{file.name}: no pipeline {pipeline!r}; {nearest(pipeline, list(pipelines))}")
    if not isinstance(pipelines[pipeline], dict):
        raise ConfigError(f"{file.name}: {pipeline}: expected a mapping")
    tree = override(pipelines[pipeline], assignments, whole_path)
    return plan_tree(pipeline, tree, file, carried)


def plan_tree(pipeline: str, tree: Mapping[str, Any], file: Path, carried: pa.Schema | None) -> Plan:
    """Return the checked plan of the pipeline that `tree` is; `file` knows its preset of a selection."""
    options = validate(PipelineOptions, tree, pipeline)
    passes: list[PassPlan] = []
    given: dict[str, dict[str, Any]] = {}
    for name, raw in options.passes.items():
        where = f"{pipeline}.passes.{name}"
        checked = validate(PassOptions, raw, where)
        given[name] = dict(checked.stages)
        passes.append(_plan_pass(name, checked, passes, where, list(carried or ())))
    if not passes or not _is_split(passes[0]):
        raise ConfigError(f"{pipeline}.passes: the first pass must be the one with the stage 'split'")
    chosen = options.select
    if chosen is not None and chosen.preset is not None:
        where = find_preset(chosen.preset, file).where
        chosen = SelectOptions(name=chosen.name, where=where)
    if chosen is not None:
        _check_where(chosen.where, passes, f"{pipeline}.select")
    resolved = options.model_dump(mode="json") | {
        "passes": {
            p.name: {
                "where": p.where,
                "resources": p.resources.model_dump(mode="json"),
                "stages": {
                    s.name: with_unsaid(s.options.model_dump(mode="json"), given[p.name][s.name])
                    for s in p.stages
                },
            }
            for p in passes
        }
    }
    return Plan(
        pipeline,
        tuple(passes),
        options.unit_bytes,
        options.unit_sources,
        chosen,
        options.pack,
        resolved,
    )


def whole_path(tree: Mapping[str, Any], keys: list[str]) -> list[str]:
    """Return the whole path of a short one: `split.min_s` is `passes.split.stages.split.min_s`.

    A path that begins with a key of the pipeline itself is whole already. Raises ConfigError, naming the
    nearest, where the first key is neither that nor a pass.
    """
    top = list(PipelineOptions.model_fields)
    passes = tree.get("passes") or {}
    if keys[0] in top:
        return keys
    if keys[0] not in passes:
        raise ConfigError(
            f"--set {'.'.join(keys)}: unknown key {keys[0]!r}; {nearest(keys[0], top + list(passes))}"
        )
    base = ["passes", keys[0]]
    if len(keys) == 1 or keys[1] in PassOptions.model_fields:
        return [*base, *keys[1:]]
    stages = passes[keys[0]].get("stages") or {}
    names = list(stages)
    if isinstance(stages, list):
        passes[keys[0]]["stages"] = dict.fromkeys(names)
    if keys[1] in names and len(keys) > 2:
        return [*base, "stages", *keys[1:]]
    if keys[0] in names or len(names) == 1:
        return [*base, "stages", keys[0] if keys[0] in names else names[0], *keys[1:]]
    raise ConfigError(f"--set {'.'.join(keys)}: name the stage, one of {', '.join(names)}")


def _is_split(pass_: PassPlan) -> bool:
    return [stage.cls for stage in pass_.stages] == [Split]


def _plan_pass(
    name: str, options: PassOptions, earlier: list[PassPlan], where: str, carried: list[pa.Field[Any]]
) -> PassPlan:
    if not options.stages:
        raise ConfigError(f"{where}.stages: a pass has at least one stage")
    stages = []
    for stage_name, raw in options.stages.items():
        cls = resolve("stage", stage_name)
        if not (isinstance(cls, type) and issubclass(cls, (Stage, WholeRunStage, Split))):
            raise ConfigError(f"{where}.stages.{stage_name}: {cls!r} is not a Stage")
        stages.append(StagePlan(stage_name, cls, validate(cls.Options, raw, f"{where}.stages.{stage_name}")))
    instances = {stage.name: stage.cls(stage.options) for stage in stages}
    if any(stage.cls is Split for stage in stages):
        if earlier or len(stages) > 1:
            raise ConfigError(f"{where}: 'split' must be alone in the first pass")
        if options.where is not None:
            raise ConfigError(f"{where}.where: there are no clips to choose from before the split")
        reads: tuple[str, ...] = ()
        split: Split = instances[stages[0].name]
        schema = CLIPS
        tables: tuple[str, ...] = ("sources", "shots", "signals", "clips")
        signals = list(split.signals_schema)[1:]
        if both := {field.name for field in carried} & {field.name for field in signals}:
            raise ConfigError(
                f"--input: column {min(both)!r} is one that a signal of {where} writes; rename it"
            )
        provided = pa.schema([*CLIPS, *carried, *signals])
    else:
        table = COMMIT_TABLES.get(name, name)
        if table in {t for p in earlier for t in p.tables}:
            raise ConfigError(f"{where}: an earlier pass writes the table {table!r} already")
        if any(issubclass(stage.cls, WholeRunStage) for stage in stages):
            _check_whole_run(stages, options, where)
        reads, schema = _match(instances, earlier, where)
        tables = (table,)
        provided = schema
        _check_where(options.where, earlier, where)
    digest = {
        "pass": name,
        "stages": [
            {
                "stage": stage.name,
                "version": stage.cls.version,
                "options": stage.options.model_dump(mode="json"),
                "digests": dict(instances[stage.name].digests()),
            }
            for stage in stages
        ],
        "reads": {p.name: p.fingerprint for p in earlier if p.name in reads},
    }
    fingerprint = hashlib.sha256(json.dumps(digest, sort_keys=True).encode()).hexdigest()
    return PassPlan(
        name,
        tables[-1],
        tables,
        tuple(stages),
        reads,
        options.where,
        options.resources,
        provided,
        fingerprint,
    )


def _check_whole_run(stages: Sequence[StagePlan], options: PassOptions, where: str) -> None:
    if len(stages) > 1:
        raise ConfigError(f"{where}.stages: a stage that looks at the whole run stands alone in its pass")
    if artifacts := sorted(stages[0].cls.needs & ARTIFACTS):
        raise ConfigError(f"{where}: a stage over the whole run reads columns, not {artifacts[0]}")
    if options.resources != Resources():
        raise ConfigError(f"{where}.resources: the driver itself runs a pass over the whole run; it has none")


def _match(
    instances: Mapping[str, Stage | WholeRunStage], earlier: list[PassPlan], where: str
) -> tuple[tuple[str, ...], pa.Schema]:
    """Return the passes read and the schema of the table, or say which need nobody provides."""
    providers = {field.name: p.name for p in earlier for field in p.schema}
    reads = {earlier[0].name} if earlier else set()
    fields: dict[str, pa.Field[Any]] = {"clip_id": CLIPS.field("clip_id")}
    for name, stage in instances.items():
        for need in sorted(stage.needs - ARTIFACTS):
            if need in providers:
                reads.add(providers[need])
            elif need not in fields:
                hint = nearest(need, [*providers, *fields])
                raise ConfigError(
                    f"{where}.stages.{name}: needs {need!r}, which nothing before it provides; {hint}"
                )
        for field in stage.provides:
            if field.name in fields or field.name in providers:
                owner = providers.get(field.name, "this pass")
                raise ConfigError(
                    f"{where}.stages.{name}: column {field.name!r} is already written by {owner}"
                )
            fields[field.name] = field
    if len(instances) > 1 and "variant" in fields:
        raise ConfigError(f"{where}.stages: a stage that writes several rows a clip stands alone in its pass")
    return tuple(p.name for p in earlier if p.name in reads), pa.schema(list(fields.values()))


def _check_where(where: str | None, earlier: list[PassPlan], path: str) -> None:
    """Bind `where` against empty tables of the earlier passes' columns."""
    if where is None:
        return
    fields = {field.name: field for p in earlier for field in p.schema if p.table != "captions"}
    if any(p.table == "captions" for p in earlier):
        # As the index has them: the first usable caption, not one row a variant.
        fields |= {name: CAPTIONS.field(name) for name in ("caption", "caption_model")}
    try:
        matching_ids(pa.schema(list(fields.values())).empty_table(), where)
    except ConfigError as exc:
        raise ConfigError(f"{path}.where: {exc}") from exc
