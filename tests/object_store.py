"""A real S3 protocol server on the loopback address, and a proxy before it that makes it misbehave."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
from botocore.config import Config

__all__ = ["BUCKET", "Faults", "ObjectStore"]

BUCKET = "curate-tests"
_ERROR = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"""
_DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""

KINDS = ("denied", "error_500", "slow", "drop_before", "drop_head", "drop_middle")


@dataclass(slots=True)
class Faults:
    """How often a request meets what; shares of 1, drawn in order of arrival from a seeded generator."""

    denied: float = 0.0
    error_500: float = 0.0
    slow: float = 0.0
    slow_s: float = 1.0
    drop_before: float = 0.0
    drop_head: float = 0.0
    drop_middle: float = 0.0
    seed: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random.seed(self.seed)

    def stop(self) -> None:
        """Behave well from here on."""
        for name in KINDS:
            setattr(self, name, 0.0)

    def cut(self, length: int) -> int:
        """Return after how many of so many bytes an answer breaks off."""
        return self._random.randrange(1, length)

    def draw(self) -> str:
        """Return the fault of the next request, or ""."""
        number = self._random.random()
        for name in KINDS:
            share = getattr(self, name)
            if number < share:
                self.injected[name] += 1
                return name
            number -= share
        return ""


class ObjectStore:
    """moto's server in a process of its own, with a bucket; behind a proxy when `faults` are given."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults
        self._port = _free_port()
        self._proxy: _Proxy | None = None

    def __enter__(self) -> ObjectStore:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline_s = time.monotonic() + 60
            while True:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", self._port), 1).close()
                    break
                assert self._server.poll() is None, "the S3 server did not start"
                assert time.monotonic() < deadline_s, "the S3 server does not answer"
                time.sleep(0.1)
            self.client.create_bucket(Bucket=BUCKET)
            if self.faults is not None:
                self._proxy = _Proxy(self._port, self.faults)
                self._proxy.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._proxy is not None:
            self._proxy.stop()
        self._server.kill()
        self._server.wait()

    def freeze(self) -> None:
        """Stop answering, without closing anything."""
        os.kill(self._server.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Answer again."""
        os.kill(self._server.pid, signal.SIGCONT)

    @property
    def client(self) -> Any:
        """A client that goes straight to the server, past the proxy."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self._port}",
            aws_access_key_id="key",
            aws_secret_access_key="not-so-secret",
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have in its environment to use the store."""
        port = self._port if self._proxy is None else self._proxy.port
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "not-so-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def upload(self, folder: Path, prefix: str) -> str:
        """Put the files below `folder` under `prefix` and return the URI."""
        client = self.client
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
        return f"s3://{BUCKET}/{prefix}"

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Return key below `prefix` → content."""
        client, found = self.client, {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
            for item in page.get("Contents", ()):
                body = client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
                found[item["Key"].removeprefix(f"{prefix}/")] = body
        return found

    def snapshot(self, prefix: str) -> dict[str, str]:
        """Return what `running.snapshot` does, of a run in the store."""
        return {
            key: hashlib.sha256(data).hexdigest()
            for key, data in sorted(self.objects(prefix).items())
            if key.split("/")[0] not in ("metrics", "index.parquet") and not key.endswith("/")
        }

    def unfinished(self) -> int:
        """Return how many multipart uploads were begun and never ended."""
        return len(self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()))


class _Proxy(threading.Thread):
    """Reads a request whole, asks what should go wrong, and passes it on, one connection a request."""

    def __init__(self, upstream: int, faults: Faults) -> None:
        super().__init__(daemon=True)
        self.port = 0
        self._upstream = upstream
        self._faults = faults
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        # The loop holds tasks weakly: once a killed client's socket is at its end, nothing else keeps
        # the task that serves it, and the collector would destroy it while it waits for the server.
        self._serving: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        super().start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join(10)

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            headers = {line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in head[1:]}
            if headers.get(b"expect", b"").lower() == b"100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
                body = await _read_chunks(reader)
            else:
                body = await reader.readexactly(int(headers.get(b"content-length", 0)))
            self._faults.requests[head[0].split()[0].decode()] += 1
            await self._answer(self._faults.draw(), head, body, writer)
        with suppress(OSError):
            writer.close()

    async def _answer(self, fault: str, head: list[bytes], body: bytes, writer: asyncio.StreamWriter) -> None:
        if fault == "drop_before":
            writer.transport.abort()
            return
        if fault == "denied":
            length = b"Content-Length: %d\r\n\r\n" % len(_DENIED)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" + length + _DENIED)
            await writer.drain()
            return
        if fault == "error_500":
            length = b"Content-Length: %d\r\n\r\n" % len(_ERROR)
            writer.write(b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + length + _ERROR)
            await writer.drain()
            return
        if fault == "slow":
            await asyncio.sleep(self._faults.slow_s)
        kept = [line for line in head if line and not line.lower().startswith((b"expect:", b"connection:"))]
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            back.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]) + body)
            answer = await there.read()
        finally:
            back.close()
        begin = answer.find(b"\r\n\r\n") + 4
        if fault == "drop_head":
            answer = answer[: self._faults.cut(begin)]
        elif fault == "drop_middle":
            # In the middle of the body; an answer without one is dropped whole.
            answer = answer[: (begin + len(answer)) // 2 if len(answer) > begin else 0]
        writer.write(answer)
        await writer.drain()
        if fault == "drop_middle":
            writer.transport.abort()


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """Return a chunked body as it came, its framing and trailers included."""
    whole = b""
    while True:
        line = await reader.readline()
        size = int(line.partition(b";")[0], 16)
        whole += line
        if size == 0:
            while (line := await reader.readline()) not in (b"\r\n", b""):
                whole += line
            return whole + b"\r\n"
        whole += await reader.readexactly(size + 2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
