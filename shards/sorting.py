"""Sorting more rows than fit into memory by a key that is a hash.

Hashes are spread evenly, so rows can be dealt into buckets by the key's beginning, each small enough to be
sorted in memory, and the buckets read one after another. Cost: above one bucket, every row is written to
and read from scratch once. Memory: one bucket, and one batch of the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["sorted_by_hash"]

_MAX_BUCKETS: Final = 512  # files open at once
_PREFIX: Final = 4  # hex digits that decide on the bucket


def sorted_by_hash(
    tables: Iterable[pa.Table], key: str, rows: int, scratch: Path, bucket_rows: int
) -> Iterator[pa.Table]:
    """Yield the rows of `tables` in order of `key`.

    Args:
        tables: of one schema; each is held in memory while it is dealt out.
        key: column of lower-case hex digits.
        rows: about how many rows are to come; decides on the number of buckets.
        scratch: folder for the buckets.
        bucket_rows: how many rows may be sorted in memory at once.
    """
    buckets = min(-(-rows // bucket_rows), _MAX_BUCKETS)
    if buckets <= 1:
        whole = list(tables)
        if whole:
            yield pa.concat_tables(whole).sort_by(key)
        return
    for path in _dealt(tables, key, buckets, scratch):
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
            yield reader.read_all().sort_by(key)
        path.unlink()


def _dealt(tables: Iterable[pa.Table], key: str, buckets: int, scratch: Path) -> list[Path]:
    """Write each row to the file of its bucket; return the files that came to be, in order of key."""
    span = 16**_PREFIX
    limits = np.array([f"{span * n // buckets:0{_PREFIX}x}" for n in range(1, buckets)], f"S{_PREFIX}")
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as opened:
        for table in tables:
            prefixes = pc.utf8_slice_codeunits(table[key], 0, _PREFIX).to_numpy().astype(f"S{_PREFIX}")
            bucket_N = np.searchsorted(limits, prefixes, side="right")
            for bucket in np.unique(bucket_N):
                if bucket not in writers:
                    file = opened.enter_context(pa.OSFile(str(scratch / f"{bucket:04d}.arrow"), "wb"))
                    writers[bucket] = opened.enter_context(
                        pa.ipc.new_stream(file, table.schema, options=options)
                    )
                writers[bucket].write_table(table.take(np.flatnonzero(bucket_N == bucket)))
    return [scratch / f"{bucket:04d}.arrow" for bucket in sorted(writers)]
