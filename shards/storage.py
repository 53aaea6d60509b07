"""Every byte of a run goes through here: reading, atomic writing, listing and deleting under one root.

Invariant: a path inside a run is a relative POSIX string, and a file that `list` shows is whole. A file is
written under `.tmp/<host>-<pid>-<random>/` of the same root and renamed into place, so a reader or a process
killed at any moment never meets half a file. Cost: one fsync of the file and one of its folder a write.

The root is a local folder. Whoever adds another kind of root has these methods to fill and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow.fs as pafs

from shards.errors import InputError, StorageError

__all__ = ["CHUNK_BYTES", "Entry", "Storage", "beside", "sha256_of"]

SCRATCH = ".tmp"
CHUNK_BYTES = 1 << 20

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


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file as a listing shows it."""

    path: str
    bytes: int
    mtime_ns: int


class Storage:
    """The files under one root. Cheap to make, safe to send to other processes."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"Storage({str(self.root)!r})"

    def create(self) -> Storage:
        """Make the root if need be and check that it can be written; return self."""
        with _clear("creating", self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with self.scratch():
            return self

    def local(self, path: str) -> Path:
        """Return where `path` lies on this machine, for libraries that open files by name.

        Raises `InputError` for a path that leaves the root.
        """
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts:
            raise InputError(f"{path!r} leaves the run {str(self.root)!r}; paths in a run are relative")
        return self.root / parts

    def filesystem(self) -> pafs.FileSystem:
        """Return the pyarrow file system in which `local` paths are opened."""
        return pafs.LocalFileSystem()

    def sub(self, path: str) -> Storage:
        """Return the storage whose root is the folder `path`."""
        return Storage(self.local(path))

    # -- reading ------------------------------------------------------------------------------------------

    def open_read(self, path: str) -> BinaryIO:
        """Open `path` for reading; seekable."""
        with _clear("reading", self.local(path)):
            return self.local(path).open("rb")

    def read(self, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        """Return the bytes of `path`, or `length` of them from `offset`.

        Raises `StorageError` when the file ends before.
        """
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
        """Say whether there is a file at `path`."""
        with _clear("looking for", self.local(path)):
            return self.local(path).is_file()

    def entry(self, path: str) -> Entry | None:
        """Return the entry of the file at `path`, or None."""
        with _clear("looking for", self.local(path)):
            try:
                stat = self.local(path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Entry(path, stat.st_size, stat.st_mtime_ns)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Yield every file below the folder `prefix`, sorted by path; scratch files are left out."""
        start = self.local(prefix)
        with _clear("listing", start):
            found = sorted(_walk(start, prefix.rstrip("/")))
        yield from found

    # -- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a fresh folder on the run's file system; it is removed on leaving.

        Its lock file is held for as long as its owner (or a child of it) lives: see `sweep`.
        """
        folder = self.root / SCRATCH / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        with _clear("creating", folder):
            folder.mkdir(parents=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with suppress(OSError):  # a file system without locks: `sweep` then goes by the process id alone
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # Whoever writes in scratch meets a full disk as it is; what it means is known here.
            with _clear("writing to", self.root):
                raise
        finally:
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> tuple[str, ...]:
        """Remove scratch folders whose process on this host has died; return their names."""
        removed = []
        top = self.root / SCRATCH
        with _clear("listing", top):
            folders = sorted(top.iterdir()) if top.is_dir() else []
        for folder in folders:
            host, _, rest = folder.name.rpartition("-")[0].rpartition("-")
            if host == socket.gethostname() and rest.isdigit() and not _alive(int(rest), folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(f"{SCRATCH}/{folder.name}")
        return tuple(removed)

    def put(self, source: str | os.PathLike[str], path: str) -> None:
        """Move the local file `source` (from `scratch`) to `path`, atomically, replacing what was there."""
        target = self.local(path)
        with _clear("writing", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(Path(source))
            Path(source).replace(target)
            _sync(target.parent)

    def write(self, path: str, data: bytes) -> None:
        """Write `data` to `path`, atomically."""
        with self.scratch() as folder:
            with _clear("writing", self.local(path)):
                (folder / "data").write_bytes(data)
            self.put(folder / "data", path)

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """Yield a seekable file (read and write) that becomes `path` on leaving, unless by an exception."""
        with self.scratch() as folder:
            with _clear("writing", self.local(path)), (folder / "data").open("w+b") as file:
                yield file
            self.put(folder / "data", path)

    def delete(self, path: str) -> None:
        """Delete the file at `path`; no error if there is none."""
        with _clear("deleting", self.local(path)):
            self.local(path).unlink(missing_ok=True)

    def delete_tree(self, path: str) -> None:
        """Delete the folder `path` and all in it; no error if there is none."""
        target = self.local(path)
        with _clear("deleting", target):
            if target.is_dir():
                shutil.rmtree(target)

    def prune(self, path: str) -> None:
        """Remove the empty folders below `path`, and `path` itself if it is empty."""
        with _clear("deleting", self.local(path)):
            for folder, _, _ in os.walk(self.local(path), topdown=False):
                with suppress(OSError):  # not empty
                    Path(folder).rmdir()


def beside(path: str | os.PathLike[str], relative: str = "") -> tuple[Storage, str]:
    """Return the storage and name of the file `path`, or of `relative` as seen from the folder of `path`."""
    full = os.path.normpath(Path(path).parent / relative) if relative else os.fspath(path)
    folder, name = os.path.split(full)
    return Storage(folder or "."), name


def sha256_of(file: BinaryIO, hasher: hashlib._Hash | None = None) -> str:
    """Return the SHA-256 of `file` from where it stands to its end, as hex, in bounded memory."""
    digest = hasher or hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


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


def _alive(pid: int, folder: Path) -> bool:
    """Say whether the owner of a scratch folder lives, also in another container of this host."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, 0)
        return True
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False


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
