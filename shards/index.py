"""The index: the current tables joined, one row a clip, in order of `clip_id`.

A cache: it is rebuilt when the parts that it was made of change (their paths, sizes or times), and may be
deleted at any time. It answers in milliseconds what a join over thousands of parts answers in seconds.
Memory is bounded by DuckDB's limit, whatever the number of clips: rows are joined, sorted and written in a
stream, and the sort spills to the run's scratch folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from shards.condition import MEMORY_BYTES, connect, quote
from shards.errors import ConfigError, InputError, IntegrityError
from shards.run import INDEX, Part, RunFiles
from shards.schemas import CAPTION_STRUCT, column
from shards.storage import Storage
from shards.tables import BATCH_ROWS, check_schema, dataset, part_metadata, part_schema, write_batches

__all__ = ["build_index"]

_VERSION: Final = "1"
_NOT_BY_CLIP: Final = frozenset({"sources", "shots", "failures"})
_KEY: Final = "clip_id"
_PREFERRED: Final = "dense"
_DERIVED: Final = ("captions", "caption", "caption_model")
_LATER: Final = ("shard", "tar_offset")  # what a manifest adds


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that has rows by clip: its parts and the columns that all of them have."""

    name: str
    parts: tuple[Part, ...]
    schema: pa.Schema

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
    with run.storage.scratch() as scratch, connect(scratch, memory_bytes) as connection:
        for table in tables:
            paths = [part.path for part in table.parts]
            connection.register(f"t_{table.name}", dataset(run.storage, paths, table.schema))
        schema = _schema(tables)
        batches = _checked(_joined(connection, tables, schema), connection, tables)
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
    schema = part_schema(storage, parts[0].path)
    for part in parts[1:]:
        check_schema(part_schema(storage, part.path), schema, str(storage.local(part.path)))
    return _Table(name, tuple(parts), schema)


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
            struct = pa.struct(table.fields)
        else:
            fields += [field.with_nullable(True) for field in table.fields]
    fields.append(column("captions", pa.list_(struct), doc="all captions, in order of variant"))
    fields.append(column("caption", pa.string(), doc="the first caption that is ok, 'dense' before others"))
    fields.append(column("caption_model", pa.string(), doc="what wrote `caption`"))
    return pa.schema(fields)


def _joined(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[_Table], schema: pa.Schema
) -> Generator[pa.RecordBatch]:
    """Yield the joined rows in order of clip."""
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
    sql = f"select {', '.join(select)} from t_clips {' '.join(joins)} order by t_clips.clip_id"
    for batch in connection.sql(sql).to_arrow_reader(BATCH_ROWS):
        yield batch.rename_columns(schema.names).cast(schema)


def _captions_sql(table: _Table) -> str:
    members = ", ".join(f"{quote(field.name)} := {quote(field.name)}" for field in table.fields)
    return f"""
        select clip_id,
               list(struct_pack({members}) order by variant) as captions,
               arg_min(struct_pack(caption := caption, caption_model := caption_model),
                       case when variant = '{_PREFERRED}' then '0' else '1' || variant end)
                   filter (where caption_ok and caption is not null) as best
        from t_captions group by clip_id
    """


def _checked(
    batches: Generator[pa.RecordBatch], connection: duckdb.DuckDBPyConnection, tables: Sequence[_Table]
) -> Iterator[pa.RecordBatch]:
    """Pass `batches` on; raise when a clip has two rows."""
    last = ""
    for batch in batches:
        ids = batch.column(_KEY)
        if batch.num_rows:
            repeated = ids[0].as_py() == last or pc.any(pc.equal(ids[1:], ids[:-1])).as_py()
            if repeated:
                batches.close()  # frees the connection
                raise IntegrityError(_duplicate(connection, tables))
            last = ids[-1].as_py()
        yield batch


def _duplicate(connection: duckdb.DuckDBPyConnection, tables: Sequence[_Table]) -> str:
    """Say which table has a clip twice."""
    for table in tables:
        if table.name == "captions":
            continue
        found = connection.execute(
            f"select clip_id from {quote(f't_{table.name}')} group by clip_id having count(*) > 1 limit 1"
        ).fetchone()
        if found:
            return (
                f"the table {table.name!r} has the clip {found[0]} twice: parts of an earlier input are in "
                "the way; run `curate gc`"
            )
    return "a clip has two rows in the index"
