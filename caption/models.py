"""Which model an engine is to run: a preset by name, a name on the hub, or a folder, and how it is asked.

Presets are the entries of models.yaml, and of a file of the user's. What the options say goes before what a
preset says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field

from caption.checkpoint import digest_checkpoint
from curate.config import load_yaml, validate
from curate.records import Options
from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["ModelOptions", "Preset", "Sees", "describe_model", "find_model", "load_presets"]

Sees: TypeAlias = Literal["video", "pictures", "text"]

_PRESETS = Path(__file__).parent / "models.yaml"


class Asked(Options):
    """How a model is asked: what presets and options have in common."""

    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    sees: Sees | None = Field(None, description="what its prompts may hold; as its config tells, where null")
    image_px: int | None = Field(
        None, ge=28, description="longest side of what it is shown; null: the samples as they are"
    )
    max_model_len: int | None = Field(
        None, ge=16, description="tokens of prompt and answer at most; null: the model's own limit"
    )
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    chat: dict[str, Any] = Field({}, description="values for its chat template")
    mm_processor_kwargs: dict[str, Any] = Field({}, description="options of its processor of pictures")
    answer_after: str | None = Field(None, description="text that ends its thinking; the answer follows")
    extra: dict[str, Any] = Field({}, description="further arguments of the engine, passed on as they are")


class Preset(Asked):
    """An entry of models.yaml."""

    model: str
    engines: tuple[str, ...] = ("vllm", "transformers")


class ModelOptions(Asked):
    """A model, and how it is asked."""

    model: str = Field(description="a preset's name, a name on the hub, or a folder")
    models: Path | None = Field(None, description="YAML with presets of one's own")


def load_presets(path: Path = _PRESETS) -> dict[str, Preset]:
    """Return the presets in `path`; ConfigError where they are not right."""
    return {name: validate(Preset, raw, f"{path.name}: {name}") for name, raw in load_yaml(path).items()}


@cache
def _presets(path: Path | None) -> Mapping[str, Preset]:
    return load_presets() if path is None else {**load_presets(), **load_presets(path)}


def find_model(options: ModelOptions, engine: str) -> Preset:
    """Return the model that `options` mean, all told.

    Raises ConfigError where it is neither a preset, nor a folder, nor like a name on the hub (`owner/name`),
    or where `engine` cannot run it.
    """
    presets = _presets(options.models)
    told = options.model_dump(include=set(Asked.model_fields) & options.model_fields_set)
    preset = presets.get(options.model)
    if preset is not None:
        if engine not in preset.engines:
            able = " or ".join(preset.engines)
            raise ConfigError(
                f"engine.{engine}.model: {options.model!r} ({preset.model}) needs the engine {able}"
            )
        return preset.model_copy(update=told)
    folder = Path(options.model).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "params.json")):
            raise ConfigError(f"engine.{engine}.model: {folder} has no config.json; name a model's folder")
        return Preset(**told, model=str(folder))
    looks_like_path = folder.is_absolute() or options.model.startswith((".", "~")) or folder.suffix == ".gguf"
    if looks_like_path or options.model.count("/") != 1:
        raise ConfigError(
            f"engine.{engine}.model: {options.model!r} is no folder, no name on the hub (owner/name) and no "
            f"preset; {nearest(options.model, list(presets))}"
        )
    return Preset(**told, model=options.model)


def describe_model(found: Preset) -> tuple[str, dict[str, str]]:
    """Return what `caption_model` is to say, and digests of what decides the text.

    A folder is digested (see `digest_checkpoint`) and called by its name and some digits of it. A name
    on the hub stands for itself with its revision: pin a commit where that may move.
    """
    asked = found.model_dump_json(exclude={"model", "revision", "engines"})
    folder = Path(found.model)
    if folder.is_dir():
        digest = digest_checkpoint(folder)
        return f"{folder.resolve().name}@{digest[:8]}", {"weights": digest, "asked": asked}
    name = f"{found.model}@{found.revision}" if found.revision else found.model
    return name, {"weights": name, "asked": asked}
