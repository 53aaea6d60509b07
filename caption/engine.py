"""What captioning asks of an engine, whatever runs the model.

A request is one turn of chat: instructions, pictures, a question. `generate` is a coroutine, so that a
batching engine (vLLM) or an endpoint can hold hundreds in flight; the stage decides how many. The request's
id travels with it and must come back with the answer: a caption on the wrong clip is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from curate.records import Options, Value

__all__ = ["Answer", "Engine", "Picture", "Request", "Status"]

Status = Literal["ok", "truncated", "empty", "refused", "error"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG and its time from the start of its clip."""

    time_s: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one clip.

    Engines put `system` first, then the pictures, then `prompt`: what is the same in every request of a
    template comes first, so that its prefix can be cached.
    """

    id: str
    """unlike any other request's; begins with the clip's id"""
    clip_id: str
    template: str
    """name of the template that asks"""
    system: str
    """instructions, the same in every request of the template; may be empty"""
    prompt: str
    pictures: tuple[Picture, ...]
    """in order of time; none where only text is asked about"""
    video: bool
    """the pictures are to be seen as one video, by a model that can"""
    seed: int
    max_tokens: int
    temperature: float
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer must follow"""
    measured: Mapping[str, Value] = field(default_factory=dict)
    """the clip's columns so far, for engines that describe measurements"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Numbers of tokens are None where the engine has none, or doesn't tell."""

    id: str
    """the id of the request that this answers"""
    status: Status
    text: str
    model: str
    prompt_tokens: int | None = None
    tokens: int | None = None
    """generated"""
    cached_tokens: int | None = None
    """of the prompt's, found in the prefix cache"""
    prepared_s: float = 0.0
    """spent on pictures and prompt before the model saw them"""
    queued_s: float = 0.0
    """waited in the engine before the first token was worked on"""
    attempts: int = 1
    """requests that it took: more than one where the engine tried again"""
    message: str = ""
    """why the status is not ok"""


class Engine(Protocol):
    """Answers requests. Built once a worker from checked options."""

    version: ClassVar[int]
    rule_based: ClassVar[bool]
    """sentences by rules, no model: not asked twice, and rightly alike for clips that are"""
    Options: ClassVar[type[Options]]
    needs: ClassVar[frozenset[str]]
    """columns and artifacts read from the clips"""

    @property
    def model(self) -> str:
        """What `caption_model` says: never another model's name."""

    def digests(self) -> Mapping[str, str]:
        """Name → digest of each model file that decides the text."""

    def setup(self) -> None:
        """Load the model, once a worker. ConfigError, of one line, where it cannot be had."""

    async def generate(self, request: Request) -> Answer:
        """Answer one request, always on the same event loop; many run at once.

        What is wrong with one request is an answer whose status is "error"; raises only for what is wrong
        with the engine itself, or with its options.
        """

    def counts(self) -> Mapping[str, float]:
        """Return what only the engine can count, since it was built: requests tried again, cost."""

    async def stop(self) -> None:
        """Let go of what belongs to the event loop: connections, queues, tasks."""

    def close(self) -> None:
        """Let go of everything else; safe after a failed `setup`."""
