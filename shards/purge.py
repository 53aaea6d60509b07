"""Taking a source out of a run: its clips, samples, scores and captions, in every table, tar and selection.

Safe to kill at any moment and to run again. First `run.json` says that the source is purged, so no later
pass brings it back. Then, unit by unit, what remains of a tar is copied to a tar of a new name, and the
clips table, which is the commit, is replaced by one that points there; only then do the old tars go. So a
row never points at bytes that are not its own. The other tables follow: they keep the rows of clips that
the clips table still has, which is the same however often it is done. The source's own row stays, with
nothing but its URI, size and the word "purged", so that the run still accounts for it.
Cost: the tars that hold the source's clips are read and written once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import InputError
from shards.gc import pointed_tars
from shards.index import build_index
from shards.packing import missing_tar, pack, unpack
from shards.purge_unit import Target, UnitFiles, names_source, of_source, purge_clips, purge_tables
from shards.run import INDEX, Purged, RunFiles
from shards.selection import shards_of
from shards.storage import Storage
from shards.tables import iter_batches, part_metadata, read_table

__all__ = ["PurgeResult", "purge"]


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What was taken out."""

    source_ids: tuple[str, ...]
    """more than one if the file at a URI has changed between runs"""
    source_uris: tuple[str, ...]
    clips: int
    """rows of clips tables removed now; 0 when all was done before"""
    selections: tuple[str, ...]
    """selections made anew without the source's clips"""
    dropped: tuple[str, ...]
    """selections deleted, because the clips they were packed from are gone and cannot be packed again"""


def purge(run: RunFiles, source: str) -> PurgeResult:
    """Take a source out of the run, everywhere and for good.

    Args:
        run: the run; no job may be writing to it.
        source: a source's URI or id. Copies of the same content go with it, and so does what else was read
            under any of their URIs.

    Raises `InputError` when the run knows no such source.
    """
    storage = run.storage
    units = _units(storage)
    target = _find(run, units, source)
    _record(run, target)
    storage.delete(INDEX)
    storage.delete_tree("report")
    _drop_unlisted_media(run, units)
    affected = [unit for unit in units if names_source(storage, unit, target)]
    removed = sum(purge_clips(storage, unit, target) for unit in affected)
    passes = run.info().passes.values()
    purge_tables(storage, affected, target, [table for current in passes for table in current.tables])
    selections, dropped = _purge_selections(run, affected, target)
    _drop_unlisted_media(run, units)
    if any(unit.fp8 == current.fp8 for unit in units for current in passes):
        build_index(run)
    return PurgeResult(target.source_ids, target.source_uris, removed, selections, dropped)


# -- which source, which units ----------------------------------------------------------------------------


def _units(storage: Storage) -> list[UnitFiles]:
    """Return every committed unit of the split pass, of old fingerprints too."""
    parts = [entry.path.split("/") for entry in storage.list("tables/clips")]
    return [UnitFiles(path[2], path[3].removesuffix(".parquet")) for path in parts if len(path) == 4]


def _find(run: RunFiles, units: Sequence[UnitFiles], source: str) -> Target:
    """Return the source that `source` names, with every URI under which its content was seen."""
    rows = _known_sources(run, units)
    before_now = [item for item in run.info().purged if source in (item.source_id, *item.source_uris)]
    ids: set[str] = {item.source_id for item in before_now if item.source_id}
    uris: set[str] = {uri for item in before_now for uri in item.source_uris}
    uris |= {row["source_uri"] for row in rows if source in (row["source_uri"], row["source_id"])}
    while True:
        before = len(ids) + len(uris)
        for row in rows:
            if row["source_uri"] in uris or row["source_id"] in ids or row["duplicate_of"] in uris:
                uris |= {row["source_uri"]} | ({row["duplicate_of"]} - {None})
                ids |= {row["source_id"]} - {None}
        if len(ids) + len(uris) == before:
            break
    if not uris:
        raise InputError(f"{run.storage.root}: knows no source {source!r}; see its table 'sources'")
    return Target(tuple(sorted(ids)), tuple(sorted(uris)))


