"""Manifests as the planner needs them: a few numbers a clip, in arrays, whatever else their files hold.

Rows are numbered over all manifests, one after another, in the order of their files. About 100 bytes a clip
and 8 a threshold's column. Texts are never read: of the captions only which may be drawn.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.errors import ConfigError, InputError
from train.plan.files import ManifestFile, common_schema, compares_aesthetics, condition_mask
from train.plan.keyed import Longs, hashed
from train.plan.thresholds import column_key
from train.recipe import ManifestSource, Recipe
from train.recipe_file import nearest

__all__ = ["Manifest", "read_manifest"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_HELD_OUT_KEY = "held out"
_FEW_SOURCES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """All clips of one or several manifests; every array has a row a clip."""

    sources: tuple[ManifestSource, ...]
    starts: tuple[int, ...]
    """the first row of each manifest"""
    digest: str
    """of the manifests' bytes, their weights and their order"""
    clip_ids: pa.Array
    keys_N: Longs
    """of the clip ids"""
    held_out_N: Bools
    duration_s_N: Floats
    fps_N: Floats
    frames_N: Floats
    width_N: Floats
    height_N: Floats
    captions_N: Longs
    """bit k: the k-th of the clip's captions may be drawn"""
    columns: Mapping[str, Floats]
    """of the thresholds, by `column_key`; NaN: the clip has no value"""
    admitted: tuple[Bools, ...]
    """by each stage's condition"""

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.keys_N)

    def clip_id(self, row: int) -> str:
        """Return the id of the clip in a row."""
        return str(self.clip_ids[row].as_py())

    def locate(self, row: int) -> tuple[int, int]:
        """Return which manifest a row is of, and which row it is there."""
        source = bisect_right(self.starts, row) - 1
        return source, row - self.starts[source]

    def rows(self, source: int) -> slice:
        """Return the rows of a manifest."""
        ends = [*self.starts[1:], len(self)]
        return slice(self.starts[source], ends[source])


def read_manifest(
    sources: Sequence[ManifestSource], recipe: Recipe, *, mix_aesthetics: bool = False
) -> Manifest:
    """Return what the planner needs of the manifests, for this recipe.

    Raises InputError for a manifest that is missing, empty or lacks a column, ConfigError for a threshold on
    a column that there is not or that holds no numbers, for a wrong condition, and for thresholds or
    conditions on `aesthetic` where the clips that they compare were rated by several models, unless
    `mix_aesthetics`; IntegrityError for a damaged manifest.
    """
    if not sources:
        raise InputError("no manifest is given to train on")
    for source in sources:
        if not 0 < source.weight < float("inf"):
            raise ConfigError(f"{source.path}: its weight is {source.weight}; more than 0 is wanted")
    with ExitStack() as stack:
        folders = [stack.enter_context(TemporaryDirectory(prefix="manifest-")) for _ in sources]
        pairs = zip(sources, folders, strict=True)
        files = [ManifestFile.open(source.path, Path(folder)) for source, folder in pairs]
        return _read(files, sources, recipe, mix_aesthetics=mix_aesthetics)


