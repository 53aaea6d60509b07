"""What purging does within a unit: its tars and clips table, then the tables that hang on these.

See `shards.purge` for the order and why it is safe to be killed in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shards.run import PURGED, RunFiles
from shards.samples import MEDIA
from shards.storage import Storage
from shards.tables import part_metadata, read_table, table_path, write_table
from shards.tar import FileDigest, TarWriter

__all__ = ["Target", "UnitFiles", "names_source", "of_source", "purge_clips", "purge_tables"]

_KEPT_OF_A_SOURCE: Final = frozenset({"source_uri", "source_id", "bytes", "error"})


@dataclass(frozen=True, slots=True)
class UnitFiles:
    """What one unit wrote under one fingerprint of the split pass."""

    fp8: str
    unit: str

    def table(self, name: str) -> str:
        """Return the path of the unit's part of the table `name`."""
        return table_path(name, self.fp8, self.unit)


@dataclass(frozen=True, slots=True)
class Target:
    """What is purged: every URI that the source had, and every content that these had."""

    source_ids: tuple[str, ...]
    source_uris: tuple[str, ...]


def names_source(storage: Storage, unit: UnitFiles, target: Target) -> bool:
    """Say whether the source is one of the unit's."""
    table = read_table(storage, unit.table("sources"), ["source_uri"])
    return bool(pc.any(pc.is_in(table["source_uri"], pa.array(target.source_uris))).as_py())


def of_source(rows: pa.Table | pa.RecordBatch, target: Target) -> pa.Array | pa.ChunkedArray:
    """Return which rows of a table are of the source, by whichever of its names the table has."""
    names = rows.schema.names
    mine = pa.array([False] * rows.num_rows, pa.bool_())
    if "source_uri" in names:
        mine = pc.is_in(rows["source_uri"], pa.array(target.source_uris))
    if "source_id" in names:
        mine = pc.or_(mine, pc.is_in(rows["source_id"], pa.array(target.source_ids, pa.string())))
    return mine


def purge_clips(storage: Storage, unit: UnitFiles, target: Target) -> int:
    """Rewrite the unit's tars and its clips table without the source; return the clips removed."""
    table = read_table(storage, unit.table("clips"))
    mine = of_source(table, target)
    gone = int(pc.sum(mine).as_py() or 0)
    if not gone:
        return 0
    metadata = part_metadata(storage, unit.table("clips"))
    files = {path: FileDigest(**digest) for path, digest in json.loads(metadata["files"]).items()}
    touched = table.filter(mine)
    rows = table.filter(pc.invert(mine)).to_pylist()
    for column in ("tar", "samples_tar"):
        for tar in sorted(set(touched[column].to_pylist())):
            staying = [row for row in rows if row[column] == tar]
            del files[tar]
            if staying:
                path = _free_name(storage, tar, unit)
                files[path] = _rewrite(storage, path, staying, column)
    kept = pa.Table.from_pylist(rows, schema=table.schema)
    failed = _failed(storage, RunFiles.failures_path(unit.fp8, metadata["pass"], unit.unit), target)
    counts = {"clips_in": str(kept.num_rows + failed), "failed": str(failed), "not_admitted": "0"}
    listed = json.dumps({path: asdict(files[path]) for path in sorted(files)})
    write_table(storage, unit.table("clips"), kept, metadata | counts | {"files": listed})
    return gone


def _free_name(storage: Storage, tar: str, unit: UnitFiles) -> str:
    """Return a path beside `tar` that no file has: the unit's name and the next number."""
    folder = tar.rpartition("/")[0]
    taken = {entry.path for entry in storage.list(folder)}
    number = 1
    while (path := f"{folder}/{unit.unit}-{number}.tar") in taken:
        number += 1
    return path


