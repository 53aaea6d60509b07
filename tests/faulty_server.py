"""An OpenAI-compatible server that echoes, and misbehaves as told.

It has no model: it decodes the pictures it was sent and answers with a proof of what it was asked, or, where
captions are to pass their checks, with sentences that follow from it (tests/echoes.py).
Faults are drawn in order of arrival from a seeded generator. In a test:

    async with FaultyServer({"error_500": 0.1}) as server: … server.base_url

or as a process, which prints its port and can be killed:

    python tests/faulty_server.py --port 0 --faults error_500=0.1,swapped=0.05 --seed 1 --log FILE
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from aiohttp import web
from echoes import digest, proof, prose

__all__ = ["KINDS", "FaultyServer", "Seen", "ServerProcess"]

KINDS = (
    "error_500", "error_503", "rate_limit", "slow", "drop_before", "drop_middle", "malformed", "no_choices",
    "empty", "endless", "trickle", "wrong_id", "no_id", "swapped", "duplicate", "truncated", "refused",
    "html", "error_400",
)  # fmt: skip
"""faults, each with its share of the requests. `swapped`: two concurrent requests get each other's answers.
`duplicate`: the whole answer stands on the connection twice. `slow`: `slow_s` late. `trickle`: a byte now and
then, for ever."""


@dataclass(slots=True)
class Seen:
    """A request as it came in."""

    id: str
    fault: str
    pictures: list[str]
    video: bool
    system: str
    prompt: str
    body: dict[str, Any]
    """without messages"""


class FaultyServer:
    """The server, on the loopback address; `port` 0 is a free one, kept when it is started again."""

    def __init__(
        self,
        faults: Mapping[str, float] | Sequence[str] = (),
        *,
        seed: int = 0,
        port: int = 0,
        model: str = "echo",
        key: str | None = None,
        gives_ids: bool = True,
        lists_models: bool = True,
        slow_s: float = 0.3,
        retry_after: str = "0",
        latency_s: float = 0.0,
        max_pictures: int = 1000,
        style: Literal["proof", "prose"] = "proof",
        log: Path | None = None,
    ) -> None:
        """`faults`: shares by kind, or the faults of the first requests ("" for none) in order of arrival."""
        kinds = list(faults) if isinstance(faults, Mapping) else [kind for kind in faults if kind]
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ValueError(f"no fault {unknown[0]!r}; known: {', '.join(KINDS)}")
        self._shares = dict(faults) if isinstance(faults, Mapping) else {}
        self._script = [] if isinstance(faults, Mapping) else list(faults)
        self._random = random.Random(seed)
        self.port, self._model, self._key, self._log = port, model, key, log
        self._gives_ids, self._lists_models = gives_ids, lists_models
        self._slow_s, self._retry_after, self._latency_s = slow_s, retry_after, latency_s
        self._max_pictures, self._style = max_pictures, style
        self.seen: list[Seen] = []
        self.injected: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self._systems: set[str] = set()
        self._waiting: asyncio.Future[dict[str, Any]] | None = None
        self._waiting_answer: dict[str, Any] = {}
        self._transports: set[asyncio.Transport] = set()
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> FaultyServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def start(self) -> None:
        app = web.Application(client_max_size=2**28)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._completions)
        self._runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """Break off every answer and refuse connections, as a killed process does."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        for transport in list(self._transports):
            transport.abort()
        self._transports.clear()
        await runner.cleanup()

    def _refused(self, request: web.Request) -> web.Response | None:
        if self._key is None or request.headers.get("Authorization") == f"Bearer {self._key}":
            return None
        said = request.headers.get("Authorization", "none")
        # Some do repeat what they were given.
        return _error(401, f"Incorrect API key provided: {said}")

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        if not self._lists_models:
            return web.Response(status=404, text="404: Not Found")
        return web.json_response({"object": "list", "data": [{"id": self._model, "object": "model"}]})

    def _draw(self) -> str:
        if self._script:
            return self._script.pop(0)
        number = self._random.random()
        for kind, share in self._shares.items():
            if number < share:
                return kind
            number -= share
        return ""

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            self._transports.add(request.transport)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (refused := self._refused(request)) is not None:
            return refused
        if not body.get("messages"):
            return _error(400, "messages: field required")
        if body.get("model") != self._model:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        system, prompt, jpegs, video = _read_messages(body.pop("messages"))
        asked = request.headers.get("X-Request-Id", "nobody")
        fault = self._draw()
        self.injected[fault] += 1
        seen = Seen(asked, fault, [digest(jpeg) for jpeg in jpegs], video, system, prompt, body)
        self.seen.append(seen)
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(json.dumps(asdict(seen)) + "\n")
        if len(jpegs) > self._max_pictures:
            return _error(
                400, f"This model's maximum context length is 64 tokens, you asked for {64 * len(jpegs)}"
            )
        echo = proof(asked, jpegs, prompt, body.get("seed"))
        if self._style == "prose":
            echo = prose(echo)
        answer = self._completion(asked, echo, system, len(jpegs), body)
        await asyncio.sleep(self._latency_s)
        return await self._misbehave(request, fault, await self._exchanged(fault, answer))

    def _completion(
        self, asked: str, echo: str, system: str, pictures: int, body: dict[str, Any]
    ) -> dict[str, Any]:
        text = echo
        if (form := body.get("response_format")) is not None:
            text = json.dumps(_instance(form["json_schema"]["schema"], echo))
        words = text.split()
        whole = len(words) <= body.get("max_tokens", body.get("max_completion_tokens", 10**9))
        instructions = len(system.split())
        cached = instructions if system in self._systems else 0
        self._systems.add(system)
        return {
            "id": f"chatcmpl-{asked if self._gives_ids else self._random.randbytes(8).hex()}",
            "object": "chat.completion",
            "model": self._model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop" if whole else "length",
                }
            ],
            "usage": {
                "prompt_tokens": instructions + 64 * pictures,
                "completion_tokens": len(words),
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }

    async def _exchanged(self, fault: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the answer, or another request's where the two are swapped."""
        if self._waiting is not None and not self._waiting.done():
            other, self._waiting = self._waiting, None
            other.set_result(answer)
            self.injected["swapped pairs"] += 1
            return self._waiting_answer
        if fault != "swapped":
            return answer
        mine = self._waiting = asyncio.get_running_loop().create_future()
        self._waiting_answer = answer
        with suppress(TimeoutError):
            return await asyncio.wait_for(mine, self._slow_s)
        if self._waiting is mine:
            self._waiting = None
        return answer

    async def _misbehave(
        self, request: web.Request, fault: str, answer: dict[str, Any]
    ) -> web.StreamResponse:
        (choice,) = answer["choices"]
        match fault:
            case "error_500":
                return _error(500, "EngineCore encountered an issue.\nSee the stack trace.")
            case "error_503":
                return _error(503, "no worker is ready")
            case "error_400":
                return _error(400, "the picture cannot be read")
            case "rate_limit":
                return _error(429, "slow down", {"Retry-After": self._retry_after})
            case "html":
                return web.Response(text="<html><title>Welcome</title></html>", content_type="text/html")
            case "slow":
                await asyncio.sleep(self._slow_s)
            case "drop_before":
                _drop(request)
            case "drop_middle" | "endless" | "trickle":
                return await self._never_whole(request, fault, answer)
            case "malformed":
                return web.Response(body=json.dumps(answer)[:-7], content_type="application/json")
            case "no_choices":
                answer["choices"] = []
            case "empty":
                choice["message"]["content"] = ""
            case "wrong_id":
                answer["id"] = f"{answer['id']}0"
            case "no_id":
                answer["id"] = "chatcmpl-9xK2"
            case "truncated":
                choice["finish_reason"] = "length"
            case "refused":
                choice["message"] |= {"content": None, "refusal": "I can't help with that."}
            case "duplicate":
                return await _twice(request, answer)
        return web.json_response(answer)

    async def _never_whole(
        self, request: web.Request, fault: str, answer: dict[str, Any]
    ) -> web.StreamResponse:
        whole = json.dumps(answer).encode()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if fault == "drop_middle":
            response.content_length = len(whole)
        await response.prepare(request)
        if fault == "drop_middle":
            await response.write(whole[: self._random.randrange(1, len(whole))])
            _drop(request)
            return response
        with suppress(ConnectionError):
            await response.write(b'{"choices": [{"message": {"content": "')
            while request.transport is not None and not request.transport.is_closing():
                await response.write(b"a" * (2**16 if fault == "endless" else 1))
                await asyncio.sleep(0 if fault == "endless" else 0.02)
        return response


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


async def _twice(request: web.Request, answer: dict[str, Any]) -> web.StreamResponse:
    """Send the whole answer, and then once more: a client that listens on takes it for the next request's."""
    whole = json.dumps(answer).encode()
    response = web.Response(body=whole, content_type="application/json")
    await response.prepare(request)
    await response.write_eof()
    if isinstance(request.transport, asyncio.Transport):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n"
        request.transport.write(head.encode() + whole)
    return response


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"error": {"message": message, "type": "Error", "code": status}}, status=status, headers=headers
    )


