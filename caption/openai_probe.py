"""Is there an endpoint? Asked once a worker, before any clip is."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from caption.openai_client import headers, not_an_endpoint, refused_key, why_unreachable
from caption.openai_options import OpenAIOptions
from caption.openai_wire import error_line
from shards.errors import ConfigError

__all__ = ["probe"]

_LIMIT_S = 10.0
# The longest list of a router of hundreds of models has a megabyte.
_LIMIT_BYTES = 2**24
_MISSING = frozenset({404, 405, 501})
_AWAY = frozenset({502, 503, 504})
_log = logging.getLogger(__name__)


class _AwayError(Exception):
    """Nobody answers, yet."""


@dataclass(frozen=True, slots=True)
class _Said:
    status: int
    headers: Mapping[str, str]
    """by names in small letters"""
    body: bytes


def probe(options: OpenAIOptions, key: str | None) -> tuple[str, ...]:
    """Return the names of the endpoint's models, none where it keeps them to itself.

    Waits up to `patience_s` for an endpoint that is just being started. Raises ConfigError where there is
    none, where something else answers, and where the key is refused.
    """

    def warn(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            why = state.outcome.exception()
            _log.warning("%s: %s; waiting up to %g s for it", options.base_url, why, options.patience_s)

    retrying = Retrying(
        retry=retry_if_exception_type(_AwayError),
        stop=stop_after_delay(options.patience_s),
        wait=wait_random_exponential(multiplier=options.backoff_s, max=min(5.0, options.max_backoff_s)),
        before_sleep=warn,
        reraise=True,
    )
    with httpx2.Client(headers=headers(key), timeout=min(_LIMIT_S, options.timeout_s)) as http:
        try:
            return retrying(_models, http, options, key)
        except _AwayError as exc:
            raise ConfigError(
                f"{options.base_url}: no answer in {options.patience_s:g} s ({exc}); start the server, or "
                "correct base_url"
            ) from exc


def _models(http: httpx2.Client, options: OpenAIOptions, key: str | None) -> tuple[str, ...]:
    said = _ask(http, options, "GET", "models")
    if said.status in _MISSING:
        # Some have no list. To a question without a model and messages, an endpoint says what is missing.
        said = _ask(http, options, "POST", "chat/completions")
        if said.status in _MISSING:
            raise ConfigError(not_an_endpoint(options, f"{said.status}: {error_line(said.body, key)}"))
    line = error_line(said.body, key)
    if said.status in (401, 403):
        raise ConfigError(refused_key(options, said.status, line))
    if 300 <= said.status < 400:
        where = said.headers.get("location", "elsewhere")
        raise ConfigError(not_an_endpoint(options, f"{said.status}: redirects to {where}"))
    if "text/html" in said.headers.get("content-type", ""):
        raise ConfigError(not_an_endpoint(options, line))
    if said.status != 200:
        return ()
    try:
        return tuple(str(model["id"]) for model in json.loads(said.body)["data"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(not_an_endpoint(options, f"/models says {line!r}")) from None


def _ask(http: httpx2.Client, options: OpenAIOptions, method: str, path: str) -> _Said:
    """Return what the endpoint says; of what has no end, or takes too long, only that."""
    url, body, until_s = f"{options.base_url}/{path}", bytearray(), time.monotonic() + 2 * _LIMIT_S
    try:
        with http.stream(method, url, json={} if method == "POST" else None) as answer:
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > _LIMIT_BYTES or time.monotonic() > until_s:
                    raise ConfigError(not_an_endpoint(options, f"what /{path} says has no end"))
            said = _Said(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, bytes(body))
    except httpx2.RequestError as exc:
        raise _AwayError(why_unreachable(exc)) from exc
    if said.status in _AWAY:
        raise _AwayError(f"{said.status}: {error_line(said.body)}")
    return said
