"""A run's clips as the classifier sees them: rows of the index, and their features, made once and kept.

A file a clip, named by the clip, its samples and whatever made its features: another encoder or other samples
never mix, and a file that was begun and not finished is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curate.clips_unit import read_samples
from curate.records import Row, Sample
from filters.labels.changes import CHANGES, change_numbers
from filters.labels.config import ModelConfig
from filters.labels.encoders import Encoder, Features
from filters.labels.pictures import PictureError
from filters.spread import spread
from shards.errors import InputError
from shards.index import build_index
from shards.run import RunFiles
from shards.tables import iter_batches, part_schema, read_parts

__all__ = [
    "FeatureCache",
    "LabelRun",
    "Pack",
    "columns_of",
    "features_of",
    "filled",
    "pack",
    "signals_of",
]

_CLIP: Final = (
    "clip_id", "source_id", "source_uri", "start_s", "samples_sha256",
    "samples_tar", "sample_times_s", "sample_offsets", "sample_bytes",
)  # fmt: skip


class LabelRun:
    """Reads clips, signals and samples of one run."""

    def __init__(self, root: str) -> None:
        """Open the run; InputError where there is none."""
        self.root = root
        self._run = RunFiles.open(root)

    def clips(self, signals: Sequence[str] = ()) -> list[Row]:
        """Return every clip with the columns that the signals named are made of, in order of id.

        Raises InputError where the run has not measured one of them.
        """
        storage = self._run.storage
        index = build_index(self._run)
        known = part_schema(storage, index).names
        columns = columns_of(signals)
        if missing := [name for name in columns if name not in known]:
            raise InputError(
                f"{self.root}: no column {missing[0]!r}, which the classifier reads; run the passes of "
                "filters/labels/training.yaml, or of the pipeline 'default', over it"
            )
        return [
            row for batch in iter_batches(storage, index, [*_CLIP, *columns]) for row in batch.to_pylist()
        ]

    def files(self) -> list[str]:
        """Return the URI of every source, also of those that gave no clip."""
        parts = self._run.parts(self._run.info(), "sources")
        paths = [part.path for part in parts]
        if not paths:
            return []
        uris: list[str] = read_parts(self._run.storage, paths, ["source_uri"])["source_uri"].to_pylist()
        return uris

    def samples(self, clip: Row) -> tuple[Sample, ...]:
        """Return a clip's samples."""
        return read_samples(self._run.storage, clip)


def features_of(samples: Sequence[Sample], model: ModelConfig, encoder: Encoder) -> Features | None:
    """Return what the network sees of a clip's samples; None of no samples.

    Raises PictureError where one of them is no JPEG.
    """
    jpegs = [sample.jpeg for sample in spread(samples, model.frames)]
    return encoder.encode(jpegs) if jpegs else None


def columns_of(signals: Sequence[str]) -> list[str]:
    """Return the columns that measurements are made of."""
    plain = [name for name in signals if name not in CHANGES]
    return [*plain, "trace"] if len(plain) < len(signals) else plain


def signals_of(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return measurements (B, S), not a number where a row has none.

    A row has a column for each, but for those of `filters.labels.changes`, which are made of its `trace`.
    """
    traced = any(name in CHANGES for name in names)
    found = []
    for row in rows:
        changes = dict(zip(CHANGES, change_numbers(row.get("trace")), strict=True)) if traced else {}
        values = (changes.get(name, row.get(name)) for name in names)
        found.append([np.nan if value is None else float(value) for value in values])
    return np.array(found, np.float32).reshape(len(found), len(names))


class FeatureCache:
    """Features by clip, in a folder."""

    def __init__(self, folder: Path, run: LabelRun, model: ModelConfig, encoder: Encoder) -> None:
        self._folder = folder
        self._run = run
        self._model = model
        self._encoder = encoder
        seen = {"grid": model.encoder.grid, "looks": model.encoder.looks}
        how = {"frames": model.frames, "encoder": encoder.digest, "version": 3, **seen}
        self._how = json.dumps(how, sort_keys=True)

    def path(self, clip: Row) -> Path:
        """Return where a clip's features lie."""
        key = hashlib.sha256(f"{self._how}\n{clip['samples_sha256']}".encode()).hexdigest()[:16]
        ident = str(clip["clip_id"])
        return self._folder / ident[:2] / f"{ident}-{key}.npz"

    def fill(self, clips: Sequence[Row], advance: Callable[[int], None]) -> list[int]:
        """Make what is missing; return the positions of clips that have features."""
        usable = []
        for number, clip in enumerate(clips):
            path = self.path(clip)
            if not path.exists():
                try:
                    found = features_of(self._run.samples(clip), self._model, self._encoder)
                except PictureError as exc:
                    raise InputError(f"{self._run.root}: clip {clip['clip_id']}: {exc}") from exc
                if found is None:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                scratch = path.with_suffix(".part")
                with scratch.open("wb") as file:
                    np.savez(file, tokens=found.tokens, sights=found.sights, maps=found.maps)
                scratch.replace(path)
            usable.append(number)
            advance(1)
        return usable

    def load(self, clip: Row) -> Features:
        """Return a clip's features, which `fill` has made."""
        with np.load(self.path(clip)) as found:
            return Features(found["tokens"], found["sights"], found["maps"])


@dataclass(frozen=True, slots=True)
class Pack:
    """Features of several clips side by side."""

    tokens_BTKE: npt.NDArray[np.float16]
    """zeros where a clip has fewer frames"""
    present_BT: npt.NDArray[np.bool_]
    sights_BV: npt.NDArray[np.float32]
    maps_BTCHW: npt.NDArray[np.float16]
    """of samples without close looks; zeros where a clip has fewer"""


def pack(features: Sequence[Features]) -> Pack:
    """Return features of clips with different numbers of frames as one array."""
    tokens = filled([one.tokens for one in features])
    present = filled([np.ones(len(one.tokens), np.bool_) for one in features])
    sights = np.stack([one.sights for one in features])
    return Pack(tokens, present, sights, filled([one.maps for one in features]))


def filled(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return arrays of different lengths as one, zeros behind the shorter ones."""
    longest = max(map(len, parts))
    whole = np.zeros((len(parts), longest, *parts[0].shape[1:]), parts[0].dtype)
    for number, part in enumerate(parts):
        whole[number, : len(part)] = part
    return whole
