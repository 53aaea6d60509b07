"""An engine without a model: it answers with what it was asked, pictures by digest, as JSON.

For proofs that requests carry what they should: whoever knows the clip can tell what must come back. It
answers out of order, and can misbehave on chosen requests. Found by workers as `echo_engine:Echo`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
from collections.abc import Mapping
from typing import ClassVar

from caption.engine import Answer, Request
from curate.records import Options


class EchoOptions(Options):
    """How it misbehaves."""

    name: str = "echo"
    delay_s: float = 0.0
    """answers take up to so long"""
    wrong_id: str = ""
    """pattern of request ids that are answered with another clip's id"""
    error: str = ""
    """pattern of request ids that are answered by an error"""
    empty: str = ""
    truncated: str = ""


class Echo:
    """Answers with the ids that it was asked for; later requests are often answered first."""

    version: ClassVar[int] = 3
    rule_based: ClassVar[bool] = False
    Options: ClassVar[type[Options]] = EchoOptions
    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    def __init__(self, options: EchoOptions | None = None) -> None:
        self.options = options or EchoOptions()
        self.requests: list[Request] = []
        self.loops: set[int] = set()
        self.in_flight = self.most_in_flight = 0
        self.closed = self.stopped = False
        self.random = random.Random(1)

    @property
    def model(self) -> str:
        return self.options.name

    def digests(self) -> Mapping[str, str]:
        return {"weights": "abc"}

    def counts(self) -> Mapping[str, float]:
        return {"echoed": float(len(self.requests))}

    def setup(self) -> None:
        return None

    async def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True

    async def generate(self, request: Request) -> Answer:
        self.requests.append(request)
        self.loops.add(id(asyncio.get_running_loop()))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(max(0, 20 - len(self.requests))):
            await asyncio.sleep(0)
        if self.options.delay_s:
            await asyncio.sleep(self.random.random() * self.options.delay_s)
        self.in_flight -= 1
        return self.answer(request)

    def answer(self, request: Request) -> Answer:
        def hit(pattern: str) -> bool:
            return bool(pattern) and re.search(pattern, request.id) is not None

        ident = "0" * 32 + "/x/1" if hit(self.options.wrong_id) else request.id
        if hit(self.options.error):
            return Answer(ident, "error", "", self.model, message="out of\nmemory")
        if hit(self.options.empty):
            return Answer(ident, "empty", "", self.model)
        status = "truncated" if hit(self.options.truncated) else "ok"
        return Answer(ident, status, said(request), self.model, prompt_tokens=7, tokens=5)


def said(request: Request) -> str:
    """Return the text that answers a request: everything that it says, as one word."""
    pictures = [[picture.time_s, hashlib.sha256(picture.jpeg).hexdigest()] for picture in request.pictures]
    answer = {"id": request.id, "pictures": pictures, "prompt": request.prompt}
    return json.dumps(answer, separators=(",", ":")).replace(" ", "_")
