"""Reading from an HTTP server: by range, tried again, and refused where it would cost too much."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shards import object_retries
from shards.errors import ConfigError, InputError, StorageError
from shards.http_storage import HttpStorage
from shards.storage import beside, open_storage

DATA = bytes(range(256)) * 40


class Server(BaseHTTPRequestHandler):
    """Serves DATA at /folder/file; what comes first in the path says how it misbehaves."""

    failures = 0

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        kind = self.path.split("/")[1]
        if kind == "busy" and Server.failures < 2:
            Server.failures += 1
            self.send_error(503)
            return
        if kind in ("absent", "denied"):
            self.send_error({"absent": 404, "denied": 403}[kind])
            return
        if kind == "signed" and not self.path.endswith("?key=a/b"):
            self.send_error(403)
            return
        data, span = DATA, self.headers.get("Range")
        self.send_response(206 if span and kind != "whole" else 200)
        if span and kind != "whole":
            first, last = span.removeprefix("bytes=").split("-")
            data = DATA[int(first) : int(last) + 1 if last else None]
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(data) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        cut = kind == "broken" and Server.failures < 2
        Server.failures += cut
        if body:
            self.wfile.write(data[: len(data) // 2] if cut else data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(object_retries, "sleep", lambda _: None)
    Server.failures = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["plain", "busy", "broken"])
def test_reading(root: str, kind: str) -> None:
    storage = open_storage(f"{root}/{kind}/folder")
    assert storage.read("file", 300, 100) == DATA[300:400]
    assert storage.read("file", 10_000) == DATA[10_000:]
    assert storage.read("file", 5, 0) == b""
    assert storage.read("file") == DATA
    with storage.open_read("file") as file:
        file.seek(256)
        assert file.read(3) == b"\0\1\2"
    entry = storage.entry("file")
    assert entry is not None
    assert entry.bytes == len(DATA)


def test_beside(root: str) -> None:
    for path, relative, address in (
        (f"{root}/a/b/manifest.parquet", "00000.tar", f"{root}/a/b/00000.tar"),
        (f"{root}/a/b/manifest.parquet", "../../clips/x.tar", f"{root}/clips/x.tar"),
        (f"{root}/a/b/manifest.parquet", "", f"{root}/a/b/manifest.parquet"),
        ("/data/manifest.parquet", f"{root}/c/x.tar", f"{root}/c/x.tar"),
        ("s3://bucket/manifest.parquet", f"{root}/c/x.tar", f"{root}/c/x.tar"),
    ):
        storage, name = beside(path, relative)
        assert isinstance(storage, HttpStorage)
        assert storage.address(name) == address


def test_signatures_are_sent_and_not_shown(root: str) -> None:
    storage, name = beside("/data/manifest.parquet", f"{root}/signed/x.tar?key=a/b")
    assert storage.read(name, 1, 2) == DATA[1:3]
    assert "key" not in storage.address(name)
    with pytest.raises(ConfigError, match="holds no credentials") as caught:
        open_storage("https://user:secret@host/folder")
    assert "secret" not in str(caught.value)


def test_what_is_not_there(root: str) -> None:
    storage = open_storage(f"{root}/absent")
    assert not storage.exists("file")
    for ask in (lambda: storage.read("file", 0, 3), lambda: storage.open_read("file")):
        with pytest.raises(StorageError, match="no such object"):
            ask()


def test_refusals(root: str) -> None:
    with pytest.raises(InputError, match="403"):
        open_storage(f"{root}/denied").read("file", 0, 3)
    with pytest.raises(InputError, match="does not answer ranges"):
        open_storage(f"{root}/whole").read("file", 0, 3)
    with pytest.raises(StorageError, match="the file was truncated"):
        open_storage(f"{root}/plain").read("file", len(DATA) - 10, 20)
    for write in (lambda s: s.create(), lambda s: s.write("a", b""), lambda s: list(s.list())):
        with pytest.raises(InputError, match="can be read, but not"):
            write(open_storage(f"{root}/plain"))


def test_a_server_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_retries, "sleep", lambda _: None)
    with pytest.raises(StorageError, match="failed while reading"):
        open_storage("http://127.0.0.1:9/folder").read("file", 0, 3)
