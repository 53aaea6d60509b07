"""Requests to the engine `openai`, and what comes back of a server that echoes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from echoes import proof
from faulty_server import FaultyServer

from caption.engine import Answer, Picture, Request
from caption.openai_engine import OpenAIEngine
from caption.openai_options import OpenAIOptions
from caption.openai_wire import request_header
from curate.config import validate
from shards.errors import ConfigError, CurateError

__all__ = ["SECRET", "answered", "answers_of", "ask", "complaint", "echo", "engine", "jpeg"]

SECRET = "sk-Secret0123456789abcdef"


def jpeg(seed: int, width: int = 64, height: int = 48) -> bytes:
    """A JPEG unlike any other's."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def ask(n: int, pictures: int = 2, **changes: Any) -> Request:
    clip, times_s = f"c{n:04d}", [n / 10 + k for k in range(pictures)]
    request = Request(
        id=f"{clip}/dense/0",
        clip_id=clip,
        template="dense",
        system="You describe shots.",
        prompt=f"Taken at {', '.join(f'{time_s:.1f}' for time_s in times_s)} seconds. Describe.",
        pictures=tuple(Picture(time_s, jpeg(100 * n + k)) for k, time_s in enumerate(times_s)),
        video=False,
        seed=n,
        max_tokens=64,
        temperature=0.5,
    )
    return replace(request, **changes)


def echo(request: Request) -> str:
    jpegs = [picture.jpeg for picture in request.pictures]
    return proof(request_header(request.id), jpegs, request.prompt, request.seed)


def engine(base_url: str, **changes: Any) -> OpenAIEngine:
    quick = {"backoff_s": 0.01, "max_backoff_s": 0.05, "timeout_s": 5.0, "patience_s": 0.3}
    raw = {"base_url": base_url, "model": "echo", **quick, **changes}
    return OpenAIEngine(validate(OpenAIOptions, raw, "engine.openai"))


async def answers_of(engine: OpenAIEngine, requests: Sequence[Request]) -> list[Answer]:
    try:
        await asyncio.to_thread(engine.setup)
        return await asyncio.gather(*map(engine.generate, requests))
    finally:
        await engine.stop()
        engine.close()


def answered(
    requests: Sequence[Request], server: dict[str, Any] | None = None, **options: Any
) -> tuple[list[Answer], FaultyServer, OpenAIEngine]:
    """Return the answers of a server with the given arguments, the server and the engine, stopped."""

    async def run() -> tuple[list[Answer], FaultyServer, OpenAIEngine]:
        async with FaultyServer(**(server or {})) as faulty:
            asking = engine(faulty.base_url, **options)
            return await answers_of(asking, requests), faulty, asking

    return asyncio.run(run())


def complaint(run: Callable[[], object], kind: type[CurateError] = ConfigError) -> str:
    """Return the message of the error, which must be one line."""
    with pytest.raises(kind) as caught:
        run()
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    return message
