"""A row of the manifests → where the clip lies, what is known of it, and its bytes.

Rows are numbered as the planner numbers them: all manifests one after another, as they are stored. What a
loader needs of them (texts among it) is copied once to an uncompressed file that is mapped into memory: a
million clips cost no memory that the system cannot take back. Bytes are one ranged read, from a disk, an
object store or an HTTP server.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import InputError, IntegrityError, SourceError, StorageError
from shards.storage import Storage, beside

__all__ = ["ClipRow", "Clips"]

_PLACE: Final = ("clip_id", "shard", "offset", "bytes")
_OPTIONAL: Final = ("sha256", "width", "height", "preroll_frames", "postroll_frames", "caption")
_LISTED: Final = "captions.list.element.caption"


@dataclass(frozen=True, slots=True)
class ClipRow:
    """What a loader needs of a clip."""

    clip_id: str
    manifest: str
    shard: str
    offset: int
    bytes: int
    sha256: str | None
    shown: tuple[int, int]
    """height and width as displayed, in px"""
    rolls: tuple[int, int]
    """frames stored before its first and after its last, and hidden"""
    captions: tuple[str | None, ...]


class Clips:
    """The clips of one or several manifests, by row. May be used from threads.

    Raises InputError where there is no manifest or a column is missing, IntegrityError for a damaged one.
    """

    def __init__(self, manifests: Sequence[str]) -> None:
        self._manifests = tuple(manifests)
        # Removed while they are mapped: the system keeps them until they are let go of, or the process ends.
        with TemporaryDirectory(prefix="clips-") as folder:
            self._tables = [
                _mapped(path, Path(folder) / f"{number}.arrow") for number, path in enumerate(manifests)
            ]
        self._starts = [0, *np.cumsum([table.num_rows for table in self._tables]).tolist()]
        self._storages: dict[tuple[str, str], tuple[Storage, str]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._starts[-1])

    def close(self) -> None:
        """Let go of what was copied."""
        self._tables = []

    def row(self, number: int) -> ClipRow:
        """Return row `number`, counted over all manifests."""
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        source = bisect_right(self._starts, number) - 1
        found: dict[str, Any] = self._tables[source].slice(number - self._starts[source], 1).to_pylist()[0]
        captions = found.get("captions")
        texts = (found.get("caption"),) if captions is None else tuple(one["caption"] for one in captions)
        return ClipRow(
            clip_id=found["clip_id"],
            manifest=self._manifests[source],
            shard=found["shard"],
            offset=found["offset"],
            bytes=found["bytes"],
            sha256=found.get("sha256"),
            shown=(found["height"], found["width"]),
            rolls=(found.get("preroll_frames") or 0, found.get("postroll_frames") or 0),
            captions=texts,
        )

    def read(self, row: ClipRow) -> bytes:
        """Return the bytes of a clip's video.

        Raises SourceError where they are not what the manifest says, InputError where the shard is not
        there, StorageError where its store fails.
        """
        storage, name = self._place(row)
        try:
            media = storage.read(name, row.offset, row.bytes)
        except StorageError as exc:
            there = storage.entry(name)
            if there is None:
                raise InputError(
                    f"{storage.address(name)}: no such shard; clip {row.clip_id} of {row.manifest} is in "
                    "it; if the shards moved, move the manifest with them, or select again"
                ) from exc
            if there.bytes < row.offset + row.bytes:
                raise SourceError(f"its shard {storage.address(name)} ends before it does") from exc
            raise
        if row.sha256 is not None and hashlib.sha256(media).hexdigest() != row.sha256:
            raise SourceError(f"its bytes in {storage.address(name)} are not those of the manifest")
        return media

    def _place(self, row: ClipRow) -> tuple[Storage, str]:
        key = row.manifest, row.shard
        with self._lock:
            if key not in self._storages:
                self._storages[key] = beside(*key)
            return self._storages[key]


def _mapped(path: str, copy: Path) -> pa.Table:
    """Return the columns that a loader needs, mapped from the file `copy` that they are written to."""
    storage, name = beside(path)
    if not storage.exists(name):
        raise InputError(f"no manifest at {path!r}; `curate select` makes one")
    with storage.open_read(name) as file:
        try:
            with pq.ParquetFile(file) as parquet:
                _copy(path, parquet, copy)
        except pa.ArrowException as exc:
            raise IntegrityError(
                f"{path}: not a readable table ({' '.join(str(exc).split())[:200]})"
            ) from exc
    with pa.memory_map(str(copy)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def _copy(path: str, parquet: pq.ParquetFile, copy: Path) -> None:
    leaves = [parquet.schema.column(at).path for at in range(len(parquet.schema))]
    for column in (*_PLACE, "width", "height"):
        if column not in leaves:
            raise InputError(f"{path}: has no column {column!r}; it is no manifest of clips")
    wanted = [*_PLACE, *(column for column in (*_OPTIONAL, _LISTED) if column in leaves)]
    if _LISTED in leaves and "caption" in wanted:
        wanted.remove("caption")
    with pa.OSFile(str(copy), "wb") as sink:
        writer = None
        for batch in parquet.iter_batches(columns=wanted):
            writer = writer or pa.ipc.new_file(sink, batch.schema)
            writer.write_batch(batch)
        if writer is None:
            raise InputError(f"{path}: has no clips; select more with `curate select`")
        writer.close()
