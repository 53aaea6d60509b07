"""What the caption pass asks of an engine, whatever runs the model.

One request is one caption of one clip in one variant. `generate` is a coroutine, so that a batching engine
(vLLM) or an endpoint can hold hundreds in flight; the pass decides how many. The clip's id travels with the
request and must come back with the result: a caption on the wrong clip is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from curate.records import Options, Sample, Value

__all__ = ["CaptionRequest", "CaptionResult", "Engine", "Status"]

Status = Literal["ok", "truncated", "empty", "refused", "error"]


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """One caption to be written."""

    clip_id: str
    variant: str
    prompt: str
    samples: tuple[Sample, ...]
    seed: int
    measured: Mapping[str, Value]
    """the clip's columns so far, for engines that describe measurements and for prompts that quote them"""


@dataclass(frozen=True, slots=True)
class CaptionResult:
    """What came back. `prompt_tokens` and `tokens` are None where the engine has no tokens."""

    clip_id: str
    status: Status
    text: str
    prompt_tokens: int | None
    tokens: int | None
    model: str
    message: str = ""
    """why the status is not ok"""


class Engine(Protocol):
    """Writes captions. Built once a worker from checked options."""

    version: ClassVar[int]
    Options: ClassVar[type[Options]]
    needs: ClassVar[frozenset[str]]
    """columns and artifacts read from the clips"""

    @property
    def model(self) -> str:
        """What `caption_model` says: never another model's name."""

    def digests(self) -> Mapping[str, str]:
        """Name → digest of each model file that decides the text."""

    def setup(self) -> None:
        """Load the model, once a worker."""

    async def generate(self, request: CaptionRequest) -> CaptionResult:
        """Answer one request. Raises only for what is wrong with the engine itself."""

    def close(self) -> None:
        """Let go of everything; safe after a failed `setup`."""
