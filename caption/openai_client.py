"""Asks an OpenAI-compatible endpoint, again where that may help, and believes nothing of what it answers.

Made of httpx2 and tenacity and not of the `openai` package: an answer must be read in pieces, so that an
endless one can be cut off, and its id and headers be seen before anything is made of its text. httpx2 is what
the `openai` package itself is made of.

Invariant: what is returned does not name another request. Where answers need not name any, a connection
serves one request: an answer too many on it would be taken for the next one's. Memory: `max_answer_bytes` a
request in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx2

from caption.openai_options import OpenAIOptions
from caption.openai_retry import Fault, Pace, Reason, retry_after_s
from caption.openai_wire import MalformedError, Reply, error_line, read_reply, request_header
from curate.registry import nearest
from shards.errors import ConfigError, ServiceError

__all__ = ["Asked", "Client", "RefusedError"]

_CONNECT_S = 10.0
# Below the 5 s after which uvicorn, under vLLM's server, closes an idle connection.
_IDLE_S = 4.0
_ERROR_BYTES = 2**16
_BUSY = frozenset({408, 409, 425})
_AWAY = frozenset({502, 503, 504})
_FILTERED = (b"content_filter", b"content_policy_violation", b"requires moderation")


class RefusedError(Exception):
    """The endpoint says that the request itself is wrong: asking again is of no use."""

    def __init__(self, message: str, *, filtered: bool) -> None:
        super().__init__(message)
        self.filtered = filtered
        """it is the content that the endpoint objects to"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a request: a reply, or the message that says why there is none."""

    reply: Reply | None
    attempts: int
    message: str = ""
    filtered: bool = False


