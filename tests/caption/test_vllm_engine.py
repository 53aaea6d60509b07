"""The engine `vllm`: real vLLM on a CPU with a tiny model, started once."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from asking import FRAMES, ask
from vllm_server import QUIET

from caption.engine import Answer, Request
from caption.loop import LoopThread
from caption.vllm_engine import VllmEngine, VllmOptions
from shards.errors import ConfigError, WorkerLostError

pytestmark = [
    pytest.mark.vllm,
    # What other people's packages warn of while vLLM is imported is not ours to mend.
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(900),
]
if find_spec("vllm") is None:
    pytest.skip("needs vLLM: make setup-vllm", allow_module_level=True)

CONTEXT = 1024
SMALL = {
    "max_model_len": CONTEXT,
    "max_num_seqs": 8,
    "enforce_eager": True,
    "gpu_memory_utilization": 0.1,
    "extra": {"limit_mm_per_prompt": {"image": 8, "video": 1}},
}


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


class Running:
    """An engine and the loop that it belongs to, as a worker has them."""

    def __init__(self, model: Path, **options: object) -> None:
        self.loop = LoopThread()
        self.engine = VllmEngine(VllmOptions.model_validate({**SMALL, "model": str(model), **options}))
        self.engine.setup()

    def generate(self, requests: Sequence[Request]) -> list[Answer]:
        async def run() -> list[Answer]:
            return list(await asyncio.gather(*map(self.engine.generate, requests)))

        return self.loop.run(run())

    def close(self) -> None:
        self.loop.run(self.engine.stop())
        self.engine.close()
        self.loop.close()


@pytest.fixture(scope="module")
def running(tiny_folder: Path) -> Iterator[Running]:
    os.environ.update(QUIET)
    before = children()
    running = Running(tiny_folder / "vlm")
    yield running
    running.close()
    left = [p.name() for p in psutil.Process().children(recursive=True) if p.pid not in before]
    assert [name for name in left if "VLLM" in name] == []


def test_many_in_flight_and_each_answer_names_its_request(running: Running) -> None:
    requests = [ask(number, FRAMES[: 1 + number % 4], max_tokens=6 + number % 20) for number in range(40)]
    answers = running.generate(requests)
    assert [answer.id for answer in answers] == [request.id for request in requests]
    for request, answer in zip(requests, answers, strict=True):
        assert answer.status in ("ok", "truncated", "empty"), answer
        assert answer.model == running.engine.model
        assert answer.model.startswith("vlm@")
        assert 0 < (answer.tokens or 0) <= request.max_tokens
        assert (answer.prompt_tokens or 0) > 50 * len(request.pictures)
        assert answer.prepared_s > 0
        if answer.status == "truncated":
            assert answer.tokens == request.max_tokens
    assert {"ok", "truncated"} <= {answer.status for answer in answers}
    assert max(answer.queued_s for answer in answers) > 0  # eight at a time, forty asked


def test_the_prefix_is_cached(running: Running) -> None:
    question = replace(ask(90, FRAMES, max_tokens=4), system="You describe pictures at length. " * 8)
    (cold,) = running.generate([question])
    (warm,) = running.generate([replace(question, id="again", prompt="And what stands still?")])
    assert (warm.cached_tokens or 0) > 0.7 * (warm.prompt_tokens or 0)
    assert (cold.cached_tokens or 0) < 0.3 * (cold.prompt_tokens or 0)


def test_seed_and_picture_decide(running: Running) -> None:
    first = ask(0, FRAMES[:1], max_tokens=24)
    same, seed, picture = (
        replace(first, id="a"),
        replace(first, id="b", seed=77),
        replace(first, id="c", pictures=FRAMES[2:3]),
    )
    texts = [running.generate([request])[0].text for request in (first, same, seed, picture)]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_video_is_cheaper_than_its_pictures(running: Running) -> None:
    pictures = ask(0, FRAMES, max_tokens=4)
    shown, video, one = running.generate(
        [
            pictures,
            replace(pictures, id="v", video=True),
            replace(pictures, id="1", pictures=FRAMES[:1], video=True),
        ]
    )
    assert {shown.status, video.status, one.status} <= {"ok", "truncated", "empty"}
    assert (video.prompt_tokens or 0) < 0.7 * (shown.prompt_tokens or 0)
    assert (one.prompt_tokens or 0) < (video.prompt_tokens or 0)


def test_a_schema_is_followed(running: Running) -> None:
    schema = {
        "type": "object",
        "properties": {"moves": {"type": "boolean"}, "kind": {"enum": ["pan", "zoom"]}},
        "required": ["moves", "kind"],
        "additionalProperties": False,
    }
    requests = [replace(ask(number, FRAMES[:1], max_tokens=200), schema=schema) for number in range(4)]
    ended = [answer for answer in running.generate(requests) if answer.status == "ok"]
    assert ended
    for answer in ended:
        said = json.loads(answer.text)
        assert set(said) == {"moves", "kind"}
        assert said["kind"] in ("pan", "zoom")


def test_what_is_wrong_with_one_request_is_its_answer(running: Running) -> None:
    broken = replace(FRAMES[0], jpeg=b"\xff\xd8 not a picture")
    long = replace(ask(1, FRAMES[:1]), prompt="word " * 3000)
    medium = replace(ask(2, FRAMES[:2]), prompt="red ball " * 520)
    bad, too_long, over, good = running.generate(
        [ask(0, (broken,)), long, medium, ask(3, FRAMES[:1], max_tokens=4)]
    )
    assert (bad.status, bad.id) == ("error", "clip00/frame/0")
    assert "cannot be decoded" in bad.message
    for answer in (too_long, over):
        assert answer.status == "error"
        assert f"max_model_len is {CONTEXT}" in answer.message
    assert good.status in ("ok", "truncated", "empty")


def test_a_cancelled_request_is_aborted(running: Running) -> None:
    async def run() -> int:
        task = asyncio.create_task(running.engine.generate(replace(ask(0, FRAMES[:1]), max_tokens=900)))
        async with asyncio.timeout(60):
            while running.engine._llm.get_num_unfinished_requests() == 0:
                await asyncio.sleep(0.005)
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError)
        unfinished: int = running.engine._llm.get_num_unfinished_requests()
        return unfinished

    assert running.loop.run(run()) == 0
    assert running.generate([ask(1, FRAMES[:1], max_tokens=4)])[0].id == ask(1, ()).id


def test_a_context_too_small_for_a_picture_is_said_before_the_start(tiny_folder: Path) -> None:
    options = VllmOptions.model_validate({"model": str(tiny_folder / "vlm"), **SMALL, "max_model_len": 64})
    engine = VllmEngine(options)
    with pytest.raises(ConfigError, match=r"64 tokens cannot hold one picture, which takes \d{3}"):
        engine.setup()
    engine.close()


def test_no_model_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    engine = VllmEngine(VllmOptions(model="qwen2.5-vl-7b"))
    with pytest.raises(ConfigError) as caught:
        engine.setup()
    engine.close()
    assert "hf download Qwen/Qwen2.5-VL-7B-Instruct" in str(caught.value)
    assert "--set caption.engine.vllm.model=/path" in str(caught.value)
    with pytest.raises(ConfigError, match=r"no config\.json"):
        VllmEngine(VllmOptions(model=str(tmp_path)))


def test_unknown_extra_is_refused(tiny_folder: Path) -> None:
    engine = VllmEngine(
        VllmOptions.model_validate({**SMALL, "model": str(tiny_folder / "vlm"), "extra": {"max_seqs": 3}})
    )
    with pytest.raises(ConfigError, match=r"engine\.vllm\.extra: .*max_seqs"):
        engine.setup()
    engine.close()


def test_a_dead_engine_is_told_to_the_worker(running: Running) -> None:
    """The last of this file: it kills the engine that the others use."""
    cores = [child for child in psutil.Process().children(recursive=True) if "VLLM" in child.name()]
    assert cores

    async def run() -> list[object]:
        for core in cores:
            core.suspend()  # it cannot have answered before it dies
        tasks = [asyncio.create_task(running.engine.generate(ask(n, FRAMES[:1]))) for n in range(4)]
        async with asyncio.timeout(60):
            while running.engine._llm.get_num_unfinished_requests() < len(tasks):
                await asyncio.sleep(0.05)
        for core in cores:
            core.kill()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    ends = running.loop.run(run())
    assert [type(end) for end in ends] == [WorkerLostError] * 4
    assert all("vLLM has died" in str(end) for end in ends)
