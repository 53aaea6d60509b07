"""The engine `transformers` with a tiny model that takes pictures, and says nothing sensible of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from asking import FRAMES, ask

from caption.engine import Answer, Request
from caption.transformers_engine import TransformersEngine, TransformersOptions
from shards.errors import ConfigError

if find_spec("transformers") is None:
    pytest.skip("needs cogcurate[transformers]", allow_module_level=True)


def started(model: Path, **options: object) -> TransformersEngine:
    engine = TransformersEngine(
        TransformersOptions.model_validate({"model": str(model), "device": "cpu"} | options)
    )
    engine.setup()
    return engine


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> Iterator[TransformersEngine]:
    engine = started(tiny_folder / "vlm")
    yield engine
    engine.close()


def generate(engine: TransformersEngine, requests: Sequence[Request]) -> list[Answer]:
    async def run() -> list[Answer]:
        try:
            return list(await asyncio.gather(*map(engine.generate, requests)))
        finally:
            await engine.stop()

    return asyncio.run(run())


def test_answers_carry_their_requests_ids_and_counts(vlm: TransformersEngine) -> None:
    requests = [ask(number, FRAMES[: 1 + number % 3], max_tokens=8 + number) for number in range(11)]
    answers = generate(vlm, requests)
    assert [answer.id for answer in answers] == [request.id for request in requests]
    for request, answer in zip(requests, answers, strict=True):
        assert answer.model.startswith("vlm@")
        assert answer.tokens is not None
        assert answer.prompt_tokens is not None
        assert answer.status in ("ok", "truncated", "empty")
        assert answer.tokens <= request.max_tokens
        if answer.status == "truncated":
            assert answer.tokens == request.max_tokens
        assert answer.prompt_tokens > 50 * len(request.pictures)


def test_a_batch_says_what_each_request_alone_says(vlm: TransformersEngine) -> None:
    requests = [ask(number, FRAMES[number : number + 1], max_tokens=12) for number in range(3)]
    requests += [replace(ask(9, FRAMES[:2], max_tokens=12), temperature=0.0)]
    together = generate(vlm, requests)
    assert [generate(vlm, [request])[0].text for request in requests] == [answer.text for answer in together]


def test_seed_and_picture_and_temperature_decide(vlm: TransformersEngine) -> None:
    first = ask(0, FRAMES[:1], max_tokens=24)
    other_seed = replace(first, id="b", seed=1)
    other_picture = replace(first, id="c", pictures=FRAMES[1:2])
    cold, cold_again = (
        replace(first, id="d", temperature=0.0),
        replace(first, id="e", temperature=0.0, seed=5),
    )
    texts = [answer.text for answer in generate(vlm, [first, other_seed, other_picture, cold, cold_again])]
    assert len(set(texts[:4])) == 4
    assert texts[3] == texts[4]


def test_video_is_cheaper_than_its_pictures(vlm: TransformersEngine) -> None:
    pictures = ask(0, FRAMES, max_tokens=4)
    answers = generate(vlm, [pictures, replace(pictures, id="v", video=True)])
    shown, video = (answer.prompt_tokens or 0 for answer in answers)
    assert video < 0.7 * shown
    assert {answer.status for answer in answers} <= {"ok", "truncated", "empty"}


def test_pictures_are_made_small(tiny_folder: Path, vlm: TransformersEngine) -> None:
    engine = started(tiny_folder / "vlm", image_px=84)
    (small,) = generate(engine, [ask(0, FRAMES[:1], max_tokens=2)])
    engine.close()
    (whole,) = generate(vlm, [ask(0, FRAMES[:1], max_tokens=2)])
    assert (small.prompt_tokens or 0) < (whole.prompt_tokens or 0) - 50


def test_what_is_wrong_with_one_request_is_its_answer(tiny_folder: Path, vlm: TransformersEngine) -> None:
    broken = replace(FRAMES[0], jpeg=FRAMES[0].jpeg[:40])
    bad, good = generate(vlm, [ask(0, (broken,)), ask(1, FRAMES[:1], max_tokens=4)])
    assert (bad.status, bad.message) == ("error", "the picture at 0.00 s cannot be decoded")
    assert good.status != "error"
    narrow = started(tiny_folder / "vlm", max_model_len=60)
    large, fits = generate(narrow, [ask(0, FRAMES[:1]), ask(1, (), max_tokens=4)])
    narrow.close()
    assert large.status == "error"
    assert "max_model_len is 60" in large.message
    assert fits.status != "error"


def test_a_language_model_sums_up_and_sees_nothing(tiny_folder: Path) -> None:
    engine = started(tiny_folder / "lm")
    answers = generate(engine, [ask(number, (), max_tokens=9) for number in range(5)])
    assert all(0 < (answer.tokens or 0) <= 9 for answer in answers)
    with pytest.raises(ConfigError, match=r"lm@\w+ sees no pictures, but the template 'frame' shows some"):
        generate(engine, [ask(0, FRAMES[:1])])
    engine.close()


def test_a_cancelled_request_disturbs_nobody(vlm: TransformersEngine) -> None:
    async def run() -> Answer:
        lost = asyncio.create_task(vlm.generate(ask(0, FRAMES[:1])))
        kept = asyncio.create_task(vlm.generate(ask(1, FRAMES[:1], max_tokens=4)))
        await asyncio.sleep(0.001)
        lost.cancel()
        answer = await kept
        await vlm.stop()
        return answer

    assert asyncio.run(run()).id == ask(1, ()).id


def test_no_model_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    engine = TransformersEngine(TransformersOptions(model="qwen2.5-vl-3b"))
    with pytest.raises(ConfigError) as caught:
        engine.setup()
    engine.close()
    message = str(caught.value)
    assert "hf download Qwen/Qwen2.5-VL-3B-Instruct" in message
    assert "--set caption.engine.transformers.model=/path" in message
    assert "\n" not in message
    with pytest.raises(ConfigError, match=r"no config\.json"):
        TransformersEngine(TransformersOptions(model=str(tmp_path)))
