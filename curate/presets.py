"""Conditions with names: the `selections` of a pipelines.yaml, for `curate select --preset` and pipelines."""

from __future__ import annotations

from pathlib import Path

from curate.config import Sql, load_yaml, packaged_pipelines, validate
from curate.records import Options
from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["SELECTIONS", "Preset", "find_preset"]

SELECTIONS = "selections"
"""the key of pipelines.yaml that holds them; no pipeline's name"""


class Preset(Options):
    """A condition and what it is for."""

    description: str = ""
    where: Sql


def find_preset(name: str, path: Path | None = None) -> Preset:
    """Return the preset `name` of `path`, else of the packaged pipelines.yaml.

    Raises ConfigError, naming the nearest, where there is none.
    """
    file = path or packaged_pipelines()
    presets = load_yaml(file).get(SELECTIONS)
    if not isinstance(presets, dict) or name not in presets:
        known = list(presets) if isinstance(presets, dict) else []
        raise ConfigError(f"{file.name}: no preset {name!r} in {SELECTIONS}; {nearest(name, known)}")
    return validate(Preset, presets[name], f"{SELECTIONS}.{name}")
