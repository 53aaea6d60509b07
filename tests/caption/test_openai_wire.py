"""What answers' bytes say, and how long is waited: pure functions, and a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caption import openai_retry
from caption.openai_options import OpenAIOptions
from caption.openai_retry import Fault, Pace, Reason, retry_after_s
from caption.openai_wire import MalformedError, error_line, named_request, read_reply, request_header
from shards.errors import ServiceError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def completion(**changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "A dog."}
    return {
        "id": "chatcmpl-cogcurate-c1/dense/0",
        "model": "echo",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    } | changes


def read(said: Any, headers: dict[str, str] | None = None) -> Any:
    return read_reply(json.dumps(said).encode(), headers or {})


def choice(**changes: Any) -> list[dict[str, Any]]:
    return [{"message": {"content": "A dog."}, "finish_reason": "stop"} | changes]


# --- ids ------------------------------------------------------------------------------------------------


@given(st.text(min_size=1))
def test_every_id_travels_and_comes_back(request_id: str) -> None:
    try:
        request_id.encode()
    except UnicodeEncodeError:
        return
    header = request_header(request_id)
    assert header.isascii()
    assert header.isprintable()
    assert " " not in header
    assert named_request(f"chatcmpl-{header}") == named_request(header) == request_id


@pytest.mark.parametrize("text", [None, "", "chatcmpl-9xK2", "req_8f3a"])
def test_an_id_without_the_mark_names_nobody(text: str | None) -> None:
    assert named_request(text) is None


def test_the_header_counts_as_well_as_the_id() -> None:
    assert read(completion(id="chatcmpl-9xK2"), {"x-request-id": "cogcurate-c2"}).named == ("c2",)
    assert read(completion(), {"x-request-id": "cogcurate-c1/dense/0"}).named == ("c1/dense/0",)
    assert read(completion(), {"x-request-id": "cogcurate-c2"}).named == ("c1/dense/0", "c2")


# --- answers --------------------------------------------------------------------------------------------


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_a_reply_or_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read_reply(body, {})
    assert "\n" not in str(caught.value)


@given(st.sampled_from(["id", "model", "choices", "usage"]), JSON)
def test_a_completion_with_something_odd_in_it_is_a_reply_or_malformed(name: str, value: Any) -> None:
    try:
        reply = read(completion(**{name: value}))
    except MalformedError:
        return
    assert reply.text == "A dog."
    for count in (reply.prompt_tokens, reply.cached_tokens, reply.tokens):
        assert count is None or count >= 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", "not a completion: Invalid JSON"),
        (b"[" * 100_000, "not a completion: Invalid JSON"),
        (json.dumps(completion()).encode() * 2, "not a completion: Invalid JSON"),
        (json.dumps(completion(choices=[])).encode(), "an answer without choices"),
        (json.dumps(completion(choices=None)).encode(), "not a completion: choices"),
        (json.dumps(completion(choices=choice(finish_reason=None))).encode(), "choices.0.finish_reason"),
        (json.dumps(completion(choices=choice(finish_reason="abort"))).encode(), "broken off"),
        (json.dumps(completion(choices=choice(message={"content": 3}))).encode(), "message.content"),
    ],
)
def test_what_is_malformed_is_said(said: bytes, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_reply(said, {})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "ok"),
        ({"finish_reason": "length"}, "truncated"),
        ({"finish_reason": "content_filter"}, "refused"),
        ({"message": {"refusal": "No."}}, "refused"),
        ({"message": {"content": " \n"}}, "empty"),
        ({"message": {"content": None}}, "empty"),
    ],
)
def test_statuses(changes: dict[str, Any], status: str) -> None:
    assert read(completion(choices=choice(**changes))).status == status


def test_tokens_that_are_not_told_are_not_zero() -> None:
    reply = read(completion(usage=None))
    assert (reply.prompt_tokens, reply.cached_tokens, reply.tokens) == (None, None, None)
    assert read(completion(usage={"prompt_tokens_details": {"cached_tokens": 5}})).cached_tokens == 5


# --- errors' texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('{"error": {"message": "too\\nlong", "code": 400}}', "too long"),
        ('{"error": "no such route"}', "no such route"),
        ('{"object": "error", "message": "older servers"}', "older servers"),
        ('{"detail": "Not Found"}', "Not Found"),
        ("<!doctype html><HTML><title> Sign\nin </title>", "a web page (Sign in)"),
        ("plain\r\n\ttext", "plain text"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_an_error_is_one_line(said: str | bytes, line: str) -> None:
    assert error_line(said) == line


@given(st.text(), st.integers(0, 400))
def test_a_secret_is_never_in_an_error(text: str, at: int) -> None:
    secret = "sk-0123456789"
    said = json.dumps({"error": {"message": f"{text}{'x' * at}{secret}{text}"}})
    line = error_line(said, secret)
    assert len(line) <= 300
    assert not any(secret[:n] in line.removesuffix("…")[-n:] for n in range(8, len(secret) + 1))
    assert secret not in line


# --- waiting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0", 0.0),
        ("-3", None),
        ("soon", None),
        ("1e400", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, 1445412420.0) == seconds


class Clock:
    """Time passes only in sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        self.waits_s: list[float] = []

        async def sleep(seconds: float) -> None:
            self.waits_s.append(seconds)
            self.now_s += seconds

        monkeypatch.setattr(openai_retry.asyncio, "sleep", sleep)

    def pace(self, **options: Any) -> Pace:
        self.retried: list[Reason] = []
        raw = {"base_url": "http://a/v1", "model": "m", **options}
        return Pace(OpenAIOptions(**raw), self.retried.append, lambda: self.now_s)


