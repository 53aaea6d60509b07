"""Which clips a SQL condition admits, evaluated so that it can read the clips and nothing else.

A condition is what may follow `where`, with `order by` and `limit` if wished. It is put behind
`select clip_id from clips where`, so nothing of ours stands after it that a comment could swallow. The
statement must parse as that one plain selection; it then runs in a database in memory that can open no file,
load no extension, see no Python variable and change no setting. One thread, so that `limit` and ties in
`order by` pick the same clips every time.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from shards.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow.dataset as pads

__all__ = ["connect", "matching_ids", "names_column", "quote", "widened"]

MEMORY_BYTES: Final = 1 << 30
_FETCH_ROWS: Final = 65536
_LOCKS: Final = (
    "set python_enable_replacements = false",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
_BARE: Final = re.compile(r"\s*(order\s+by|limit)\b", re.IGNORECASE)
_UNKNOWN: Final = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')


@contextmanager
def connect(
    scratch: Path | None = None, memory_bytes: int = MEMORY_BYTES, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a database in memory of at most `memory_bytes`, which spills into `scratch` if given."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_bytes // (1 << 20)}MiB",
        "temp_directory": str(scratch) if scratch else "",
    }
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(":memory:", config=config)
    try:
        connection.execute("set enable_progress_bar = false")  # it would print, over our own
        yield connection
    finally:
        connection.close()


def quote(name: str) -> str:
    """Return `name` as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def widened(schema: pa.Schema) -> pa.Schema:
    """Return the schema in which DuckDB takes these columns from Arrow: floats of 16 bits in 32.

    DuckDB 2.0 reads float16 from Parquet files, but not from Arrow tables and datasets. The cast is exact.
    """
    return pa.schema([field.with_type(_widened(field.type)) for field in schema])


def _widened(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_widened(kind.value_type), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_widened(kind.value_type))
    return kind


def names_column(schema: pa.Schema, where: str, name: str) -> bool:
    """Return whether `where`, a right condition over `schema`, reads the column `name`.

    DuckDB is asked: without the column, would it still understand the condition? A pattern that several
    columns fit, as in `columns('aes.*')`, reads none of them in this sense.
    """
    rest = pa.schema([field for field in schema if field.name != name])
    try:
        matching_ids(rest.empty_table(), where)
    except ConfigError:
        return True
    return False


def matching_ids(clips: pads.Dataset | pa.Table, where: str, memory_bytes: int = MEMORY_BYTES) -> list[str]:
    """Return the `clip_id` of the rows of `clips` that `where` admits, in the order that it asks for.

    Args:
        clips: the columns that the condition may name; also the table `clips` for its sub-queries. The
            schema of a dataset is `widened` already.
        where: a condition, then optionally `order by …` and `limit …`; or the latter alone.
        memory_bytes: what the evaluation may use.

    Raises `ConfigError` in one line for anything but that, with the nearest name for an unknown column.
    """
    sql = f"select clip_id from clips where {'true ' if _BARE.match(where) else ''}{where}"
    with connect(memory_bytes=memory_bytes, threads=1) as connection:
        if isinstance(clips, pa.Table):
            clips = clips.cast(widened(clips.schema))
        connection.register("clips", clips)
        for lock in _LOCKS:
            connection.execute(lock)
        try:
            _check_shape(connection, sql, where)
            connection.execute(sql)
            ids: list[str] = []
            while rows := connection.fetchmany(_FETCH_ROWS):
                ids.extend(row[0] for row in rows)
        except duckdb.Error as exc:
            raise ConfigError(_explain(exc, where, clips.schema.names)) from exc
    return ids


def _check_shape(connection: duckdb.DuckDBPyConnection, sql: str, where: str) -> None:
    """Refuse what is not one plain `select … from clips where … [order by …] [limit …]`."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise ConfigError(f"condition {_short(where)}: one condition is wanted, without ';'")
    found = connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchone()
    tree: dict[str, Any] = json.loads(found[0]) if found else {"error": True}
    node: dict[str, Any] = {} if tree["error"] else tree["statements"][0]["node"]
    plain = node.get("type") == "SELECT_NODE" and not node["group_expressions"] and not node["having"]
    if not plain:
        raise ConfigError(
            f"condition {_short(where)}: only a condition, 'order by' and 'limit' can stand here "
            "(no union, group by or statement of its own)"
        )


def _explain(exc: duckdb.Error, where: str, columns: list[str]) -> str:
    text = str(exc)
    if match := _UNKNOWN.search(text):
        near = difflib.get_close_matches(match.group(1), columns, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(columns)}"
        return f"condition {_short(where)}: no column {match.group(1)!r}; {hint}"
    reason = " ".join(text.partition("\n\nLINE ")[0].partition("\nLINE ")[0].split())
    return f"condition {_short(where)}: {reason}"


def _short(where: str) -> str:
    line = " ".join(where.split())
    return repr(line if len(line) <= 120 else line[:119] + "…")
