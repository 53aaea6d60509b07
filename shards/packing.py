"""Copying a selection into WebDataset shards of its own.

A sample is `<clip id>.mp4`, `.txt` (the caption) and `.json` (the columns), in order of `clip_id`; being
hashes, these are shuffled already. Each clip's bytes are checked against the table while they are copied.
The same selection and options give the same bytes.

The manifest is the commit. While packing it still points into the clip tars, so a process killed at any
moment leaves a selection that reads well and packs again; the manifest that points into the shards is put
in place last. Samples are uniform, as readers expect: a selection in which no clip has a caption is packed
without `.txt`, and one in which only some have is refused.
Cost: every byte is read once and written once; memory is one clip and two integers a clip.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import InputError, IntegrityError
from shards.run import RunFiles
from shards.samples import SampleWriter, Stats, sample_columns
from shards.selection import UP, selection_id, shards_of
from shards.storage import Storage
from shards.tables import iter_batches, part_metadata, part_schema, write_batches
from shards.tar import FileDigest

__all__ = ["PackResult", "missing_tar", "pack", "unpack"]

_VERSION: Final = 1
_READ_ROWS: Final = 1024

Progress = Callable[[int, int], None]
"""called with the clips packed so far, and all"""


@dataclass(frozen=True, slots=True)
class PackResult:
    """What a selection's folder holds after packing."""

    folder: str
    """path within the run"""
    clips: int
    shards: int
    bytes: int
    """of the shards"""
    packed: bool
    """False when the folder held all that already"""


@dataclass(frozen=True, slots=True)
class _Job:
    """One selection on its way into shards."""

    storage: Storage
    folder: str
    schema: pa.Schema
    clips: int
    captioned: bool

    @property
    def manifest(self) -> str:
        return f"{self.folder}/manifest.parquet"


def pack(
    run: RunFiles,
    name: str,
    *,
    shard_bytes: int = 1 << 30,
    shard_clips: int = 10_000,
    progress: Progress | None = None,
) -> PackResult:
    """Pack the selection `name` into shards of at most `shard_bytes` and `shard_clips`.

    A single sample larger than `shard_bytes` gets a shard of its own. Does nothing when the selection and
    the options are those of the last time and the files are there.

    Raises `InputError` when there is no such selection or only some of its clips have captions,
    `IntegrityError` naming the tar and the clip when bytes are not what the table says.
    """
    storage, folder = run.storage, run.selection_folder(name)
    manifest = run.manifest_path(name)
    if not storage.exists(manifest):
        raise InputError(f"no selection {name!r} in {storage.root}; `curate select` makes one")
    selection = selection_id(storage, manifest)
    if selection is None:
        raise IntegrityError(f"{storage.address(manifest)}: damaged; select {name!r} again")
    metadata = part_metadata(storage, manifest)
    clips, captioned = _counted(storage, manifest)
    options = json.dumps(
        {
            "captioned": captioned > 0,
            "shard_bytes": shard_bytes,
            "shard_clips": shard_clips,
            "version": _VERSION,
        }
    )
    if metadata.get("options") == options and (done := _done(storage, folder, clips, metadata)) is not None:
        return done
    if 0 < captioned < clips:
        raise InputError(
            f"{clips - captioned} of the {clips} clips of selection {name!r} have no caption; select with "
            "`and caption is not null`, or caption them first"
        )
    if missing := missing_tar(storage, manifest):
        raise InputError(
            f"selection {name!r} was made of clips that are gone ({storage.address(missing)}); "
            "select it again"
        )
    schema = part_schema(storage, manifest)
    job = _Job(storage, folder, schema, clips, captioned > 0)
    kept = {"name": metadata["name"], "where": metadata["where"]}
    if "selection" in metadata:
        unpack(run, name)
    for path in shards_of(storage, folder):
        storage.delete(path)
    files, placed, stats = _write_shards(job, shard_bytes, shard_clips, progress)
    files["stats.json"] = _write_stats(job, stats, files)
    stored = json.dumps({key: asdict(value) for key, value in sorted(files.items())})
    packed = kept | {"selection": selection, "options": options, "files": stored}
    write_batches(storage, manifest, schema, _relocated(job, *placed), packed)
    return _result(folder, clips, files, packed=True)


def _done(storage: Storage, folder: str, clips: int, metadata: Mapping[str, str]) -> PackResult | None:
    """Return what is there, if it is whole and nothing else is."""
    files = {key: FileDigest(**value) for key, value in json.loads(metadata["files"]).items()}
    there = {entry.path: entry.bytes for entry in storage.list(folder)}
    expected = {f"{folder}/{key}": value.bytes for key, value in files.items()}
    if {path: there.get(path) for path in shards_of(storage, folder)} != expected:
        return None
    return _result(folder, clips, files, packed=False)


