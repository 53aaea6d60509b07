"""The caption pass with engines that echo and misbehave."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from echo_engine import Echo, EchoOptions

from caption.canaries import make
from caption.canary_watch import BlindError
from caption.engine import Answer, Request
from caption.stage import Caption, CaptionOptions, digest_samples, request_seed
from curate.records import Clip, Failure, Sample
from shards.errors import ConfigError, IntegrityError


def clip(n: int, *, samples: int = 2, **changes: Any) -> Clip:
    given = tuple(Sample(100.0 + at, b"jpeg %d of %d" % (at, n)) for at in range(samples))
    row = {
        "clip_id": f"clip{n}", "source_id": f"source{n // 2}", "start_s": 100.0, "duration_s": float(samples),
        "camera": "pan", "samples_sha256": digest_samples(given),
    }  # fmt: skip
    return Clip(row | changes, lambda: given, lambda: b"")


# What the echo says is no English.
LOOSE = {"language": None, "finished": False, "max_repetition": 1}


def stage(engine: Echo, **options: Any) -> Caption:
    built = Caption(CaptionOptions(**{"checks": LOOSE, **options}), engine)
    built.setup()
    return built


@pytest.fixture
def clips() -> list[Clip]:
    return [clip(n) for n in range(5)]


CHAIN = {"dense": "summary", "short": "short"}


def test_answers_out_of_order_go_to_their_clips(clips: list[Clip]) -> None:
    engine = Echo()
    caption = stage(engine, variants=("dense", "short"))
    outcomes = caption.process(clips)
    caption.close()
    assert [[json.loads(row["caption"])["id"] for row in rows] for rows in outcomes] == [
        [f"clip{n}/dense/1", f"clip{n}/short/1"] for n in range(5)
    ]
    assert engine.closed
    assert engine.stopped


def test_the_chain_asks_short_and_frames_and_quotes_them() -> None:
    engine = Echo()
    caption = stage(engine, variants=CHAIN)
    outcomes = caption.process([clip(n, samples=5) for n in range(3)])
    caption.close()
    for n, rows in enumerate(outcomes):
        assert isinstance(rows, tuple)
        dense, short = rows
        said = json.loads(dense["caption"])
        assert said["pictures"] == []
        assert said["prompt"].count("clip") == said["prompt"].count(f"clip{n}/")
        # A frame every two seconds of five, and the sentence.
        assert [(part["template"], part["time_s"]) for part in dense["parts"]] == [
            ("short", None), ("frame", 0.0), ("frame", 2.0), ("frame", 4.0),
        ]  # fmt: skip
        assert all(f"[{at}.0_s]_" in said["prompt"] for at in (0, 2, 4))
        assert "measured_to_pan" in said["prompt"]
        assert short["parts"] == []
    # `short` is a caption and part of another: asked once.
    assert sorted(request.id for request in engine.requests if request.clip_id == "clip1") == [
        "clip1/frame.0/1", "clip1/frame.1/1", "clip1/frame.2/1", "clip1/short/1", "clip1/summary/1",
    ]  # fmt: skip


def test_rows_have_the_columns_of_the_table(clips: list[Clip]) -> None:
    caption = stage(Echo())
    ((row,), *_) = caption.process(clips)
    caption.close()
    assert set(row) == set(caption.provides.names)
    assert (row["variant"], row["status"], row["caption_ok"], row["caption_model"]) == (
        "dense", "ok", True, "echo",
    )  # fmt: skip
    assert (row["request_id"], row["asked"], row["prompt_tokens"], row["generated_tokens"]) == (
        "clip0/dense/1", 1, 7, 5,
    )  # fmt: skip
    assert row["samples_digest"] == clips[0].row["samples_sha256"]


def test_requests_carry_pictures_prompt_and_seed(clips: list[Clip]) -> None:
    engine = Echo()
    caption = stage(engine, seed=4)
    caption.process(clips[:1])
    caption.close()
    (request,) = engine.requests
    assert [(p.time_s, p.jpeg) for p in request.pictures] == [
        (s.time_s - 100.0, s.jpeg) for s in clips[0].samples()
    ]
    assert "2 pictures were taken 0.0, 1.0 seconds" in request.prompt
    assert request.system
    assert "{" not in request.system
    assert request.seed == request_seed(4, "clip0", "dense/1")


def test_seeds_differ_by_clip_question_and_seed() -> None:
    seeds = {request_seed(s, c, v) for s in range(3) for c in ("a", "b") for v in ("dense/1", "dense/2")}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("limit", [1, 3])
def test_requests_in_flight_are_bounded(clips: list[Clip], limit: int) -> None:
    engine = Echo()
    caption = stage(engine, concurrency=limit, variants=CHAIN)
    caption.process(clips)
    caption.close()
    assert engine.most_in_flight == limit


def test_threads_share_one_loop(clips: list[Clip]) -> None:
    engine = Echo(EchoOptions(delay_s=0.05))
    caption = stage(engine)
    together = threading.Barrier(5)

    def process(one: Clip) -> Any:
        together.wait()
        return caption.process([one])[0]

    with ThreadPoolExecutor(5) as pool:
        outcomes = list(pool.map(process, clips))
    caption.close()
    assert [rows[0]["request_id"] for rows in outcomes] == [f"clip{n}/dense/1" for n in range(5)]
    assert len(engine.loops) == 1
    assert engine.most_in_flight == 5


def test_another_clips_answer_is_not_used(clips: list[Clip]) -> None:
    caption = stage(engine := Echo(EchoOptions(wrong_id="^clip2/")))
    outcomes = caption.process(clips)
    counts = caption.counts()
    caption.close()
    assert isinstance(outcomes[2], Failure)
    assert "answered for another request, '0000" in outcomes[2].message
    assert all(isinstance(outcomes[n], tuple) for n in (0, 1, 3, 4))
    assert counts["wrong_ids"] == 2
    assert [r.id for r in engine.requests if r.clip_id == "clip2"] == ["clip2/dense/1", "clip2/dense/2"]


def test_an_answer_that_comes_right_the_second_time_is_used(clips: list[Clip]) -> None:
    caption = stage(engine := Echo(EchoOptions(wrong_id="^clip2/dense/1", empty="^clip3/dense/1")))
    outcomes = caption.process(clips)
    caption.close()
    for n in (2, 3):
        ((row),) = outcomes[n]
        assert (row["request_id"], row["asked"], row["caption_ok"]) == (f"clip{n}/dense/2", 2, True)
    first, second = (r for r in engine.requests if r.clip_id == "clip3")
    assert first.seed != second.seed
    assert (first.temperature, second.temperature) == (0.0, 0.7)


def test_samples_of_another_clip_stop_the_pass() -> None:
    caption = stage(engine := Echo())
    with pytest.raises(IntegrityError, match="clip clip9: its samples"):
        caption.process([clip(9, samples_sha256="0" * 64)])
    caption.close()
    assert engine.requests == []


def test_an_error_is_a_failure_of_its_clip_alone(clips: list[Clip]) -> None:
    caption = stage(Echo(EchoOptions(error="^clip2/")))
    outcomes = caption.process(clips)
    caption.close()
    assert outcomes[2] == Failure("CaptionError", "dense: out of memory")
    assert all(isinstance(outcomes[n], tuple) for n in (0, 1, 3, 4))


def test_frames_without_an_answer_are_left_out() -> None:
    caption = stage(Echo(EchoOptions(error=r"clip0/frame\.1/|clip1/frame")), variants=CHAIN)
    outcomes = caption.process([clip(n, samples=5) for n in range(2)])
    caption.close()
    assert isinstance(outcomes[0], tuple)
    dense, _ = outcomes[0]
    assert "[2.0_s]" not in dense["caption"]
    assert "[4.0_s]" in dense["caption"]
    assert [part["status"] for part in dense["parts"]] == ["ok", "ok", "error", "ok"]
    assert outcomes[1] == Failure("CaptionError", "dense: no usable answer to 'frame' (out of memory)")


def test_what_is_not_ok_is_recorded_as_such(clips: list[Clip]) -> None:
    caption = stage(Echo(EchoOptions(truncated="clip1", empty="clip2")))
    outcomes = caption.process(clips)
    caption.close()
    rows = [rows[0] for rows in outcomes[1:3]]
    assert [(row["status"], row["caption_ok"], row["asked"]) for row in rows] == [
        ("truncated", False, 2), ("empty", False, 2),
    ]  # fmt: skip
    assert rows[0]["caption"]
    assert rows[1]["caption"] is None


def test_an_engine_that_breaks_breaks_the_pass(clips: list[Clip]) -> None:
    class Broken(Echo):
        def answer(self, request: Request) -> Answer:
            raise ZeroDivisionError(request.clip_id)

    caption = stage(Broken(), variants=CHAIN)
    with pytest.raises(ZeroDivisionError):
        caption.process(clips)
    caption.close()


def test_no_clips_no_rows() -> None:
    caption = stage(Echo())
    assert list(caption.process([])) == []
    caption.close()
    caption.close()


def test_what_it_counts(clips: list[Clip]) -> None:
    caption = stage(Echo(EchoOptions(delay_s=0.02)), variants=CHAIN)
    caption.process(clips)
    counts = caption.counts()
    assert counts["requests"] == 5 * 3
    assert counts["generated_tokens"] == 5 * 15
    assert counts["captioned_clips"] == 5
    assert 0 < counts["caption_s"] < counts["in_flight_s"]
    assert "requests" not in caption.counts()
    caption.close()


def test_needs_are_the_engines_and_its_own() -> None:
    own = {"samples", "source_id", "start_s", "duration_s", "samples_sha256"}
    assert Caption(CaptionOptions(), Echo()).needs == own
    assert Caption(CaptionOptions(variants=CHAIN), Echo()).needs == own | {"camera"}


def test_a_summarizer_is_asked_where_the_template_says_so(clips: list[Clip]) -> None:
    sees, sums = Echo(EchoOptions(name="sees")), Echo(EchoOptions(name="sums"))
    caption = Caption(CaptionOptions(variants=CHAIN, checks=LOOSE), sees, sums)
    caption.setup()
    outcomes = caption.process(clips[:1])
    caption.close()
    assert [request.template for request in sums.requests] == ["summary"]
    assert [row["caption_model"] for row in outcomes[0]] == ["sees + sums", "sees"]
    assert sees.closed
    assert sums.closed


def test_fingerprint_covers_engines_models_and_prompts(tmp_path: Path) -> None:
    digests = Caption(CaptionOptions(variants=CHAIN), Echo(), Echo(EchoOptions(name="sums"))).digests()
    assert digests["captioner"] == '["Echo", 3, "echo"]'
    assert digests["summarizer"] == '["Echo", 3, "sums"]'
    assert digests["captioner model weights"] == "abc"
    assert {"prompt summary", "prompt short", "prompt frame"} < set(digests)
    (tmp_path / "frame.md").write_text("---\nsees: frame\n---\nLook.\n---\nAt {time_s} s?\n")
    changed = Caption(CaptionOptions(variants=CHAIN, prompts=tmp_path), Echo()).digests()
    assert changed["prompt frame"] != digests["prompt frame"]
    assert changed["prompt short"] == digests["prompt short"]


def test_what_decides_nothing_is_no_part_of_the_fingerprint() -> None:
    dumped = CaptionOptions(concurrency=3, engine={"echo_engine:Echo": None}).model_dump(mode="json")
    assert "concurrency" not in dumped
    assert dumped["engine"] == {"echo_engine:Echo": EchoOptions().model_dump()}
    assert dumped["variants"] == {"dense": "dense"}


def test_engines_are_found_by_name(clips: list[Clip]) -> None:
    assert "echo_engine" in sys.modules
    caption = Caption(CaptionOptions(engine={"echo_engine:Echo": {"name": "hello"}}))
    caption.setup()
    ((row,), *_) = caption.process(clips)
    caption.close()
    assert row["caption_model"] == "hello"
    with pytest.raises(ConfigError, match=r"engine\.echo_engine:Echo\.nam: unknown key 'nam'.*'name'"):
        Caption(CaptionOptions(engine={"echo_engine:Echo": {"nam": "hello"}}))
    with pytest.raises(ConfigError, match=r"summarizer: name exactly one engine \(found none\)"):
        Caption(CaptionOptions(engine={"echo_engine:Echo": {}}, summarizer={}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": ()}, "at least 1"),
        ({"variants": ("dense", "dense")}, "named twice"),
        ({"concurrency": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaptionOptions(**options)


def test_unknown_engine_and_prompt_are_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="unknown engine 'nothing'"):
        Caption(CaptionOptions(engine={"nothing": {}}))
    with pytest.raises(ConfigError, match="engine: name exactly one engine"):
        Caption(CaptionOptions(engine={"a": {}, "b": {}}))
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


class Sees(Echo):
    """Names the number of the canary's shapes and their colour, from the truth that it is given."""

    def answer(self, request: Request) -> Answer:
        truth = {canary.id: canary for canary in make(0, 20)}
        canary = truth.get(request.clip_id)
        text = (
            f"{canary.count} {canary.color} {canary.shape}s drift." if canary else "A dog runs over a lawn."
        )
        return replace(super().answer(request), text=text)


