"""A run in an object store, S3 or Google's, through pyarrow's file systems (docs/decisions/0006).

What is made lies in scratch on this machine's disk until one put makes it an object: whole or not at all,
the same bytes when two workers do the same unit. Reads are by range and checked for completeness. Errors of
the network and the server are retried here, each call on its own, with pauses of growing random length, for
about a minute; what is left then is a StorageError. Credentials are those that the client finds in the
environment, in the user's files or from the machine's role; nothing here holds or prints them.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

import pyarrow.fs as pafs

from shards.errors import ConfigError, InputError, StorageError
from shards.object_client import connect, endpoint
from shards.object_retries import SourceBrokeError, again, missing
from shards.scratch import scratch_folder, sweep_scratch
from shards.storage import Entry, Storage

__all__ = ["ObjectStorage"]

# Objects up to this are read whole when they are opened, larger ones this much at a time.
READ_AHEAD = 8 << 20
_COPY_BYTES = 8 << 20
_PAGE_KEYS = 1000
# So often the answers that one cut short passes for are asked for again: they must say the same.
_SECOND_LOOKS = 2
_T = TypeVar("_T")
# A writer that must not be closed: pyarrow would make what was sent so far an object.
_abandoned: list[object] = []


class ObjectStorage(Storage):
    """The objects below a prefix of a bucket."""

    def __init__(self, root: str) -> None:
        scheme, _, rest = root.partition("://")
        bucket, _, prefix = rest.partition("/")
        if "@" in bucket:
            hidden = f"{scheme}://{bucket.rpartition('@')[2]}/{prefix}"
            raise ConfigError(
                f"{hidden}: a URI holds no credentials; put them into the environment or the client's files"
            )
        if ":" in bucket:  # as in key:sec/ret@bucket
            raise ConfigError(f"{scheme}://…: not a bucket's name; credentials belong into the environment")
        if not bucket:
            raise ConfigError(f"{root!r}: expected {scheme}://bucket/prefix")
        super().__init__(f"{scheme}://{bucket}/{prefix.strip('/')}".rstrip("/"))
        self._base = f"{bucket}/{prefix.strip('/')}".rstrip("/")
        self._bucket = bucket
        self._fs = connect(scheme, bucket, endpoint() if scheme == "s3" else "")

    def __reduce__(self) -> tuple[type[ObjectStorage], tuple[str]]:
        return ObjectStorage, (self.root,)

    def create(self) -> Storage:
        info = self._again("looking for", "", lambda: self._fs.get_file_info(self._bucket))
        if info.type is pafs.FileType.NotFound:
            raise InputError(f"{self.root}: there is no bucket {self._bucket!r}")
        return self

    def address(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def name(self, path: str) -> str:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts:
            raise InputError(f"{path!r} leaves the run {self.root!r}; paths in a run are relative")
        return f"{self._base}/{path}".rstrip("/")

    def filesystem(self) -> pafs.FileSystem:
        return self._fs

    def sub(self, path: str) -> Storage:
        return ObjectStorage(self.address(path))

    # -- reading ------------------------------------------------------------------------------------------

    def open_read(self, path: str) -> BinaryIO:
        size, data = self._read(path, 0, None, at_most=READ_AHEAD)
        if size <= READ_AHEAD:
            return io.BytesIO(data)
        return io.BufferedReader(_Ranges(self, path, size), READ_AHEAD)  # type: ignore[type-var]

    def read(self, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        return self._read(path, offset or 0, length)[1]

    def _read(
        self, path: str, start: int, length: int | None, at_most: int | None = None
    ) -> tuple[int, bytes]:
        """Return the object's size, and the bytes asked for unless they are more than `at_most`.

        One HEAD and one GET.
        """

        def attempt() -> tuple[int, int, bytes]:
            with self._fs.open_input_file(self.name(path)) as file:
                size = file.size()
                if size == 0 and self._head(path).size:
                    raise OSError("the answer's head broke off")
                wanted = max(0, size - start) if length is None else length
                if at_most is not None and wanted > at_most:
                    return size, wanted, b""
                return size, wanted, _fill(file, start, min(wanted, max(0, size - start)))

        size, wanted, data = self._again("reading", path, attempt)
        if at_most is not None and wanted > at_most:
            return size, data
        if len(data) != wanted:
            raise StorageError(
                f"{self.address(path)}: ends {wanted - len(data)} bytes before {start + wanted}; "
                "the object was truncated"
            )
        return size, data

    def entry(self, path: str) -> Entry | None:
        info = self._again("looking for", path, lambda: self._head(path))
        return _entry(path, info) if info.type is pafs.FileType.File else None

    def _head(self, path: str) -> pafs.FileInfo:
        """Return what HEAD says; that an object is empty, only if it is said again.

        pyarrow takes an answer that ends in its head for that of an empty object.
        """
        info = self._fs.get_file_info(self.name(path))
        for _ in range(_SECOND_LOOKS):
            if info.type is not pafs.FileType.File or info.size:
                break
            if not info.mtime_ns:
                raise OSError("the answer's head broke off")
            info = self._fs.get_file_info(self.name(path))
        return info

    def list(self, prefix: str = "") -> Iterator[Entry]:
        selector = pafs.FileSelector(self.name(prefix), allow_not_found=True, recursive=True)

        def ask() -> tuple[list[pafs.FileInfo], bool]:
            infos = self._again("listing", prefix, lambda: self._fs.get_file_info(selector))
            files = [info for info in infos if info.type is pafs.FileType.File]
            return files, _ends_with_a_page(len(files), len(infos))

        files, doubtful = ask()
        agreed = 0
        while doubtful and agreed < _SECOND_LOOKS:
            before = len(files)
            files, doubtful = ask()
            agreed = agreed + 1 if len(files) == before else 0
        yield from sorted(_entry(info.path.removeprefix(f"{self._base}/"), info) for info in files)

    # -- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a fresh folder of this machine; a full disk is a StorageError whose cause is the OSError."""
        try:
            with scratch_folder(_local_folder()) as folder:
                yield folder
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            where = str(_local_folder())
            raise StorageError(f"disk full in {where!r}: free some space or set CURATE_SCRATCH") from exc

    def sweep(self) -> tuple[str, ...]:
        return sweep_scratch(_local_folder())

    def put(self, source: str | os.PathLike[str], path: str) -> None:
        size = os.path.getsize(source)

        def attempt() -> None:
            with open(source, "rb") as file:
                self._send(file, path)

        self._again("writing", path, attempt)
        sent = self.entry(path)
        if sent is None or sent.bytes != size:
            found = "no object" if sent is None else f"{sent.bytes} bytes"
            raise StorageError(f"{self.address(path)}: {found} after a put of {size} bytes; run again")

    def _send(self, file: BinaryIO, path: str) -> None:
        stream = self._fs.open_output_stream(self.name(path))
        try:
            while chunk := _next(file, self.address(path)):
                stream.write(chunk)
        except BaseException:
            _abandoned.append(stream)
            raise
        stream.close()

    def write(self, path: str, data: bytes) -> None:
        self._again("writing", path, lambda: self._send(io.BytesIO(data), path))

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        with self.scratch() as folder:
            with (folder / "data").open("w+b") as file:
                yield file
            self.put(folder / "data", path)

    def delete(self, path: str) -> None:
        def attempt() -> None:
            with suppress(FileNotFoundError):
                self._fs.delete_file(self.name(path))

        self._again("deleting", path, attempt)

    def delete_tree(self, path: str) -> None:
        for entry in self.list(path):
            self.delete(entry.path)

    def prune(self, path: str) -> None:
        """Objects have no folders."""

    def _missing(self, path: str) -> StorageError:
        return missing(self.address(path))

    def _again(self, doing: str, path: str, call: Callable[[], _T]) -> _T:
        return again(doing, self.address(path), call)


