"""Every byte of a run goes through here: reading, atomic writing, listing and deleting under one root.

Invariant: a path inside a run is a relative POSIX string, and a file that `list` shows is whole. The root is
a local folder or a prefix of an object store; what is being made lies in `scratch`, on a local disk, until
one rename or one put makes it part of the run.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

import pyarrow.fs as pafs

__all__ = [
    "CHUNK_BYTES",
    "Entry",
    "Storage",
    "at_hand",
    "beside",
    "fetch",
    "is_http",
    "is_remote",
    "open_storage",
    "sha256_of",
]

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file as a listing shows it."""

    path: str
    bytes: int
    mtime_ns: int


class Storage(ABC):
    """The files under one root. Cheap to make, safe to send to other processes and to use from threads.

    Raises StorageError when the disk or the store fails, InputError when it refuses: a path that leaves the
    root, a bucket that is not there, access denied.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.root!r})"

    @abstractmethod
    def create(self) -> Storage:
        """Make the root if need be and check that it can be written; return self."""

    @abstractmethod
    def address(self, path: str) -> str:
        """Return the path or URI by which a user knows `path`."""

    @abstractmethod
    def name(self, path: str) -> str:
        """Return what `path` is called in `filesystem()`."""

    @abstractmethod
    def filesystem(self) -> pafs.FileSystem:
        """Return the pyarrow file system in which the files lie."""

    @abstractmethod
    def sub(self, path: str) -> Storage:
        """Return the storage whose root is the folder `path`."""

    # -- reading ------------------------------------------------------------------------------------------

    @abstractmethod
    def open_read(self, path: str) -> BinaryIO:
        """Open `path` for reading; seekable."""

    @abstractmethod
    def read(self, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        """Return the bytes of `path`, or `length` of them from `offset`.

        Raises `StorageError` when the file ends before.
        """

    def exists(self, path: str) -> bool:
        """Say whether there is a file at `path`."""
        return self.entry(path) is not None

    @abstractmethod
    def entry(self, path: str) -> Entry | None:
        """Return the entry of the file at `path`, or None."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yield every file below the folder `prefix`, sorted by path; scratch files are left out."""

    # -- writing ------------------------------------------------------------------------------------------

    @abstractmethod
    def scratch(self) -> AbstractContextManager[Path]:
        """Yield a fresh local folder; it is removed on leaving."""

    @abstractmethod
    def sweep(self) -> tuple[str, ...]:
        """Remove scratch folders whose process on this host has died; return their names."""

    @abstractmethod
    def put(self, source: str | os.PathLike[str], path: str) -> None:
        """Make the local file `source` (from `scratch`) the file `path`, atomically; `source` may be gone."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Write `data` to `path`, atomically."""

    @abstractmethod
    def writing(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Yield a seekable file (read and write) that becomes `path` on leaving, unless by an exception."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete the file at `path`; no error if there is none."""

    @abstractmethod
    def delete_tree(self, path: str) -> None:
        """Delete the folder `path` and all in it; no error if there is none."""

    @abstractmethod
    def prune(self, path: str) -> None:
        """Remove the empty folders below `path`, and `path` itself if it is empty."""


def is_remote(uri: str | os.PathLike[str]) -> bool:
    """Say whether `uri` names something in an object store."""
    return os.fspath(uri).startswith(("s3://", "gs://"))


def is_http(uri: str | os.PathLike[str]) -> bool:
    """Say whether `uri` names something behind an HTTP server, which can only be read."""
    return os.fspath(uri).startswith(("http://", "https://"))


def open_storage(root: str | os.PathLike[str]) -> Storage:
    """Return the storage at `root`: a local path, `s3://bucket/prefix` or `gs://bucket/prefix`.

    `http://` and `https://` too, to read from.
    """
    if is_http(root):
        from shards.http_storage import HttpStorage

        return HttpStorage(os.fspath(root))
    if is_remote(root):
        from shards.object_storage import ObjectStorage

        return ObjectStorage(os.fspath(root))
    from shards.local_storage import LocalStorage

    text = os.fspath(root)
    return LocalStorage(unquote(urlsplit(text).path) if text.startswith("file://") else text)


def beside(path: str | os.PathLike[str], relative: str = "") -> tuple[Storage, str]:
    """Return the storage and name of the file `path`, or of `relative` as seen from the folder of `path`.

    `relative` may itself be a URI or an absolute path.
    """
    text = os.fspath(path)
    if is_http(relative) or (is_http(text) and not is_remote(relative)):
        from shards.http_storage import split_address

        folder, name = split_address(urljoin(text, relative) if relative else text)
        return open_storage(folder), name
    if is_remote(relative) or (is_remote(text) and not os.path.isabs(relative)):
        whole = relative if is_remote(relative) else text
        scheme, _, rest = whole.partition("://")
        if not is_remote(relative) and relative:
            rest = posixpath.normpath(posixpath.join(posixpath.dirname(rest), relative))
        folder, name = posixpath.split(rest)
        return open_storage(f"{scheme}://{folder}"), name
    full = os.path.normpath(Path(text).parent / relative) if relative else text
    folder, name = os.path.split(full)
    return open_storage(folder or "."), name


def fetch(storage: Storage, path: str, target: Path) -> None:
    """Copy the file `path` to the local file `target`."""
    with storage.open_read(path) as source, target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            file.write(chunk)


def at_hand(storage: Storage, path: str, scratch: Path) -> tuple[Storage, str]:
    """Return where `path` can be opened by name: where it lies, or a copy in the local folder `scratch`."""
    if not is_remote(storage.root):
        return storage, path
    fetch(storage, path, scratch / "at-hand")
    return open_storage(scratch), "at-hand"


def sha256_of(file: BinaryIO, hasher: hashlib._Hash | None = None) -> str:
    """Return the SHA-256 of `file` from where it stands to its end, as hex, in bounded memory."""
    digest = hasher or hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
