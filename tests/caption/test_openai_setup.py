"""The engine `openai` before anything is asked: addresses, models, keys, options."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from faulty_server import FaultyServer
from openai_asking import SECRET, answered, answers_of, ask, complaint, engine

ENDLESS = -1


# --- what is said before anything is asked ----------------------------------------------------------------


def test_nobody_there() -> None:
    async def closed_port() -> str:
        async with FaultyServer() as server:
            return server.base_url

    url = asyncio.run(closed_port())
    message = complaint(engine(url, patience_s=0.1).setup)
    assert message.startswith(f"{url}: no answer in 0.1 s (")


class _WebSite(BaseHTTPRequestHandler):
    """Something that is no endpoint; `status` says what kind."""

    status = 200

    def do_GET(self) -> None:
        if self.status == ENDLESS:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b"a" * 2**16)
        page = b"<html><head><title>Hello</title></head></html>"
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "https://elsewhere/v1/models")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_site() -> Any:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _WebSite)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, "a web page (Hello)"),
        (302, "redirects to https://elsewhere"),
        (404, "501: a web page"),
        (ENDLESS, "what /models says has no end"),
    ],
)
def test_something_that_is_no_endpoint(
    web_site: str, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    monkeypatch.setattr(_WebSite, "status", status)
    message = complaint(engine(web_site).setup)
    assert "is no OpenAI-compatible endpoint" in message
    assert said in message


def test_an_address_without_v1() -> None:
    async def run() -> None:
        async with FaultyServer() as server:
            await answers_of(engine(server.base_url.removesuffix("/v1")), [ask(1)])

    assert "usually in /v1" in complaint(lambda: asyncio.run(run()))


def test_an_endpoint_that_lists_no_models() -> None:
    (answer,), _, _ = answered([ask(1)], {"lists_models": False})
    assert answer.status == "ok"


def test_an_unknown_model() -> None:
    message = complaint(lambda: answered([ask(1)], model="ecko"))
    assert "no model 'ecko' there" in message
    assert "did you mean 'echo'?" in message


def test_an_endpoint_that_only_ever_says_what_is_no_answer() -> None:
    message = complaint(lambda: answered([ask(1)], {"faults": ["html"] * 2}, attempts=2))
    assert "is no OpenAI-compatible endpoint (answered with a web page (Welcome))" in message


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "caption.openai_probe", raising=False)
    monkeypatch.setitem(sys.modules, "caption.openai_client", None)
    monkeypatch.setitem(sys.modules, "tenacity", None)
    assert "install cogcurate[openai]" in complaint(engine("http://127.0.0.1:1/v1").setup)


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_key_is_sent_and_never_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ECHO_KEY", SECRET + "\n")
    answers, _, asking = answered(
        [ask(n) for n in range(4)], {"key": SECRET, "faults": ["error_500"]}, api_key_env="ECHO_KEY"
    )
    said = [repr(answers), repr(asking.options), asking.options.model_dump_json(), repr(asking.counts())]
    assert [answer.status for answer in answers] == ["ok"] * 4
    assert caplog.records
    assert not [text for text in [*said, caplog.text] if SECRET in text]


@pytest.mark.parametrize("lists_models", [True, False])
def test_a_wrong_key(monkeypatch: pytest.MonkeyPatch, lists_models: bool) -> None:
    monkeypatch.setenv("ECHO_KEY", SECRET)
    server = {"key": "another", "lists_models": lists_models}
    message = complaint(lambda: answered([ask(1)], server, api_key_env="ECHO_KEY"))
    assert "refuses access (401: Incorrect API key provided: Bearer ***)" in message
    assert "the key was $ECHO_KEY" in message


@pytest.mark.parametrize("value", ["", "  ", SECRET + "\nInjected: yes", SECRET + "ü"])
def test_no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ECHO_KEY", value)
    assert "ECHO_KEY" in complaint(engine("http://127.0.0.1:1/v1", api_key_env="ECHO_KEY").setup)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key_env": SECRET},
        {"base_url": f"https://user:{SECRET}@host/v1"},
        {"base_url": f"https://host/v1?key={SECRET}"},
    ],
)
def test_a_key_among_the_options_is_refused_without_repeating_it(options: dict[str, str]) -> None:
    complaint(lambda: engine(**{"base_url": "https://host/v1"} | options))


# --- what decides the text ----------------------------------------------------------------------------------


def test_where_and_how_patiently_is_not_in_the_fingerprint() -> None:
    here, there = (
        engine(url, **more).options.model_dump(mode="json")
        for url, more in [
            ("http://a/v1", {}),
            ("http://b/v1", {"concurrency": 2, "timeout_s": 9, "api_key_env": "KEY", "attempts": 9}),
        ]
    )
    assert here == there
    assert set(here) == {
        "model", "revision", "video", "image_px", "image_detail", "max_tokens_field", "extra_body"
    }  # fmt: skip


def test_the_revision_is_in_the_models_name() -> None:
    (answer,), _, asking = answered([ask(1)], revision="2026-11")
    assert asking.model == answer.model == "echo@2026-11"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "localhost:8000/v1"}, "engine.openai.base_url: expected http://HOST"),
        ({"extra_body": {"stream": True}}, "engine.openai.extra_body: 'stream' is set by the engine"),
        ({"retries": 3}, "unknown key 'retries'"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], said: str) -> None:
    assert said in complaint(lambda: engine(**{"base_url": "http://a/v1"} | options))
