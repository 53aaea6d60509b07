"""What a WebDataset sample of a clip is made of, and the writer that fills shards with them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shards.storage import Storage
from shards.tar import FileDigest, TarWriter

__all__ = ["MEDIA", "SampleWriter", "Stats", "sample_columns", "sample_json"]

MEDIA: Final = "mp4"
# Places in the run, which mean nothing to who has the shard alone.
_PLACES: Final = frozenset({"tar", "tar_offset", "offset", "shard", "samples_tar"})
_LISTS: Final = frozenset({"sample_times_s", "captions"})
_TOTALS: Final = ("duration_s", "bytes")


def sample_columns(schema: pa.Schema) -> list[str]:
    """Return the columns of a manifest that a sample's JSON tells: scalars, sample times and all captions.

    Lists of numbers (embeddings) stay in the manifest.
    """
    return [
        field.name
        for field in schema
        if field.name in _LISTS or not (field.name in _PLACES or pa.types.is_nested(field.type))
        if not pa.types.is_binary(field.type)
    ]


def sample_json(row: Mapping[str, Any]) -> bytes:
    """Return `row` as JSON: keys sorted, what is no finite number null."""
    return json.dumps(_finite(row), sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


class SampleWriter:
    """Fills one shard after the other; each appears whole under its name, `00000.tar` and so on."""

    def __init__(self, storage: Storage, folder: str, shard_bytes: int, shard_clips: int) -> None:
        self.files: dict[str, FileDigest] = {}
        self._storage = storage
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._shard_clips = shard_clips
        self._tar: TarWriter | None = None
        self._clips = 0
        self._open = ExitStack()

    def __enter__(self) -> SampleWriter:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: Any) -> None:
        if exc_type is None:
            self._finish()
        else:
            self._open.__exit__(exc_type, exc, trace)

    def add(self, clip_id: str, media: bytes, row: Mapping[str, Any], *, captioned: bool) -> tuple[int, int]:
        """Append a sample; return the number of its shard and the offset of the video's first byte there."""
        members = {MEDIA: media, "json": sample_json(row)}
        if captioned:
            members["txt"] = str(row["caption"]).encode()
        size = sum(len(data) + 1024 for data in members.values())
        if self._tar and (self._clips >= self._shard_clips or self._tar.position + size > self._shard_bytes):
            self._finish()
        if self._tar is None:
            path = f"{self._folder}/{len(self.files):05d}.tar"
            self._tar = TarWriter(self._open.enter_context(self._storage.writing(path)))
            self._clips = 0
        self._clips += 1
        offsets = {part: self._tar.add(f"{clip_id}.{part}", members[part]) for part in sorted(members)}
        return len(self.files), offsets[MEDIA]

    def _finish(self) -> None:
        if self._tar is not None:
            digest = self._tar.close()
            self._open.close()
            self.files[f"{len(self.files):05d}.tar"] = digest
            self._tar = None


class Stats:
    """Counts over a selection, and the span and mean of each numeric column, gathered batch by batch."""

    def __init__(self, schema: pa.Schema) -> None:
        self._clips = 0
        self._columns: dict[str, list[float]] = {
            field.name: []
            for field in schema
            if field.name not in _PLACES
            and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
        }

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the rows of `batch` in."""
        self._clips += batch.num_rows
        for name, seen in self._columns.items():
            values = pc.cast(batch.column(name), pa.float64(), safe=False)
            values = values.filter(pc.fill_null(pc.is_finite(values), False))
            if len(values):
                low, high = pc.min_max(values).values()
                new = [low.as_py(), high.as_py(), pc.sum(values).as_py(), float(len(values))]
                seen[:] = _merged(seen, new) if seen else new

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON: clips, seconds and bytes, then by column."""
        columns = {
            name: {"min": seen[0], "max": seen[1], "mean": seen[2] / seen[3], "clips": int(seen[3])}
            for name, seen in self._columns.items()
            if seen
        }
        total = {name: self._columns[name][2] if self._columns.get(name) else 0.0 for name in _TOTALS}
        return {
            "clips": self._clips,
            "seconds": total["duration_s"],
            "video_bytes": int(total["bytes"]),
            "columns": columns,
        }


def _merged(a: list[float], b: list[float]) -> list[float]:
    return [min(a[0], b[0]), max(a[1], b[1]), a[2] + b[2], a[3] + b[3]]
