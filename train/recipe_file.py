"""Recipes in YAML: shipped ones by name, or a file's; every key is known, and every number looked at.

A recipe is read into the records of `train.recipe`. What is wrong is said with its place in the file, as in
`stages.1.thresholds.0.kind`, and a misspelt key with the nearest that there is.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.resources
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from shards.errors import ConfigError
from train.recipe import Recipe
from train.recipe_checks import check_recipe

__all__ = ["load_recipe", "nearest", "recipe_from", "recipe_names"]

R = TypeVar("R")


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes."""
    return list(_shipped())


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a shipped recipe by its name, or that of a YAML file by its path.

    `changes` are of the form `optimizer.learning_rate=3e-4` or `stages.0.steps=20`; a stage may be called by
    its name. Values are YAML. Raises ConfigError for what there is not, and for values that cannot be.
    """
    shipped = _shipped()
    if name in shipped:
        body, where = shipped[name], name
    elif Path(name).suffix in {".yaml", ".yml"} or Path(name).exists():
        body, where = _read(Path(name)), name
    else:
        raise ConfigError(
            f"no recipe {name!r}: there are {', '.join(shipped)}, or give the path of a YAML file"
        )
    if not isinstance(body, dict):
        raise ConfigError(f"{where}: a mapping is wanted, with `model`, `diffusion` and `stages`")
    body = {"name": Path(name).stem, **body}
    for change in changes:
        _change(body, change)
    return recipe_from(body, where)


def recipe_from(body: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe that a mapping, as of YAML or JSON, says; also `dataclasses.asdict` of one.

    Raises ConfigError, beginning with `where` and the place in the mapping.
    """
    try:
        recipe = _record(Recipe, body, "")
        check_recipe(recipe)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return recipe


def _shipped() -> dict[str, Any]:
    text = importlib.resources.files("train").joinpath("recipes.yaml").read_text(encoding="utf-8")
    recipes: dict[str, Any] = yaml.safe_load(text)
    return recipes


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())})") from error


def _change(body: dict[str, Any], change: str) -> None:
    """Set one value in `body`; the parser looks at names and values afterwards."""
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {change}: NAME=VALUE is wanted, as in optimizer.learning_rate=3e-4")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {change}: the value is not YAML") from error
    *folders, last = path.split(".")
    here: Any = body
    for folder in folders:
        if isinstance(here, dict):
            here[folder] = here.get(folder) or {}
            here = here[folder]
        else:
            here = here[_place(here, folder, change)]
    if isinstance(here, dict):
        here[last] = value
    else:
        here[_place(here, last, change)] = value


def _place(listed: Any, name: str, change: str) -> int:
    """Return which of a list's entries is meant: by its number, or by its `name`."""
    if not isinstance(listed, list):
        raise ConfigError(f"--set {change}: there is nothing below {name!r}")
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in listed]
    if name in names:
        return names.index(name)
    if name.isdigit() and int(name) < len(listed):
        return int(name)
    known = ", ".join(str(one) for one in names if one) or f"0 to {len(listed) - 1}"
    raise ConfigError(f"--set {change}: no entry {name!r}; there are {known}")


def _record(cls: type[R], body: Any, path: str) -> R:
    """Return a dataclass from a mapping; `path` is where it stands, for messages."""
    here = path or "the recipe"
    if not isinstance(body, Mapping):
        raise ConfigError(f"{here}: a mapping is wanted, not {body!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    kinds = get_type_hints(cls)
    for key in body:
        if key not in fields:
            raise ConfigError(f"{_join(path, str(key))}: unknown; {nearest(str(key), fields)}")
    wanted = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    for name in wanted:
        if name not in body:
            raise ConfigError(f"{_join(path, name)}: is missing")
    return cls(**{key: _value(kinds[key], value, _join(path, key)) for key, value in body.items()})


def _value(kind: Any, value: Any, path: str) -> Any:
    """Return a value of the annotated kind; raise ConfigError for any other."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _value(next(a for a in args if a is not type(None)), value, path)
    if origin is Literal:
        if value not in args:
            raise ConfigError(f"{path}: {value!r}; one of {', '.join(args)} is wanted")
        return value
    if origin is tuple:
        return _listed(args, value, path)
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, path)  # type: ignore[arg-type]
    if origin is not None:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path}: a mapping is wanted, not {value!r}")
        return dict(value)
    return _SCALARS[kind](value, path)


def _listed(args: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{path}: a list is wanted, not {value!r}")
    kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
    if len(kinds) != len(value):
        raise ConfigError(f"{path}: {len(kinds)} values are wanted, not {value!r}")
    pairs = zip(kinds, value, strict=True)
    return tuple(_value(kind, one, _join(path, str(place))) for place, (kind, one) in enumerate(pairs))


def _number(value: Any, path: str) -> float:
    if isinstance(value, str):  # YAML 1.1 takes 1e-4, without a point, for a text
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{path}: a number is wanted, not {value!r}")
    return float(value)


def _whole(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{path}: a whole number is wanted, not {value!r}")
    return value


def _text(value: Any, path: str) -> str:
    if isinstance(value, bool):  # the condition `true`, which YAML takes for a truth
        return str(value).lower()
    if not isinstance(value, str):
        raise ConfigError(f"{path}: a text is wanted, not {value!r}")
    return value


def _truth(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{path}: true or false is wanted, not {value!r}")
    return value


_SCALARS: Mapping[Any, Callable[[Any, str], Any]] = {float: _number, int: _whole, str: _text, bool: _truth}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest of the known names, or at all of them."""
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(listed)}"
