"""Picking clips by SQL into a manifest: one row a clip, with every column and where its bytes lie.

A manifest can be read at once: its rows point into the clip tars of the run. Its commit is the one file;
the same selection of the same clips gives the same bytes. A selection that was packed and has not changed
keeps its packed manifest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from shards.condition import connect, matching_ids, names_column, widened
from shards.errors import ConfigError, IntegrityError
from shards.index import build_index
from shards.run import RunFiles
from shards.schemas import LOCATION, column
from shards.seal import check
from shards.storage import Storage, at_hand
from shards.tables import (
    BATCH_ROWS,
    iter_batches,
    part_metadata,
    part_schema,
    write_file,
)

if TYPE_CHECKING:
    import pyarrow.dataset as pads

__all__ = ["Selection", "manifest_schema", "select", "selection_id", "shards_of"]

UP: Final = "../../"
"""from a selection's folder to the run's"""
TAR_OFFSET: Final = column(
    "tar_offset",
    pa.int64(),
    "byte",
    "of the video's first byte in `tar`, wherever `shard` is",
    nullable=False,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """What was picked."""

    path: str
    """of the manifest, within the run"""
    clips: int
    of: int
    """how many clips the run has"""
    without_caption: int
    """how many of `clips` cannot be packed beside captioned ones"""


def select(run: RunFiles, where: str, name: str, *, mix_aesthetics: bool = False) -> Selection:
    """Write the manifest of the clips that `where` admits, and return what was picked.

    Args:
        run: the run to pick from; its index is brought up to date.
        where: a SQL condition over the index, then optionally `order by …` and `limit …`.
        name: of the selection; a folder of this name comes to be under `shards/`.
        mix_aesthetics: let the condition compare ratings of several aesthetic models.

    Raises `ConfigError` for a wrong condition or name, and for a condition that compares what is not
    comparable. An empty selection is written like any other.
    """
    import pyarrow.dataset as pads  # brings pandas along, where it is installed

    target = run.manifest_path(name)
    index = build_index(run)
    total = missing = 0

    def picked() -> Iterator[pa.RecordBatch]:
        nonlocal total, missing
        for batch in iter_batches(here, copy, rows=BATCH_ROWS):
            total += batch.num_rows
            chosen = batch.filter(_among(batch.column("clip_id"), ids))
            missing += chosen.column("caption").null_count
            yield _pointing(chosen, schema)

    with run.storage.scratch() as scratch:
        here, copy = at_hand(run.storage, index, scratch)
        index_schema = part_schema(here, copy)
        schema = manifest_schema(index_schema)
        # The open file and not its path: glob characters and quotes in it are no matter of DuckDB's.
        rows = pads.dataset([here.name(copy)], schema=widened(index_schema), format="parquet")
        ids = sorted(matching_ids(rows, where))
        if not mix_aesthetics:
            _refuse_mixed(rows, where)
        local = scratch / "manifest"
        with local.open("w+b") as file:
            written = write_file(file, schema, picked(), {"name": name, "where": where})
        if selection_id(run.storage, target) != written.seal:
            run.storage.put(local, target)
            for path in shards_of(run.storage, run.selection_folder(name)):
                run.storage.delete(path)
    return Selection(target, written.rows, total, missing)


def _refuse_mixed(rows: pads.Dataset, where: str) -> None:
    """Raise `ConfigError` where a condition on `aesthetic` would compare ratings of several models.

    One that names `aesthetic_model` tells them apart itself.
    """
    if not {"aesthetic", "aesthetic_model"} <= set(rows.schema.names):
        return
    if not names_column(rows.schema, where, "aesthetic") or names_column(
        rows.schema, where, "aesthetic_model"
    ):
        return
    with connect(threads=1) as connection:
        connection.register("clips", rows)
        found = connection.execute(
            "select distinct aesthetic_model from clips where aesthetic is not null order by 1"
        ).fetchall()
    if len(found) > 1:
        models = ", ".join(str(model) for (model,) in found)
        raise ConfigError(
            f"the condition compares `aesthetic` of {len(found)} models ({models}), which have no common "
            "scale: name `aesthetic_model` in it, or pass --mix-aesthetics"
        )


def manifest_schema(index_schema: pa.Schema) -> pa.Schema:
    """Return the columns of a manifest over an index of these columns."""
    return pa.schema([*index_schema, TAR_OFFSET, LOCATION.field("shard")])


def shards_of(storage: Storage, folder: str) -> list[str]:
    """Return what packing wrote into a selection's folder, apart from the manifest."""
    names = [entry.path for entry in storage.list(folder)]
    return [path for path in names if path.endswith(".tar") or path == f"{folder}/stats.json"]


def selection_id(storage: Storage, path: str) -> str | None:
    """Return the digest that names the selection in the manifest at `path`; None if it is missing or damaged.

    Of an unpacked manifest that is its seal, which a packed one keeps in its metadata.
    """
    if not storage.exists(path):
        return None
    try:
        with storage.open_read(path) as file:
            digest = check(file)
        return part_metadata(storage, path).get("selection", digest)
    except IntegrityError:
        return None


def _among(clips: pa.Array, ids: Sequence[str]) -> pa.Array:
    """Return which of `clips` are in `ids`; both in order, so only the span of `clips` is looked at."""
    if not len(clips):
        return pa.array([], pa.bool_())
    span = slice(bisect_left(ids, clips[0].as_py()), bisect_right(ids, clips[-1].as_py()))
    return pc.is_in(clips, value_set=pa.array(ids[span], pa.string()))


def _pointing(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows of the index as rows of a manifest that points into the clip tars."""
    shard = pc.binary_join_element_wise(UP, batch.column("tar"), "")
    columns = [*batch.columns, batch.column("offset"), shard]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
