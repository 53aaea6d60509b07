"""A `config.json` of diffusers' → the values that a configuration of ours takes, every key accounted for.

A key that is silently dropped is a model that silently differs. So each known key is either a value that the
configuration keeps, or fixed (every released CogVideoX has this value, and no other is built here), or unread
(diffusers itself does nothing with it for this class). Anything else is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Final

from shards.errors import ConfigError

__all__ = ["read_config", "truth", "whole"]

_STAMPS: Final = frozenset({"_class_name", "_diffusers_version", "_name_or_path"})
"""what diffusers writes about the file itself"""


def read_config(
    given: Mapping[str, Any],
    where: str,
    *,
    class_names: Collection[str],
    defaults: Mapping[str, Any],
    fixed: Mapping[str, Any],
    unread: Collection[str],
) -> dict[str, Any]:
    """Return the values that are neither fixed nor unread, by key; a key that is absent has its default.

    `defaults` are those of diffusers' class, for all of its keys: files of older versions lack newer ones.
    Raises ConfigError in one line, beginning with `where`, for another class, an unknown key, or a fixed key
    with another value.
    """
    name = given.get("_class_name")
    if name not in class_names:
        wanted = " or ".join(sorted(class_names))
        raise ConfigError(f"{where}: _class_name is {name!r}, not {wanted}: another model's folder")
    for key in sorted(given.keys() - defaults.keys() - _STAMPS):
        near = difflib.get_close_matches(key, sorted(defaults), 1)
        hint = f"; the nearest known one is {near[0]!r}" if near else ""
        raise ConfigError(f"{where}: unknown key {key!r} of {name} in diffusers 0.42{hint}")
    merged = {**defaults, **{key: value for key, value in given.items() if key not in _STAMPS}}
    for key, value in fixed.items():
        if merged[key] != value:
            raise ConfigError(f"{where}: {key} is {merged[key]!r}; only {value!r} is supported")
    return {key: value for key, value in merged.items() if key not in fixed and key not in unread}


def whole(name: str, value: object, least: int) -> int:
    """Return `value`; ConfigError where it is no integer, or less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name}: {value!r} is not a whole number of at least {least}")
    return value


def truth(name: str, value: object) -> None:
    """Raise ConfigError where `value` is neither true nor false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: {value!r} is neither true nor false")
