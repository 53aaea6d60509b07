"""Options of the engine `openai`.

What decides the text is in the fingerprint; where the endpoint is and how patiently it is asked is not
(`exclude=True`): the same model at another address is the same.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from curate.config import Size
from curate.records import Options
from shards.errors import ConfigError

__all__ = ["OpenAIOptions", "Prices"]

_OURS = ("messages", "model", "n", "response_format", "stream")
"""Fields of the body that `extra_body` may not change: answers are read as what these ask for."""


class Prices(Options):
    """What a million tokens cost, in the currency of the bill."""

    prompt: float = Field(0.0, ge=0)
    cached: float | None = Field(None, ge=0, description="prompt tokens found in the cache; null: as prompt")
    generated: float = Field(0.0, ge=0)


class OpenAIOptions(Options):
    """One endpoint and one model there."""

    base_url: str = Field(exclude=True, description="up to and with /v1: http://127.0.0.1:8000/v1")
    model: str = Field(min_length=1, description="as the endpoint calls it")
    revision: str = Field("", description="which of that name, where you know: raise it to caption anew")
    api_key_env: str | None = Field(
        None,
        exclude=True,
        description="name of the environment variable that holds the key; null: none is sent",
    )
    video: Literal["pictures", "jpeg_video", "jpeg_video_timed"] = Field(
        "pictures",
        description="how a clip that a template shows as a video is sent: as pictures; as vLLM's video of "
        "JPEGs, taken to be a second apart; as such with its frame rate (vLLM: --trust-request-mm-kwargs)",
    )
    video_frames: int = Field(
        32, ge=1, exclude=True, description="frames that the server reads of a jpeg_video: it drops the rest"
    )
    image_px: int | None = Field(None, ge=16, description="pictures with a longer side are shrunk to it")
    image_detail: Literal["auto", "low", "high"] | None = Field(None, description="hosted models' setting")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="some hosted models know only the newer name"
    )
    extra_body: dict[str, Any] = Field(
        {}, description="more fields of the request (top_p, chat_template_kwargs); null takes a field out"
    )
    require_ids: bool = Field(
        True,
        exclude=True,
        description="an answer that doesn't name its request is refused; vLLM's do, hosted models' don't",
    )
    concurrency: int = Field(64, ge=1, exclude=True, description="requests in flight at most, of a worker")
    timeout_s: float = Field(300.0, gt=0, exclude=True, description="of one attempt, from first byte to last")
    attempts: int = Field(6, ge=1, exclude=True, description="of one request, the first included")
    backoff_s: float = Field(
        0.5, ge=0, exclude=True, description="longest wait before the second attempt; doubled from then on"
    )
    max_backoff_s: float = Field(30.0, ge=0, exclude=True, description="longest wait before any attempt")
    patience_s: float = Field(
        300.0,
        ge=0,
        exclude=True,
        description="an endpoint may be gone for so long, as one that is started again; then the run ends",
    )
    max_answer_bytes: Size = Field(2**20, ge=1024, exclude=True, description="a longer answer is cut off")
    price_per_million: Prices = Field(Prices(), exclude=True, description="for the count of the cost")

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query or parts.fragment:
            # Not a ValueError, whose message would come to repeat the URL.
            raise ConfigError(
                "engine openai: base_url holds credentials, a query or a fragment; put the key into an "
                "environment variable and its name into api_key_env"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://HOST[:PORT]/v1 or https://…")
        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _a_name(cls, name: str | None) -> str | None:
        # In capitals, as the usual ones are: what else stands here may be the key itself.
        if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):
            raise ConfigError(
                "engine openai: api_key_env: expected the name of an environment variable, in capitals "
                "(not repeated here: it may be a key)"
            )
        return name

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, body: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in _OURS if name in body]:
            raise ValueError(f"{taken[0]!r} is set by the engine")
        return body
