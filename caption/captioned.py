"""A run as captioners see it: clips with their samples, and what was said of them.

Captions of an earlier model or prompt stay in the run until `curate gc`; each has a folder of its own, whose
name is the beginning of a fingerprint. `RUN@FINGERPRINT` names those.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from curate.clips_unit import read_samples
from curate.records import Row, Sample
from shards.condition import matching_ids
from shards.errors import InputError
from shards.index import build_index
from shards.run import RunFiles
from shards.tables import iter_batches, part_schema, read_parts, read_table

__all__ = ["CaptionedRun"]

_CLIP: Final = (
    "clip_id", "source_id", "source_uri", "start_s", "duration_s", "samples_sha256",
    "samples_tar", "sample_times_s", "sample_offsets", "sample_bytes",
)  # fmt: skip
_MEASURED: Final = ("camera",)
"""what prompts may quote; absent where it was not measured"""
_TABLE: Final = "captions"
_PART: Final = ".parquet"


class CaptionedRun:
    """Reads clips, samples and captions of one run."""

    def __init__(self, where: str) -> None:
        """Open `RUN` or `RUN@FINGERPRINT`; InputError where there is no such run, or no such captions."""
        root, at, fingerprint = where.rpartition("@")
        if not at or "/" in fingerprint:
            root, fingerprint = where, ""
        self.name = where
        self._run = RunFiles.open(root)
        self._fp8 = self._folder(fingerprint)

    def clips(self, where: str | None = None) -> dict[str, Row]:
        """Return the clips that `where` (SQL over the index) admits, by id, in order of id."""
        storage = self._run.storage
        index = build_index(self._run)
        schema = part_schema(storage, index)
        admitted = None if where is None else set(matching_ids(read_table(storage, index), where))
        columns = [name for name in (*_CLIP, *_MEASURED) if name in schema.names]
        clips: dict[str, Row] = {}
        for batch in iter_batches(storage, index, columns):
            for row in batch.to_pylist():
                if admitted is None or row["clip_id"] in admitted:
                    clips[row["clip_id"]] = row
        return clips

    def captions(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        """Return clip → variant → row of the captions table."""
        paths = self._paths()
        told: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in read_parts(self._run.storage, paths).to_pylist() if paths else []:
            told.setdefault(row["clip_id"], {})[row["variant"]] = row
        return told

    def samples(self, clip: Row) -> tuple[Sample, ...]:
        """Return a clip's samples."""
        return read_samples(self._run.storage, clip)

    def _paths(self) -> list[str]:
        """Return the parts of the captions, of the current units alone."""
        info = self._run.info()
        if self._fp8 is None:
            return [part.path for part in self._run.parts(info, _TABLE)]
        listed = self._run.storage.list(f"tables/{_TABLE}/{self._fp8}")
        units = None if info.units is None else set(info.units)
        found = {PurePosixPath(entry.path).stem: entry.path for entry in listed if entry.path.endswith(_PART)}
        return [path for unit, path in sorted(found.items()) if units is None or unit in units]

    def _folder(self, fingerprint: str) -> str | None:
        """Return the folder of the captions asked for; None: the current ones."""
        if not fingerprint:
            return None
        folders = {PurePosixPath(entry.path).parts[2] for entry in self._run.storage.list(f"tables/{_TABLE}")}
        if fingerprint[:8] not in folders:
            known = ", ".join(sorted(folders)) or "none"
            raise InputError(f"{self.name}: no captions {fingerprint[:8]!r}; there are {known}")
        return fingerprint[:8]
