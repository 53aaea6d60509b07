from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.sorting import sorted_by_hash

KEYS = st.text("0123456789abcdef", min_size=6, max_size=6)


@settings(max_examples=60)
@given(st.lists(st.lists(KEYS, max_size=30), max_size=5), st.integers(1, 40), st.integers(0, 200))
def test_rows_come_out_in_order_whatever_the_buckets(
    keys: list[list[str]], bucket_rows: int, expected_rows: int
) -> None:
    tables = [
        pa.table({"key": pa.array(some, pa.string()), "copy": pa.array(some, pa.string())}) for some in keys
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = list(sorted_by_hash(iter(tables), "key", expected_rows, Path(folder), bucket_rows))
        assert list(Path(folder).iterdir()) == []
    together = [key for table in found for key in table["key"].to_pylist()]
    assert together == sorted(key for some in keys for key in some)
    assert together == [key for table in found for key in table["copy"].to_pylist()]


def test_a_bucket_holds_about_what_it_may(tmp_path: Path) -> None:
    keys = [f"{number * 2654435761 % 2**32:08x}" for number in range(20_000)]
    tables = [pa.table({"key": keys[at : at + 1000]}) for at in range(0, 20_000, 1000)]
    sizes = [table.num_rows for table in sorted_by_hash(tables, "key", 20_000, tmp_path, 2000)]
    assert sum(sizes) == 20_000
    assert max(sizes) < 2500