def _read_messages(messages: list[dict[str, Any]]) -> tuple[str, str, list[bytes], bool]:
    """Return instructions, question, pictures, and whether they came as a video; strict about the order."""
    system = ""
    if messages[0]["role"] == "system":
        system = messages.pop(0)["content"]
    (user,) = messages
    assert user["role"] == "user"
    if isinstance(user["content"], str):
        return system, user["content"], [], False
    *seen, question = user["content"]
    assert question["type"] == "text"
    urls = [part[part["type"]]["url"] for part in seen]
    jpegs = [b64decode(text, validate=True) for url in urls for text in url.split(",")[1:]]
    return system, question["text"], jpegs, any(part["type"] == "video_url" for part in seen)


def _instance(schema: Mapping[str, Any], text: str) -> Any:
    """Return something that follows a simple JSON schema: the first of an enumeration, else `text`."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: _instance(inner, text) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [_instance(schema.get("items", {}), text)]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
    return text


class ServerProcess:
    """The server as a process of its own; `kill` it, `start` it again on the same port."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and wait until it listens."""
        command = [sys.executable, __file__, "--port", str(self.port), *self._arguments]
        process = self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip():
            raise RuntimeError(f"the server did not start: {command}")
        self.port = int(line)

    def kill(self) -> None:
        """Send SIGKILL."""
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()


def _shares(text: str) -> dict[str, float]:
    """Return shares by kind of `a=0.1,b=0.2`."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {kind.strip(): float(share) for kind, _, share in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--faults", type=_shares, default={}, help=f"shares of {', '.join(KINDS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="echo")
    parser.add_argument("--key-env", help="environment variable with the key that is asked for")
    parser.add_argument("--slow-s", type=float, default=0.3)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--retry-after", default="0")
    parser.add_argument("--max-pictures", type=int, default=1000)
    parser.add_argument("--style", choices=("proof", "prose"), default="proof")
    parser.add_argument("--no-ids", action="store_true")
    parser.add_argument("--log", type=Path, help="a JSON line for each request")
    options = parser.parse_args()
    server = FaultyServer(
        options.faults,
        seed=options.seed,
        port=options.port,
        model=options.model,
        key=os.environ[options.key_env] if options.key_env else None,
        gives_ids=not options.no_ids,
        slow_s=options.slow_s,
        retry_after=options.retry_after,
        latency_s=options.latency_s,
        max_pictures=options.max_pictures,
        style=options.style,
        log=options.log,
    )
    asyncio.run(_serve(server))


async def _serve(server: FaultyServer) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    main()