class Client:
    """One endpoint, asked from one event loop."""

    def __init__(
        self,
        options: OpenAIOptions,
        key: str | None,
        models: tuple[str, ...],
        on_reply: Callable[[Reply], None],
        on_retry: Callable[[Reason], None],
    ) -> None:
        """`models` are known to be there; `on_reply` is told of every completion, used or not."""
        self._options = options
        self._key = key
        self._models = models
        self._on_reply = on_reply
        self._pace = Pace(options, on_retry)
        self._answered = self._named = False
        self._http = httpx2.AsyncClient(
            headers=headers(key),
            timeout=httpx2.Timeout(None, connect=min(_CONNECT_S, options.timeout_s)),
            limits=httpx2.Limits(
                max_connections=options.concurrency,
                max_keepalive_connections=options.concurrency if options.require_ids else 0,
                keepalive_expiry=_IDLE_S,
            ),
        )

    async def ask(self, request_id: str, body: bytes) -> Asked:
        """Return what came of it; raises ConfigError and ServiceError for what no request can get past."""
        attempts = 0
        try:
            async for attempt in self._pace.tries():
                with attempt:
                    await self._pace.turn()
                    attempts += 1
                    return Asked(await self._attempt(request_id, body), attempts)
        except RefusedError as exc:
            return Asked(None, attempts, str(exc), exc.filtered)
        except Fault as fault:
            self._never_any_better(fault)
            return Asked(None, attempts, f"given up after {attempts} attempts: {fault}")
        raise AssertionError("an attempt returns or raises")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _attempt(self, request_id: str, body: bytes) -> Reply:
        """Return a reply that names the request, or none where that is allowed."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                status, head, said = await self._exchange(request_id, body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as exc:
            raise Fault("outage", why_unreachable(exc)) from exc
        except (TimeoutError, httpx2.TimeoutException) as exc:
            raise Fault("timeout", f"no whole answer within {self._options.timeout_s:g} s") from exc
        except httpx2.DecodingError as exc:
            raise Fault("malformed", "its content encoding cannot be decoded") from exc
        except httpx2.TransportError as exc:
            raise Fault("dropped", f"the connection broke off ({type(exc).__name__})") from exc
        if status not in _AWAY:
            self._pace.reached()
        if status != 200:
            self._refuse(status, head, said)
        if "text/html" in head.get("content-type", ""):
            raise Fault("malformed", f"answered with {self._line(said)}")
        try:
            reply = read_reply(said, head)
        except MalformedError as exc:
            raise Fault("malformed", str(exc)) from exc
        self._answered = True
        self._on_reply(reply)
        if any(name != request_id for name in reply.named):
            others = ", ".join(repr(name[:200]) for name in reply.named)
            raise Fault("wrong_id", f"the answer names another request: {others}")
        self._named = self._named or bool(reply.named)
        if self._options.require_ids and not reply.named:
            raise Fault("no_id", "the answer does not name its request")
        return reply

    async def _exchange(self, request_id: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body; of an error no more than its beginning."""
        sent = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            # Compressed, a few bytes could become very many.
            "Accept-Encoding": "identity",
            "X-Request-Id": request_header(request_id),
        }
        url = f"{self._options.base_url}/chat/completions"
        async with self._http.stream("POST", url, content=body, headers=sent) as response:
            status, said = response.status_code, bytearray()
            async for piece in response.aiter_bytes():
                said += piece
                if status != 200 and len(said) >= _ERROR_BYTES:
                    break
                if len(said) > self._options.max_answer_bytes:
                    limit = self._options.max_answer_bytes
                    raise Fault("endless", f"an answer of more than {limit} bytes, cut off")
            return status, {k.lower(): v for k, v in response.headers.items()}, bytes(said)

    def _refuse(self, status: int, head: Mapping[str, str], said: bytes) -> None:
        """Raise what the status of an error stands for."""
        line, later_s = self._line(said), retry_after_s(head.get("retry-after"), time.time())
        where, model = self._options.base_url, self._options.model
        if status == 402 or (status == 429 and b"insufficient_quota" in said):
            raise ServiceError(f"{where}: the account's quota is used up: {line}")
        if status == 429:
            raise Fault("rate_limit", f"429: {line}", later_s)
        if status in _AWAY:
            raise Fault("outage", f"{status}: {line}", later_s)
        if status in _BUSY or status >= 500:
            raise Fault("server_error", f"{status}: {line}", later_s)
        if status in (400, 403) and any(word in said for word in _FILTERED):
            raise RefusedError(f"{status}: {line}", filtered=True)
        if status in (401, 403):
            raise ConfigError(refused_key(self._options, status, line))
        if status == 404:
            hint = f"; {nearest(model, list(self._models))}" if self._models else ""
            raise ConfigError(
                f"{where}: no model {model!r} there, or no chat completions (404: {line}){hint}"
            )
        if status < 400 or status == 405:
            raise ConfigError(not_an_endpoint(self._options, f"{status}: {line}"))
        raise RefusedError(f"{status}: {line}", filtered=False)

    def _never_any_better(self, fault: Fault) -> None:
        """Raise ConfigError where the last fault is what every answer of this endpoint has."""
        if fault.reason == "no_id" and not self._named:
            raise ConfigError(
                f"{self._options.base_url}: its answers do not name their requests; "
                "set require_ids: false to take them for what they were asked for"
            )
        if fault.reason == "malformed" and not self._answered:
            raise ConfigError(not_an_endpoint(self._options, str(fault)))

    def _line(self, said: bytes) -> str:
        return error_line(said, self._key)


def headers(key: str | None) -> dict[str, str]:
    """Return what every request says about who asks."""
    return {"User-Agent": "cogcurate"} | ({} if key is None else {"Authorization": f"Bearer {key}"})


def why_unreachable(exc: Exception) -> str:
    """Return why there was no connection, in a few words."""
    return error_line(str(exc)) or type(exc).__name__


def refused_key(options: OpenAIOptions, status: int, line: str) -> str:
    """Return what to say where the endpoint wants another key."""
    which = f"${options.api_key_env}" if options.api_key_env else "none: set api_key_env"
    return f"{options.base_url}: refuses access ({status}: {line}); the key was {which}"


def not_an_endpoint(options: OpenAIOptions, line: str) -> str:
    """Return what to say where something else answers."""
    return (
        f"{options.base_url}: is no OpenAI-compatible endpoint ({line}); "
        "base_url ends where /chat/completions is added, usually in /v1"
    )
