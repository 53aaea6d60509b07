"""Writes pairs for fine-tuning: chat as JSON lines with pictures, split by source.

    DIR/dense/train.jsonl    pictures → caption       DIR/images/<clip>/<number>.jpg
    DIR/summary/train.jsonl  notes → caption          DIR/manifest.json   counts, digests, where from
    and val.jsonl, test.jsonl of each

A line has `messages` (system, user, assistant), `images` (paths from DIR, seen before the question), and the
ids of clip, source and request. TRL, and the trainers that read its layout, take it as it is. The manifest is
written last. Memory: the lines; pictures are written as they are read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from caption.captioned import CaptionedRun
from caption.engine import Picture
from caption.pairs import Split, asked, chat, split_of, trainable
from caption.recipe import Shot
from caption.stage import digest_samples
from caption.template import Template, load_templates
from caption.truth import Truth
from curate.records import Row
from shards.errors import ConfigError, InputError, IntegrityError

__all__ = ["MANIFEST", "ExportOptions", "Exported", "export_pairs"]

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_SPLITS: Final[tuple[Split, ...]] = get_args(Split)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is written."""

    kinds: Sequence[str] = ("dense", "summary")
    """`dense`: pictures → caption; `summary`: other answers → caption"""
    variant: str = "dense"
    """whose captions are the answers"""
    templates: Mapping[str, str] | None = None
    """kind → template that will be asked; what is not named here is the template of the kind's name"""
    prompts: Path | None = None
    """a folder of templates of one's own"""
    truth: Path | None = None
    """captions from a file, in the place of the run's"""
    where: str | None = None
    """SQL condition over the run's index"""
    val: float = 0.05
    test: float = 0.05
    """shares of the sources"""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it."""

    pairs: Mapping[str, Mapping[str, int]]
    """kind → split → number"""
    skipped: Mapping[str, int]
    """why clips gave no pair → number"""
    manifest: Path


def export_pairs(run: CaptionedRun, directory: Path, options: ExportOptions) -> Exported:
    """Write the pairs of a run's captions that are ok, and return what there is.

    Raises ConfigError for options that make no sense, InputError where nothing is to be had or `directory`
    holds other things, IntegrityError where samples are not those that the run knows.
    """
    if not (options.val >= 0 and options.test >= 0 and options.val + options.test < 1):
        raise ConfigError("shares of val and test: 0 or more, and below 1 together")
    named = {kind: (options.templates or {}).get(kind, kind) for kind in options.kinds}
    graphs = {kind: load_templates([name], options.prompts) for kind, name in named.items()}
    for kind, name in named.items():
        trainable(graphs[kind], name)
    truth = Truth(options.truth) if options.truth else None
    _emptied(directory)
    lines: dict[tuple[str, Split], list[str]] = {(kind, split): [] for kind in named for split in _SPLITS}
    skipped: Counter[str] = Counter()
    pictures = _Pictures(directory)
    for clip, answer, parts in _answers(run, truth, options, skipped):
        samples = run.samples(clip)
        if digest_samples(samples) != clip["samples_sha256"]:
            raise IntegrityError(f"clip {clip['clip_id']}: its samples are not those that were written")
        seen = tuple(Picture(sample.time_s - clip["start_s"], sample.jpeg) for sample in samples)
        shot = Shot(
            clip["clip_id"], clip["source_id"], clip["duration_s"], seen, {"camera": clip.get("camera")}
        )
        split = split_of(clip["source_id"], options.val, options.test)
        for kind, name in named.items():
            line = _line(shot, name, graphs[kind], answer, parts, pictures)
            if line is None:
                skipped[f"{kind}: made of other answers than the template reads"] += 1
                continue
            ids = {"clip_id": clip["clip_id"], "source_id": clip["source_id"], "template": name}
            lines[kind, split].append(json.dumps(line | ids, ensure_ascii=False) + "\n")
    if not any(lines.values()):
        told = "; ".join(f"{why}: {number}" for why, number in sorted(skipped.items()))
        raise InputError(f"{run.name}: no pairs ({told or 'no clips'})")
    return _written(directory, options, named, graphs, lines, skipped, pictures)


def _answers(
    run: CaptionedRun, truth: Truth | None, options: ExportOptions, skipped: Counter[str]
) -> Iterator[tuple[Row, str, Sequence[Mapping[str, Any]]]]:
    """Yield clips, their captions and what these were made of, in order of clip."""
    told = {} if truth is not None else run.captions()
    for ident, clip in run.clips(options.where).items():
        if truth is not None:
            said = truth.of(clip)
            if said is None:
                skipped["not in the file of captions"] += 1
            else:
                yield clip, said["caption"], ()
            continue
        row = told.get(ident, {}).get(options.variant)
        if row is None:
            skipped[f"no caption {options.variant!r}"] += 1
        elif not row["caption_ok"] or not row["caption"]:
            skipped["caption not ok"] += 1
        else:
            yield clip, row["caption"], row["parts"] or ()


def _line(
    shot: Shot,
    name: str,
    templates: Mapping[str, Template],
    answer: str,
    parts: Sequence[Mapping[str, Any]],
    pictures: _Pictures,
) -> dict[str, Any] | None:
    request = asked(shot, name, templates, parts)
    if request is None:
        return None
    return chat(request, answer, [pictures.path(shot, picture) for picture in request.pictures])


class _Pictures:
    """Writes pictures once, under names that tell clip and number."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.digest = hashlib.sha256()
        self.count = 0
        self._written: set[str] = set()

    def path(self, shot: Shot, picture: Picture) -> str:
        number = shot.pictures.index(picture)
        name = f"images/{shot.clip_id}/{number:03d}.jpg"
        if name not in self._written:
            target = self._directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(picture.jpeg)
            self.digest.update(f"{name} {hashlib.sha256(picture.jpeg).hexdigest()}\n".encode())
            self._written.add(name)
            self.count += 1
        return name


