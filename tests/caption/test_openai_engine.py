"""The engine `openai` against a server that misbehaves in every way that is known."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest
from echoes import digest
from faulty_server import KINDS, FaultyServer, ServerProcess
from openai_asking import answered, answers_of, ask, complaint, echo, engine, jpeg

from caption.engine import Answer, Picture
from caption.openai_engine import OpenAIEngine
from caption.openai_wire import request_header
from shards.errors import ServiceError

# What an engine gets over by asking again; the others are answers, if poor ones.
FINAL = ("error_400", "empty", "refused", "truncated")


# --- every answer belongs to its request ----------------------------------------------------------------


def test_every_answer_belongs_to_its_request_whatever_goes_wrong() -> None:
    faults = {kind: 0.03 for kind in KINDS if kind not in FINAL}
    requests = [ask(n) for n in range(300)]
    answers, server, asking = answered(
        requests,
        {"faults": faults, "seed": 3},
        timeout_s=0.6,
        attempts=12,
        concurrency=48,
        max_answer_bytes=2**18,
        patience_s=10.0,
    )
    assert [answer.id for answer in answers] == [request.id for request in requests]
    assert [answer.text for answer in answers] == [echo(request) for request in requests]
    assert {answer.status for answer in answers} == {"ok"}
    assert {kind for kind in faults if not server.injected[kind]} == set()
    assert server.injected["swapped pairs"] > 0

    counts = asking.counts()
    assert counts["retries_wrong_id"] > 0
    assert counts["retries"] == sum(n for name, n in counts.items() if name.startswith("retries_"))
    assert sum(answer.attempts for answer in answers) == len(requests) + counts["retries"]


def test_retries_are_counted_by_their_reason() -> None:
    reasons = {
        "dropped": ["drop_before", "drop_middle"],
        "endless": ["endless"],
        "malformed": ["malformed", "no_choices", "html"],
        "no_id": ["no_id"],
        "outage": ["error_503"],
        "rate_limit": ["rate_limit"],
        "server_error": ["error_500"],
        "wrong_id": ["wrong_id"],
    }
    faults = {kind: 0.04 for kinds in reasons.values() for kind in kinds}
    answers, server, asking = answered(
        [ask(n) for n in range(150)],
        {"faults": faults, "seed": 5},
        timeout_s=60.0,
        attempts=20,
        max_answer_bytes=2**18,
        patience_s=60.0,
    )
    assert {answer.status for answer in answers} == {"ok"}
    counts = asking.counts()
    for reason, kinds in reasons.items():
        assert counts[f"retries_{reason}"] == sum(server.injected[kind] for kind in kinds) > 0, reason


def test_pictures_arrive_byte_for_byte_in_their_order() -> None:
    requests = [ask(n, pictures=1 + n % 5) for n in range(20)]
    _, server, _ = answered(requests)
    arrived = {seen.id: seen.pictures for seen in server.seen}
    for request in requests:
        sent = [picture.jpeg for picture in request.pictures]
        assert arrived[request_header(request.id)] == [digest(data) for data in sent]


def test_an_id_that_cannot_stand_in_a_header_comes_back() -> None:
    (answer,), server, _ = answered([ask(1, id="clip one/räder\n/%41")])
    assert answer.id == "clip one/räder\n/%41"
    assert server.seen[0].id.isascii()


def test_without_ids_an_answer_too_many_is_not_taken_for_the_next_ones() -> None:
    requests = [ask(n) for n in range(60)]
    answers, server, _ = answered(
        requests,
        {"faults": {"duplicate": 0.5}, "gives_ids": False},
        require_ids=False,
        concurrency=4,
    )
    assert server.injected["duplicate"] > 10
    assert [answer.text for answer in answers] == [echo(request) for request in requests]
    assert [answer.id for answer in answers] == [request.id for request in requests]


def test_with_ids_an_answer_too_many_is_seen() -> None:
    requests = [ask(n) for n in range(60)]
    answers, _, asking = answered(requests, {"faults": {"duplicate": 0.5}}, concurrency=4, attempts=12)
    assert [answer.text for answer in answers] == [echo(request) for request in requests]
    assert asking.counts()["retries_wrong_id"] > 0


def test_answers_that_name_nobody_are_refused_where_ids_are_required() -> None:
    def run() -> object:
        return answered([ask(1)], {"gives_ids": False}, attempts=2)

    assert "require_ids: false" in complaint(run)


def test_an_answer_that_names_another_request_to_the_last_is_no_answer() -> None:
    (answer,), _, asking = answered([ask(1)], {"faults": ["wrong_id"] * 3}, attempts=3, require_ids=False)
    assert (answer.status, answer.text, answer.attempts) == ("error", "", 3)
    assert answer.message == ("given up after 3 attempts: the answer names another request: 'c0001/dense/00'")
    assert asking.counts()["completions"] == 3


# --- what is sent -----------------------------------------------------------------------------------------


def test_instructions_come_first_then_pictures_then_the_question() -> None:
    request = ask(7)
    _, server, _ = answered([request, ask(8, pictures=0, system="")])
    seen = {seen.id: seen for seen in server.seen}
    first, second = seen[request_header(request.id)], seen[request_header("c0008/dense/0")]
    assert (first.system, first.prompt) == (request.system, request.prompt)
    assert first.body == {"model": "echo", "seed": 7, "max_tokens": 64, "temperature": 0.5}
    assert (second.system, second.pictures) == ("", [])


def test_extra_fields_are_added_and_taken_out() -> None:
    _, server, _ = answered(
        [ask(1)],
        max_tokens_field="max_completion_tokens",
        extra_body={"top_p": 0.9, "temperature": None},
        image_detail="low",
    )
    assert server.seen[0].body == {"model": "echo", "seed": 1, "max_completion_tokens": 64, "top_p": 0.9}


def test_a_schema_is_asked_for() -> None:
    schema = {"type": "object", "properties": {"camera": {"enum": ["pan", "still"]}}}
    (answer,), server, _ = answered([ask(1, schema=schema, template="a.b/c")])
    assert answer.text == '{"camera": "pan"}'
    assert server.seen[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "a_b_c", "schema": schema, "strict": True},
    }


def test_only_pictures_that_are_too_large_are_shrunk() -> None:
    small, large = jpeg(1), jpeg(2, 400, 200)
    request = ask(1, pictures=0)
    request = replace(request, pictures=(Picture(0.0, small), Picture(1.0, large)))
    _, server, _ = answered([request], image_px=100)
    first, second = server.seen[0].pictures
    assert first == digest(small)
    assert second.endswith("100x50")


def test_a_picture_that_is_none_fails_its_own_request_alone() -> None:
    broken = replace(ask(1), pictures=(Picture(0.0, b"no jpeg"),))
    bad, good = answered([broken, ask(2)], image_px=100)[0]
    assert (bad.status, bad.message, bad.attempts) == ("error", "7 bytes that are no picture", 0)
    assert good.status == "ok"


@pytest.mark.parametrize("timed", [False, True])
def test_a_clip_as_a_video_of_jpegs(timed: bool) -> None:
    request = ask(1, pictures=5, video=True)
    _, server, _ = answered([request], video="jpeg_video_timed" if timed else "jpeg_video")
    (seen,) = server.seen
    assert seen.video
    assert seen.pictures == [digest(picture.jpeg) for picture in request.pictures]
    told = {"media_io_kwargs": {"video": {"num_frames": 5, "fps": 1.0}}} if timed else {}
    assert seen.body.items() >= told.items()
    assert ("media_io_kwargs" in seen.body) is timed


def test_frames_that_the_server_would_drop_are_not_sent() -> None:
    requests = [ask(1, pictures=5, video=True), ask(2, pictures=1, video=True)]
    (many, one), server, _ = answered(requests, video="jpeg_video", video_frames=4)
    assert many.status == "error"
    assert "5 frames, of which the server would read 4" in many.message
    assert one.status == "ok"
    assert [seen.video for seen in server.seen] == [False]


# --- statuses and the bill --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        ("truncated", "truncated", "max_tokens were not enough"),
        ("refused", "refused", "I can't help with that."),
        ("empty", "empty", "no text"),
        ("error_400", "error", "400: the picture cannot be read"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_and_not_asked_again(
    fault: str, status: str, message: str
) -> None:
    (answer,), server, _ = answered([ask(1)], {"faults": [fault]})
    assert (answer.status, answer.message, answer.attempts) == (status, message, 1)
    assert len(server.seen) == 1


def test_a_context_too_small_fails_the_request() -> None:
    (answer,), _, _ = answered([ask(1, pictures=6)], {"max_pictures": 4})
    assert answer.status == "error"
    assert answer.message.startswith("400: This model's maximum context length is 64 tokens")


def test_given_up_after_the_last_attempt_in_one_line() -> None:
    (answer, _), _, asking = answered(
        [ask(1), ask(2)], {"faults": ["error_500"] * 2, "latency_s": 0.0}, attempts=1
    )
    assert answer.status == "error"
    assert answer.message == (
        "given up after 1 attempts: 500: EngineCore encountered an issue. See the stack trace."
    )
    assert asking.counts().get("retries", 0) == 0


def test_the_bill() -> None:
    prices = {"prompt": 2.0, "cached": 0.5, "generated": 10.0}
    requests = [ask(n) for n in range(3)]
    answers, _, asking = answered(requests, {"faults": ["no_id"]}, price_per_million=prices, concurrency=1)
    counts = asking.counts()
    prompt = 3 + 2 * 64
    assert [answer.prompt_tokens for answer in answers] == [prompt] * 3
    assert [answer.cached_tokens for answer in answers] == [3] * 3
    # The answer that named nobody was thrown away and costs all the same; nothing was cached then.
    assert counts["completions"] == 4
    assert counts["billed_prompt_tokens"] == 4 * prompt
    assert counts["billed_cached_tokens"] == 3 * 3
    generated = sum(answer.tokens or 0 for answer in answers) + (answers[0].tokens or 0)
    assert counts["billed_generated_tokens"] == generated
    assert counts["cost"] == pytest.approx((4 * prompt * 2 - 9 * 1.5 + generated * 10) / 1e6)


def test_no_more_requests_in_flight_than_allowed() -> None:
    answers, server, _ = answered([ask(n) for n in range(20)], {"latency_s": 0.02}, concurrency=3)
    assert server.most_in_flight == 3
    assert max(answer.queued_s for answer in answers) > 0.05
    assert min(answer.prepared_s for answer in answers) > 0


# --- endpoints that come and go ---------------------------------------------------------------------------


def test_a_server_killed_and_started_again_loses_nothing() -> None:
    requests = [ask(n) for n in range(150)]

    async def run(server: ServerProcess) -> tuple[list[Answer], OpenAIEngine]:
        asking = engine(server.base_url, concurrency=16, patience_s=60.0, attempts=4)
        answering = asyncio.create_task(answers_of(asking, requests))
        while asking.counts().get("completions", 0) < 40:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.3)
        assert not answering.done()
        await asyncio.to_thread(server.start)
        return await answering, asking

    with ServerProcess("--latency-s", "0.02") as server:
        answers, asking = asyncio.run(run(server))
    assert [answer.text for answer in answers] == [echo(request) for request in requests]
    assert asking.counts()["retries_outage"] > 0
    # However often it was refused, the outage cost a request one attempt; being cut off costs another.
    assert max(answer.attempts for answer in answers) > 4


def test_a_server_that_is_gone_for_good_ends_the_run() -> None:
    async def run() -> None:
        async with FaultyServer() as server:
            asking = engine(server.base_url, patience_s=0.4)
            await asyncio.to_thread(asking.setup)
            await server.kill()
            try:
                await asyncio.gather(*(asking.generate(ask(n)) for n in range(8)))
            finally:
                await asking.stop()

    began_s = time.monotonic()
    message = complaint(lambda: asyncio.run(run()), ServiceError)
    assert "gone for longer than patience_s (0.4)" in message
    assert 0.4 <= time.monotonic() - began_s < 3


def test_setup_waits_for_a_server_that_is_being_started(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[Answer]:
        server = FaultyServer()
        await server.start()
        await server.kill()
        answering = asyncio.create_task(answers_of(engine(server.base_url, patience_s=20.0), [ask(1)]))
        await asyncio.sleep(0.3)
        async with server:
            return await answering

    assert [answer.status for answer in asyncio.run(run())] == ["ok"]
    assert "waiting up to 20 s for it" in caplog.text


def test_retry_after_is_waited_for() -> None:
    began_s = time.monotonic()
    answers, _, _ = answered(
        [ask(n) for n in range(4)], {"faults": ["rate_limit"], "retry_after": "1"}, patience_s=5.0
    )
    assert time.monotonic() - began_s >= 1
    assert sorted(answer.attempts for answer in answers) == [1, 1, 1, 2]


def test_a_wait_longer_than_the_patience_is_not_begun() -> None:
    def run() -> object:
        return answered([ask(1)], {"faults": ["rate_limit"], "retry_after": "3600"})

    assert "asks to be left alone for 3600 s" in complaint(run, ServiceError)


# --- the server ------------------------------------------------------------------------------------------


def test_the_faults_of_the_server_are_known_by_name() -> None:
    with pytest.raises(ValueError, match="no fault 'eror_500'"):
        FaultyServer({"eror_500": 1.0})


def test_a_scripted_server_keeps_to_its_script() -> None:
    _, server, _ = answered([ask(1)], {"faults": ["error_500", "", "slow"]})
    assert Counter(seen.fault for seen in server.seen) == {"error_500": 1, "": 1}
