"""Pairs that a captioner learns from: the very request that it will be asked, and what it should answer.

The request is not written anew here: the recipe asks, as it does in the caption pass, and what it asks is
kept. So the prompts of training and serving are the same bytes, whatever the templates say.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, get_args

from caption.checks import Checked
from caption.engine import Answer, Request, Status
from caption.recipe import Recipe, Shot
from caption.template import Template
from shards.errors import ConfigError

__all__ = ["Split", "asked", "chat", "split_of", "trainable"]

_UNCHECKED: Final = Checked(0, None, 0.0, None, (), True)
"""answers that are given are not judged again"""
Split = Literal["train", "val", "test"]


class _UnfitError(Exception):
    """The recipe asks what the parts have no answer to."""


def trainable(templates: Mapping[str, Template], name: str) -> None:
    """Raise ConfigError where a caption is not what the template's answer is."""
    options = templates[name].options
    if options.schema_ is not None:
        raise ConfigError(f"prompt {name!r} is answered in JSON; a caption is no answer to it")
    if options.video:
        raise ConfigError(f"prompt {name!r} shows a video; pairs are made of pictures: set `video: false`")


def asked(
    shot: Shot, name: str, templates: Mapping[str, Template], parts: Sequence[Mapping[str, Any]] = ()
) -> Request | None:
    """Return the request of the template `name` about a clip.

    `templates` are that and those it reads, as `load_templates` returns them; `parts` (rows of the captions
    table's `parts`) are the answers to the latter. None where the parts do not fit, since the templates ask
    today for other frames or other things than they did.
    """
    plain = {key: _plain(template) if key != name else template for key, template in templates.items()}
    left: dict[str, list[Mapping[str, Any]]] = {}
    for part in parts:
        left.setdefault(part["template"], []).append(part)
    kept: list[Request] = []

    async def answer(request: Request, template: Template) -> Answer:
        if template.name == name:
            kept.append(request)
            return Answer(request.id, "ok", "-", "")
        part = _part(request, template, left.get(template.name, ()))
        status: Status = part["status"]
        return Answer(request.id, status if status in get_args(Status) else "error", part["text"] or "", "")

    recipe = Recipe(plain, seed=0, judge=lambda _template, _status, _text: _UNCHECKED)
    try:
        asyncio.run(recipe.run(shot, answer))
    except* _UnfitError:
        pass  # then the request has not been made
    return kept[0] if kept else None


def _plain(template: Template) -> Template:
    """Return a template whose answers are taken as they stand: parts are no JSON any more."""
    return replace(template, options=template.options.model_copy(update={"schema_": None}))


def _part(request: Request, template: Template, parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if template.options.sees != "frame":
        if len(parts) == 1:
            return parts[0]
    else:
        time_s = request.pictures[0].time_s
        for part in parts:
            if part["time_s"] is not None and abs(part["time_s"] - time_s) < 1e-6:
                return part
    raise _UnfitError


def chat(request: Request, answer: str, images: Sequence[str]) -> dict[str, Any]:
    """Return a request and its answer as a line of chat: `messages`, and `images` as paths.

    The pictures stand before the question, as engines put them; so do TRL and other trainers where the
    contents are strings.
    """
    system = [{"role": "system", "content": request.system}] if request.system else []
    turns = [{"role": "user", "content": request.prompt}, {"role": "assistant", "content": answer}]
    return {"messages": [*system, *turns], "images": list(images)}


def split_of(source_id: str, val: float, test: float) -> Split:
    """Return which split a source is in: by its hash, so that it stays there when others are added."""
    place = int.from_bytes(hashlib.sha256(f"split/{source_id}".encode()).digest()[:8], "big") / 2**64
    if place < test:
        return "test"
    return "val" if place < test + val else "train"
