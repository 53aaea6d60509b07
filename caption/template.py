"""Templates: one file a question in `prompts/`, checked before anything runs.

A file begins with options between two lines `---`; then come the instructions, which are the same in every
request (so that an engine can cache them); then, after one more line `---`, the prompt. The prompt's fields
are written `{name}`, and braces that are meant as such are doubled. A field is a measured value (`FIELDS`) or
the name of another template: its answers stand there. So templates that name each other are the recipe.

The text is part of the pass's fingerprint: whoever edits one captions anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from curate.config import validate
from curate.records import Options
from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["FIELDS", "Template", "TemplateOptions", "load_templates"]

FIELDS = ("duration_s", "pictures", "times_s", "time_s", "measured")
"""length of the clip; number of the pictures seen and their times from the clip's start; of a template that
sees frames one by one, that frame's time; what was measured of the clip's motion. Times are in seconds."""
_SUFFIX = ".md"
_LINE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class TemplateOptions(Options):
    """What stands at the head of a template."""

    sees: Literal["clip", "frame", "nothing"] = "clip"
    every_s: float = Field(0.0, ge=0, description="seconds at least between the pictures seen; 0: all")
    max_pictures: int = Field(32, ge=1, description="of a clip: more are thinned out evenly")
    video: bool = Field(False, description="shown as one video, where the model can")
    engine: Literal["captioner", "summarizer"] = "captioner"
    max_tokens: int = Field(256, ge=1)
    temperature: float = Field(0.0, ge=0)
    max_words: int = Field(100, ge=1, description="more are a fault of the answer")
    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON schema of the answer")
    show: str = Field("", description="the caption, of the fields of an answer that follows a schema")
    prose: bool = Field(True, description="the answer is checked as the sentences of a caption")

    @model_validator(mode="after")
    def _consistent(self) -> TemplateOptions:
        if (self.schema_ is None) != (not self.show):
            raise ValueError("schema and show: give both or neither")
        if self.schema_ is not None:
            known = set(self.schema_.get("properties", {}))
            if unknown := sorted(set(_fields(self.show)) - known):
                raise ValueError(f"show: the schema has no property {unknown[0]!r}")
        if self.sees == "nothing" and self.video:
            raise ValueError("video: a template that sees nothing sees no video")
        return self


@dataclass(frozen=True)
class Template:
    """A question that can be asked of a clip, of each of its frames, or of other answers."""

    name: str
    options: TemplateOptions
    system: str
    """taken as it stands"""
    prompt: str
    """with fields"""
    reads: tuple[str, ...]
    """other templates whose answers it quotes"""

    def render(self, values: Mapping[str, str]) -> str:
        """Return the prompt with `values` for its fields."""
        return self.prompt.format_map(values)

    def text_of(self, answer: str) -> str | None:
        """Return what the caption says, of an answer; None where it does not follow the schema."""
        if self.options.schema_ is None:
            return answer.strip()
        try:
            given = json.loads(answer)
            return self.options.show.format_map(given).strip()
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None

    @cached_property
    def digest(self) -> str:
        """Everything that decides the question, hashed."""
        said = [self.options.model_dump(mode="json"), self.system, self.prompt]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def load_templates(
    names: Iterable[str], folder: Path | None = None, fields: Sequence[str] = FIELDS
) -> dict[str, Template]:
    """Return the named templates and those that they read, each after what it reads.

    `folder` holds templates of the user's own, which go before those of the same name here. `fields` are
    what whoever asks can fill in. Raises ConfigError for an unknown name or field, and where templates read
    each other in a circle.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"prompts: no folder {str(folder)!r}")
    known = _known(folder)
    done: dict[str, Template] = {}

    def add(name: str, readers: tuple[str, ...]) -> None:
        if name in readers:
            circle = " → ".join([*readers[readers.index(name) :], name])
            raise ConfigError(f"prompts read each other in a circle: {circle}")
        if name in done:
            return
        if name not in known:
            raise ConfigError(f"no prompt {name!r}; {nearest(name, list(known))}")
        template = _parse(name, known[name].read_text(encoding="utf-8"), list(known), fields)
        for read in template.reads:
            add(read, (*readers, name))
        done[name] = template

    for name in names:
        add(name, ())
    return done


def _known(folder: Path | None) -> dict[str, Traversable]:
    places: list[Traversable] = [files(__package__) / "prompts", *([folder] if folder else [])]
    return {
        entry.name.removesuffix(_SUFFIX): entry
        for place in places
        for entry in place.iterdir()
        if entry.name.endswith(_SUFFIX) and _NAME.fullmatch(entry.name.removesuffix(_SUFFIX))
    }


def _parse(name: str, text: str, known: list[str], filled: Sequence[str]) -> Template:
    where = f"prompt {name!r}"
    before, *parts = _LINE.split(text)
    if before.strip() or len(parts) != 3:
        raise ConfigError(f"{where}: expected options, instructions and prompt, each after a line ---")
    head, system, prompt = (part.strip() for part in parts)
    try:
        raw = yaml.safe_load(head) or {}
    except yaml.YAMLError as exc:
        raise ConfigError(f"{where}: its head is not YAML: {' '.join(str(exc).split())}") from exc
    options: TemplateOptions = validate(TemplateOptions, raw, where)
    try:
        fields = _fields(prompt)
    except ValueError as exc:
        raise ConfigError(f"{where}: {exc}; double a brace that is meant as such") from exc
    reads = []
    for field in fields:
        if field == "time_s" and options.sees != "frame":
            raise ConfigError(f"{where}: {{time_s}} is for templates that see frames one by one")
        if field in filled:
            continue
        if field not in known:
            raise ConfigError(
                f"{where}: unknown field {{{field}}}; {nearest(field, sorted({*filled, *known}))}"
            )
        reads.append(field)
    return Template(name, options, system, prompt, tuple(dict.fromkeys(reads)))


def _fields(text: str) -> list[str]:
    return [field for _, field, _, _ in Formatter().parse(text) if field is not None]
