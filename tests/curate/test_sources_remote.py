"""Listing over a real S3 protocol server: globs as on a disk, dead entries, refusals, tars, secrets."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from media import write_video
from object_store import BUCKET, Faults, ObjectStore

from curate.records import Source
from curate.sources import list_sources
from curate.sources.reading import check_unchanged, read_source
from curate.sources.tars import members
from curate.split.scan import hash_file
from curate.video import open_video
from shards.errors import ConfigError, InputError, SourceError, StorageError, TransferError
from shards.object_storage import ObjectStorage

NAMES = [
    "a/1.mp4", "a/2.mkv", "a/notes.json", "a/.hidden.mp4", "a/b/3.mp4", "a/.dot/4.mp4",
    "[x]*?.mp4", "ü +%#.mp4", "c/5.mp4", "cc/6.mp4",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    for n, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes([n]) * (n + 1))
    return root


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[ObjectStore]:
    with ObjectStore(Faults()) as server:
        server.upload(folder, "raw")
        yield server


@pytest.fixture(autouse=True)
def _environment(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    yield
    assert store.faults is not None
    store.faults.denied = 0.0


def put(store: ObjectStore, key: str, data: bytes) -> str:
    store.client.put_object(Bucket=BUCKET, Key=key, Body=data)
    return f"s3://{BUCKET}/{key}"


def names(root: str, text: str) -> set[str]:
    return {s.uri.removeprefix(root) for s in list_sources([text]).sources}


@pytest.mark.parametrize(
    "pattern",
    [
        "", "/a", "/*.mp4", "/a/*.mp4", "/*/*.mp4", "/**/*.mp4", "/**/[0-5].mp4", "/c*", "/a/?.m*", "/a/**",
        "/[!c]/*.mp4", "/**", "/a/.*.mp4", "/[[]x[]]*.mp4", "/[x]*?.mp4", "/*/[!1]*",
    ],
)  # fmt: skip
def test_an_object_store_lists_what_a_folder_does(folder: Path, pattern: str) -> None:
    far = f"s3://{BUCKET}/raw"
    assert names(far, far + pattern) == names(str(folder), str(folder) + pattern)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3://no-such-bucket/*.mp4", "no bucket 'no-such-bucket'"),
        ("s3://curate-*/raw", "name one bucket"),
        (f"s3://{BUCKET}/raw/*.avi", "matches no object"),
        (f"s3://{BUCKET}/gone.tar", "no such object"),
    ],
)
def test_what_is_not_there_is_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list_sources([text])


def listed(tmp_path: Path, *lines: str) -> str:
    (tmp_path / "list.txt").write_text("\n".join(lines))
    return str(tmp_path / "list.txt")


def test_a_dead_entry_is_a_source_that_fails(store: ObjectStore, tmp_path: Path) -> None:
    lines = [f"s3://{BUCKET}/raw/a/1.mp4", f"s3://{BUCKET}/gone.mp4", f"s3://{BUCKET}/gone.tar"]
    bad_tar = put(store, "bad.tar", b"no tar" * 200)
    sources = list_sources([listed(tmp_path, *lines, "s3://no-such-bucket/x.mp4", bad_tar)]).sources
    assert {s.uri.rpartition("/")[2]: s.bytes for s in sources} == {
        "1.mp4": 1, "gone.mp4": 0, "gone.tar": 0, "x.mp4": 0, "bad.tar": 1200,
    }  # fmt: skip


def test_a_list_of_which_nothing_may_be_read_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    """Wrong credentials are no reason for a million failure rows."""
    assert store.faults is not None
    store.faults.denied = 1.0
    lines = [f"s3://{BUCKET}/raw/{n}.mp4" for n in range(200)]
    before = store.faults.requests["HEAD"]
    with pytest.raises(InputError, match="access denied"):
        list_sources([listed(tmp_path, *lines)])
    assert store.faults.requests["HEAD"] - before < 100, "a few are asked for, not all"


def test_a_store_that_does_not_answer_ends_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a unit is must not depend on the day's weather."""

    def no_answer(_self: ObjectStorage, path: str) -> None:
        raise StorageError(f"the store failed while looking for {path}")

    monkeypatch.setattr(ObjectStorage, "entry", no_answer)
    with pytest.raises(StorageError, match="the store failed"):
        list_sources([listed(tmp_path, f"s3://{BUCKET}/raw/a/1.mp4")])


