"""What is taken as a source, how copies are found, and how sources become units."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.records import Source
from curate.sources import list_sources, local_path
from curate.units import divide
from shards.errors import ConfigError, InputError


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_folder_is_searched_for_media_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.mp4", b"1")
    write(tmp_path / "sub" / "a b.MKV", b"22")
    write(tmp_path / "notes.txt")
    write(tmp_path / ".hidden" / "c.mp4")
    listing = list_sources([str(tmp_path)])
    assert [Path(s.uri).name for s in listing.sources] == ["b.mp4", "a b.MKV"]
    assert listing.ignored == {".txt": 1}


@pytest.mark.parametrize("name", ["new\nline.mp4", "ünï.mp4", "100%.mp4", "[x]*.mp4", "a'b\".mp4"])
def test_odd_names_come_back_as_they_are(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    for given_input in (str(tmp_path), str(path)):
        (source,) = list_sources([given_input]).sources
        assert local_path(source.uri) == str(path)


def test_a_name_that_is_not_utf8_becomes_a_file_uri(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff.mp4"
    with open(raw, "wb") as file:
        file.write(b"x")
    (source,) = list_sources([str(tmp_path)]).sources
    assert source.uri.startswith("file:///")
    assert os.fsencode(local_path(source.uri)) == raw


def test_dots_in_a_path_do_not_make_another_source(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.mp4")
    direct = list_sources([str(tmp_path / "a")]).sources
    assert list_sources([str(tmp_path / "a" / ".." / "a")]).sources == direct


def test_a_glob_and_a_file_named_by_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", b"1")
    write(tmp_path / "b.bin", b"22")
    assert len(list_sources([str(tmp_path / "*.mp4"), str(tmp_path / "b.bin")]).sources) == 2


def test_copies_name_the_lowest_uri(tmp_path: Path) -> None:
    same = os.urandom(200_000)
    write(tmp_path / "b.mp4", same)
    write(tmp_path / "a.mp4", same)
    write(tmp_path / "c.mp4", same[:100_000] + b"?" + same[100_001:])
    write(tmp_path / "d.mp4", b"")
    write(tmp_path / "e.mp4", b"")
    copies = {Path(s.uri).name: s.duplicate_of for s in list_sources([str(tmp_path)]).sources}
    assert copies == {
        "a.mp4": None,
        "b.mp4": str(tmp_path / "a.mp4"),
        "c.mp4": None,
        "d.mp4": None,
        "e.mp4": None,
    }


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ("nowhere", InputError, "no such file"),
        ("*.mp4", InputError, "matches no file"),
        ("", InputError, "no video or image"),
    ],
)
def test_wrong_inputs_are_named(tmp_path: Path, bad: str, error: type[Exception], words: str) -> None:
    write(tmp_path / "notes.txt")
    with pytest.raises(error, match=words):
        list_sources([str(tmp_path / bad)])


def test_another_scheme_is_refused_with_its_name() -> None:
    with pytest.raises(ConfigError, match="http://"):
        list_sources(["http://host/raw"])


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40),
    st.integers(1, 100),
    st.integers(1, 10),
)
def test_units_hold_every_source_once_in_order_within_bounds(sizes: list[int], most: int, count: int) -> None:
    sources = [Source(f"/{n:03d}", size, "v") for n, size in enumerate(sizes)]
    units = divide(sources, unit_bytes=most, unit_sources=count)
    assert [s for unit in units for s in unit.sources] == sources
    assert len({unit.id for unit in units}) == len(units)
    for unit in units:
        assert len(unit.sources) <= count
        assert unit.bytes <= most or len(unit.sources) == 1


def test_a_units_id_depends_on_its_members_alone() -> None:
    a, b, c = (Source(f"/{name}", 10, "1") for name in "abc")
    assert (
        divide([a, b], unit_bytes=99, unit_sources=2)[0].id
        == divide([a, b, c], unit_bytes=99, unit_sources=2)[0].id
    )
    touched = Source("/b", 10, "2")
    assert (
        divide([a, b], unit_bytes=99, unit_sources=2)[0].id
        != divide([a, touched], unit_bytes=99, unit_sources=2)[0].id
    )
