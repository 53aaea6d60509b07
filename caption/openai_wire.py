"""The wire format of chat completions: a request as JSON, and what an answer's bytes say.

Format: the OpenAI API's "Create chat completion", as vLLM's server takes it. Pure functions: nothing here
sends or waits.

Ids. A request goes out as `X-Request-Id: cogcurate-<its id>`. vLLM answers with `id: chatcmpl-<that header>`,
and with `--enable-request-id-headers` gives the header back, too. So an id that carries the mark is known to
be a request's of ours, this worker's or another's; one without it (`chatcmpl-9xK2…` of a hosted model, the
uuid of a gateway) names nobody.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from pydantic import BaseModel, ValidationError

from caption.engine import Picture, Request, Status
from caption.jpeg import fit_jpeg
from caption.openai_options import OpenAIOptions

__all__ = [
    "MalformedError",
    "Reply",
    "TooManyFramesError",
    "encode_request",
    "error_line",
    "named_request",
    "read_reply",
    "request_header",
]

_MARK = "cogcurate-"
_LONGEST_LINE = 300


class MalformedError(ValueError):
    """An answer that is not what the API's answers are."""


class TooManyFramesError(ValueError):
    """A video of more frames than the server reads."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer says. Numbers of tokens are None where it doesn't tell."""

    status: Status
    text: str
    message: str
    model: str
    named: tuple[str, ...]
    """ids of the requests that it names: none, one, or contradictory ones"""
    prompt_tokens: int | None
    cached_tokens: int | None
    tokens: int | None


def request_header(request_id: str) -> str:
    """Return the value of X-Request-Id; what may not stand in a header is percent-encoded."""
    return _MARK + quote(request_id, safe="/:@=+,")


def named_request(text: str | None) -> str | None:
    """Return the id of the request that an id or header of an answer names, if it does."""
    _, mark, tail = (text or "").partition(_MARK)
    return unquote(tail) if mark else None


def encode_request(request: Request, options: OpenAIOptions) -> bytes:
    """Return the body: instructions, pictures in order, question.

    Raises NotAPictureError where one must be shrunk and cannot, TooManyFramesError.
    """
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    content: str | list[dict[str, Any]] = request.prompt
    # A video of one frame is a picture to every model.
    as_video = request.video and options.video != "pictures" and len(request.pictures) > 1
    if request.pictures:
        seen = _video(request.pictures, options) if as_video else _pictures(request.pictures, options)
        content = [*seen, {"type": "text", "text": request.prompt}]
    messages.append({"role": "user", "content": content})
    body: dict[str, Any] = {
        "model": options.model,
        "messages": messages,
        "seed": request.seed,
        options.max_tokens_field: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.schema is not None:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", request.template)[:64] or "answer"
        schema = {"name": name, "schema": dict(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if as_video and options.video == "jpeg_video_timed":
        body["media_io_kwargs"] = {"video": _timing(request.pictures)}
    body |= options.extra_body
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def _base64(picture: Picture, options: OpenAIOptions) -> str:
    jpeg = picture.jpeg if options.image_px is None else fit_jpeg(picture.jpeg, options.image_px)
    return b64encode(jpeg).decode()


def _pictures(pictures: tuple[Picture, ...], options: OpenAIOptions) -> list[dict[str, Any]]:
    detail = {} if options.image_detail is None else {"detail": options.image_detail}
    return [
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/jpeg;base64,{_base64(picture, options)}", **detail},
        }
        for picture in pictures
    ]


def _video(pictures: tuple[Picture, ...], options: OpenAIOptions) -> list[dict[str, Any]]:
    """Return vLLM's video of JPEGs: their base64 texts, one after another, with commas between."""
    if options.video == "jpeg_video" and len(pictures) > options.video_frames:
        raise TooManyFramesError(
            f"{len(pictures)} frames, of which the server would read {options.video_frames}; ask about fewer "
            "(max_pictures of the template), or raise video_frames to what the server was started with"
        )
    joined = ",".join(_base64(picture, options) for picture in pictures)
    return [{"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{joined}"}}]


def _timing(pictures: tuple[Picture, ...]) -> dict[str, float]:
    """Return number and mean rate of the frames."""
    length_s = pictures[-1].time_s - pictures[0].time_s
    rate_fps = (len(pictures) - 1) / length_s if length_s > 0 else 1.0
    return {"num_frames": len(pictures), "fps": round(rate_fps, 4)}


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str


class _Completion(BaseModel):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice]
    usage: Any = None


def read_reply(body: bytes, headers: Mapping[str, str]) -> Reply:
    """Return what a completion says; raises MalformedError where it is none.

    `headers` are looked up by names in small letters.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in error["loc"])
        raise MalformedError(f"not a completion: {path}{': ' if path else ''}{error['msg']}") from None
    if not completion.choices:
        raise MalformedError("an answer without choices")
    choice = completion.choices[0]
    if choice.finish_reason in ("abort", "error"):
        raise MalformedError(f"broken off: finish_reason {choice.finish_reason!r}")
    status, message = _status(choice)
    sources = (completion.id, headers.get("x-request-id"))
    named = dict.fromkeys(name for name in map(named_request, sources) if name is not None)
    usage = completion.usage
    return Reply(
        status,
        choice.message.content or "",
        message,
        completion.model or "",
        tuple(named),
        _count(usage, "prompt_tokens"),
        _count(usage, "prompt_tokens_details", "cached_tokens"),
        _count(usage, "completion_tokens"),
    )


def _status(choice: _Choice) -> tuple[Status, str]:
    if choice.message.refusal:
        return "refused", error_line(choice.message.refusal)
    if choice.finish_reason == "content_filter":
        return "refused", "stopped by the endpoint's content filter"
    if choice.finish_reason == "length":
        return "truncated", "max_tokens were not enough"
    if not (choice.message.content or "").strip():
        return "empty", "no text"
    return "ok", ""


def _count(usage: Any, *path: str) -> int | None:
    for key in path:
        usage = usage.get(key) if isinstance(usage, dict) else None
    return usage if isinstance(usage, int) and not isinstance(usage, bool) and usage >= 0 else None


def error_line(said: bytes | str, secret: str | None = None) -> str:
    """Return what an error's body says, as one line of bounded length, without `secret`."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    try:
        said_json = json.loads(text)
    except (ValueError, RecursionError):
        said_json = None
    if isinstance(said_json, dict):
        inner = said_json.get("error", said_json)
        if isinstance(inner, dict):
            inner = inner.get("message") or inner.get("detail") or inner
        text = str(inner)
    elif "<html" in text[:1000].lower():
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = f"a web page ({title[1].strip()})" if title else "a web page"
    line = " ".join((text.replace(secret, "***") if secret else text).split())
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