def _record(run: RunFiles, target: Target) -> None:
    """Let run.json say that the source must not come back."""
    info = run.info()
    records = [Purged(ident, target.source_uris) for ident in target.source_ids or (None,)]
    others = [item for item in info.purged if not set(item.source_uris) & set(target.source_uris)]
    run.write_info(replace(info, purged=(*others, *records)))


def _known_sources(run: RunFiles, units: Sequence[UnitFiles]) -> list[dict[str, Any]]:
    """Return what the tables and, where these are gone, the selections know of sources."""
    columns = ["source_uri", "source_id", "duplicate_of"]
    rows: list[dict[str, Any]] = []
    for unit in units:
        rows += read_table(run.storage, unit.table("sources"), columns).to_pylist()
    seen: set[tuple[str, str]] = set()
    for name in run.selections():
        for batch in iter_batches(run.storage, run.manifest_path(name), columns[:2]):
            seen.update(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return rows + [
        {"source_uri": uri, "source_id": ident, "duplicate_of": None} for uri, ident in sorted(seen)
    ]


# -- media and selections ---------------------------------------------------------------------------------


def _drop_unlisted_media(run: RunFiles, units: Sequence[UnitFiles]) -> None:
    """Delete tars that no clips table lists: left behind by a process that was killed, or by this one."""
    listed = pointed_tars(run)
    for unit in units:
        listed |= set(json.loads(part_metadata(run.storage, unit.table("clips")).get("files", "{}")))
    for top in ("clips", "samples"):
        for entry in run.storage.list(top):
            if entry.path not in listed:
                run.storage.delete(entry.path)


def _purge_selections(
    run: RunFiles, affected: Sequence[UnitFiles], target: Target
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Make every selection anew that has a clip of the source or points into a tar that was rewritten."""
    storage = run.storage
    places = _places(storage, affected)
    changed, dropped = [], []
    for name in run.selections():
        manifest, folder = run.manifest_path(name), run.selection_folder(name)
        metadata = part_metadata(storage, manifest)
        if "selection" not in metadata:  # what an interrupted packing or purge left there
            for path in shards_of(storage, folder):
                storage.delete(path)
        if not any(_touched(batch, target, places) for batch in iter_batches(storage, manifest)):
            continue
        unpack(run, name, lambda batch: _changed(batch, target, places))
        if "selection" not in metadata:
            changed.append(name)
        elif missing_tar(storage, manifest) is None:
            options = json.loads(metadata["options"])
            pack(run, name, shard_bytes=options["shard_bytes"], shard_clips=options["shard_clips"])
            changed.append(name)
        else:
            storage.delete_tree(folder)
            dropped.append(name)
    return tuple(changed), tuple(dropped)


def _places(storage: Storage, affected: Sequence[UnitFiles]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (fp8, clip) → where its bytes and samples lie now."""
    columns = ["clip_id", "tar", "offset", "samples_tar", "sample_offsets"]
    return {
        (unit.fp8, row["clip_id"]): row
        for unit in affected
        for row in read_table(storage, unit.table("clips"), columns).to_pylist()
    }


def _touched(
    batch: pa.RecordBatch, target: Target, places: Mapping[tuple[str, str], Mapping[str, Any]]
) -> bool:
    return not _changed(batch, target, places).equals(batch)


def _changed(
    batch: pa.RecordBatch, target: Target, places: Mapping[tuple[str, str], Mapping[str, Any]]
) -> pa.RecordBatch:
    """Return a manifest's rows without the source's, the others pointing at where their clips are now."""
    kept = batch.filter(pc.invert(of_source(batch, target)))
    columns = {name: kept.column(name) for name in kept.schema.names}
    moving = {
        name: columns[name].to_pylist() for name in ("tar", "tar_offset", "samples_tar", "sample_offsets")
    }
    for at, clip in enumerate(columns["clip_id"].to_pylist()):
        place = places.get((moving["tar"][at].split("/")[1], clip))
        if place is not None:
            moving["tar"][at], moving["tar_offset"][at] = place["tar"], place["offset"]
            moving["samples_tar"][at] = place["samples_tar"]
            moving["sample_offsets"][at] = place["sample_offsets"]
    for name, values in moving.items():
        columns[name] = pa.array(values, batch.schema.field(name).type)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)