def _read(
    files: Sequence[ManifestFile],
    sources: Sequence[ManifestSource],
    recipe: Recipe,
    *,
    mix_aesthetics: bool,
) -> Manifest:
    columns = _columns(files, recipe)
    starts = np.cumsum([0, *(file.rows for file in files)])
    clip_ids = pa.concat_arrays([file.clip_ids() for file in files])
    read = {
        name: np.concatenate([file.numbers(name) for file in files])
        for name in ("duration_s", "fps", "frames", "width", "height")
    }
    schema = common_schema(files)
    masks = {
        where: np.concatenate([condition_mask(file, where, schema) for file in files])
        for where in {stage.where for stage in recipe.stages}
    }
    admitted = tuple(masks[stage.where] for stage in recipe.stages)
    if not mix_aesthetics:
        _refuse_mixed(files, recipe, admitted, schema)
    return Manifest(
        sources=tuple(sources),
        starts=tuple(int(start) for start in starts[:-1]),
        digest=_digest(files, sources),
        clip_ids=clip_ids,
        keys_N=hashed(clip_ids.to_pylist()),
        held_out_N=held_out([file.source_ids() for file in files], recipe.held_out),
        duration_s_N=np.nan_to_num(read["duration_s"]),
        fps_N=np.nan_to_num(read["fps"]),
        frames_N=np.nan_to_num(read["frames"]),
        width_N=np.nan_to_num(read["width"]),
        height_N=np.nan_to_num(read["height"]),
        captions_N=np.concatenate([file.captions() for file in files]),
        columns={
            key: np.concatenate([file.numbers(name, bound) for file in files])
            for key, (name, bound) in columns.items()
        },
        admitted=admitted,
    )


def held_out(source_ids: Sequence[pa.DictionaryArray], share: float) -> Bools:
    """Return which clips are never trained on: those of the sources whose hash lies in the lowest `share`.

    Of ten sources and more at least one is held out, where `share` is not 0. The hash has a key of its own,
    no seed: another run on the same sources holds the same ones out.
    """
    hashes = [hashed(ids.dictionary.to_pylist(), _HELD_OUT_KEY) for ids in source_ids]
    every = np.unique(np.concatenate(hashes))
    bound = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    if share and len(every) >= _FEW_SOURCES:
        bound = max(bound, every[0] + np.uint64(1))
    kept = [(of < bound)[np.asarray(ids.indices)] for of, ids in zip(hashes, source_ids, strict=True)]
    return np.concatenate(kept)


def _columns(files: Sequence[ManifestFile], recipe: Recipe) -> dict[str, tuple[str, str]]:
    """Return name and bound of the columns of all thresholds, by `column_key`.

    Raises ConfigError for one that no manifest has as numbers.
    """
    known = list(dict.fromkeys(name for file in files for name in file.numeric))
    wanted: dict[str, tuple[str, str]] = {}
    for number, stage in enumerate(recipe.stages):
        for place, threshold in enumerate(stage.thresholds):
            name = threshold.column
            if name not in known:
                there = any(name in file.schema.names for file in files)
                fault = "holds no numbers" if there else "is not in the manifest"
                where = f"stages.{number}.thresholds.{place}.column"
                raise ConfigError(f"{where}: {name!r} {fault}; {nearest(name, known)}")
            wanted[column_key(threshold)] = (name, threshold.bound)
    return wanted


def _refuse_mixed(
    files: Sequence[ManifestFile], recipe: Recipe, admitted: Sequence[Bools], schema: pa.Schema
) -> None:
    """Raise ConfigError where ratings of several aesthetic models would be compared."""
    models_N: npt.NDArray[np.object_] | None = None
    for number, (stage, mask_N) in enumerate(zip(recipe.stages, admitted, strict=True)):
        bounded = any(threshold.column == "aesthetic" for threshold in stage.thresholds)
        named = compares_aesthetics(stage.where, schema)
        if not bounded and not named:
            continue
        if models_N is None:
            models_N = np.concatenate([file.aesthetic_models() for file in files])
        # A threshold compares what the condition left; a condition compares all.
        compared = models_N if named else models_N[mask_N]
        found = sorted({str(model) for model in compared if model is not None})
        if len(found) > 1:
            raise ConfigError(
                f"stages.{number}: compares `aesthetic` of {len(found)} models ({', '.join(found)}), which "
                "have no common scale: choose one by `aesthetic_model` in `where`, or pass --mix-aesthetics"
            )


def _digest(files: Sequence[ManifestFile], sources: Sequence[ManifestSource]) -> str:
    parts = [f"{file.digest} {source.weight!r}\n" for file, source in zip(files, sources, strict=True)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
