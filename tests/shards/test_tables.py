from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import seal, tables
from shards.errors import IntegrityError
from shards.ids import CLIP_ID, clip_id, source_id
from shards.schemas import column
from shards.storage import Storage, open_storage

SCHEMA = pa.schema(
    [
        column("clip_id", pa.string(), nullable=False),
        column("motion_total", pa.float64(), "diagonal/s", "how much moves"),
        column("tags", pa.list_(pa.string())),
    ]
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(tmp_path).create()


def rows(count: int) -> list[dict]:
    return [
        {"clip_id": f"{number:032x}", "motion_total": number / 7, "tags": ["a"] * (number % 3)}
        for number in range(count)
    ]


def test_rows_units_and_metadata_come_back(storage: Storage) -> None:
    table = tables.rows_to_table(rows(5), SCHEMA)
    tables.write_table(storage, "t.parquet", table, {"unit": "u1", "where": "x > 'é\n'"})
    assert tables.read_table(storage, "t.parquet").equals(table)
    stored = tables.part_schema(storage, "t.parquet")
    assert stored.equals(SCHEMA)
    assert [field.metadata for field in stored] == [field.metadata for field in SCHEMA]
    assert tables.part_metadata(storage, "t.parquet") == {"unit": "u1", "where": "x > 'é\n'"}
    assert tables.read_table(storage, "t.parquet", ["tags"]).column_names == ["tags"]


@settings(max_examples=25)
@given(st.integers(0, 40), st.lists(st.integers(1, 12), max_size=8))
def test_bytes_depend_on_rows_and_not_on_batches(count: int, cuts: list[int]) -> None:
    table = tables.rows_to_table(rows(count), SCHEMA)
    batches, at = [], 0
    for cut in cuts:
        batches += table.slice(at, cut).to_batches()
        at += cut
    batches += table.slice(at).to_batches()
    files = []
    for given_batches, metadata in (
        (table.to_batches(), {"b": "1", "a": "2"}),
        (batches, {"a": "2", "b": "1"}),
    ):
        file = io.BytesIO()
        written = tables.write_file(file, SCHEMA, given_batches, metadata)
        assert written.rows == count
        files.append(file.getvalue())
    assert files[0] == files[1]
    assert pq.read_table(io.BytesIO(files[0])).num_rows == count


def test_row_groups_have_a_fixed_length(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 10)
    tables.write_table(storage, "t.parquet", tables.rows_to_table(rows(25), SCHEMA), {})
    with storage.open_read("t.parquet") as file:
        groups = pq.ParquetFile(file).metadata
        assert [groups.row_group(number).num_rows for number in range(3)] == [10, 10, 5]
    assert tables.read_table(storage, "t.parquet")["clip_id"].to_pylist() == [r["clip_id"] for r in rows(25)]


def test_every_flipped_byte_of_a_table_breaks_its_seal() -> None:
    file = io.BytesIO()
    tables.write_file(file, SCHEMA, tables.rows_to_table(rows(3), SCHEMA).to_batches(), {"unit": "u"})
    whole = file.getvalue()
    seal.check(io.BytesIO(whole))
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        with pytest.raises(IntegrityError):
            seal.check(io.BytesIO(flipped))


@given(st.integers(0, 10_000))
def test_a_table_cut_short_has_no_seal(length: int) -> None:
    file = io.BytesIO()
    tables.write_file(file, SCHEMA, tables.rows_to_table(rows(3), SCHEMA).to_batches(), {})
    with pytest.raises(IntegrityError):
        seal.check(io.BytesIO(file.getvalue()[: min(length, len(file.getvalue()) - 1)]))


def test_a_text_that_looks_like_a_seal_does_no_harm() -> None:
    text = f"{seal.SEAL_KEY}xx{seal.BLANK}"
    table = pa.table({"caption": [text]})
    file = io.BytesIO()
    tables.write_file(file, table.schema, table.to_batches(), {"where": text, "zz": text})
    seal.check(file)


def test_a_foreign_parquet_file_is_named_as_such(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with (tmp_path / "x.parquet").open("rb") as file, pytest.raises(IntegrityError, match="without a seal"):
        seal.check(file)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"clip_id": "a", "extra": 1}, "undeclared column 'extra'"),
        ({"motion_total": 1.0}, "'clip_id' is missing"),
        ({"clip_id": "a", "motion_total": "fast"}, "'motion_total' is not double"),
        ({"clip_id": 3}, "'clip_id' is not string"),
    ],
)
def test_wrong_rows_are_named(row: dict, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        tables.rows_to_table([row], SCHEMA, "signals")


def test_parts_are_checked_against_their_declaration(storage: Storage) -> None:
    with pytest.raises(IntegrityError, match="p: column 'tags' is missing"):
        tables.check_schema(SCHEMA.remove(2), SCHEMA, "p")
    other = SCHEMA.set(1, pa.field("motion_total", pa.string()))
    with pytest.raises(IntegrityError, match="'motion_total' is string, not double"):
        tables.check_schema(other, SCHEMA, "p")
    tables.write_table(storage, "t.parquet", tables.rows_to_table(rows(1), SCHEMA), {})
    with pytest.raises(IntegrityError, match="column 'nope' is missing"):
        tables.read_table(storage, "t.parquet", ["nope"])


def test_a_damaged_table_is_a_clear_error(storage: Storage) -> None:
    storage.write("t.parquet", b"PAR1 nonsense PAR1")
    with pytest.raises(IntegrityError, match="not a readable table"):
        tables.read_table(storage, "t.parquet")


def test_parts_join_in_order(storage: Storage) -> None:
    for name in ("b", "a"):
        tables.write_table(storage, name, pa.table({"x": [name]}), {})
    assert tables.read_parts(storage, ["b", "a"])["x"].to_pylist() == ["b", "a"]


def test_wide_rows_travel_in_batches(storage: Storage) -> None:
    schema = pa.schema([column("embedding", pa.list_(pa.float32()))])
    values = pa.array([list(map(float, row)) for row in np.eye(20)], schema.field(0).type)
    tables.write_table(storage, "e", pa.Table.from_arrays([values], schema=schema), {})
    assert [batch.num_rows for batch in tables.iter_batches(storage, "e", rows=8)] == [8, 8, 4]


@given(
    st.tuples(st.integers(), st.integers(), st.integers()),
    st.tuples(st.integers(), st.integers(), st.integers()),
)
def test_ids_differ_when_anything_does(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    source = source_id("ab" * 32)
    first, second = clip_id(source, *a), clip_id(source, *b)
    assert CLIP_ID.fullmatch(first)
    assert (first == second) == (a == b)


def test_an_id_is_what_it_always_was() -> None:
    assert clip_id("0" * 32, 0, 0, 90000) == "0b9985560e5766fe95409125758bc13b"
