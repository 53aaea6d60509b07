"""A run in a local folder.

A file is written under `.tmp/<host>-<pid>-<random>/` of the same root and renamed into place, so a reader or
a process killed at any moment never meets half a file. Cost: one fsync of the file and one of its folder.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow.fs as pafs

from shards.errors import InputError, StorageError
from shards.scratch import SCRATCH, scratch_folder, sweep_scratch
from shards.storage import Entry, Storage

__all__ = ["LocalStorage"]

_REASONS = {
    errno.ENOSPC: ("disk full", "free some space and run again; what was finished is kept"),
    errno.EDQUOT: ("disk quota exceeded", "free some space and run again; what was finished is kept"),
    errno.EACCES: ("permission denied", "check who owns it"),
    errno.EPERM: ("permission denied", "check who owns it"),
    errno.EROFS: ("file system is read-only", "choose another folder"),
    errno.ENAMETOOLONG: ("name too long", "choose a shorter path"),
    errno.ENOENT: ("no such file", "the run is incomplete or was changed; run the pass that writes it again"),
    errno.ENOTDIR: ("a file stands where a folder should", "choose another folder"),
    errno.EIO: ("the device failed", "check the disk"),
}


class LocalStorage(Storage):
    """The files below a local folder."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        super().__init__(os.fspath(root))
        self.folder = Path(root)

    def create(self) -> Storage:
        with _clear("creating", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with self.scratch():
            return self

    def local(self, path: str) -> Path:
        """Return where `path` lies on this machine, for libraries that open files by name.

        Raises `InputError` for a path that leaves the root.
        """
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts:
            raise InputError(f"{path!r} leaves the run {self.root!r}; paths in a run are relative")
        return self.folder / parts

    def address(self, path: str) -> str:
        return str(self.local(path))

    def name(self, path: str) -> str:
        return str(self.local(path))

    def filesystem(self) -> pafs.FileSystem:
        return pafs.LocalFileSystem()

    def sub(self, path: str) -> Storage:
        return LocalStorage(self.local(path))

    # -- reading ------------------------------------------------------------------------------------------

    def open_read(self, path: str) -> BinaryIO:
        with _clear("reading", self.local(path)):
            return self.local(path).open("rb")

    def read(self, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        with _clear("reading", self.local(path)), self.local(path).open("rb") as file:
            if offset:
                file.seek(offset)
            data = file.read(-1 if length is None else length)
        if length is not None and len(data) != length:
            raise StorageError(
                f"{self.local(path)}: ends {length - len(data)} bytes before {(offset or 0) + length}; "
                "the file was truncated"
            )
        return data

    def exists(self, path: str) -> bool:
        with _clear("looking for", self.local(path)):
            return self.local(path).is_file()

    def entry(self, path: str) -> Entry | None:
        with _clear("looking for", self.local(path)):
            try:
                stat = self.local(path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Entry(path, stat.st_size, stat.st_mtime_ns)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        start = self.local(prefix)
        with _clear("listing", start):
            found = sorted(_walk(start, prefix.rstrip("/")))
        yield from found

    # -- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a fresh folder on the run's file system; it is removed on leaving."""
        with _clear("creating", self.folder / SCRATCH):
            context = scratch_folder(self.folder)
            folder = context.__enter__()
        try:
            yield folder
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # Whoever writes in scratch meets a full disk as it is; what it means is known here.
            with _clear("writing to", self.folder):
                raise
        finally:
            context.__exit__(None, None, None)

    def sweep(self) -> tuple[str, ...]:
        with _clear("listing", self.folder / SCRATCH):
            return sweep_scratch(self.folder)

    def put(self, source: str | os.PathLike[str], path: str) -> None:
        target = self.local(path)
        with _clear("writing", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(Path(source))
            Path(source).replace(target)
            _sync(target.parent)

    def write(self, path: str, data: bytes) -> None:
        with self.scratch() as folder:
            with _clear("writing", self.local(path)):
                (folder / "data").write_bytes(data)
            self.put(folder / "data", path)

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        with self.scratch() as folder:
            with _clear("writing", self.local(path)), (folder / "data").open("w+b") as file:
                yield file
            self.put(folder / "data", path)

    def delete(self, path: str) -> None:
        with _clear("deleting", self.local(path)):
            self.local(path).unlink(missing_ok=True)

    def delete_tree(self, path: str) -> None:
        target = self.local(path)
        with _clear("deleting", target):
            if target.is_dir():
                shutil.rmtree(target)

    def prune(self, path: str) -> None:
        with _clear("deleting", self.local(path)):
            for folder, _, _ in os.walk(self.local(path), topdown=False):
                with suppress(OSError):  # not empty
                    Path(folder).rmdir()


def _walk(folder: Path, prefix: str) -> Iterator[Entry]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for item in entries:
            path = f"{prefix}/{item.name}" if prefix else item.name
            if item.is_dir():
                if path != SCRATCH:
                    yield from _walk(Path(item.path), path)
                continue
            with suppress(FileNotFoundError):  # deleted since it was listed
                stat = item.stat()
                yield Entry(path, stat.st_size, stat.st_mtime_ns)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _clear(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError of one line that says what to do."""
    try:
        yield
    except OSError as exc:
        reason, advice = _REASONS.get(exc.errno or 0, (exc.strerror or str(exc), "see the system's log"))
        raise StorageError(f"{reason} while {doing} {str(path)!r}: {advice}") from exc
