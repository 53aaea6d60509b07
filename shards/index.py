"""The index: the current tables joined, one row a clip, in order of `clip_id`.

A cache: it is rebuilt when the parts that it was made of change (their paths, sizes or times), and may be
deleted at any time. It answers in milliseconds what a join over thousands of parts answers in seconds.
Memory does not grow with the number of clips: a unit's parts hold that unit's clips and no others, so
units are joined some at a time, and the joined rows sorted through buckets in the run's scratch folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from shards.condition import MEMORY_BYTES, connect, quote, widened
from shards.errors import ConfigError, InputError, IntegrityError, StorageError
from shards.run import INDEX, Part, RunFiles
from shards.schemas import CAPTION_DETAILS, CAPTION_STRUCT, column
from shards.sorting import sorted_by_hash
from shards.storage import Storage
from shards.tables import check_schema, for_each, part_metadata, part_shape, read_parts, write_batches

__all__ = ["build_index"]

_VERSION: Final = "1"
_ROWS_AT_ONCE: Final = 32768
"""joined or sorted in memory; with an embedding of 768 floats that is about 130 MB"""
_NOT_BY_CLIP: Final = frozenset({"sources", "shots", "failures"})
_KEY: Final = "clip_id"
_PREFERRED: Final = "dense"
_DERIVED: Final = ("captions", "caption", "caption_model")
_LATER: Final = ("shard", "tar_offset")  # what a manifest adds


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that has rows by clip: its parts and the columns that all of them have."""

    name: str
    parts: Mapping[str, Part]
    """by unit"""
    schema: pa.Schema
    rows_of: Mapping[str, int]
    """number of rows, by unit"""

    @property
    def rows(self) -> int:
        return sum(self.rows_of.values())

    @property
    def fields(self) -> list[pa.Field]:
        return [field for field in self.schema if field.name != _KEY]


def build_index(run: RunFiles, memory_bytes: int = MEMORY_BYTES) -> str:
    """Return the path of the run's index within the run, which is built if it is missing or out of date.

    Its columns are those of `clips`, of every other current table with a `clip_id`, and: `captions`, all
    captions of the clip in order of variant; `caption` and `caption_model`, the first that is ok, the
    variant "dense" before others.

    Raises `InputError` when no clips have been cut, `ConfigError` when two tables have a column of the same
    name, `IntegrityError` when parts of a table disagree or a clip occurs twice.
    """
    listed = _listed(run)
    digest = _digest(listed)
    entry = run.storage.entry(INDEX)
    if entry is not None and _stored_digest(run.storage) == digest:
        return INDEX
    tables = [_described(run.storage, name, parts) for name, parts in listed.items()]
    tables = [table for table in tables if _KEY in table.schema.names]
    _check_names(tables)
    schema = _schema(tables)
    with run.storage.scratch() as scratch, connect(scratch, memory_bytes) as connection:
        joined = (_joined(run.storage, connection, tables, units, schema) for units in _groups(tables[0]))
        ordered = sorted_by_hash(joined, _KEY, tables[0].rows, scratch, _ROWS_AT_ONCE)
        batches = (batch for table in _checked(ordered, run.storage, tables) for batch in table.to_batches())
        write_batches(run.storage, INDEX, schema, batches, {"parts": digest})
    return INDEX


def _listed(run: RunFiles) -> dict[str, tuple[Part, ...]]:
    """Return table → current parts, tables without parts left out, `clips` first."""
    info = run.info()
    names = [name for current in info.passes.values() for name in current.tables if name not in _NOT_BY_CLIP]
    listed = {name: tuple(run.parts(info, name)) for name in dict.fromkeys(names)}
    if not listed.get("clips"):
        raise InputError(f"{run.storage.root}: no clips have been cut yet; run the pass 'split'")
    return {
        name: parts for name, parts in sorted(listed.items(), key=lambda item: item[0] != "clips") if parts
    }


def _digest(listed: dict[str, tuple[Part, ...]]) -> str:
    lines = [f"{part.entry!r}" for parts in listed.values() for part in parts]
    return hashlib.sha256("\n".join([_VERSION, *lines]).encode()).hexdigest()


def _stored_digest(storage: Storage) -> str | None:
    try:
        return part_metadata(storage, INDEX).get("parts")
    except IntegrityError:
        return None  # a damaged cache is built again


def _described(storage: Storage, name: str, parts: Sequence[Part]) -> _Table:
    shapes = for_each(storage, lambda path: part_shape(storage, path), [part.path for part in parts])
    schema = shapes[0][0]
    rows_of = {}
    for part, (found, rows) in zip(parts, shapes, strict=True):
        rows_of[part.unit] = rows
        check_schema(found, schema, storage.address(part.path))
    return _Table(name, {part.unit: part for part in parts}, schema, rows_of)