def _emptied(directory: Path) -> None:
    """Make the folder; take away what an earlier export left, and nothing else."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: not a folder")
    found = {entry.name for entry in directory.iterdir()} if directory.exists() else set()
    ours = {"images", "dense", "summary", MANIFEST}
    if found - ours or (found and MANIFEST not in found and "images" not in found):
        raise InputError(f"{directory}: holds other files than an export's; name an empty folder")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)
    for name in sorted(found - {MANIFEST}):
        shutil.rmtree(directory / name)


def _written(
    directory: Path,
    options: ExportOptions,
    named: Mapping[str, str],
    graphs: Mapping[str, Mapping[str, Template]],
    lines: Mapping[tuple[str, Split], list[str]],
    skipped: Counter[str],
    pictures: _Pictures,
) -> Exported:
    files = {}
    counts: dict[str, dict[str, int]] = {kind: {} for kind in named}
    for (kind, split), rows in lines.items():
        name, data = f"{kind}/{split}.jsonl", "".join(rows).encode()
        (directory / kind).mkdir(exist_ok=True)
        (directory / name).write_bytes(data)
        files[name] = {"pairs": len(rows), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        counts[kind][split] = len(rows)
    manifest = {
        "format": _FORMAT,
        "captions": "file" if options.truth else "run",
        "variant": None if options.truth else options.variant,
        "where": options.where,
        "shares": {"val": options.val, "test": options.test},
        "prompts": {
            kind: {"template": name, "digest": graphs[kind][name].digest} for kind, name in named.items()
        },
        "files": files,
        "images": {"count": pictures.count, "sha256": pictures.digest.hexdigest()},
        "skipped": dict(sorted(skipped.items())),
    }
    path = directory / MANIFEST
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Exported(counts, dict(sorted(skipped.items())), path)
