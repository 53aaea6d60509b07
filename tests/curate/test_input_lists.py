"""Lists of URIs, tars of videos, and what of them makes a unit another unit."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.plan import load_plan
from curate.sources import list_sources
from curate.sources.reading import check_unchanged, read_source
from curate.units import divide
from shards.errors import ConfigError, InputError


def videos(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"{n}.mp4").write_bytes(bytes([n]) * (n + 1))
    return folder


def ids(*inputs: Path) -> list[str]:
    listing = list_sources([str(path) for path in inputs])
    columns = listing.carried.names
    return [u.id for u in divide(listing.sources, unit_bytes=2**40, unit_sources=2, columns=columns)]


def test_a_text_list_is_relative_to_itself_and_has_comments(tmp_path: Path) -> None:
    videos(tmp_path / "v")
    (tmp_path / "list.txt").write_text(f"# two of them\n\nv/0.mp4\n{tmp_path}/v/../v/2.mp4\nv/0.mp4\n")
    listing = list_sources([str(tmp_path / "list.txt")])
    assert [(s.uri, s.bytes) for s in listing.sources] == [
        (f"{tmp_path}/v/0.mp4", 1),
        (f"{tmp_path}/v/2.mp4", 3),
    ]
    assert ids(tmp_path / "v" / "0.mp4") == ids_of(tmp_path, "v/0.mp4")


def ids_of(folder: Path, *lines: str) -> list[str]:
    (folder / "one.txt").write_text("\n".join(lines))
    return ids(folder / "one.txt")


def test_dead_entries_are_sources_that_will_fail(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("gone.mp4\n")
    (source,) = list_sources([str(tmp_path / "list.txt")]).sources
    assert (source.bytes, source.version) == (0, "unreadable")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_other_columns_go_along_with_their_types(tmp_path: Path, kind: str) -> None:
    videos(tmp_path)
    table = pa.table(
        {"path": ["0.mp4", "1.mp4"], "license": ["cc0", None], "views": [7, 8], "safe": [True, False]}
    )
    path = tmp_path / f"list.{kind}"
    if kind == "csv":
        path.write_text("path,license,views,safe\n0.mp4,cc0,7,true\n1.mp4,by,8,false\n")
    else:
        pq.write_table(table, path)
    listing = list_sources([str(path)])
    assert [str(field.type) for field in listing.carried] == ["string", "int64", "bool"]
    assert listing.carried.names == ["license", "views", "safe"]
    assert listing.sources[0].carried == ("cc0", 7, True)
    plan = load_plan("default", None, ["caption.where=license = 'cc0' and views > 3"], listing.carried)
    assert "license" in plan.passes[0].schema.names
    with pytest.raises(ConfigError, match="license"):
        load_plan("default", None, ["caption.where=license = 'cc0'"])


def test_lists_with_other_columns_are_joined_and_conflicts_named(tmp_path: Path) -> None:
    videos(tmp_path)
    (tmp_path / "a.csv").write_text("path,license\n0.mp4,cc0\n")
    (tmp_path / "b.csv").write_text("path,views\n1.mp4,3\n")
    listing = list_sources([str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), str(tmp_path / "2.mp4")])
    assert listing.carried.names == ["license", "views"]
    assert [s.carried for s in listing.sources] == [("cc0", None), (None, 3), ()]
    (tmp_path / "c.csv").write_text("path,views\n1.mp4,many\n")
    with pytest.raises(ConfigError, match="'views' is int64 in one list, string in another"):
        list_sources([str(tmp_path / "b.csv"), str(tmp_path / "c.csv")])


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("name,size\na,1\n", InputError, "no column of URIs .*it has: name, size"),
        ("path,clip_id\n0.mp4,1\n", ConfigError, "'clip_id' is one that the run writes itself"),
        ("path,license\n,cc0\n", InputError, "a row without a URI"),
        ("path\nhttp://host/a.mp4\n", ConfigError, "http://host/a.mp4: only s3"),
    ],
)
def test_wrong_lists_are_named(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(error, match=words):
        list_sources([str(tmp_path / "list.csv")])


def test_a_column_that_no_table_can_hold_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uri": ["a.mp4"], "tags": [["x"]]}), tmp_path / "list.parquet")
    with pytest.raises(ConfigError, match="'tags' is list"):
        list_sources([str(tmp_path / "list.parquet")])


def test_sizes_in_a_list_are_believed_and_only_compared_by_size(tmp_path: Path) -> None:
    videos(tmp_path)
    (tmp_path / "list.csv").write_text("uri,bytes,etag\n2.mp4,3,abc\ns3://nowhere/x.mp4,99,def\n")
    here, there = list_sources([str(tmp_path / "list.csv")]).sources
    assert (there.bytes, there.version) == (99, "listed:def")
    assert check_unchanged(here)
    (tmp_path / "2.mp4").write_bytes(b"longer")
    assert not check_unchanged(here)


def test_what_a_list_carries_is_part_of_a_unit(tmp_path: Path) -> None:
    videos(tmp_path)
    made = []
    for text in (
        "uri,license\n0.mp4,cc0\n",
        "uri,license\n0.mp4,by\n",
        "uri,licence\n0.mp4,cc0\n",
        "uri\n0.mp4\n",
    ):
        (tmp_path / "list.csv").write_text(text)
        made += ids(tmp_path / "list.csv")
    assert len(set(made)) == 4
    assert made[3] == ids(tmp_path / "0.mp4")[0]


def test_the_videos_in_a_tar_are_sources_that_read_as_they_are(tmp_path: Path) -> None:
    folder = videos(tmp_path / "v")
    (folder / "0.json").write_text("{}")
    (folder / "._x.mp4").write_bytes(b"junk of a file system")
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    sources = list_sources([str(tmp_path / "set.tar")]).sources
    assert [s.uri for s in sources] == [f"{tmp_path}/set.tar#{n}.mp4" for n in range(3)]
    assert [read_source(s, 0, s.bytes) for s in sources] == [bytes([n]) * (n + 1) for n in range(3)]
    assert all(check_unchanged(s) for s in sources)
    (tmp_path / "bad.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(InputError, match="not a readable tar"):
        list_sources([str(tmp_path / "bad.tar")])
