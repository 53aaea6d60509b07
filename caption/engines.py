"""Engines by name, from the mapping `{name: options}` of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caption.engine import Engine
from curate.config import validate
from curate.registry import resolve
from shards.errors import ConfigError

__all__ = ["build_engine", "engine_class", "resolved_options"]


def build_engine(named: Mapping[str, Any], where: str = "engine") -> Engine:
    """Return the engine that `named` names; ConfigError where it is unknown or its options are wrong."""
    _, cls, options = _checked(named, where)
    engine: Engine = cls(options)
    return engine


def engine_class(named: Mapping[str, Any], where: str = "engine") -> type[Engine]:
    """Return the class of the engine that `named` names."""
    cls: type[Engine] = _checked(named, where)[1]
    return cls


def resolved_options(named: Mapping[str, Any], where: str = "engine") -> dict[str, Any]:
    """Return `named` with every option that decides what the engine says, defaults included."""
    name, _, options = _checked(named, where)
    return {name: options.model_dump(mode="json")}


def _checked(named: Mapping[str, Any], where: str) -> tuple[str, Any, Any]:
    if len(named) != 1:
        raise ConfigError(f"{where}: name exactly one engine (found {', '.join(named) or 'none'})")
    (name, raw), *_ = named.items()
    cls = resolve("engine", name)
    return name, cls, validate(cls.Options, raw, f"{where}.{name}")
