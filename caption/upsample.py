"""Short prompts into captions such as the model was trained on: the prompt upsampler.

CogVideoX (arXiv 2408.06072, appendix E) puts a language model between user and model, because the training
captions are long and people's prompts are not; for image-to-video a model that sees the first picture, too.
Here the same engines do it that caption, by the templates `upsample` and `upsample_image`; the results are
checked like captions, and must be long enough. A bad one is asked for once more, with another seed.

Results come in the order of the prompts, each as soon as those before it are there. Memory: the window of
those in flight.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from caption.checks import Checker
from caption.engine import Answer, Engine, Picture, Request, Status
from caption.recipe import AGAIN_TEMPERATURE, ATTEMPTS, request_seed
from caption.template import Template, load_templates
from shards.errors import ConfigError

__all__ = ["MIN_WORDS", "TOO_SHORT", "Upsampled", "Upsampler", "load_upsampling"]

MIN_WORDS: Final = 40
"""the shortest that counts as one of the long captions"""
TOO_SHORT: Final = "too_short"
"""the problem of a caption of fewer words; the others are `caption.checks.CODES`"""
_FIELD: Final = "wish"


@dataclass(frozen=True, slots=True)
class Upsampled:
    """What became of a prompt."""

    prompt: str
    caption: str | None
    """None where nothing came back"""
    ok: bool
    status: Status
    problems: tuple[str, ...]
    words: int
    model: str
    asked: int
    message: str
    """why the status is not ok"""


def load_upsampling(*, with_picture: bool, folder: Path | None = None) -> Template:
    """Return the template; `folder` may hold one of the user's own. ConfigError where it asks for nothing."""
    name = "upsample_image" if with_picture else "upsample"
    template = load_templates([name], folder, (_FIELD,))[name]
    if f"{{{_FIELD}}}" not in template.prompt:
        raise ConfigError(f"prompt {name!r}: has no field {{{_FIELD}}}, where the user's prompt goes")
    if with_picture == (template.options.sees == "nothing"):
        raise ConfigError(f"prompt {name!r}: sees: expected {'clip' if with_picture else 'nothing'}")
    return template


class Upsampler:
    """Asks an engine that has been set up; belongs to one event loop."""

    def __init__(
        self,
        engine: Engine,
        template: Template,
        checker: Checker,
        *,
        jpeg: bytes | None = None,
        seed: int = 0,
        min_words: int = MIN_WORDS,
        in_flight: int = 64,
    ) -> None:
        """`jpeg` is what the video begins with; `in_flight` bounds the prompts asked about at once."""
        self._engine = engine
        self._template = template
        self._checker = checker
        self._pictures = () if jpeg is None else (Picture(0.0, jpeg),)
        self._seed = seed
        self._min_words = min_words
        self._in_flight = in_flight

    async def run(self, prompts: Iterable[str]) -> AsyncGenerator[Upsampled, None]:
        """Yield what becomes of each prompt, in their order."""
        window: deque[asyncio.Task[Upsampled]] = deque()
        try:
            for number, prompt in enumerate(prompts):
                if len(window) == self._in_flight:
                    yield await window.popleft()
                window.append(asyncio.create_task(self._upsample(number, prompt)))
            while window:
                yield await window.popleft()
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)

    async def _upsample(self, number: int, prompt: str) -> Upsampled:
        result = await self._ask(number, prompt, 1)
        for asked in range(2, ATTEMPTS + 1):
            if result.ok or self._engine.rule_based:
                break
            again = await self._ask(number, prompt, asked)
            # A poor caption is still better than none.
            better = again if again.ok or result.caption is None else result
            result = replace(better, asked=asked)
        return result

    async def _ask(self, number: int, prompt: str, asked: int) -> Upsampled:
        request = self._request(number, prompt, asked)
        return self._judged(prompt, request, await self._engine.generate(request), asked)

    def _request(self, number: int, prompt: str, asked: int) -> Request:
        options = self._template.options
        name = hashlib.sha256(prompt.encode()).hexdigest()[:16]
        again = max(options.temperature, AGAIN_TEMPERATURE)
        return Request(
            id=f"prompt-{number}-{name}/{self._template.name}/{asked}",
            clip_id=f"prompt-{number}-{name}",
            template=self._template.name,
            system=self._template.system,
            prompt=self._template.render({_FIELD: prompt}),
            pictures=self._pictures,
            video=False,
            # Not of the number: a prompt's caption is the same wherever in the file it stands.
            seed=request_seed(self._seed, name, f"{self._template.name}/{asked}"),
            max_tokens=options.max_tokens,
            temperature=options.temperature if asked == 1 else again,
            schema=options.schema_,
        )

    def _judged(self, prompt: str, request: Request, answer: Answer, asked: int) -> Upsampled:
        status, text, message = answer.status, self._template.text_of(answer.text), answer.message
        if answer.id != request.id:
            # Another prompt's caption is worse than none.
            status, text, message = "error", None, f"the engine answered for {answer.id[:200]!r}"
        # On one line, as prompts are.
        text = " ".join((text or "").split()) or None
        checked = self._checker.check(text, status, max_words=self._template.options.max_words)
        problems = set(checked.problems)
        if text is not None and checked.words < self._min_words:
            problems.add(TOO_SHORT)
        found = tuple(sorted(problems))
        return Upsampled(prompt, text, not found, status, found, checked.words, answer.model, asked, message)