def test_canaries_are_asked_about_among_clips_and_leave_no_rows() -> None:
    caption = stage(Sees(), canaries=4)
    outcomes = caption.process([clip(n) for n in range(10)])
    counts = caption.counts()
    caption.close()
    assert len(outcomes) == 10
    assert (counts["canaries"], counts["canaries_right"]) == (3, 3)


def test_a_blind_captioner_fails_the_run() -> None:
    caption = stage(Echo(), canaries=2)
    with pytest.raises(BlindError, match="of 0 of 25 canaries"):
        caption.process([clip(n) for n in range(50)])
    caption.close()
    with pytest.raises(ConfigError, match=r"caption\.canaries: sentences by rules"):
        Caption(CaptionOptions(canaries=5))


def test_what_says_the_same_as_its_neighbour_is_asked_again_and_marked() -> None:
    class Stuck(Echo):
        def answer(self, request: Request) -> Answer:
            again = request.id.endswith("/2") and request.clip_id == "clip3"
            text = "A cat sleeps on a red sofa." if again else "A dog runs over a wide green lawn."
            return replace(super().answer(request), text=text)

    caption = stage(Stuck())
    outcomes = caption.process([clip(n) for n in range(6)])
    caption.close()
    rows = [rows[0] for rows in outcomes]
    # Of each source the first stands, and the second once it says something else.
    assert [row["problems"] for row in rows] == [[], ["same_as_neighbour"], [], [], [], ["same_as_neighbour"]]
    assert [row["asked"] for row in rows] == [1, 2, 1, 2, 1, 2]
    assert rows[3]["caption"] == "A cat sleeps on a red sofa."


def test_alignment_is_written_where_there_is_an_aligner(monkeypatch: pytest.MonkeyPatch) -> None:
    class Length:
        version = 1

        def digests(self) -> dict[str, str]:
            return {"weights": "x"}

        def setup(self) -> None:
            return None

        def close(self) -> None:
            return None

        def similarity(self, texts: Any, embeddings: Any, models: Any) -> list[float | None]:
            return [e[0] if t and m else None for t, e, m in zip(texts, embeddings, models, strict=True)]

    monkeypatch.setattr("caption.stage.build_aligner", lambda named: Length() if named else None)
    engine = Echo(EchoOptions(error="^clip1/"))
    caption = stage(engine, aligner={"length": {}}, variants=("dense", "short"))
    assert {"embedding", "embedding_model"} < caption.needs
    assert caption.digests()["aligner weights"] == "x"
    outcomes = caption.process([clip(n, embedding=[n / 10], embedding_model="m") for n in range(3)])
    caption.close()
    assert isinstance(outcomes[1], Failure)
    assert [[row["alignment"] for row in rows] for rows in (outcomes[0], outcomes[2])] == [
        [0.0, 0.0], [0.2, 0.2],
    ]  # fmt: skip
