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
import random
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from time import monotonic, sleep
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from shards.errors import ConfigError, InputError, StorageError
from shards.scratch import scratch_folder, sweep_scratch
from shards.storage import Entry, Storage

__all__ = ["ObjectStorage"]

ATTEMPTS = 8
# No attempt is begun later than this after the first.
PATIENCE_S = 60.0
# Without a byte for so long, an answer is given up and asked for again.
SILENCE_S = 10.0
CONNECT_S = 5.0
# Objects up to this are read whole when they are opened, larger ones this much at a time.
READ_AHEAD = 8 << 20
_COPY_BYTES = 8 << 20
_REFUSED = re.compile(
    r"ACCESS_DENIED|HTTP status 40[13]|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT|"
    r"INVALID_CLIENT_TOKEN|EXPIRED_TOKEN|PERMISSION_DENIED|UNAUTHENTICATED|credentials",
    re.IGNORECASE,
)
_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|bucket does not exist|INVALID_BUCKET", re.IGNORECASE)
_T = TypeVar("_T")
# A writer that must not be closed: pyarrow would make what was sent so far an object.
_abandoned: list[object] = []


class _SourceBrokeError(StorageError):
    """The local file of a put cannot be read; the store is not to blame, asking it again is no use."""


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
        self._fs = _connect(scheme, bucket, _endpoint() if scheme == "s3" else "")

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
                if size == 0:
                    info = self._fs.get_file_info(self.name(path))
                    if info.size or not _whole_head(info):
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
        def attempt() -> pafs.FileInfo:
            info = self._fs.get_file_info(self.name(path))
            if info.type is pafs.FileType.File and not _whole_head(info):
                raise OSError("the answer's head broke off")
            return info

        info = self._again("looking for", path, attempt)
        return _entry(path, info) if info.type is pafs.FileType.File else None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        selector = pafs.FileSelector(self.name(prefix), allow_not_found=True, recursive=True)
        infos = self._again("listing", prefix, lambda: self._fs.get_file_info(selector))
        files = (info for info in infos if info.type is pafs.FileType.File)
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

    # -- errors -------------------------------------------------------------------------------------------

    def _missing(self, path: str) -> StorageError:
        advice = "the run is incomplete or was changed; run the pass that writes it again"
        return StorageError(f"no such object while reading {self.address(path)!r}: {advice}")

    def _again(self, doing: str, path: str, call: Callable[[], _T]) -> _T:
        """Return what `call` does; what the network or the server did wrong is tried again."""
        begin_s = monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._clear(doing, path):
                    return call()
            except _SourceBrokeError:
                raise
            except StorageError as exc:
                pause_s = random.uniform(0, min(2**attempt / 4, 16))
                late = monotonic() - begin_s + pause_s > PATIENCE_S
                if attempt == ATTEMPTS or late or isinstance(exc.__cause__, FileNotFoundError):
                    raise
            sleep(pause_s)
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def _clear(self, doing: str, path: str) -> Iterator[None]:
        """Turn what pyarrow raises into one line that says what to do, and whose fault it is."""
        try:
            yield
        except FileNotFoundError as exc:
            raise self._missing(path) from exc
        except OSError as exc:
            text = " ".join(str(exc).split())
            where = f"while {doing} {self.address(path)!r}"
            if _NO_BUCKET.search(text):
                raise InputError(f"there is no bucket {self._bucket!r}, {where}") from exc
            if _REFUSED.search(text):
                raise InputError(
                    f"access denied {where}: check the credentials in the environment and what they allow"
                ) from exc
            reason = re.sub(r"\(Request ID:[^)]*\)|curlCode: \d+, ", "", text)
            reason = reason.rpartition("AWS Error ")[2].partition("; Details:")[0].strip()
            raise StorageError(f"the store failed {where}: {reason}") from exc


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
        raise _SourceBrokeError(f"{reason} while reading what was to become {address!r}: run again") from exc


def _whole_head(info: pafs.FileInfo) -> bool:
    """Say whether an answer to HEAD had its time: pyarrow takes one cut short for that of an empty object."""
    return bool(info.mtime_ns)


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


def _endpoint() -> str:
    """Return the endpoint that the environment names, as the AWS tools read it; pyarrow reads none."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


@cache
def _connect(scheme: str, bucket: str, endpoint: str) -> pafs.FileSystem:
    """Return the file system of a bucket; one a process, for its connections are shared by threads."""
    if scheme == "gs":
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        at = urlsplit(emulator if "://" in emulator else f"http://{emulator}")
        return pafs.GcsFileSystem(
            anonymous=bool(emulator),
            scheme=at.scheme if emulator else None,
            endpoint_override=at.netloc or None,  # pyarrow's client does not read that variable
            retry_time_limit=timedelta(seconds=120),
        )
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise ConfigError("AWS_ENDPOINT_URL: an endpoint holds no credentials")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None and not endpoint:
        try:
            region = pafs.resolve_s3_region(bucket)
        except OSError:
            region = None  # the client's own way of finding it then says what is wrong
    return pafs.S3FileSystem(
        region=region,
        scheme=parts.scheme or None,
        endpoint_override=parts.netloc or None,
        allow_delayed_open=True,  # what fits one part is one PutObject
        background_writes=False,
        connect_timeout=CONNECT_S,
        request_timeout=SILENCE_S,
        # The client's own strategies share a budget among all calls, which a bad minute uses up.
        retry_strategy=pafs.AwsDefaultS3RetryStrategy(max_attempts=1),
    )
