"""Bytes of a source by range, wherever it lies: a file, an object, a member of a tar."""

from __future__ import annotations

from curate.records import Source
from curate.sources.entries import LISTED, file_state
from curate.sources.names import local_path
from curate.sources.tars import tar_of
from shards.storage import beside, is_remote

__all__ = ["check_unchanged", "holder", "lies_here", "read_source"]


def holder(source: Source) -> str:
    """Return the URI of the file or object that holds the source."""
    return source.uri if source.offset is None else tar_of(source.uri)


def lies_here(source: Source) -> bool:
    """Say whether the source is a file of this machine that can be opened where it lies."""
    return source.offset is None and not is_remote(source.uri)


def read_source(source: Source, start: int, length: int) -> bytes:
    """Return `length` bytes of the source from `start`; raises OSError, InputError or StorageError."""
    uri = holder(source)
    storage, name = beside(uri if is_remote(uri) else local_path(uri))
    return storage.read(name, (source.offset or 0) + start, length)


def check_unchanged(source: Source) -> bool:
    """Say whether the source still has the size and version that the plan saw; raises as `file_state`."""
    size, version = file_state(holder(source))
    same_size = source.offset is not None or size == source.bytes
    return same_size and (source.version.startswith(LISTED) or version == source.version)
