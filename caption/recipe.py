"""The recipe: the questions asked of a clip, in the order that their templates need, and what came of them.

The chain of CogVideoX (arXiv 2408.06072, section 3.4 and appendix F) is three templates: `short` of the clip,
`frame` of a frame every two seconds, `summary` of the answers to both. Any graph of templates works alike:
what does not depend on each other is asked at the same time. An answer that is bad (`Judge`) is asked for
once more, with another seed and some temperature. Of several frames, those that stay without a usable answer
are left out; where none is left, what depends on them cannot be written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from caption.checks import Checked
from caption.engine import Answer, Picture, Request, Status
from caption.template import Template
from curate.records import Value

__all__ = ["ATTEMPTS", "Ask", "Judge", "Recipe", "Reply", "Shot", "choose", "request_seed"]

ATTEMPTS: Final = 2
AGAIN_TEMPERATURE: Final = 0.7
"""of a second request at least: at 0 another seed changes nothing"""
NOTHING: Final = Checked(0, None, 0.0, None, ("error",), False)
_USABLE: Final = frozenset({"ok", "truncated"})

Ask = Callable[[Request, Template], Awaitable[Answer]]
"""puts a request to the engine that the template is for"""
Judge = Callable[[Template, Status, str | None], Checked]
"""checks an answer; what has problems is asked for again"""


@dataclass(frozen=True, slots=True)
class Shot:
    """What is known of the clip that questions are about."""

    clip_id: str
    source_id: str
    duration_s: float
    pictures: tuple[Picture, ...]
    measured: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a question has come to: the last answer, and what is wrong with it."""

    template: str
    time_s: float | None
    """of the frame that it is about"""
    answer: Answer
    status: Status
    """the answer's, or `empty` and `error` where its text says otherwise"""
    text: str | None
    checked: Checked
    asked: int

    @property
    def usable(self) -> bool:
        """Whether another question may quote it."""
        return self.text is not None and self.status in _USABLE


class Recipe:
    """Templates in the order in which they can be asked."""

    def __init__(
        self, templates: Mapping[str, Template], *, seed: int, judge: Judge, once: Collection[str] = ()
    ) -> None:
        """`templates` as `load_templates` returns them; those named in `once` are not asked again."""
        self._templates = templates
        self._seed = seed
        self._judge = judge
        self._once = frozenset(once)

    async def run(self, shot: Shot, ask: Ask) -> dict[str, list[Reply]]:
        """Return the replies to every template: one, or one a frame."""
        tasks: dict[str, asyncio.Task[list[Reply]]] = {}
        async with asyncio.TaskGroup() as group:
            for name, template in self._templates.items():
                sources = {read: tasks[read] for read in template.reads}
                tasks[name] = group.create_task(self._after(template, shot, sources, ask))
        return {name: task.result() for name, task in tasks.items()}

    async def again(self, shot: Shot, replies: Mapping[str, list[Reply]], name: str, ask: Ask) -> Reply:
        """Ask a template of the whole clip once more, from the replies that there are."""
        template = self._templates[name]
        values = {read: _quoted(replies[read]) for read in template.reads}
        last = replies[name][0]
        return await self._put(template, shot, values, 0, ask, first=last.asked + 1)

    async def _after(
        self, template: Template, shot: Shot, sources: Mapping[str, asyncio.Task[list[Reply]]], ask: Ask
    ) -> list[Reply]:
        values = {}
        for read, source in sources.items():
            replies = await source
            values[read] = _quoted(replies)
            if not values[read]:
                return [_unanswered(template, shot, read, replies)]
        if template.options.sees != "frame":
            return [await self._put(template, shot, values, 0, ask)]
        frames = choose(shot.pictures, template)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._put(template, shot, values, number, ask, frame=frame))
                for number, frame in enumerate(frames)
            ]
        return [task.result() for task in tasks]

    async def _put(
        self,
        template: Template,
        shot: Shot,
        quoted: Mapping[str, str],
        number: int,
        ask: Ask,
        *,
        frame: Picture | None = None,
        first: int = 1,
    ) -> Reply:
        """Ask until an answer is good, or often enough."""
        pictures = (frame,) if frame is not None else choose(shot.pictures, template)
        values = {**_values(shot, pictures), **quoted}
        last = 1 if template.name in self._once else max(first, ATTEMPTS)
        for attempt in range(first, last + 1):
            request = self._request(template, shot, pictures, values, number, attempt)
            answer = await ask(request, template)
            text = template.text_of(answer.text) or None
            status = answer.status
            if text is None and status == "ok":
                status = "empty" if not answer.text.strip() else "error"
            checked = self._judge(template, status, text)
            if checked.caption_ok:
                break
        time_s = frame.time_s if frame is not None else None
        return Reply(template.name, time_s, answer, status, text, checked, attempt)

    def _request(
        self,
        template: Template,
        shot: Shot,
        pictures: tuple[Picture, ...],
        values: Mapping[str, str],
        number: int,
        attempt: int,
    ) -> Request:
        options = template.options
        question = f"{template.name}.{number}" if options.sees == "frame" else template.name
        temperature = options.temperature if attempt == 1 else max(options.temperature, AGAIN_TEMPERATURE)
        return Request(
            id=f"{shot.clip_id}/{question}/{attempt}",
            clip_id=shot.clip_id,
            template=template.name,
            system=template.system,
            prompt=template.render(values),
            pictures=pictures,
            video=options.video,
            seed=request_seed(self._seed, shot.clip_id, f"{question}/{attempt}"),
            max_tokens=options.max_tokens,
            temperature=temperature,
            schema=options.schema_,
            measured=shot.measured,
        )


