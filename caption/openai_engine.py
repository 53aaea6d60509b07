"""The engine `openai`: any endpoint that speaks OpenAI's chat completions.

A vLLM server, a router before several, or a hosted model. Requests go out as `openai_wire` writes them,
bounded in number; `openai_client` asks again where that may help. It is built on httpx2 with tenacity, for
reasons that stand there. `counts` is the bill: what was asked, asked again and why, tokens and cost, of
answers that were thrown away, too.

The endpoint's address is not part of what decides the text, nor is anything that it tells of its models:
vLLM's `created` is the time of asking, its `root` a path on the server, and a plan must be made without the
network. `model` decides, and `revision` where the user knows one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from caption.engine import Answer, Request, Status
from caption.jpeg import NotAPictureError
from caption.openai_options import OpenAIOptions
from caption.openai_wire import Reply, TooManyFramesError, encode_request
from curate.records import Options
from curate.tally import Tally
from shards.errors import ConfigError

if TYPE_CHECKING:
    from caption.openai_client import Client

__all__ = ["OpenAIEngine"]


class OpenAIEngine:
    """Answers from an endpoint."""

    version: ClassVar[int] = 1
    rule_based: ClassVar[bool] = False
    Options: ClassVar[type[Options]] = OpenAIOptions
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    def __init__(self, options: OpenAIOptions) -> None:
        self.options = options
        self._key: str | None = None
        self._models: tuple[str, ...] = ()
        self._client: Client | None = None
        self._slots: asyncio.Semaphore | None = None
        self._bill = Tally()

    @property
    def model(self) -> str:
        """The model's name, and its revision where that is given."""
        return self._named(self.options.model)

    def digests(self) -> Mapping[str, str]:
        """Return nothing: the files are elsewhere, and the name is among the options."""
        return {}

    def setup(self) -> None:
        """Look for the endpoint. ConfigError where it is not there, or refuses the key."""
        try:
            from caption.openai_probe import probe
        except ImportError as exc:
            raise ConfigError(
                f"engine openai: {exc.name} is not installed; install cogcurate[openai]"
            ) from exc
        self._key = _key(self.options.api_key_env)
        self._models = probe(self.options, self._key)
        self._slots = asyncio.Semaphore(self.options.concurrency)

    async def generate(self, request: Request) -> Answer:
        """Answer one request.

        Raises ConfigError where model or key are not known there, ServiceError where the endpoint is gone for
        longer than the patience.
        """
        if self._slots is None:
            raise RuntimeError("OpenAIEngine.generate before setup")
        came_s = perf_counter()
        async with self._slots:
            queued_s = perf_counter() - came_s
            try:
                body, prepared_s = await asyncio.to_thread(_encode, request, self.options)
            except (NotAPictureError, TooManyFramesError) as exc:
                return Answer(request.id, "error", "", self.model, message=str(exc), attempts=0)
            asked = await self._connected().ask(request.id, body)
        reply = asked.reply
        if reply is None:
            status: Status = "refused" if asked.filtered else "error"
            return Answer(
                request.id, status, "", self.model, None, None, None,
                prepared_s, queued_s, asked.attempts, asked.message,
            )  # fmt: skip
        return Answer(
            id=reply.named[0] if reply.named else request.id,
            status=reply.status,
            text=reply.text,
            model=self._named(reply.model or self.options.model),
            prompt_tokens=reply.prompt_tokens,
            tokens=reply.tokens,
            cached_tokens=reply.cached_tokens,
            prepared_s=prepared_s,
            queued_s=queued_s,
            attempts=asked.attempts,
            message=reply.message,
        )

    def counts(self) -> Mapping[str, float]:
        """Return the bill since the engine was built.

        `completions` that came back, `retries` and `retries_<reason>`, `billed_prompt_tokens`,
        `billed_cached_tokens` (a part of them), `billed_generated_tokens`, and `cost` by `price_per_million`.
        """
        return dict(self._bill)

    async def stop(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def close(self) -> None:
        """Forget the key."""
        self._key = None

    def _connected(self) -> Client:
        # Here and not in `setup`: connections belong to the event loop that runs now.
        if self._client is None:
            from caption.openai_client import Client

            self._client = Client(self.options, self._key, self._models, self._charge, self._retried)
        return self._client

    def _named(self, model: str) -> str:
        return f"{model}@{self.options.revision}" if self.options.revision else model

    def _retried(self, reason: str) -> None:
        self._bill["retries"] += 1
        self._bill[f"retries_{reason}"] += 1

    def _charge(self, reply: Reply) -> None:
        prompt, cached, generated = reply.prompt_tokens or 0, reply.cached_tokens or 0, reply.tokens or 0
        prices = self.options.price_per_million
        cached_price = prices.prompt if prices.cached is None else prices.cached
        self._bill["completions"] += 1
        self._bill["billed_prompt_tokens"] += prompt
        self._bill["billed_cached_tokens"] += cached
        self._bill["billed_generated_tokens"] += generated
        self._bill["cost"] += (
            (prompt - cached) * prices.prompt + cached * cached_price + generated * prices.generated
        ) / 1e6


def _encode(request: Request, options: OpenAIOptions) -> tuple[bytes, float]:
    began_s = perf_counter()
    return encode_request(request, options), perf_counter() - began_s


def _key(name: str | None) -> str | None:
    """Return the key in the environment variable `name`; no message ever holds it."""
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"engine openai: the environment variable {name} (api_key_env) is not set")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"engine openai: what {name} (api_key_env) holds cannot be a key")
    return key