def test_copies_are_not_told_by_a_store_that_does_not_answer(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = [put(store, f"copies/{name}.mp4", b"same") for name in "ab"]
    gone = [f"s3://{BUCKET}/copies/{name}.mp4" for name in "cd"]
    inventory = tmp_path / "list.parquet"
    short = put(store, "copies/short.mp4", b"1")
    table = {"uri": [*uris, *gone, short], "bytes": [4] * 5, "etag": ["e"] * 5}
    pq.write_table(pa.table(table), inventory)
    found = list_sources([str(inventory)]).sources
    assert [s.duplicate_of for s in found] == [None, uris[0], None, None, None]

    def no_answer(self: ObjectStorage, path: str, *_: object) -> bytes:
        raise StorageError(f"the store failed while reading {self.address(path)}") from OSError("timeout")

    monkeypatch.setattr(ObjectStorage, "read", no_answer)
    with pytest.raises(StorageError, match="the store failed"):
        list_sources([str(inventory)])


@pytest.mark.parametrize(
    "uri", [f"s3://key:hush@{BUCKET}/x.mp4", f"https://key:hush@{BUCKET}/x.mp4?signature=hush"]
)
def test_a_secret_in_a_uri_is_refused_and_not_repeated(tmp_path: Path, uri: str) -> None:
    inventory = tmp_path / "list.parquet"
    pq.write_table(pa.table({"uri": [uri], "bytes": [5], "etag": ["e"]}), inventory)
    for text in (uri, listed(tmp_path, uri), str(inventory)):
        with pytest.raises(ConfigError) as refused:
            list_sources([text])
        assert "hush" not in str(refused.value)
        assert BUCKET in str(refused.value)


def test_a_tar_costs_its_headers_and_its_videos_read_by_range(store: ObjectStore) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for n in range(5):
            info = tarfile.TarInfo(f"{n}#.mp4")
            info.size = 3_000_000 + n
            tar.addfile(info, io.BytesIO(bytes([n]) * info.size))
    uri = put(store, "set#1/0.tar", buffer.getvalue())
    found = list_sources([f"s3://{BUCKET}/set#1/*.tar"]).sources
    assert [(s.uri, s.bytes) for s in found] == [(f"{uri}#{n}#.mp4", 3_000_000 + n) for n in range(5)]
    assert read_source(found[4], 0, 3) == b"\4\4\4"
    assert check_unchanged(found[0])
    asked = []
    real = ObjectStorage.read

    def read(self: ObjectStorage, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        asked.append(length or 0)
        return real(self, path, offset, length)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectStorage, "read", read)
        assert len(members(uri)) == 5
    assert sum(asked) < 3_000_000


def test_a_damaged_tar_does_not_lose_its_later_videos_in_silence(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for n in range(3):
            info = tarfile.TarInfo(f"{n}.mp4")
            info.size = 600
            tar.addfile(info, io.BytesIO(bytes(600)))
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[1536:1600] = b"\xff" * 64
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(InputError, match="damaged at byte 1536"):
        list_sources([str(tmp_path / "a.tar")])


@pytest.mark.parametrize(
    ("error", "kind"), [(StorageError("gone quiet"), TransferError), (InputError("denied"), SourceError)]
)
def test_a_store_that_fails_under_the_decoder_fails_the_transfer(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type
) -> None:
    """Read by range, a source is not cut short by its store: it has no clips, and another day it may."""
    video = write_video(tmp_path / "v.mp4", [(60, 20), (160, 20)], size=(640, 480))
    uri = put(store, "v.mp4", video.read_bytes())
    monkeypatch.setattr("shards.object_storage.READ_AHEAD", 100_000)
    real, middle = ObjectStorage.read, int(0.6 * video.stat().st_size)

    def read(self: ObjectStorage, path: str, offset: int | None = None, length: int | None = None) -> bytes:
        start = offset or 0
        if start <= middle < start + (length or 0):
            raise error
        return real(self, path, offset, length)

    frames = []

    def decode() -> None:
        with open_video(uri) as reader:
            for frame in reader:
                frames.append(frame.index)

    monkeypatch.setattr(ObjectStorage, "read", read)
    with pytest.raises(kind) as hashed:
        hash_file(uri)
    with pytest.raises(kind) as failed:
        decode()
    assert type(hashed.value) is type(failed.value) is kind
    assert 0 < len(frames) < 800


def test_odd_lists_are_named_or_understood(tmp_path: Path) -> None:
    def source(**columns: object) -> Source:
        pq.write_table(pa.table(columns), tmp_path / "list.parquet")
        return list_sources([str(tmp_path / "list.parquet")]).sources[0]

    with pytest.raises(InputError, match="'uri' is int64, not text"):
        source(uri=[1])
    with pytest.raises(InputError, match="'bytes' is string, not whole numbers"):
        source(uri=["s3://b/x.mp4"], bytes=["5"], etag=["e"])
    fine = source(
        uri=pa.array(["x.mp4"]).dictionary_encode(),
        license=pa.array(["cc0"]).dictionary_encode(),
        seen=pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
    )
    assert fine.uri == str(tmp_path / "x.mp4")
    assert [str(value) for value in fine.carried] == ["cc0", "2023-11-14 22:13:20.123456"]
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbf/abs/x.mp4\n")
    assert list_sources([str(tmp_path / "bom.txt")]).sources[0].uri == "/abs/x.mp4"


def test_a_list_that_a_glob_of_other_things_meets_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    (tmp_path / "list.csv").write_text("path,license\na.mp4,cc0\n")
    listing = list_sources([str(tmp_path / "*")])
    assert [s.carried for s in listing.sources] == [()]
    assert listing.ignored == {".csv": 1}
    assert list_sources([str(tmp_path / "*.csv")]).sources[0].carried == ("cc0",)