def _result(folder: str, clips: int, files: Mapping[str, FileDigest], *, packed: bool) -> PackResult:
    tars = [digest.bytes for name, digest in files.items() if name.endswith(".tar")]
    return PackResult(folder, clips, len(tars), sum(tars), packed)


def _counted(storage: Storage, manifest: str) -> tuple[int, int]:
    """Return the number of clips, and of those that have a caption."""
    clips = captioned = 0
    for batch in iter_batches(storage, manifest, ["caption"]):
        clips += batch.num_rows
        captioned += batch.num_rows - batch.column(0).null_count
    return clips, captioned


def missing_tar(storage: Storage, manifest: str) -> str | None:
    """Return a clip tar that the manifest's rows come from and that is not there."""
    tars: set[str] = set()
    for batch in iter_batches(storage, manifest, ["tar"]):
        tars.update(batch.column(0).unique().to_pylist())
    return next((tar for tar in sorted(tars) if not storage.exists(tar)), None)


def _write_shards(
    job: _Job, shard_bytes: int, shard_clips: int, progress: Progress | None
) -> tuple[dict[str, FileDigest], tuple[array[int], array[int]], Stats]:
    """Write every shard; return their digests, the shard and the offset of each clip, and statistics."""
    shard_of, offset_of = array("q"), array("q")
    stats = Stats(job.schema)
    with SampleWriter(job.storage, job.folder, shard_bytes, shard_clips) as writer:
        for batch in iter_batches(job.storage, job.manifest, rows=_READ_ROWS):
            stats.add(batch)
            described = batch.select(sample_columns(job.schema))
            for at, row in enumerate(described.to_pylist()):
                source = {key: batch.column(key)[at].as_py() for key in ("tar", "tar_offset")}
                media = _media(job.storage, source["tar"], source["tar_offset"], row)
                shard, offset = writer.add(row["clip_id"], media, row, captioned=job.captioned)
                shard_of.append(shard)
                offset_of.append(offset)
                if progress:
                    progress(len(shard_of), job.clips)
    return writer.files, (shard_of, offset_of), stats


def _media(storage: Storage, tar: str, offset: int, row: Mapping[str, Any]) -> bytes:
    media = storage.read(tar, offset, row["bytes"])
    if hashlib.sha256(media).hexdigest() != row["sha256"]:
        raise IntegrityError(
            f"{storage.address(tar)}: the bytes of clip {row['clip_id']} do not match its table; "
            "run `curate verify`, then the split pass again"
        )
    return media


def _write_stats(job: _Job, stats: Stats, files: Mapping[str, FileDigest]) -> FileDigest:
    shards = {name: asdict(digest) for name, digest in files.items()}
    text = json.dumps(stats.summary() | {"shards": shards}, indent=1, sort_keys=True) + "\n"
    job.storage.write(f"{job.folder}/stats.json", text.encode())
    return FileDigest(len(text.encode()), hashlib.sha256(text.encode()).hexdigest())


def _relocated(job: _Job, shard_of: array[int], offset_of: array[int]) -> Iterator[pa.RecordBatch]:
    """Yield the manifest's rows, pointing into the shards."""
    done = 0
    for batch in iter_batches(job.storage, job.manifest, rows=_READ_ROWS):
        end = done + batch.num_rows
        names = pa.array([f"{shard:05d}.tar" for shard in shard_of[done:end]], pa.string())
        yield _pointed(batch, names, pa.array(offset_of[done:end], pa.int64()))
        done = end


def unpack(
    run: RunFiles, name: str, change: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None
) -> None:
    """Let the manifest of `name` point into the clip tars again, its rows changed by `change`."""
    manifest = run.manifest_path(name)
    metadata = part_metadata(run.storage, manifest)
    kept = {"name": metadata["name"], "where": metadata["where"]}

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in iter_batches(run.storage, manifest):
            changed = change(batch) if change else batch
            shard = pc.binary_join_element_wise(UP, changed.column("tar"), "")
            yield _pointed(changed, shard, changed.column("tar_offset"))

    write_batches(run.storage, manifest, part_schema(run.storage, manifest), batches(), kept)


def _pointed(batch: pa.RecordBatch, shard: pa.Array, offset: pa.Array) -> pa.RecordBatch:
    columns = {**dict(zip(batch.schema.names, batch.columns, strict=True)), "shard": shard, "offset": offset}
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)