class _Ranges(io.RawIOBase):
    """An object as a file; each read is one ranged request."""

    def __init__(self, storage: ObjectStorage, path: str, size: int) -> None:
        self._storage, self._path, self._size = storage, path, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        length = min(len(buffer), max(0, self._size - self._at))
        if length:
            buffer[:length] = self._storage.read(self._path, self._at, length)
            self._at += length
        return length


def _next(file: BinaryIO, address: str) -> bytes:
    try:
        return file.read(_COPY_BYTES)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise SourceBrokeError(f"{reason} while reading what was to become {address!r}: run again") from exc


def _ends_with_a_page(files: int, infos: int) -> bool:
    """Say whether a listing may lack pages: pyarrow takes an answer cut short in its head for an empty one.

    Such a listing has a multiple of a page's 1,000 keys, or none; a folder is a key if it has a marker.
    """
    return files == 0 or infos // _PAGE_KEYS > (files - 1) // _PAGE_KEYS


def _fill(file: pafs.NativeFile, start: int, length: int) -> bytes:
    """Return `length` bytes of an open object.

    pyarrow gives as many as were asked for whatever has come, the rest being what was in memory before. So
    the last byte is set to one value, and should it keep that, to another: twice kept, nothing came.
    """
    if not length:
        return b""
    buffer = bytearray(length)
    mark = secrets.randbelow(256)
    for value in (mark, mark ^ 0xFF):
        buffer[-1] = value
        file.seek(start)
        if file.readinto(buffer) == length and buffer[-1] != value:
            return bytes(buffer)
    raise OSError("the body broke off")


def _entry(path: str, info: pafs.FileInfo) -> Entry:
    return Entry(path, info.size or 0, info.mtime_ns or 0)


def _local_folder() -> Path:
    """Return where scratch lies: CURATE_SCRATCH, or the system's folder for temporary files."""
    return Path(os.environ.get("CURATE_SCRATCH") or Path(tempfile.gettempdir()) / f"curate-{os.getuid()}")
