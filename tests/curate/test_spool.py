"""Sources from elsewhere on this machine's disk: whole, one ahead, within the bound, or an error."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curate import spool as spool_module
from curate.records import Source
from curate.spool import Ahead, Spool
from shards.errors import InputError, SourceError, StorageError, TransferError

CHUNK = 1000


def source(name: str, size: int) -> Source:
    return Source(f"s3://bucket/{name}", size, "v")


def content(one: Source) -> bytes:
    return bytes((sum(one.uri.encode()) + n) % 251 for n in range(one.bytes))


class Store:
    """What `read_source` asks: counts what was asked for, waits or fails where the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.before: Callable[[Source, int], None] = lambda _source, _start: None

    def read(self, one: Source, start: int, length: int) -> bytes:
        self.asked.append((one.uri, start))
        self.before(one, start)
        return content(one)[start : start + length]

    def names(self) -> set[str]:
        return {uri.rpartition("/")[2] for uri, _ in self.asked}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    fake = Store()
    monkeypatch.setattr(spool_module, "_CHUNK", CHUNK)
    monkeypatch.setattr(spool_module, "read_source", fake.read)
    return fake


@pytest.fixture
def spool() -> Iterator[Spool]:
    one = Spool(200 * CHUNK)
    yield one
    one.close()


def settle(ahead: Ahead) -> None:
    """Wait until what is under way has come or failed."""
    for future in list(ahead._fetched.values()):
        future.exception(timeout=10)


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 17 * CHUNK + 3])
def test_a_source_is_the_same_on_disk(store: Store, spool: Spool, tmp_path: Path, size: int) -> None:
    one = source("a", size)
    ahead = Ahead(spool, [one], tmp_path)
    with ahead.opened(one) as path:
        assert Path(path).read_bytes() == content(one)
    assert len(store.asked) == -(-size // CHUNK)
    assert not list(tmp_path.iterdir()), "gone as soon as it has been read"


def test_a_local_file_is_opened_where_it_lies(store: Store, spool: Spool, tmp_path: Path) -> None:
    here = Source(str(tmp_path / "a.mp4"), 10, "v")
    with Ahead(spool, [here], tmp_path).opened(here) as path:
        assert path == here.uri
    assert not store.asked


def test_the_next_one_comes_while_one_is_read_and_no_further(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    sources = [source(name, 10) for name in "abcd"]
    ahead = Ahead(spool, sources, tmp_path)
    settle(ahead)
    assert store.names() == {"a"}, "before anybody asks"
    with ahead.opened(sources[0]):
        settle(ahead)
        assert store.names() == {"a", "b"}
    with ahead.opened(sources[1]):
        settle(ahead)
        assert store.names() == {"a", "b", "c"}
    ahead.close()


def test_what_is_fetched_early_stays_within_half_of_the_bound(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    first, second = source("a", 60 * CHUNK), source("b", 60 * CHUNK)
    (tmp_path / "one").mkdir()
    (tmp_path / "three").mkdir()
    one = Ahead(spool, [first], tmp_path / "one")
    two = Ahead(spool, [second], tmp_path)
    settle(two)
    settle(one)
    assert store.names() == {"a"}, "no room for both"
    one.close()
    three = Ahead(spool, [second], tmp_path / "three")
    settle(three)
    assert "b" in store.names(), "what was given up makes room"
    with two.opened(second) as path:
        assert Path(path).read_bytes() == content(second), "whoever decodes never waits for room"
    three.close()


def test_what_is_larger_than_half_the_bound_is_read_by_range(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    large = source("a", 101 * CHUNK)
    member = Source("s3://bucket/x.tar#a.mp4", 101 * CHUNK, "v", None, 512)
    ahead = Ahead(spool, [large, member], tmp_path)
    with ahead.opened(large) as path:
        assert path == large.uri
    with pytest.raises(SourceError, match="spool_bytes"), ahead.opened(member):
        pass
    assert not store.asked


def test_it_can_be_opened_again_after_a_decoder_died_over_it(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    one = source("a", 10)
    ahead = Ahead(spool, [one], tmp_path)
    for _ in range(2):
        with ahead.opened(one) as path:
            assert Path(path).read_bytes() == content(one)
    assert len(store.asked) == 2


def missing() -> StorageError:
    error = StorageError("no such object")
    error.__cause__ = FileNotFoundError()
    return error


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (StorageError("no answer"), TransferError),
        (missing(), SourceError),
        (InputError("access denied"), SourceError),
    ],
)
def test_a_failure_says_whose_it_is_and_spares_the_next(
    store: Store, spool: Spool, tmp_path: Path, raised: Exception, kind: type[Exception]
) -> None:
    def fail(one: Source, start: int) -> None:
        if one.uri.endswith("a") and start >= 2 * CHUNK:
            raise raised

    store.before = fail
    bad, good = source("a", 5 * CHUNK), source("b", 5 * CHUNK)
    ahead = Ahead(spool, [bad, good], tmp_path)
    with pytest.raises(kind) as failed, ahead.opened(bad):
        pass
    assert type(failed.value) is kind
    with ahead.opened(good) as path:
        assert Path(path).read_bytes() == content(good)
    assert not list(tmp_path.iterdir()), "nothing half-fetched stays"


def test_no_range_writes_after_its_file_was_closed(store: Store, spool: Spool, tmp_path: Path) -> None:
    """A late range would write into whatever file has the number by then."""
    failed, go_on = threading.Event(), threading.Event()

    def stagger(_one: Source, start: int) -> None:
        if start == 0:
            failed.set()
            raise StorageError("no answer")
        failed.wait(10)
        go_on.wait(10)

    store.before = stagger
    one = source("a", 4 * CHUNK)
    ahead = Ahead(spool, [one], tmp_path)
    fetched = ahead._fetched[one.uri]
    assert failed.wait(10)
    threading.Timer(0.3, go_on.set).start()
    assert isinstance(fetched.exception(timeout=10), StorageError)
    victim = tmp_path / "victim"
    handles = [os.open(victim, os.O_RDWR | os.O_CREAT) for _ in range(8)]
    assert go_on.is_set(), "the fetch ended while ranges of it were under way"
    for future in [spool.ranges.submit(threading.Event) for _ in range(8)]:
        future.result(10)
    for handle in handles:
        os.close(handle)
    assert victim.read_bytes() == b""


def test_a_disk_that_takes_only_a_part_is_full_and_not_a_shorter_source(
    store: Store, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pwrite on a disk that is almost full writes what fits and says so in its result alone."""
    room = 700
    real = os.pwrite

    def pwrite(handle: int, data: bytes, start: int) -> int:
        if start >= room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[: room - start], start)

    monkeypatch.setattr(os, "pwrite", pwrite)
    one = source("a", 900)
    with pytest.raises(OSError, match="No space left") as failed, Ahead(spool, [one], tmp_path).opened(one):
        pass
    assert failed.value.errno == errno.ENOSPC
    assert store.names() == {"a"}


def test_giving_up_ends_what_is_under_way(store: Store, spool: Spool, tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold(_one: Source, _start: int) -> None:
        began.set()
        go_on.wait(10)

    store.before = hold
    one = source("a", 90 * CHUNK)
    ahead = Ahead(spool, [one], tmp_path)
    fetched = ahead._fetched[one.uri]
    assert began.wait(10)
    ahead.close()
    go_on.set()
    fetched.exception(timeout=10)
    assert len(store.asked) < 10
    assert spool.reserve(100 * CHUNK), "its room is free again"
