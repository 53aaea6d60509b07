"""One manifest's file: its columns as arrays, its digest, and which rows a condition admits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shards.condition import matching_ids, names_column, widened
from shards.errors import ConfigError, InputError, IntegrityError
from shards.seal import SEAL_KEY, check
from shards.storage import Storage, at_hand, beside, sha256_of
from train.recipe_file import nearest

__all__ = ["ManifestFile", "common_schema", "compares_aesthetics", "condition_mask"]

_REQUIRED = (
    "clip_id", "source_id", "duration_s", "frames", "fps", "width", "height", "shard", "offset", "bytes",
)  # fmt: skip
_LISTED = "captions.list.element"
_MOST_CAPTIONS = 64
"""of a clip that may be drawn: one bit each"""


@dataclass(frozen=True, slots=True, eq=False)
class ManifestFile:
    """A manifest's file, looked at but not read."""

    path: str
    storage: Storage
    name: str
    schema: pa.Schema
    leaves: tuple[str, ...]
    """of its columns, as Parquet names them"""
    rows: int
    digest: str

    @classmethod
    def open(cls, path: str, scratch: Path) -> ManifestFile:
        """Look at the manifest at `path`; one of another machine is copied into the folder `scratch` first.

        Raises InputError where there is none, it has no rows, or lacks a column that training needs;
        IntegrityError where its bytes are not what its seal says.
        """
        storage, name = beside(path)
        if not storage.exists(name):
            raise InputError(f"no manifest at {path!r}; `curate select` makes one")
        storage, name = at_hand(storage, name, scratch)
        with _parquet(storage, name, path) as parquet:
            schema = parquet.schema_arrow
            leaves = tuple(parquet.schema.column(at).path for at in range(len(parquet.schema)))
            rows = parquet.metadata.num_rows
            sealed = SEAL_KEY.encode() in (parquet.metadata.metadata or {})
        for column in _REQUIRED:
            if column not in schema.names:
                raise InputError(f"{path}: has no column {column!r}; {nearest(column, schema.names)}")
        if not rows:
            raise InputError(f"{path}: has no clips; select more with `curate select`")
        with storage.open_read(name) as file:
            digest = check(file) if sealed else sha256_of(file)
        return cls(path, storage, name, schema.remove_metadata(), leaves, rows, digest)

    @property
    def numeric(self) -> list[str]:
        """Columns that a threshold may bound, numbers and truths; of captions as `captions.alignment`."""
        plain = [field.name for field in self.schema if _is_number(field.type)]
        if f"{_LISTED}.caption" not in self.leaves:
            return plain
        listed = self.schema.field("captions").type.value_type
        return plain + [f"captions.{field.name}" for field in listed if _is_number(field.type)]

    def read(self, columns: list[str]) -> pa.Table:
        """Return some columns; leaves of nested ones by their Parquet names."""
        with _parquet(self.storage, self.name, self.path) as parquet:
            return parquet.read(columns=columns)

    def clip_ids(self) -> pa.Array:
        """Return the clips' ids, as strings."""
        return pa.concat_arrays(self.read(["clip_id"]).column(0).chunks).cast(pa.large_string())

    def source_ids(self) -> pa.DictionaryArray:
        """Return the sources' ids, each once, and which of them each clip has."""
        texts = self.read(["source_id"]).column(0).cast(pa.string()).fill_null("")
        made: pa.DictionaryArray = texts.dictionary_encode().unify_dictionaries().combine_chunks()
        return made

    def numbers(self, column: str, bound: str = "min") -> npt.NDArray[np.float64]:
        """Return a column of numbers or truths; NaN where it has no value, or the manifest no such column.

        Of a number that each caption has (`captions.alignment`), the worst among those that may be drawn: the
        least for a bound from below (`min`), the largest for one from above.
        """
        if column not in self.numeric:
            if column in self.schema.names:
                raise ConfigError(f"{self.path}: column {column!r} holds no numbers")
            return np.full(self.rows, np.nan)
        if column.startswith("captions."):
            return self._worst(column.removeprefix("captions."), bound)
        values = self.read([column]).column(0)
        made: npt.NDArray[np.float64] = values.cast(pa.float64()).to_numpy()
        return np.array(made, np.float64)

    def captions(self) -> npt.NDArray[np.uint64]:
        """Return which captions of each clip may be drawn, the k-th as bit k.

        Those that passed the checks (`caption_ok`), or, where they weren't made, that are there. A manifest
        without `captions` has the text `caption` alone.
        """
        for leaf in ("caption_ok", "caption"):
            if f"{_LISTED}.{leaf}" in self.leaves:
                return self._listed_captions(leaf)
        if "caption" not in self.schema.names:
            return np.zeros(self.rows, np.uint64)
        there = pc.is_valid(self.read(["caption"]).column(0)).to_numpy(zero_copy_only=False)
        bits: npt.NDArray[np.uint64] = there.astype(np.uint64)
        return bits

    def _listed_captions(self, leaf: str) -> npt.NDArray[np.uint64]:
        made = []
        for lengths_N, values in self._lists(leaf):
            usable_M = values if leaf == "caption_ok" else pc.is_valid(values)
            made.append(_bits(lengths_N, pc.fill_null(usable_M, False).to_numpy(zero_copy_only=False)))
        return np.concatenate(made)

    def _worst(self, leaf: str, bound: str) -> npt.NDArray[np.float64]:
        usable_N = self.captions()
        made, row = [], 0
        for lengths_N, values in self._lists(leaf):
            numbers_M = np.array(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
            clips_M = np.repeat(np.arange(len(lengths_N)), lengths_N)
            places_M = np.minimum(_places(lengths_N), _MOST_CAPTIONS - 1).astype(np.uint64)
            usable_M = (usable_N[row + clips_M] >> places_M) & np.uint64(1)
            numbers_M[usable_M == 0] = np.nan
            worst_N = np.full(len(lengths_N), np.nan)
            (np.fmin if bound == "min" else np.fmax).at(worst_N, clips_M, numbers_M)
            made.append(worst_N)
            row += len(lengths_N)
        return np.concatenate(made)

    def _lists(self, leaf: str) -> Iterator[tuple[npt.NDArray[np.int64], pa.Array]]:
        """Yield how many captions each clip has, and one leaf of all of them; some clips at a time."""
        with _parquet(self.storage, self.name, self.path) as parquet:
            for batch in parquet.iter_batches(columns=[f"{_LISTED}.{leaf}"]):
                lists = batch.column(0)
                lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
                yield lengths.astype(np.int64), lists.flatten().field(0)

    def aesthetic_models(self) -> npt.NDArray[np.object_]:
        """Return the model of each clip's aesthetic score; None where it has no score."""
        if not {"aesthetic", "aesthetic_model"} <= set(self.schema.names):
            return np.full(self.rows, None, dtype=object)
        table = self.read(["aesthetic", "aesthetic_model"])
        rated = pc.is_valid(table.column("aesthetic"))
        models = pc.if_else(rated, pc.fill_null(table.column("aesthetic_model"), "?"), None)
        found: npt.NDArray[np.object_] = np.array(models.to_pylist(), dtype=object)
        return found


def compares_aesthetics(where: str, schema: pa.Schema) -> bool:
    """Return whether a right condition over `schema` reads `aesthetic`, and does not choose the model."""
    if _is_true(where) or not {"aesthetic", "aesthetic_model"} <= set(schema.names):
        return False
    return names_column(schema, where, "aesthetic") and not names_column(schema, where, "aesthetic_model")


def common_schema(files: Sequence[ManifestFile]) -> pa.Schema:
    """Return the columns of all manifests together, as conditions see them; one may lack some of them.

    Raises InputError where a column has types that have nothing in common.
    """
    try:
        return widened(pa.unify_schemas([file.schema for file in files], promote_options="permissive"))
    except pa.ArrowException as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{', '.join(file.path for file in files)}: do not go together ({line})") from error


def condition_mask(file: ManifestFile, where: str, schema: pa.Schema) -> npt.NDArray[np.bool_]:
    """Return which rows of a manifest a condition admits.

    `schema` is the `common_schema`: a column that this manifest lacks is null. Raises ConfigError for a wrong
    condition.
    """
    import pyarrow.dataset as pads  # brings pandas along, where it is installed

    if _is_true(where):
        return np.ones(file.rows, bool)
    # By name in its file system: glob characters and quotes in it are no matter of DuckDB's.
    rows = pads.dataset(
        [file.storage.name(file.name)],
        filesystem=file.storage.filesystem(),
        schema=schema,
        format="parquet",
    )
    ids = matching_ids(rows, where)
    chosen = pc.is_in(file.clip_ids(), value_set=pa.array(ids, pa.large_string()))
    mask: npt.NDArray[np.bool_] = chosen.to_numpy(zero_copy_only=False).astype(bool)
    return mask


def _bits(lengths_N: npt.NDArray[np.int64], usable_M: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Return the usable entries of each list as bits: M entries of N lists, one list after another."""
    ends_N = np.cumsum(lengths_N)
    places_M = _places(lengths_N)
    usable_M = usable_M.astype(bool) & (places_M < _MOST_CAPTIONS)
    bits_M = usable_M.astype(np.uint64) << np.minimum(places_M, _MOST_CAPTIONS - 1).astype(np.uint64)
    # Sums of distinct powers of two; a running sum that wraps around still has right differences.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(bits_M, dtype=np.uint64)])
    bits_N: npt.NDArray[np.uint64] = sums[ends_N] - sums[ends_N - lengths_N]
    return bits_N


def _places(lengths_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the place of each entry within its list, list after list."""
    ends_N = np.cumsum(lengths_N)
    places: npt.NDArray[np.int64] = np.arange(int(lengths_N.sum())) - np.repeat(ends_N - lengths_N, lengths_N)
    return places


def _is_true(where: str) -> bool:
    return where.strip().lower() == "true"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


@contextmanager
def _parquet(storage: Storage, name: str, path: str) -> Iterator[pq.ParquetFile]:
    with storage.open_read(name) as file:
        try:
            with pq.ParquetFile(file) as parquet:
                yield parquet
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            line = " ".join(str(error).split())[:200]
            raise IntegrityError(f"{path}: not a readable table ({line})") from error
