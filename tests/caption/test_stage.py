"""The caption pass with engines that misbehave."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from caption.engine import CaptionRequest, CaptionResult, Status
from caption.stage import Caption, CaptionOptions, digest_samples, request_seed
from curate.records import Clip, Failure, Options, Sample
from shards.errors import ConfigError, IntegrityError


class EchoOptions(Options):
    """Options of the fake engine."""

    greeting: str = "about"


class Echo:
    """Answers with the ids that it was asked for; later requests are answered first."""

    version: ClassVar[int] = 3
    Options: ClassVar[type[Options]] = EchoOptions
    needs: ClassVar[frozenset[str]] = frozenset({"samples", "motion_total"})
    model = "echo"

    def __init__(self, options: EchoOptions | None = None) -> None:
        self.options = options or EchoOptions()
        self.requests: list[CaptionRequest] = []
        self.loops: set[int] = set()
        self.in_flight = self.most_in_flight = 0
        self.closed = False

    def digests(self) -> Mapping[str, str]:
        return {"weights": "abc"}

    def setup(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    async def generate(self, request: CaptionRequest) -> CaptionResult:
        self.requests.append(request)
        self.loops.add(id(asyncio.get_running_loop()))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(max(0, 20 - len(self.requests))):
            await asyncio.sleep(0)
        self.in_flight -= 1
        return self.answer(request)

    def answer(self, request: CaptionRequest) -> CaptionResult:
        text = f"{self.options.greeting} {request.clip_id} {request.variant}"
        return CaptionResult(request.clip_id, "ok", text, 7, 5, self.model)


class Changed(Echo):
    """Answers, changed."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def answer(self, request: CaptionRequest) -> CaptionResult:
        result = super().answer(request)
        return replace(result, **self.changes) if request.clip_id == "clip2" else result


def clip(n: int, **changes: Any) -> Clip:
    samples = (Sample(100.0, b"jpeg%d" % n), Sample(101.0, b"more%d" % n))
    row = {
        "clip_id": f"clip{n}",
        "start_s": 100.0,
        "duration_s": 2.0,
        "motion_total": n / 100,
        "samples_sha256": digest_samples(samples),
    }
    return Clip(row | changes, lambda: samples, lambda: b"")


def stage(engine: Echo, **options: Any) -> Caption:
    built = Caption(CaptionOptions(**options), engine)
    built.setup()
    return built


@pytest.fixture
def clips() -> list[Clip]:
    return [clip(n) for n in range(5)]


def test_answers_out_of_order_go_to_their_clips(clips: list[Clip]) -> None:
    engine = Echo()
    caption = stage(engine, variants=("dense", "short"))
    outcomes = caption.process(clips)
    caption.close()
    assert [[row["caption"] for row in rows] for rows in outcomes] == [
        [f"about clip{n} dense", f"about clip{n} short"] for n in range(5)
    ]
    assert engine.closed


def test_rows_have_the_columns_of_the_table(clips: list[Clip]) -> None:
    caption = stage(Echo())
    ((row,), *_) = caption.process(clips)
    caption.close()
    assert set(row) == set(caption.provides.names)
    assert row == {
        "variant": "dense",
        "caption": "about clip0 dense",
        "status": "ok",
        "caption_ok": True,
        "caption_model": "echo",
        "words": 3,
        "tokens": 5,
        "samples_digest": clips[0].row["samples_sha256"],
    }


def test_requests_carry_samples_prompt_seed_and_measurements(clips: list[Clip]) -> None:
    engine = Echo()
    caption = stage(engine, seed=4)
    caption.process(clips[:1])
    caption.close()
    (request,) = engine.requests
    assert request.samples == clips[0].samples()
    assert "2 frames" in request.prompt
    assert "0.0, 1.0 seconds" in request.prompt
    assert request.measured == {"motion_total": 0.0}
    assert request.seed == request_seed(4, "clip0", "dense")


def test_seeds_differ_by_clip_variant_and_seed() -> None:
    seeds = {request_seed(s, c, v) for s in range(3) for c in ("a", "b") for v in ("dense", "short")}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("limit", [1, 3])
def test_requests_in_flight_are_bounded(clips: list[Clip], limit: int) -> None:
    engine = Echo()
    caption = stage(engine, concurrency=limit)
    caption.process(clips)
    caption.close()
    assert engine.most_in_flight == limit


def test_one_loop_serves_all_calls(clips: list[Clip]) -> None:
    engine = Echo()
    caption = stage(engine)
    caption.process(clips[:2])
    caption.process(clips[2:])
    caption.close()
    assert len(engine.loops) == 1


def test_another_clips_answer_stops_the_pass(clips: list[Clip]) -> None:
    caption = stage(Changed(clip_id="clip3"))
    with pytest.raises(IntegrityError, match="clip clip2: echo answered for 'clip3'"):
        caption.process(clips)
    caption.close()


def test_samples_of_another_clip_stop_the_pass() -> None:
    caption = stage(engine := Echo())
    with pytest.raises(IntegrityError, match="clip clip9: its samples"):
        caption.process([clip(9, samples_sha256="0" * 64)])
    caption.close()
    assert engine.requests == []


