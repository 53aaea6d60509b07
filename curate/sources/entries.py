"""One source as an input names it, before it is known to be there: and how it is looked up.

A local file's URI is its absolute path. A name that is not valid UTF-8 cannot stand in a table, so it becomes
a percent-encoded `file://` URI. A member of a tar is `<tar>#<member>`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from curate.records import Source
from curate.sources.names import local_path
from shards.errors import CurateError, InputError, StorageError
from shards.storage import beside, is_remote

__all__ = ["LISTED", "UNREADABLE", "Entry", "file_state", "local_entry", "resolve"]

UNREADABLE = "unreadable"
LISTED = "listed:"
"""begins a version that a list gave: it cannot be compared with what the store says later"""
_LOOKUPS = 64
_BATCHES = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """What an input says of a source; without `bytes` and `version` it has still to be looked up."""

    uri: str
    bytes: int | None = None
    version: str = ""
    offset: int | None = None
    carried: tuple[object, ...] = ()


def local_entry(path: str, carried: tuple[object, ...] = ()) -> Entry:
    """Return the entry of a local file, looked up at once."""
    try:
        size, version = file_state(path)
    except OSError:
        size, version = 0, UNREADABLE
    try:
        path.encode("utf-8")
        uri = path
    except UnicodeEncodeError:
        uri = Path(path).as_uri()
    return Entry(uri, size, version, None, carried)


def file_state(uri: str) -> tuple[int, str]:
    """Return size and version of a file or object: what must not change while it is read.

    Raises OSError for a file, InputError or StorageError for an object; FileNotFoundError for both.
    """
    if not is_remote(uri):
        stat = os.stat(local_path(uri))
        return stat.st_size, str(stat.st_mtime_ns)
    storage, name = beside(uri)
    found = storage.entry(name)
    if found is None:
        raise FileNotFoundError(2, "no such object", uri)
    return found.bytes, str(found.mtime_ns)


def resolve(entries: Iterable[Entry]) -> Iterator[Source]:
    """Yield the source of each entry, in order; objects without a size are looked up, many at once.

    What is not there, or may not be read, is a source that will fail: not an error of the run. But where a
    whole batch is refused or gets no answer, that is raised: InputError, StorageError.
    """
    waiting: list[Entry] = []
    batch = _LOOKUPS  # small at first: what is wrong with the credentials or the store is wrong with all
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        for entry in entries:
            if entry.bytes is not None and not waiting:
                yield _source(entry)
                continue
            waiting.append(entry)
            if len(waiting) >= batch:
                yield from _look_up_all(waiting, pool)
                waiting, batch = [], _LOOKUPS * _BATCHES
        yield from _look_up_all(waiting, pool)


def _look_up_all(entries: Sequence[Entry], pool: ThreadPoolExecutor) -> Iterator[Source]:
    found = list(pool.map(_look_up, entries))
    refused = [state for state in found if isinstance(state, CurateError)]
    if refused and len(refused) == sum(entry.bytes is None for entry in entries):
        raise refused[0]
    for entry, state in zip(entries, found, strict=True):
        size, version = (0, UNREADABLE) if isinstance(state, CurateError) else state
        yield Source(entry.uri, size, version, None, entry.offset, entry.carried)


def _look_up(entry: Entry) -> tuple[int, str] | CurateError:
    """Return size and version, or why the store did not say."""
    if entry.bytes is not None:
        return entry.bytes, entry.version
    try:
        return file_state(entry.uri)
    except FileNotFoundError:
        return 0, UNREADABLE
    except (InputError, StorageError) as exc:
        return exc


def _source(entry: Entry) -> Source:
    return Source(entry.uri, entry.bytes or 0, entry.version, None, entry.offset, entry.carried)
