"""Reading clips through a manifest: bytes by range, split by rank, resumable at a position.

It serves clip tars and packed shards alike, since a manifest says where each clip's bytes lie. The order of
an epoch is a permutation drawn from `(seed, epoch)`, the same on every rank; rank `r` of `n` takes every
n-th row of it from the r-th, so ranks share nothing and together miss nothing. A position is a plain
number within that order: a job that was killed goes on where it stood. Memory: the chosen columns of the
manifest (name them, or a long manifest with embeddings stays in memory whole) and one clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from shards.errors import InputError, IntegrityError
from shards.seal import check
from shards.storage import beside
from shards.tables import read_table

__all__ = ["ManifestReader", "ManifestSample", "Position"]

_LOCATION = ("clip_id", "shard", "offset", "bytes", "sha256")


@dataclass(frozen=True, slots=True)
class ManifestSample:
    """A clip as a trainer gets it: its row of the manifest and the bytes of its video."""

    row: Mapping[str, Any]
    media: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader stands. It fits a reader of the same manifest, seed and division alone."""

    manifest: str
    seed: int | None
    epoch: int
    rank: int
    world_size: int
    index: int
    """how many samples of this rank were given out in this epoch"""


class ManifestReader:
    """Iterates over one epoch of one rank's share of a manifest.

    Args:
        manifest: path of a `manifest.parquet`.
        columns: columns of the rows given out; None for all. Those of the location come always.
        rank: which share; 0 <= rank < world_size.
        world_size: how many shares (ranks times loader workers).
        seed: of the shuffle; None keeps the manifest's order, which is by clip id, a hash.
        epoch: enters the shuffle; for the next epoch make a reader with the next number.
        start: where to go on: a `Position` of an equal reader, checked, or a number of samples to skip.
        verify: check each clip's SHA-256 (`IntegrityError`); costs about as much as reading from memory.
    """

    def __init__(
        self,
        manifest: str,
        *,
        columns: Sequence[str] | None = None,
        rank: int = 0,
        world_size: int = 1,
        seed: int | None = None,
        epoch: int = 0,
        start: Position | int = 0,
        verify: bool = False,
    ) -> None:
        if not 0 <= rank < world_size:
            raise InputError(
                f"rank {rank} of {world_size}: a rank is at least 0 and below the number of ranks"
            )
        self.manifest = str(manifest)
        storage, name = beside(self.manifest)
        if not storage.exists(name):
            raise InputError(f"no manifest at {self.manifest!r}; `curate select` makes one")
        with storage.open_read(name) as file:
            digest = check(file)
        wanted = None if columns is None else list(dict.fromkeys([*_LOCATION, *columns]))
        self._table = read_table(storage, name, wanted)
        self._verify = verify
        self._here = Position(digest, seed, epoch, rank, world_size, 0)
        order = np.arange(self._table.num_rows)
        if seed is not None:
            order = np.random.default_rng([seed, epoch]).permutation(order)
        self._order = order[rank::world_size]
        self._next = self._starting(start)

    def __len__(self) -> int:
        """Return the number of samples of this rank in an epoch."""
        return len(self._order)

    def __iter__(self) -> Iterator[ManifestSample]:
        while self._next < len(self._order):
            row = self.row(int(self._order[self._next]))
            media = self.read_clip(row)
            self._next += 1  # before the sample is given out: `state` then counts it
            yield ManifestSample(row, media)

    def state(self) -> Position:
        """Return the position after the last sample given out."""
        return Position(**{**asdict(self._here), "index": self._next})

    def row(self, number: int) -> dict[str, Any]:
        """Return row `number` of the manifest."""
        row: dict[str, Any] = self._table.slice(number, 1).to_pylist()[0]
        return row

    def read_clip(self, row: Mapping[str, Any]) -> bytes:
        """Return the bytes of the video that `row` points to, by one ranged read."""
        storage, name = beside(self.manifest, row["shard"])
        media = storage.read(name, row["offset"], row["bytes"])
        if self._verify and hashlib.sha256(media).hexdigest() != row["sha256"]:
            raise IntegrityError(
                f"{storage.address(name)}: the bytes of clip {row['clip_id']} do not match the manifest; "
                "run `curate verify`"
            )
        return media

    def _starting(self, start: Position | int) -> int:
        if isinstance(start, int):
            return start
        expected = asdict(self._here) | {"index": start.index}
        for key, value in asdict(start).items():
            if expected[key] != value:
                raise InputError(
                    f"{self.manifest}: the position was taken with {key} {value!r}, not {expected[key]!r}; "
                    "go on with the same manifest, seed, epoch and ranks"
                )
        return start.index