def choose(pictures: Sequence[Picture], template: Template) -> tuple[Picture, ...]:
    """Return the pictures that a template sees: `every_s` apart, and no more than `max_pictures` of them.

    The first is always seen. A grid that is a twentieth short of `every_s` counts as that.
    """
    options = template.options
    if options.sees == "nothing":
        return ()
    chosen: list[Picture] = []
    for picture in pictures:
        if not chosen or picture.time_s - chosen[-1].time_s >= 0.95 * options.every_s:
            chosen.append(picture)
    if options.sees == "clip" and len(chosen) > options.max_pictures:
        places = np.linspace(0, len(chosen) - 1, options.max_pictures).round().astype(int)
        chosen = [chosen[place] for place in places]
    return tuple(chosen)


def request_seed(seed: int, clip_id: str, question: str) -> int:
    """Return the seed of one request, 0 to 2**31 - 1: the same however the clips are batched."""
    digest = hashlib.sha256(f"{seed}/{clip_id}/{question}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _values(shot: Shot, pictures: Sequence[Picture]) -> dict[str, str]:
    """Return the values of a prompt's measured fields."""
    return {
        "duration_s": f"{shot.duration_s:.1f}",
        "pictures": str(len(pictures)),
        "times_s": ", ".join(f"{picture.time_s:.1f}" for picture in pictures),
        "time_s": f"{pictures[0].time_s:.1f}" if len(pictures) == 1 else "",
        "measured": _measured(shot.measured),
    }


# Kinds of `filters.camera`, in words.
_CAMERA: Final = {
    "static": "The camera was measured to stand still.",
    "pan": "The camera was measured to pan.",
    "tilt": "The camera was measured to tilt.",
    "zoom": "The camera was measured to zoom, or to move forward or back.",
    "roll": "The camera was measured to roll.",
    "handheld": "The camera was measured to shake in the hand.",
    "mixed": "The camera was measured to move in several ways.",
}


def _measured(columns: Mapping[str, Value]) -> str:
    return _CAMERA.get(str(columns.get("camera")), "")


def _quoted(replies: Sequence[Reply]) -> str:
    """Return answers as another prompt quotes them; frames in order, each with its second."""
    lines = []
    for reply in replies:
        if reply.usable and reply.text is not None:
            text = " ".join(reply.text.split())
            lines.append(text if reply.time_s is None else f"[{reply.time_s:.1f} s] {text}")
    return "\n".join(lines)


def _unanswered(template: Template, shot: Shot, read: str, replies: Sequence[Any]) -> Reply:
    """Return the reply of a question that could not be asked."""
    why = next((reply.answer.message for reply in replies if reply.answer.message), "")
    statuses = ", ".join(sorted({reply.status for reply in replies})) or "no pictures"
    message = f"no usable answer to {read!r} ({why or statuses})"
    answer = Answer(f"{shot.clip_id}/{template.name}/0", "error", "", "", message=message)
    return Reply(template.name, None, answer, "error", None, NOTHING, 0)
