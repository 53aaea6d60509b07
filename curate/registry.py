"""Names in a pipeline to classes: entry points, or `module:Class`.

`curate` imports no filter and no captioner; it finds them here at run time. An installed distribution adds
names by declaring an entry point in `cogcurate.stages`, `.detectors`, `.signals`, `.engines`, `.aligners`,
`.commands` or `.benchmarks`; a module on PYTHONPATH needs no declaration. The working directory is not
searched: a stray file there shadows nothing.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from shards.errors import ConfigError

__all__ = ["Kind", "known", "nearest", "resolve"]

Kind = Literal["stage", "detector", "signal", "engine", "command", "benchmark", "aligner"]


@cache
def known(kind: Kind) -> dict[str, str]:
    """Return name → `module:Class` of everything installed of `kind`."""
    return {point.name: point.value for point in entry_points(group=f"cogcurate.{kind}s")}


def nearest(name: str, among: list[str]) -> str:
    """Return a hint: the known name that `name` most resembles, or the list of them."""
    close = get_close_matches(name, among, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(sorted(among))}" if among else "none is known"


def resolve(kind: Kind, name: str) -> Any:
    """Return the class that `name` stands for.

    Raises ConfigError when the name is neither installed nor an importable `module:Class`.
    """
    target = known(kind).get(name, name)
    module_name, colon, attribute = target.partition(":")
    if not colon:
        raise ConfigError(f"unknown {kind} {name!r}; {nearest(name, list(known(kind)))}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        raise ConfigError(f"{kind} {name!r}: cannot import {module_name!r} ({exc})") from exc
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigError(f"{kind} {name!r}: module {module_name!r} has no {attribute!r}") from None