def _groups(clips: _Table) -> Iterator[list[str]]:
    """Yield units, so many at a time that they have about `_ROWS_AT_ONCE` clips."""
    group: list[str] = []
    rows = 0
    for unit, count in clips.rows_of.items():
        group.append(unit)
        rows += count
        if rows >= _ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _check_names(tables: Sequence[_Table]) -> None:
    owner = dict.fromkeys(_DERIVED, "captions") | dict.fromkeys(_LATER, "the manifest")
    for table in tables:
        if table.name == "captions":
            continue
        for field in table.fields:
            if field.name in owner:
                raise ConfigError(
                    f"the tables {owner[field.name]!r} and {table.name!r} both have a column "
                    f"{field.name!r}; rename it in one of the stages"
                )
            owner[field.name] = table.name


def _schema(tables: Sequence[_Table]) -> pa.Schema:
    """Return the index's columns: what a left join may leave empty may be null."""
    fields = list(tables[0].schema)
    struct = CAPTION_STRUCT
    for table in tables[1:]:
        if table.name == "captions":
            struct = pa.struct([field for field in table.fields if field.name not in CAPTION_DETAILS])
        else:
            fields += [field.with_nullable(True) for field in table.fields]
    fields.append(column("captions", pa.list_(struct), doc="all captions, in order of variant"))
    fields.append(column("caption", pa.string(), doc="the first caption that is ok, 'dense' before others"))
    fields.append(column("caption_model", pa.string(), doc="what wrote `caption`"))
    return pa.schema(fields)


def _joined(
    storage: Storage,
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[_Table],
    units: Sequence[str],
    schema: pa.Schema,
) -> pa.Table:
    """Return the joined rows of some units, in no order."""
    for table in tables:
        paths = [table.parts[unit].path for unit in units if unit in table.parts]
        rows = read_parts(storage, paths, table.schema.names) if paths else table.schema.empty_table()
        connection.register(f"t_{table.name}", rows.cast(widened(rows.schema)))
    try:
        result = connection.sql(_join_sql(tables)).to_arrow_table()
    except duckdb.Error as exc:  # out of memory, or of room to spill
        reason = " ".join(str(exc).partition("\n")[0].split())
        raise StorageError(f"{storage.root}: the tables cannot be joined: {reason}") from exc
    return result.rename_columns(schema.names).cast(schema)


def _join_sql(tables: Sequence[_Table]) -> str:
    select = [f"t_clips.{quote(name)}" for name in tables[0].schema.names]
    joins = []
    captions = None
    for table in tables[1:]:
        if table.name == "captions":
            captions = table
            continue
        select += [f"{quote(f't_{table.name}')}.{quote(field.name)}" for field in table.fields]
        joins.append(f"left join {quote(f't_{table.name}')} using (clip_id)")
    if captions is None:
        select += ["null as captions", "null as caption", "null as caption_model"]
    else:
        select += ["said.captions", "said.best.caption", "said.best.caption_model"]
        joins.append(f"left join ({_captions_sql(captions)}) said using (clip_id)")
    return f"select {', '.join(select)} from t_clips {' '.join(joins)}"


def _captions_sql(table: _Table) -> str:
    names = [quote(field.name) for field in table.fields if field.name not in CAPTION_DETAILS]
    members = ", ".join(f"{name} := {name}" for name in names)
    return f"""
        select clip_id,
               list(struct_pack({members}) order by variant) as captions,
               arg_min(struct_pack(caption := caption, caption_model := caption_model),
                       case when variant = '{_PREFERRED}' then '0' else '1' || variant end)
                   filter (where caption_ok and caption is not null) as best
        from t_captions group by clip_id
    """


def _checked(ordered: Iterator[pa.Table], storage: Storage, tables: Sequence[_Table]) -> Iterator[pa.Table]:
    """Pass on what is in order of clip; raise when a clip has two rows."""
    last = None
    for table in ordered:
        ids = table[_KEY].combine_chunks()
        if len(ids):
            again = ids.filter(pc.equal(ids, pa.concat_arrays([pa.array([last], ids.type), ids[:-1]])))
            if len(again):
                raise IntegrityError(_duplicate(storage, tables, again[0].as_py()))
            last = ids[-1].as_py()
        yield table


def _duplicate(storage: Storage, tables: Sequence[_Table], clip: str) -> str:
    """Say which table has a clip twice."""
    for table in tables:
        ids = read_parts(storage, [part.path for part in table.parts.values()], [_KEY])[_KEY]
        if table.name != "captions" and pc.sum(pc.equal(ids, clip)).as_py() > 1:
            break
    return (
        f"the table {table.name!r} has the clip {clip} twice: parts of an earlier input are in the way; "
        "run `curate gc`"
    )
