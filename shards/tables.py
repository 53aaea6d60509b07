"""Parquet files of a run: the same rows give the same bytes, and every file carries its own seal.

Written with zstd, no times, metadata in order of its keys, row groups of a fixed number of rows. Read with
a check of the columns against what was declared. Tables of one unit are small and travel whole; the index
and manifests travel in batches, so memory does not grow with the data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import IntegrityError
from shards.seal import BLANK, SEAL_KEY, seal
from shards.storage import Storage, is_remote

__all__ = [
    "BATCH_ROWS",
    "Written",
    "check_schema",
    "for_each",
    "iter_batches",
    "part_metadata",
    "part_schema",
    "part_shape",
    "read_parts",
    "read_table",
    "rows_to_table",
    "table_path",
    "write_batches",
    "write_file",
    "write_table",
]

BATCH_ROWS: Final = 8192
REQUESTS: Final = 16
"""to an object store at once"""
T = TypeVar("T")
_OWN_KEYS: Final = frozenset({SEAL_KEY, "ARROW:schema"})


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: how many rows, and the file's seal."""

    rows: int
    seal: str


def table_path(table: str, fp8: str, unit: str) -> str:
    """Return the path of the part that `unit` writes of `table` under the fingerprint `fp8`."""
    return f"tables/{table}/{fp8}/{unit}.parquet"


def rows_to_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema, where: str = "table") -> pa.Table:
    """Return `rows` as a table of exactly `schema`; `where` names the table in messages.

    Raises `IntegrityError` for a column that is missing, undeclared, null where it may not be, or of a
    wrong type. A column that may be null may be left out of a row.
    """
    listed = list(rows)
    names = set(schema.names)
    for row in listed:
        if extra := sorted(set(row) - names):
            raise IntegrityError(f"{where}: a row has the undeclared column {extra[0]!r}; declare it")
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in listed]
        if not field.nullable and any(value is None for value in values):
            raise IntegrityError(f"{where}: column {field.name!r} is missing in a row and may not be null")
        try:
            columns.append(pa.array(values, type=field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as exc:
            raise IntegrityError(f"{where}: column {field.name!r} is not {field.type}: {exc}") from exc
    return pa.Table.from_arrays(columns, schema=schema)


def write_table(storage: Storage, path: str, table: pa.Table, metadata: Mapping[str, str]) -> None:
    """Write `table` to `path`, atomically and sealed, with `metadata` in the file's footer."""
    write_batches(storage, path, table.schema, table.to_batches(), metadata)


def write_batches(
    storage: Storage,
    path: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    metadata: Mapping[str, str],
) -> Written:
    """Write `batches` to `path`, atomically and sealed."""
    with storage.writing(path) as file:
        return write_file(file, schema, batches, metadata)


def write_file(
    file: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch], metadata: Mapping[str, str]
) -> Written:
    """Write `batches` to an empty file open for reading and writing, in row groups of `BATCH_ROWS`, sealed.

    How the rows were divided into batches leaves no trace in the file.
    """
    rows = 0
    plain = schema.remove_metadata()
    with pq.ParquetWriter(pa.PythonFile(file, mode="w"), plain, compression="zstd", version="2.6") as writer:
        for table in _regroup(batches, plain):
            writer.write_table(table, row_group_size=BATCH_ROWS)
            rows += table.num_rows
        ordered = {key: metadata[key] for key in sorted(metadata)}
        writer.add_key_value_metadata({**ordered, SEAL_KEY: BLANK})
    return Written(rows, seal(file))


def part_metadata(storage: Storage, path: str) -> dict[str, str]:
    """Return the metadata that the file at `path` was written with."""
    with _opened(storage, path) as parquet:
        stored = parquet.metadata.metadata or {}
    texts = {key.decode(): value.decode() for key, value in stored.items()}
    return {key: value for key, value in texts.items() if key not in _OWN_KEYS}


def part_schema(storage: Storage, path: str) -> pa.Schema:
    """Return the columns of the file at `path`, with their units."""
    return part_shape(storage, path)[0]


def part_shape(storage: Storage, path: str) -> tuple[pa.Schema, int]:
    """Return the columns of the file at `path`, and how many rows it has."""
    with _opened(storage, path) as parquet:
        return parquet.schema_arrow.remove_metadata(), parquet.metadata.num_rows


def read_table(storage: Storage, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the table at `path`, or some of its columns."""
    with _opened(storage, path) as parquet:
        _check_columns(parquet.schema_arrow, columns, path)
        return parquet.read(columns=None if columns is None else list(columns)).replace_schema_metadata(None)


def read_parts(storage: Storage, paths: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
    """Return the tables at `paths` one after another; `paths` is not empty."""
    return pa.concat_tables(for_each(storage, lambda path: read_table(storage, path, columns), paths))


def for_each(storage: Storage, function: Callable[[str], T], paths: Sequence[str]) -> list[T]:
    """Return what `function` makes of each of `paths`, in order; many at once where a request takes long."""
    if not is_remote(storage.root) or len(paths) < 2:
        return [function(path) for path in paths]
    with ThreadPoolExecutor(min(len(paths), REQUESTS)) as pool:
        return list(pool.map(function, paths))


def iter_batches(
    storage: Storage, path: str, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the table at `path` in order, at most `rows` at a time."""
    with _opened(storage, path) as parquet:
        _check_columns(parquet.schema_arrow, columns, path)
        wanted = None if columns is None else list(columns)
        yield from parquet.iter_batches(batch_size=rows, columns=wanted)


def check_schema(schema: pa.Schema, declared: pa.Schema, path: str) -> None:
    """Raise `IntegrityError` unless the table at `path` has every declared column in its type.

    More columns are welcome.
    """
    for field in declared:
        index = schema.get_field_index(field.name)
        if index < 0:
            raise IntegrityError(
                f"{path}: column {field.name!r} is missing; run the pass that writes it again"
            )
        if schema.field(index).type != field.type:
            raise IntegrityError(
                f"{path}: column {field.name!r} is {schema.field(index).type}, not {field.type}; "
                "run the pass that writes it again"
            )


def _check_columns(schema: pa.Schema, columns: Sequence[str] | None, path: str) -> None:
    """pyarrow leaves out unknown columns without a word."""
    for name in columns or ():
        if schema.get_field_index(name) < 0:
            raise IntegrityError(f"{path}: column {name!r} is missing; run the pass that writes it again")


def _regroup(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of `batches` in tables of `BATCH_ROWS`, the last one shorter; at least one table."""
    pending: list[pa.RecordBatch] = []
    waiting = written = 0
    for batch in batches:
        pending.append(batch)
        waiting += batch.num_rows
        while waiting >= BATCH_ROWS:
            table = pa.Table.from_batches(pending, schema=schema)
            yield table.slice(0, BATCH_ROWS).combine_chunks()
            written += 1
            pending = table.slice(BATCH_ROWS).to_batches()
            waiting -= BATCH_ROWS
    if waiting or not written:
        yield pa.Table.from_batches(pending, schema=schema).combine_chunks()


@contextmanager
def _opened(storage: Storage, path: str) -> Iterator[pq.ParquetFile]:
    with storage.open_read(path) as file:
        try:
            with pq.ParquetFile(file) as parquet:
                yield parquet
        except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
            raise IntegrityError(
                f"{storage.address(path)}: not a readable table ({_line(exc)}); run `curate verify`"
            ) from exc


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200]