def _rewrite(storage: Storage, path: str, rows: Sequence[dict[str, Any]], column: str) -> FileDigest:
    """Copy the members of `rows` to a new tar at `path`, and change the rows to point there.

    Bytes go over as they are, since damage to a neighbour must not stand in the way of a purge; the rows keep
    their hashes, so `verify` finds it as before.
    """
    clips = column == "tar"
    with storage.writing(path) as file:
        tar = TarWriter(file)
        for row in sorted(rows, key=lambda row: row["offset" if clips else "sample_offsets"]):
            spans = [(row["offset"], row["bytes"])]
            if not clips:
                spans = list(zip(row["sample_offsets"], row["sample_bytes"], strict=True))
            parts = [storage.read(row[column], *span) for span in spans]
            if clips:
                row["offset"] = tar.add(f"{row['clip_id']}.{MEDIA}", parts[0])
            else:
                names = [f"{row['clip_id']}.s{number:03d}.jpg" for number in range(len(parts))]
                row["sample_offsets"] = [tar.add(name, data) for name, data in zip(names, parts, strict=True)]
            row[column] = path
        return tar.close()


def _failed(storage: Storage, path: str, target: Target) -> int:
    """Return how many clips of other sources the failures table at `path` has."""
    if not storage.exists(path):
        return 0
    table = read_table(storage, path)
    return len(_without(table, target)["clip_id"].drop_null())


def purge_tables(
    storage: Storage, affected: Sequence[UnitFiles], target: Target, order: Sequence[str]
) -> None:
    """Bring every other part of the affected units in line with their clips tables.

    `order` names the tables of the run's passes in the order in which these run: a part that is older than
    what it was made from would be looked at again by the next run.
    """
    present: dict[str, set[str]] = {}
    for unit in affected:
        ids = read_table(storage, unit.table("clips"), ["clip_id"])["clip_id"].to_pylist()
        present.setdefault(unit.unit, set()).update(ids)
    parts = [entry.path.split("/") for entry in storage.list("tables")]
    by_table: dict[str, list[str]] = {}
    for _, table, fp8, name in (path for path in parts if len(path) == 4):
        by_table.setdefault(table, []).append(f"tables/{table}/{fp8}/{name}")
    for path in by_table.pop("failures", []) + by_table.pop("shots", []):
        _rewrite_part(storage, path, lambda rows: _without(rows, target))
    for path in by_table.pop("sources", []):
        _rewrite_part(storage, path, lambda rows: _marked(rows, target))
    by_table.pop("clips", None)
    for table in sorted(
        by_table, key=lambda name: (name in order, order.index(name) if name in order else 0)
    ):
        for path in by_table[table]:
            unit_name = path.rpartition("/")[2].removesuffix(".parquet")
            if unit_name in present:
                _purge_part(storage, path, present[unit_name])


def _without(rows: pa.Table, target: Target) -> pa.Table:
    return rows.filter(pc.invert(of_source(rows, target)))


def _rewrite_part(storage: Storage, path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    before = read_table(storage, path)
    after = change(before)
    if not after.equals(before):
        write_table(storage, path, after, part_metadata(storage, path))


def _marked(rows: pa.Table, target: Target) -> pa.Table:
    """Return the sources with nothing of the purged one but what it is called and how large it was."""
    mine = of_source(rows, target)
    columns = []
    for field in rows.schema:
        column = rows[field.name]
        if field.name == "error":
            column = pc.if_else(mine, PURGED, column)
        elif field.name not in _KEPT_OF_A_SOURCE:
            column = pc.if_else(mine, pa.scalar(None, field.type), column)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _purge_part(storage: Storage, path: str, present: set[str]) -> None:
    """Keep the rows of the clips that are `present`, and account for the others no more."""
    before = read_table(storage, path)
    metadata = part_metadata(storage, path)
    after = before.filter(pc.is_in(before["clip_id"], pa.array(sorted(present), pa.string())))
    counts: Mapping[str, str] = {}
    if "clips_in" in metadata:  # the commit of a later pass
        _, _, fp8, name = path.split("/")
        failures = RunFiles.failures_path(fp8, metadata["pass"], name.removesuffix(".parquet"))
        failed = read_table(storage, failures).num_rows if storage.exists(failures) else 0
        left = len(present) - len(after["clip_id"].unique()) - failed
        counts = {"clips_in": str(len(present)), "failed": str(failed), "not_admitted": str(left)}
    if after.num_rows != before.num_rows or metadata != {**metadata, **counts}:
        write_table(storage, path, after, {**metadata, **counts})