def test_an_error_is_a_failure_of_its_clip_alone(clips: list[Clip]) -> None:
    caption = stage(Changed(status="error", text="", message="out of\nmemory"))
    outcomes = caption.process(clips)
    caption.close()
    assert outcomes[2] == Failure("CaptionError", "dense: out of memory")
    assert all(isinstance(outcomes[n], tuple) for n in (0, 1, 3, 4))


@pytest.mark.parametrize(
    ("status", "text", "recorded", "caption", "words"),
    [
        ("truncated", "half a", "truncated", "half a", 2),
        ("refused", "I cannot", "refused", "I cannot", 2),
        ("ok", " \n", "empty", None, 0),
        ("empty", "", "empty", None, 0),
    ],
)
def test_what_is_not_ok_is_recorded_as_such(
    clips: list[Clip], status: Status, text: str, recorded: str, caption: str | None, words: int
) -> None:
    built = stage(Changed(status=status, text=text))
    (row,) = built.process(clips)[2]
    built.close()
    assert (row["status"], row["caption"], row["words"]) == (recorded, caption, words)
    assert row["caption_ok"] is False


def test_an_engine_that_breaks_breaks_the_pass(clips: list[Clip]) -> None:
    class Broken(Echo):
        def answer(self, request: CaptionRequest) -> CaptionResult:
            raise ZeroDivisionError(request.clip_id)

    caption = stage(Broken())
    with pytest.raises(ZeroDivisionError):
        caption.process(clips)
    caption.close()


def test_no_clips_no_rows() -> None:
    caption = stage(Echo())
    assert list(caption.process([])) == []
    caption.close()
    caption.close()


def test_needs_are_the_engines_and_its_own() -> None:
    caption = Caption(CaptionOptions(), Echo())
    assert caption.needs == {"samples", "motion_total", "start_s", "duration_s", "samples_sha256"}


def test_fingerprint_covers_engine_models_and_prompts() -> None:
    digests = Caption(CaptionOptions(variants=("dense", "short")), Echo()).digests()
    assert digests["engine"] == '["Echo", 3, "echo"]'
    assert digests["model weights"] == "abc"
    assert {"prompt dense", "prompt short"} < set(digests)
    assert digests["prompt dense"] != digests["prompt short"]


def test_concurrency_is_no_part_of_the_fingerprint() -> None:
    assert "concurrency" not in CaptionOptions(concurrency=3).model_dump()


@pytest.fixture
def engines() -> Iterator[None]:
    module = ModuleType("fake_engines")
    module.Echo = Echo  # type: ignore[attr-defined]
    sys.modules["fake_engines"] = module
    yield
    del sys.modules["fake_engines"]


@pytest.mark.usefixtures("engines")
def test_engines_are_found_by_name(clips: list[Clip]) -> None:
    caption = Caption(CaptionOptions(engine={"fake_engines:Echo": {"greeting": "hello"}}))
    caption.setup()
    ((row,), *_) = caption.process(clips)
    caption.close()
    assert row["caption"] == "hello clip0 dense"
    with pytest.raises(
        ConfigError, match=r"engine\.fake_engines:Echo\.greting: unknown key 'greting'.*'greeting'"
    ):
        Caption(CaptionOptions(engine={"fake_engines:Echo": {"greting": "hello"}}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": {}}, "name exactly one"),
        ({"engine": {"a": {}, "b": {}}}, "name exactly one"),
        ({"variants": ()}, "at least 1"),
        ({"variants": ("dense", "dense")}, "named twice"),
        ({"concurrency": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaptionOptions(**options)


def test_unknown_engine_and_variant_are_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="unknown engine 'nothing'"):
        Caption(CaptionOptions(engine={"nothing": {}}))
    with pytest.raises(ConfigError, match="'dens'"):
        Caption(CaptionOptions(variants=("dens",)))


def test_signals_captions_a_rendered_clip() -> None:
    done, data = cv2.imencode(".jpg", np.full((448, 600, 3), (40, 160, 40), np.uint8))
    assert done
    samples = (Sample(0.0, data.tobytes()),)
    caption = Caption(
        CaptionOptions(engine={"caption.signals:SignalsEngine": {}}, variants=("short", "dense"))
    )
    row = dict.fromkeys(caption.needs - {"samples"}) | {
        "clip_id": "c", "start_s": 0.0, "duration_s": 3.0, "frames": 90, "width": 1280, "height": 720,
        "motion_total": 0.1, "samples_sha256": digest_samples(samples),
    }  # fmt: skip
    caption.setup()
    (rows,) = caption.process([Clip(row, lambda: samples, lambda: b"")])
    caption.close()
    assert isinstance(rows, tuple)
    assert [(row["variant"], row["caption_model"], row["tokens"]) for row in rows] == [
        ("short", "signals-1", None),
        ("dense", "signals-1", None),
    ]
    assert rows[1]["caption"] == "A scene, mostly green, moves at a moderate pace for 3 seconds."
