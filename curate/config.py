"""From YAML text and `--set` to checked models, with messages that name the YAML path and the nearest key.

pydantic does the checking; what is added here is where it went wrong, in the words of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ValidationError

from curate.registry import nearest
from shards.errors import ConfigError

__all__ = ["Size", "Sql", "load_yaml", "override", "packaged_pipelines", "validate", "with_unsaid"]

M = TypeVar("M", bound=BaseModel)

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_size(value: object) -> object:
    """Return bytes of "512 MiB", "1GB" or a plain number; anything else is left for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", value.lower())
    if match is None:
        raise ValueError(f"{value!r} is not a size such as '512 MiB' or '1 GB'")
    return int(float(match[1]) * (_UNITS | _BINARY)[match[2] or ""])


def sql_text(value: object) -> object:
    """Return the text of a condition that YAML read as a truth value: `where: true`."""
    return str(value).lower() if isinstance(value, bool) else value


Sql = Annotated[str, BeforeValidator(sql_text)]
"""A SQL condition."""

Size = Annotated[int, BeforeValidator(parse_size)]
"""A number of bytes, written as a number or as text with a unit."""


def packaged_pipelines() -> Path:
    """Return the pipelines.yaml that ships: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    inside, beside = package / "pipelines.yaml", package.parent / "pipelines.yaml"
    return inside if inside.exists() else beside


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in `path`; ConfigError with line and column where it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read ({exc})") from exc
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(exc, "problem", None) or "not YAML"
        raise ConfigError(f"{where}: {problem}") from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of pipelines, found {type(data).__name__}")
    return data


def override(tree: Mapping[str, Any], assignments: Sequence[str], shorten: Any) -> dict[str, Any]:
    """Return `tree` with each `a.b=c` applied; values are read as YAML.

    `shorten(tree, keys)` turns a short path (`split.min_s`) into the whole one.
    """
    result: dict[str, Any] = deepcopy(dict(tree))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f"--set {assignment!r}: expected key=value")
        keys = shorten(result, path.strip().split("."))
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            raise ConfigError(f"--set {assignment!r}: {text!r} is not a YAML value") from exc
        node = result
        for key in keys[:-1]:
            if node.get(key) is None:
                node[key] = {}
            node = node[key]
            if not isinstance(node, dict):
                raise ConfigError(f"--set {assignment!r}: {key!r} holds a value, not a mapping")
        node[keys[-1]] = value
    return result


def with_unsaid(resolved: Any, given: Any) -> Any:
    """Return `resolved` and what it leaves out of `given`: options that decide no result (an address)."""
    if not (isinstance(resolved, dict) and isinstance(given, dict)):
        return resolved
    both = {key: with_unsaid(value, given.get(key)) for key, value in resolved.items()}
    return {key: value for key, value in given.items() if key not in both} | both


def validate(model: type[M], data: Any, where: str) -> M:
    """Return `data` as a `model`; ConfigError names the path below `where` and the nearest known key."""
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as exc:
        # A misspelt key also leaves a required one missing: the misspelling is what to say.
        error = min(exc.errors(), key=lambda e: e["type"] != "extra_forbidden")
        loc = [str(part) for part in error["loc"]]
        path = ".".join([where, *loc])
        if error["type"] == "extra_forbidden":
            fields = _fields_at(model, loc[:-1])
            raise ConfigError(f"{path}: unknown key {loc[-1]!r}; {nearest(loc[-1], fields)}") from exc
        message = error["msg"].removeprefix("Value error, ")
        found = "" if isinstance(error["input"], (dict, list)) else f" (found {error['input']!r})"
        raise ConfigError(f"{path}: {message}{found}") from exc


def _fields_at(model: type[BaseModel], loc: Sequence[str]) -> list[str]:
    """Return the field names of the model that `loc` leads to."""
    current: Any = model
    for key in loc:
        field = current.model_fields.get(key) if _is_model(current) else None
        candidates = [field.annotation, *get_args(field.annotation)] if field else []
        current = next((c for c in candidates if _is_model(c)), current)
    return list(current.model_fields)


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)
