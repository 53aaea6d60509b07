"""The labels file: who said yes or no to which label of which clip.

CSV with the columns `clip` (a clip's id, the path of its file relative to the CSV, or the file's name),
`label`, `answer` (yes, no, unsure), `annotator`; and two that may be missing. `source` is what must stay on
one side of a split, where it is not the clip's source (synthetic variants of one film). `kind` says more than
yes and no, words joined by `+` (`lecture_head+blocks`): training learns from them beside the answers. A file
that was cut into several clips passes its answers on to all of them. `unsure` teaches nothing and counts
nowhere.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlparse

import numpy as np
import numpy.typing as npt

from filters.labels.questions import LABELS
from shards.errors import InputError

__all__ = ["Answers", "Line", "join", "read_labels"]

_COLUMNS: Final = ("clip", "label", "answer", "annotator")
_ANSWERS: Final = {"yes": 1.0, "no": 0.0, "unsure": float("nan")}


@dataclass(frozen=True, slots=True)
class Line:
    """What the file says of one clip or file."""

    answers: Mapping[str, str]
    """label → yes, no, unsure"""
    source: str | None
    kind: str
    """empty where nothing is said"""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of a run's clips, in order of clip."""

    clips: tuple[str, ...]
    sources: tuple[str, ...]
    """what must not be divided by a split"""
    yes_NL: npt.NDArray[np.float32]
    """1 yes, 0 no, not a number: nobody was sure"""
    kinds: tuple[str, ...]
    sha256: str
    """of the labels file"""


def read_labels(path: Path) -> tuple[dict[str, Line], str]:
    """Return the lines of a labels file by clip, and its SHA-256.

    Raises InputError in one line for a missing column, an unknown label or answer, and for two different
    answers to one label of one clip.
    """
    try:
        data = path.read_bytes()
        rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"{path}: cannot be read as CSV ({exc})") from exc
    if not rows:
        raise InputError(f"{path}: no answers in it")
    if missing := [name for name in _COLUMNS if name not in rows[0]]:
        raise InputError(f"{path}: column {missing[0]!r} is missing; wanted: {', '.join(_COLUMNS)}")
    answers: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        clip, label, answer = (str(row[name] or "").strip() for name in ("clip", "label", "answer"))
        if label not in LABELS:
            raise InputError(f"{path}:{number}: unknown label {label!r}; known: {', '.join(LABELS)}")
        if answer not in _ANSWERS:
            raise InputError(f"{path}:{number}: answer {answer!r}; expected yes, no or unsure")
        before = answers.setdefault(clip, {}).setdefault(label, answer)
        if before != answer:
            raise InputError(f"{path}:{number}: {clip}, {label}: {answer!r} here and {before!r} further up")
        source = (row.get("source") or "").strip()
        if source and sources.setdefault(clip, source) != source:
            raise InputError(
                f"{path}:{number}: {clip}: source {source!r} here and {sources[clip]!r} further up"
            )
        kinds[clip] = (row.get("kind") or "").strip()
    lines = {clip: Line(said, sources.get(clip), kinds[clip]) for clip, said in answers.items()}
    return lines, hashlib.sha256(data).hexdigest()


def join(path: Path, clips: Sequence[Mapping[str, object]], files: Sequence[str] = ()) -> Answers:
    """Return the answers in the labels file for a run's clips (rows with clip_id, source_id, source_uri).

    `files` are the URIs of all of the run's sources: one of them that gave no clip is passed over. Raises
    InputError where the file speaks of what the run does not have.
    """
    lines, digest = read_labels(path)
    places = _places((str(row["source_uri"]), str(row["clip_id"])) for row in clips)
    clipless = _places((uri, uri) for uri in files)
    rows = {str(row["clip_id"]): row for row in clips}
    said: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    kinds: dict[str, str] = {}
    unknown = []
    for name, line in lines.items():
        found = [name] if name in rows else _named(name, path.parent, places)
        if not found and not _named(name, path.parent, clipless):
            unknown.append(name)
        for ident in found:
            for label, answer in line.answers.items():
                if said.setdefault(ident, {}).setdefault(label, answer) != answer:
                    raise InputError(f"{path}: {label} of clip {ident} has two answers, by id and by file")
            sources[ident] = line.source or str(rows[ident]["source_id"])
            kinds[ident] = line.kind or kinds.get(ident, "")
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InputError(f"{path}: the run has no clip {unknown[0]!r}{more}")
    idents = tuple(sorted(said))
    nothing = float("nan")
    yes = [[_ANSWERS[said[i][label]] if label in said[i] else nothing for label in LABELS] for i in idents]
    return Answers(
        idents,
        tuple(sources[i] for i in idents),
        np.array(yes, np.float32),
        tuple(kinds[i] for i in idents),
        digest,
    )


def _places(named: Iterable[tuple[str, str]]) -> dict[str, list[tuple[PurePosixPath, str]]]:
    """Return file name → (path, what is there) of URIs and what is there."""
    places: dict[str, list[tuple[PurePosixPath, str]]] = {}
    for uri, what in named:
        path = PurePosixPath(unquote(urlparse(uri).path) if "://" in uri else uri)
        places.setdefault(path.name, []).append((path, what))
    return places


def _named(name: str, folder: Path, places: Mapping[str, Sequence[tuple[PurePosixPath, str]]]) -> list[str]:
    """Return the clips of the file that `name` is: by its whole path, else by its name where that is one."""
    candidates = places.get(PurePosixPath(name).name, ())
    whole = PurePosixPath((folder / name).resolve().as_posix())
    exact = [ident for path, ident in candidates if path == whole]
    if exact or len({path for path, _ in candidates}) > 1:
        return exact
    return [ident for _, ident in candidates]
