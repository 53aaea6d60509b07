"""What of a set has been rendered: a small table a source, so that a rendering goes on where it stopped.

A set may grow: the same folder with more sources renders the new ones alone. What was rendered by another
seed, another recipe or of other footage is refused, not mixed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import curate.footage
from shards.errors import InputError

__all__ = ["File", "begin", "finished", "note"]

_BEGUN = "begun.json"
_FOLDER = "sources"


@dataclass(frozen=True, slots=True)
class File:
    """One rendered file."""

    name: str
    """relative to the folder of labels.csv"""
    source: str
    kind: str
    answers: Sequence[str]
    """in the order of LABELS"""
    frames: int


def begin(directory: Path, seed: int, rendered: bool) -> None:
    """Note what `directory` is to hold: base films `rendered` or of footage, drawn by `seed`.

    Raises InputError where it holds anything else, or cannot be written.
    """
    said: dict[str, Any] = {"seed": seed, "rendered": rendered, "recipe": recipe_digest()}
    path = directory / _BEGUN
    try:
        (directory / "clips").mkdir(parents=True, exist_ok=True)
        (directory / _FOLDER).mkdir(exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(said) + "\n", encoding="utf-8")
            return
        there = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError(f"{directory}: cannot be written ({exc})") from exc
    except ValueError as exc:
        raise InputError(f"{path}: not readable ({exc}); delete the folder to begin anew") from exc
    differing = [name for name, value in said.items() if there.get(name) != value]
    if differing:
        what = {
            "seed": f"seed {there.get('seed')}",
            "rendered": "other base films",
            "recipe": "another version of this command",
        }[differing[0]]
        raise InputError(f"{directory}: holds films of {what}; take another folder, or delete it")


@cache
def recipe_digest() -> str:
    """Return a digest of all code that decides what is drawn."""
    digest = hashlib.sha256()
    folders = (Path(__file__).parent, *(Path(place) for place in curate.footage.__path__))
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def finished(directory: Path, number: int, of: str) -> Sequence[File] | None:
    """Return the files of a source that has been rendered, None of one that has not.

    `of` says what its base film is. Raises InputError where that of the films under this number was another.
    """
    path = directory / _FOLDER / f"{number:05d}.json"
    if not path.exists():
        return None
    there = json.loads(path.read_text(encoding="utf-8"))
    if there["of"] != of:
        raise InputError(f"{directory}: source {number} is of {there['of']} there, not of {of}")
    files = [File(**row) for row in there["files"]]
    return files if all((directory / file.name).exists() for file in files) else None


def note(directory: Path, number: int, of: str, files: Sequence[File]) -> None:
    """Note that a source has been rendered."""
    path = directory / _FOLDER / f"{number:05d}.json"
    scratch = path.with_suffix(".tmp")
    table = {"of": of, "files": [asdict(file) for file in files]}
    scratch.write_text(json.dumps(table) + "\n", encoding="utf-8")
    scratch.replace(path)
