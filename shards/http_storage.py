"""Files behind an HTTP server, to be read: a manifest and the shards that lie beside it.

Reads are by range; a server that ignores ranges is refused, as every clip would cost a whole shard. What the
network or the server did wrong is tried again, as for object stores. Nothing can be listed or written. Query
strings (signatures) are sent and never shown. Cost: a connection a request.
"""

from __future__ import annotations

import http.client
import io
import posixpath
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import pyarrow.fs as pafs

from shards.errors import ConfigError, InputError, StorageError
from shards.object_retries import again, missing
from shards.storage import CHUNK_BYTES, Entry, Storage

__all__ = ["HttpStorage", "split_address"]

_TIMEOUT_S: Final = 60.0
_IN_MEMORY: Final = 8 << 20
_MISSING: Final = (404, 410)
_TRY_AGAIN: Final = (408, 425, 429)
T = TypeVar("T")


def split_address(uri: str) -> tuple[str, str]:
    """Return the folder and the file of an address; a query stays with the file."""
    parts = urlsplit(uri)
    folder, name = posixpath.split(parts.path)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{folder}", name + query


class HttpStorage(Storage):
    """The files below an `http://` or `https://` address."""

    def __init__(self, root: str) -> None:
        parts = urlsplit(root)
        if "@" in parts.netloc:
            raise ConfigError(f"{parts.scheme}://{parts.hostname}: an address holds no credentials")
        super().__init__(root.rstrip("/"))

    def create(self) -> Storage:
        self._refuse("written to")

    def address(self, path: str) -> str:
        return f"{self.root}/{path.partition('?')[0]}"

    def name(self, path: str) -> str:
        return urljoin(f"{self.root}/", path)

    def filesystem(self) -> pafs.FileSystem:
        self._refuse("opened by other libraries")

    def sub(self, path: str) -> Storage:
        return HttpStorage(f"{self.root}/{path}")

    def open_read(self, path: str) -> BinaryIO:
        def attempt() -> BinaryIO:
            with ExitStack() as unless_whole:
                file = unless_whole.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
                with self._ask(path) as answer:
                    wanted = answer.headers.get("Content-Length")
                    while chunk := answer.read(CHUNK_BYTES):
                        file.write(chunk)
                if wanted is not None and file.tell() != int(wanted):
                    raise OSError(f"the answer ended after {file.tell()} of {wanted} bytes")
                file.seek(0)
                unless_whole.pop_all()
            return file  # type: ignore[return-value]

        return self._again("reading", path, attempt)

    def read(self, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        if offset is None and length is None:
            with self.open_read(path) as file:
                return file.read()
        start = offset or 0
        end = "" if length is None else start + length - 1
        if length == 0:
            return b""

        def attempt() -> bytes:
            with self._ask(path, {"Range": f"bytes={start}-{end}"}) as answer:
                if answer.status != http.client.PARTIAL_CONTENT:
                    raise InputError(
                        f"{self.address(path)}: the server does not answer ranges of bytes; copy the shards "
                        "to a disk or an object store"
                    )
                said = answer.headers.get("Content-Range", "")
                data: bytes = answer.read()
            wanted = length if length is not None else len(data)
            size = said.rpartition("/")[2]
            if len(data) != wanted and size.isdigit() and start + wanted <= int(size):
                raise OSError(f"the answer ended after {len(data)} of {wanted} bytes")
            return data

        data = self._again("reading", path, attempt)
        if length is not None and len(data) != length:
            raise StorageError(
                f"{self.address(path)}: ends {length - len(data)} bytes before {start + length}; "
                "the file was truncated"
            )
        return data

    def entry(self, path: str) -> Entry | None:
        def attempt() -> Entry | None:
            try:
                with self._ask(path, method="HEAD") as answer:
                    return Entry(path, int(answer.headers.get("Content-Length", 0)), 0)
            except FileNotFoundError:
                return None

        return self._again("looking for", path, attempt)

    def _ask(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Any:
        request = urllib.request.Request(self.name(path), headers=headers or {}, method=method)
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code in _MISSING:
                    raise FileNotFoundError(path) from None
                if exc.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return _Empty()
                if exc.code < http.client.INTERNAL_SERVER_ERROR and exc.code not in _TRY_AGAIN:
                    raise InputError(f"{self.address(path)}: refused: {exc.code} {exc.reason}") from None
                raise OSError(f"{exc.code} {exc.reason}") from None

    def _again(self, doing: str, path: str, call: Callable[[], T]) -> T:
        def clear() -> T:
            try:
                return call()
            except http.client.HTTPException as exc:
                raise OSError(f"{type(exc).__name__}: {exc}") from exc

        try:
            return again(doing, self.address(path), clear)
        except StorageError as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                raise missing(self.address(path)) from exc
            raise

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"{self.root}: files behind an HTTP server can be read, but not {what}")

    def list(self, prefix: str = "") -> Iterator[Entry]:  # noqa: ARG002
        self._refuse("listed")

    def scratch(self) -> AbstractContextManager[Path]:
        self._refuse("written")

    def sweep(self) -> tuple[str, ...]:
        self._refuse("written")

    def put(self, source: Any, path: str) -> None:  # noqa: ARG002
        self._refuse("written")

    def write(self, path: str, data: bytes) -> None:  # noqa: ARG002
        self._refuse("written")

    def writing(self, path: str) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002
        self._refuse("written")

    def delete(self, path: str) -> None:  # noqa: ARG002
        self._refuse("deleted")

    def delete_tree(self, path: str) -> None:  # noqa: ARG002
        self._refuse("deleted")

    def prune(self, path: str) -> None:  # noqa: ARG002
        self._refuse("deleted")


class _Empty(io.BytesIO):
    """What is read behind a file's end."""

    status = http.client.PARTIAL_CONTENT
    headers: dict[str, str] = {}
