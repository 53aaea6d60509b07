from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import IntegrityError
from shards.tar import TarWriter, iter_members

KEYS = st.text("abcdef0123456789_-", min_size=1, max_size=40)
NAMES = st.builds(
    lambda key, part: f"{key}.{part}", KEYS, st.sampled_from(["mp4", "s000.jpg", "json", "txt"])
)
MEMBERS = st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=8, unique_by=lambda item: item[0])


def written(members: list[tuple[str, bytes]]) -> tuple[bytes, list[int]]:
    buffer = io.BytesIO()
    writer = TarWriter(buffer)
    offsets = [writer.add(name, data) for name, data in members]
    digest = writer.close()
    assert digest.bytes == len(buffer.getvalue())
    return buffer.getvalue(), offsets


@given(MEMBERS)
def test_a_tar_equals_the_one_that_tarfile_makes(members: list[tuple[str, bytes]]) -> None:
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert written(members)[0] == expected.getvalue()


@given(MEMBERS)
def test_members_come_back_with_their_offsets(members: list[tuple[str, bytes]]) -> None:
    data, offsets = written(members)
    found = list(iter_members(io.BytesIO(data)))
    assert [(name, data[at : at + size]) for name, at, size in found] == members
    assert [at for _, at, _ in found] == offsets


@given(MEMBERS, MEMBERS, MEMBERS, st.data())
def test_rolling_back_leaves_no_trace(
    first: list[tuple[str, bytes]],
    tried: list[tuple[str, bytes]],
    then: list[tuple[str, bytes]],
    data: st.DataObject,
) -> None:
    names = {name for name, _ in first}
    tried = [item for item in tried if item[0] not in names]
    then = [item for item in then if item[0] not in names]
    buffer = io.BytesIO()
    writer = TarWriter(buffer)
    for item in first:
        writer.add(*item)
    mark = writer.tell()
    for item in tried:
        writer.add(*item)
        if data.draw(st.booleans()):
            writer.tell()
    writer.truncate(mark)
    assert writer.members == len(first)
    for item in then:
        writer.add(*item)
    digest = writer.close()
    expected, _ = written(first + then)
    assert buffer.getvalue() == expected
    other = io.BytesIO()
    whole = TarWriter(other)
    for item in first + then:
        whole.add(*item)
    assert whole.close() == digest


@given(MEMBERS.filter(bool), st.data())
def test_a_tar_cut_short_anywhere_is_noticed(members: list[tuple[str, bytes]], data: st.DataObject) -> None:
    whole, offsets = written(members)
    content_end = offsets[-1] + -(-len(members[-1][1]) // 512) * 512
    length = data.draw(st.integers(0, content_end))
    with pytest.raises(IntegrityError):
        list(iter_members(io.BytesIO(whole[:length])))


@pytest.mark.parametrize(
    "name",
    [
        "clip.0001.mp4", "a/b.mp4", "../b.mp4", "/b.mp4", ".mp4", "clip", "clip.", "a b.mp4", "é.mp4",
        "x" * 97 + ".mp4", "a.b.c.mp4", "a.MP4", "a\n.mp4",
    ],
)  # fmt: skip
def test_names_that_webdataset_would_misread_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="WebDataset"):
        TarWriter(io.BytesIO()).add(name, b"")


def test_a_name_cannot_come_twice_until_it_was_rolled_back() -> None:
    writer = TarWriter(io.BytesIO())
    mark = writer.tell()
    writer.add("a.mp4", b"1")
    with pytest.raises(ValueError, match="already"):
        writer.add("a.mp4", b"2")
    writer.truncate(mark)
    writer.add("a.mp4", b"2")


def test_a_path_is_written_and_closed(tmp_path: Path) -> None:
    with TarWriter(tmp_path / "a.tar") as writer:
        writer.add("a.mp4", b"abc")
    with tarfile.open(tmp_path / "a.tar") as tar:
        info = tar.getmember("a.mp4")
        assert (info.mtime, info.uid, info.gid, info.mode, info.uname) == (0, 0, 0, 0o644, "")


def test_an_exception_leaves_no_valid_end(tmp_path: Path) -> None:
    def interrupted() -> None:
        with TarWriter(tmp_path / "a.tar") as writer:
            writer.add("a.mp4", b"abc")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    with (tmp_path / "a.tar").open("rb") as file, pytest.raises(IntegrityError):
        list(iter_members(file))


def test_no_tar_at_all_is_an_integrity_error() -> None:
    for data in (b"", b"hello" * 1000, bytes(300)):
        with pytest.raises(IntegrityError):
            list(iter_members(io.BytesIO(data)))
