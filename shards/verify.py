"""Reading a run, or a folder of packed shards, again from the first byte to the last.

Checked are: the seal of every current table, index and manifest; the hash of every tar, of every clip and
of every clip's samples; that tars hold what the rows say and nothing else; that ids are what they are made
of; that every pass accounts for every clip; that clips decode to their frames; that each caption belongs to
its clip, and that no captioner said the same of too many. Cost: everything is read, clips are decoded once;
memory is the rows of one unit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from shards.caption_spikes import passes_with_limits, run_spikes
from shards.check_captions import caption_faults
from shards.checks import (
    Decode,
    Problem,
    Row,
    check_file,
    check_members,
    check_table,
    check_video,
    clip_members,
    packed_members,
    sample_members,
)
from shards.errors import InputError, IntegrityError, StorageError
from shards.ids import clip_id
from shards.run import INDEX, NO_CLIP, PURGED, RUN_JSON, Part, RunFiles, RunInfo
from shards.samples import sample_columns
from shards.schemas import CAPTIONS, CLIPS, FAILURES, SHOTS, SOURCES
from shards.selection import UP
from shards.storage import Storage, beside, open_storage
from shards.tables import iter_batches, part_metadata, part_schema, read_table, table_path
from shards.tar import FileDigest

__all__ = ["verify"]

Progress = Callable[[int, int], None]
"""called with the units and selections checked so far, and all"""

_SCHEMAS: Final = {"sources": SOURCES, "shots": SHOTS, "clips": CLIPS, "captions": CAPTIONS}
_ROWS: Final = 1024


def verify(
    path: str, *, decode: Decode | None = None, progress: Progress | None = None, workers: int = 1
) -> list[Problem]:
    """Return everything that is wrong with the run or the packed shards at `path`; paths are relative to it.

    Args:
        path: folder of a run, or of a selection.
        decode: counts the frames of a video (from several threads when `workers` > 1); None: not checked.
        progress: called after each unit and selection.
        workers: threads.

    Raises `InputError` when `path` is neither.
    """
    storage = open_storage(path)
    if storage.exists(RUN_JSON):
        problems, jobs = _run_jobs(RunFiles(storage), decode)
    elif storage.exists("manifest.parquet"):
        problems, jobs = [], [partial(_selection, storage, "", decode)]
    else:
        raise InputError(
            f"{str(path)!r} holds neither {RUN_JSON} nor manifest.parquet; name a run or a selection"
        )
    with ThreadPoolExecutor(workers) as pool:
        for done, found in enumerate(pool.map(lambda job: list(job()), jobs), 1):
            problems += found
            if progress:
                progress(done, len(jobs))
    return problems


def _run_jobs(
    run: RunFiles, decode: Decode | None
) -> tuple[list[Problem], list[Callable[[], Iterable[Problem]]]]:
    """Return what is wrong with the run as a whole, and what is to be checked unit by unit."""
    try:
        info = run.info()
    except IntegrityError as exc:
        return [Problem(RUN_JSON, None, str(exc))], []
    problems = []
    if info.to_json() != run.storage.read(RUN_JSON):
        problems.append(Problem(RUN_JSON, None, "its text does not match its own digest"))
    jobs: list[Callable[[], Iterable[Problem]]] = []
    by_unit: dict[str, dict[str, Part]] = {}
    for name, current in info.passes.items():
        for table in current.tables:
            for part in run.parts(info, table):
                by_unit.setdefault(part.unit, {})[table] = part
        for part in run.failures(info, name):
            by_unit.setdefault(part.unit, {})[f"failures of {name}"] = part
    jobs += [partial(_unit, run.storage, info, by_unit[unit], decode) for unit in sorted(by_unit)]
    if run.storage.exists(INDEX):
        jobs.append(partial(check_table, run.storage, INDEX))
    jobs += [partial(_spikes, run, info, name) for name in passes_with_limits(info)]
    # The clips of selections are those of the units, byte for byte: they need no decoding again.
    jobs += [partial(_selection, run.storage, f"shards/{name}", None) for name in run.selections()]
    return problems, jobs


def _spikes(run: RunFiles, info: RunInfo, name: str) -> Iterator[Problem]:
    """Check that a captioner did not say the same of too many clips."""
    folder = f"tables/captions/{info.passes[name].fp8}"
    try:
        for spike in run_spikes(run, info, name):
            yield Problem(folder, None, str(spike))
    except IntegrityError:
        pass  # a damaged part has been named already


# -- one unit ---------------------------------------------------------------------------------------------


def _unit(
    storage: Storage, info: RunInfo, parts: Mapping[str, Part], decode: Decode | None
) -> Iterator[Problem]:
    """Check what every pass wrote of one unit."""
    sound = {}
    for table, part in parts.items():
        declared = FAILURES if table.startswith("failures of ") else _SCHEMAS.get(table)
        found = list(check_table(storage, part.path, declared))
        yield from found
        if not found:
            sound[table] = part
    for current in info.passes.values():
        if (commit := parts.get(current.tables[-1])) is not None:
            for table in current.tables:
                if table not in parts:
                    yield Problem(table_path(table, current.fp8, commit.unit), None, "is missing")
    if "clips" not in parts:
        commit = next(iter(parts.values()))
        yield Problem(commit.path, None, "no clips have been committed for its unit")
    if "clips" not in sound:
        return
    clips = read_table(storage, sound["clips"].path).to_pylist()
    yield from _tars(storage, sound["clips"], clips, decode)
    yield from _ids(sound["clips"].path, clips)
    purged = {item.source_id for item in info.purged}
    for row in clips:
        if row["source_id"] in purged:
            yield Problem(
                sound["clips"].path, row["clip_id"], "its source was purged; run `curate purge` again"
            )
    by_id = {row["clip_id"]: row for row in clips}
    for name, current in info.passes.items():
        commit_table = current.tables[-1]
        if commit_table not in sound:
            continue
        failures = sound.get(f"failures of {name}")
        if failures is None and f"failures of {name}" in parts:
            continue
        yield from _account(storage, sound[commit_table], failures, len(clips))
        for table in current.tables:
            if table in sound and table not in ("clips", "sources", "shots"):
                complete = commit_table == "clips"
                yield from _rows_of_clips(storage, sound[table], by_id, complete=complete)
    if "sources" in sound:
        failures = sound.get(f"failures of {_pass_of(info, 'clips')}")
        yield from _sources(storage, sound["sources"], sound["clips"], clips, failures)


def _tars(storage: Storage, part: Part, clips: Sequence[Row], decode: Decode | None) -> Iterator[Problem]:
    files = _files(part_metadata(storage, part.path))
    for column, members in (("tar", partial(clip_members, decode=decode)), ("samples_tar", sample_members)):
        order = "offset" if column == "tar" else "sample_offsets"
        rows = sorted(clips, key=lambda row: (row[column], row[order]))
        for tar, group in groupby(rows, key=lambda row: row[column]):
            if tar not in files:
                yield Problem(part.path, None, f"its metadata does not list {tar!r}")
            else:
                yield from check_file(storage, tar, files.pop(tar))
            yield from check_members(storage, tar, members(group))
    for tar, digest in files.items():
        yield from check_file(storage, tar, digest)
        yield from check_members(storage, tar, ())


def _files(metadata: Mapping[str, str]) -> dict[str, FileDigest]:
    listed = json.loads(metadata.get("files", "{}"))
    return {path: FileDigest(item["bytes"], item["sha256"]) for path, item in listed.items()}


def _ids(path: str, clips: Sequence[Row]) -> Iterator[Problem]:
    for ident, times in Counter(row["clip_id"] for row in clips).items():
        if times > 1:
            yield Problem(path, ident, f"has {times} rows")
    for row in clips:
        wanted = clip_id(row["source_id"], row["stream"], row["start_pts"], row["end_pts"])
        if wanted != row["clip_id"]:
            yield Problem(path, row["clip_id"], f"its source and span make the id {wanted}")


def _account(storage: Storage, part: Part, failures: Part | None, clips: int) -> Iterator[Problem]:
    """Check that clips in = rows out + failures + not admitted."""
    metadata = part_metadata(storage, part.path)
    try:
        came, failed, left = (int(metadata[key]) for key in ("clips_in", "failed", "not_admitted"))
    except (KeyError, ValueError):
        yield Problem(
            part.path, None, "its metadata does not say how many clips came in and what became of them"
        )
        return
    out = len(read_table(storage, part.path, ["clip_id"])["clip_id"].unique())
    if came != out + failed + left:
        yield Problem(
            part.path, None, f"{came} clips in, but {out} rows, {failed} failures and {left} not admitted"
        )
    rows = (
        read_table(storage, failures.path, ["clip_id"])["clip_id"] if failures else pa.chunked_array([[None]])
    )
    told = len(rows) - rows.null_count
    if told != failed:
        yield Problem(part.path, None, f"{failed} clips failed, but the failures table has {told}")
    if part.table != "clips" and came != clips:
        yield Problem(part.path, None, f"{came} clips in, but the unit has {clips}")


def _rows_of_clips(
    storage: Storage, part: Part, clips: Mapping[str, Row], *, complete: bool
) -> Iterator[Problem]:
    """Check that the rows of a table are of clips of the unit, and captions of the samples of theirs."""
    table = read_table(storage, part.path)
    if "clip_id" not in table.column_names:
        return
    captions = part.table == "captions"
    seen = set()
    keys = table.column_names if captions else ["clip_id"]
    for row in table.select(keys).to_pylist():
        ident = row["clip_id"]
        key = (ident, row["variant"] if captions else None)
        if ident not in clips:
            yield Problem(part.path, ident, "there is no such clip")
        elif captions:
            for fault in caption_faults(row, clips[ident]):
                yield Problem(part.path, ident, fault)
        if key in seen:
            yield Problem(part.path, ident, "has two rows")
        seen.add(key)
    if complete:
        for ident in sorted(set(clips) - {key[0] for key in seen}):
            yield Problem(part.path, ident, "has no row")


def _sources(
    storage: Storage, part: Part, clips_part: Part, clips: Sequence[Row], failures: Part | None
) -> Iterator[Problem]:
    """Check that clips have their sources, and sources with an error their failure."""
    sources = read_table(storage, part.path, ["source_uri", "source_id", "error"]).to_pylist()
    known = {(row["source_uri"], row["source_id"]) for row in sources}
    for row in clips:
        if (row["source_uri"], row["source_id"]) not in known:
            yield Problem(clips_part.path, row["clip_id"], f"its source is not in {part.path}")
    told = read_table(storage, failures.path, ["source_uri"])["source_uri"].to_pylist() if failures else []
    for row in sources:
        failed = row["error"] not in (None, PURGED) and not row["error"].startswith(NO_CLIP)
        if failed and row["source_uri"] not in told:
            what = f"the source {row['source_uri']!r} has an error, but the failures table does not tell it"
            yield Problem(part.path, None, what)


def _pass_of(info: RunInfo, table: str) -> str:
    return next(name for name, current in info.passes.items() if table in current.tables)


# -- one selection ----------------------------------------------------------------------------------------


def _selection(storage: Storage, folder: str, decode: Decode | None) -> Iterator[Problem]:
    """Check a manifest and every byte that it points to."""
    prefix = f"{folder}/" if folder else ""
    manifest = f"{prefix}manifest.parquet"
    found = list(check_table(storage, manifest))
    yield from found
    if found:
        return
    metadata = part_metadata(storage, manifest)
    rows = _manifest_rows(storage, manifest)
    if "selection" not in metadata:
        yield from _pointed(storage, manifest, rows, decode)
        return
    files = _files(metadata)
    for name, digest in files.items():
        yield from check_file(storage, prefix + name, digest)
    columns = sample_columns(part_schema(storage, manifest))
    captioned = json.loads(metadata["options"])["captioned"]
    for shard, group in groupby(rows, key=lambda row: row["shard"]):
        members = packed_members(group, columns, captioned=captioned, decode=decode)
        yield from check_members(storage, prefix + shard, members)
    for entry in storage.list(folder):
        if entry.path.endswith(".tar") and entry.path.removeprefix(prefix) not in files:
            yield Problem(entry.path, None, "the manifest does not know this shard")
    for row in _manifest_rows(storage, manifest):
        yield from _belonging(manifest, row)


def _manifest_rows(storage: Storage, manifest: str) -> Iterator[dict[str, Any]]:
    for batch in iter_batches(storage, manifest, rows=_ROWS):
        yield from batch.to_pylist()


def _pointed(
    storage: Storage, manifest: str, rows: Iterable[Row], decode: Decode | None
) -> Iterator[Problem]:
    """Check the clips that an unpacked manifest points to, wherever they lie."""
    for row in rows:
        other, name = beside(storage.address(manifest), row["shard"])
        shown = row["shard"].removeprefix(UP)
        try:
            wrong = check_video(row, other.read(name, row["offset"], row["bytes"]), decode)
        except StorageError as exc:
            wrong = str(exc)
        if wrong:
            yield Problem(shown, row["clip_id"], f"{wrong} (as {manifest} has it)")
        yield from _belonging(manifest, row)


def _belonging(manifest: str, row: Row) -> Iterator[Problem]:
    for said in row["captions"] or ():
        for fault in caption_faults(said, row):
            yield Problem(manifest, row["clip_id"], fault)
