"""The engine `openai` against vLLM's own server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.util import find_spec

import pytest
from asking import FRAMES, ask
from vllm_server import Server

from caption.engine import Answer
from caption.openai_engine import OpenAIEngine, OpenAIOptions

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
if find_spec("vllm") is None:
    pytest.skip("needs vLLM: make setup-vllm", allow_module_level=True)


def test_each_answer_names_its_request_and_its_pictures_count(vllm_server: Server) -> None:
    options = OpenAIOptions.model_validate({"base_url": vllm_server.url, "model": vllm_server.model})
    engine = OpenAIEngine(options)
    requests = [ask(number, FRAMES[: number % 4], max_tokens=4 + number) for number in range(16)]
    requests.append(replace(ask(16, FRAMES[:1]), pictures=(replace(FRAMES[0], jpeg=b"no picture"),)))

    async def run() -> list[Answer]:
        try:
            return list(await asyncio.gather(*map(engine.generate, requests)))
        finally:
            await engine.stop()

    engine.setup()
    try:
        *answers, broken = asyncio.run(run())
    finally:
        engine.close()
    assert [answer.id for answer in answers] == [request.id for request in requests[:-1]]
    for request, answer in zip(requests, answers, strict=False):
        assert answer.status in ("ok", "truncated", "empty"), answer
        assert 0 < (answer.tokens or 0) <= request.max_tokens
        assert (answer.prompt_tokens or 0) > 50 * len(request.pictures)
    assert (broken.id, broken.status) == (requests[-1].id, "error")