def attempts_until(pace: Pace, outcomes: list[Fault | None]) -> int:
    """Return how many attempts are made when they end as given, and then well."""
    made = 0

    async def run() -> None:
        nonlocal made
        async for attempt in pace.tries():
            with attempt:
                await pace.turn()
                fault = outcomes[made] if made < len(outcomes) else None
                made += 1
                if fault is not None:
                    raise fault
                pace.reached()
                return

    with suppress(Fault):
        asyncio.run(run())
    return made


def test_waits_double_up_to_their_limit_and_are_drawn_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for _ in range(200):
        pace = clock.pace(attempts=8, backoff_s=1.0, max_backoff_s=10.0)
        assert attempts_until(pace, [Fault("server_error", "500")] * 20) == 8
    waits = [clock.waits_s[n::7] for n in range(7)]
    assert len(clock.waits_s) == 200 * 7
    for drawn, longest_s in zip(waits, [1, 2, 4, 8, 10, 10, 10], strict=True):
        assert 0.9 * longest_s < max(drawn) <= longest_s
        assert min(drawn) < 0.1 * longest_s


def test_an_outage_costs_one_attempt_however_long_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = clock.pace(attempts=3, patience_s=1e6, max_backoff_s=5.0)
    gone = Fault("outage", "refused")
    assert attempts_until(pace, [gone] * 50) == 51
    assert attempts_until(pace, [*[gone] * 50, Fault("timeout", "")]) == 52
    assert attempts_until(pace, [Fault("timeout", ""), *[gone] * 50, Fault("timeout", "")]) == 52
    assert clock.retried.count("outage") == 150


def test_a_server_that_comes_and_goes_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = clock.pace(attempts=3)

    made = 0

    async def run() -> None:
        nonlocal made
        async for attempt in pace.tries():
            with attempt:
                made += 1
                # Meanwhile others are answered: this request it is that gets 503.
                pace.reached()
                raise Fault("outage", "503")

    with pytest.raises(Fault, match="503"):
        asyncio.run(run())
    assert made == 3


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = clock.pace(patience_s=60.0)
    began_s = clock.now_s
    with pytest.raises(ServiceError, match="gone for longer than patience_s"):
        attempts_until(pace, [Fault("outage", "refused")] * 10_000)
    assert 60 <= clock.now_s - began_s <= 60 + 30


def test_whoever_is_told_to_wait_makes_everyone_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = clock.pace(backoff_s=0.5)
    began_s = clock.now_s
    attempts_until(pace, [Fault("rate_limit", "429", 20.0)])
    assert clock.now_s - began_s >= 20
    pace = clock.pace(backoff_s=0.5)
    with pytest.raises(ServiceError, match="asks to be left alone for 301 s"):
        attempts_until(pace, [Fault("rate_limit", "429", 301.0)])
