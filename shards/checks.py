"""What is wrong with one file: each check reads it again and yields a problem for everything that disagrees.

A check never raises for what it finds and stops at nothing short of an unreadable file, so one flipped byte
names its file and, where it lies in a clip, the clip. Memory: one member of a tar and the rows handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from shards.errors import ClipError, IntegrityError, StorageError
from shards.samples import MEDIA, sample_json
from shards.seal import check
from shards.storage import Storage, sha256_of
from shards.tables import check_schema, part_schema
from shards.tar import FileDigest, iter_members

__all__ = [
    "Decode",
    "Expected",
    "Problem",
    "check_file",
    "check_members",
    "check_table",
    "check_video",
    "clip_members",
    "packed_members",
    "sample_members",
]

Row = Mapping[str, Any]
Decode = Callable[[bytes], int]
"""returns how many frames a video decodes to; raises ClipError when it does not decode"""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something on disk that is not as it should be."""

    path: str
    clip_id: str | None
    what: str

    def __str__(self) -> str:
        clip = f" (clip {self.clip_id})" if self.clip_id else ""
        return f"{self.path}{clip}: {self.what}"


@dataclass(frozen=True, slots=True)
class Expected:
    """A member that a tar must hold. `check` returns what is wrong with its bytes, or None."""

    name: str
    clip_id: str
    offset: int | None
    size_bytes: int | None
    check: Callable[[bytes], str | None]


def check_table(storage: Storage, path: str, declared: pa.Schema | None = None) -> Iterator[Problem]:
    """Check a Parquet file's seal, and its columns against those declared."""
    try:
        with storage.open_read(path) as file:
            check(file)
        if declared is not None:
            check_schema(part_schema(storage, path), declared, path)
    except (IntegrityError, StorageError) as exc:
        yield Problem(path, None, str(exc))


def check_file(storage: Storage, path: str, digest: FileDigest) -> Iterator[Problem]:
    """Check a whole file's length and hash."""
    try:
        with storage.open_read(path) as file:
            found = sha256_of(file)
            size = file.tell()
    except StorageError as exc:
        yield Problem(path, None, str(exc))
        return
    if size != digest.bytes:
        yield Problem(path, None, f"is {size} bytes long, not {digest.bytes}")
    elif found != digest.sha256:
        yield Problem(path, None, f"its SHA-256 is {found[:12]}…, not {digest.sha256[:12]}…")


def check_members(storage: Storage, path: str, expected: Iterable[Expected]) -> Iterator[Problem]:
    """Check that a tar holds the members `expected`, in this order, and nothing else."""
    wanted = iter(expected)
    try:
        with storage.open_read(path) as file:
            for name, offset, size in iter_members(file):
                item = next(wanted, None)
                if item is None or item.name != name:
                    should = f"{item.name!r} should be" if item else "nothing should follow"
                    yield Problem(path, item.clip_id if item else None, f"holds {name!r} where {should}")
                    return
                if item.offset not in (None, offset) or item.size_bytes not in (None, size):
                    yield Problem(path, item.clip_id, f"{name!r} lies elsewhere than its row says")
                    continue
                file.seek(offset)
                wrong = item.check(file.read(size))
                if wrong:
                    yield Problem(path, item.clip_id, f"{name!r}: {wrong}")
    except (IntegrityError, StorageError) as exc:
        yield Problem(path, None, str(exc))
        return
    if (item := next(wanted, None)) is not None:
        yield Problem(path, item.clip_id, f"lacks {item.name!r}")


def clip_members(rows: Iterable[Row], decode: Decode | None) -> Iterator[Expected]:
    """Yield what a clip tar holds by `rows` of the clips table in order of offset."""
    for row in rows:
        name = f"{row['clip_id']}.{MEDIA}"
        yield Expected(name, row["clip_id"], row["offset"], row["bytes"], _video_check(row, decode))


def sample_members(rows: Iterable[Row]) -> Iterator[Expected]:
    """Yield what a samples tar holds by `rows` of the clips table in order of offset."""
    for row in rows:
        hasher = hashlib.sha256()
        last = len(row["sample_bytes"]) - 1
        for number, (offset, size) in enumerate(zip(row["sample_offsets"], row["sample_bytes"], strict=True)):
            name = f"{row['clip_id']}.s{number:03d}.jpg"
            digest = row["samples_sha256"] if number == last else None
            yield Expected(name, row["clip_id"], offset, size, _sample_check(hasher, digest))


def packed_members(
    rows: Iterable[Row], columns: Iterable[str], *, captioned: bool, decode: Decode | None
) -> Iterator[Expected]:
    """Yield what a packed shard holds by the rows of its manifest, in order."""
    told = tuple(columns)
    for row in rows:
        clip = row["clip_id"]
        yield Expected(f"{clip}.json", clip, None, None, _same(sample_json({key: row[key] for key in told})))
        yield Expected(f"{clip}.{MEDIA}", clip, row["offset"], row["bytes"], _video_check(row, decode))
        if captioned:
            yield Expected(f"{clip}.txt", clip, None, None, _same(str(row["caption"]).encode()))


def check_video(row: Row, media: bytes, decode: Decode | None) -> str | None:
    """Return what is wrong with a clip's bytes: their hash, or how many frames they decode to."""
    if hashlib.sha256(media).hexdigest() != row["sha256"]:
        return "its bytes do not match their SHA-256"
    if decode is None:
        return None
    try:
        frames = decode(media)
    except ClipError as exc:
        return f"does not decode: {exc}"
    return None if frames == row["frames"] else f"decodes to {frames} frames, not {row['frames']}"


def _video_check(row: Row, decode: Decode | None) -> Callable[[bytes], str | None]:
    return lambda media: check_video(row, media, decode)


def _sample_check(hasher: hashlib._Hash, digest: str | None) -> Callable[[bytes], str | None]:
    def checked(jpeg: bytes) -> str | None:
        hasher.update(jpeg)
        wrong = digest is not None and hasher.hexdigest() != digest
        return "the clip's samples do not match their SHA-256" if wrong else None

    return checked


def _same(expected: bytes) -> Callable[[bytes], str | None]:
    return lambda data: None if data == expected else "is not what the manifest's row says"
