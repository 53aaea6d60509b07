"""Storage over an S3 protocol server, well and badly behaved."""

from __future__ import annotations

import errno
import io
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
from object_store import BUCKET, KINDS, Faults, ObjectStore

from shards import object_client, object_storage
from shards.errors import InputError, StorageError
from shards.object_storage import READ_AHEAD
from shards.scratch import SCRATCH
from shards.storage import Storage, fetch, open_storage

PART_BYTES = 10 << 20  # of pyarrow's writer
NAMES = ["a b", "ü-日本", "100%", "%41", "a+b", "#1", "what?", "x=1&y=2", "'quoted\"", "[a]*", "a\\b", "~."]
pytestmark = pytest.mark.usefixtures("s3_environment")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give up on a silent answer sooner; clients are made anew."""
    monkeypatch.setattr(object_client, "SILENCE_S", 1.0)
    object_client.connect.cache_clear()
    yield
    object_client.connect.cache_clear()


def source(tmp_path: Path, size: int, seed: int = 0) -> tuple[Path, bytes]:
    data = random.Random(seed).randbytes(size)
    path = tmp_path / f"source-{seed}"
    path.write_bytes(data)
    return path, data


# -- reading, listing, deleting ---------------------------------------------------------------------------


def test_a_written_object_reads_back_whole_and_by_range(storage: Storage) -> None:
    storage.write("a/b.bin", b"0123456789")
    assert storage.read("a/b.bin") == b"0123456789"
    assert storage.read("a/b.bin", 3, 4) == b"3456"
    assert storage.read("a/b.bin", 8) == b"89"
    assert storage.read("a/b.bin", 10) == b""
    with storage.open_read("a/b.bin") as file:
        file.seek(5)
        assert file.read() == b"56789"
    entry = storage.entry("a/b.bin")
    assert entry is not None
    assert (entry.path, entry.bytes) == ("a/b.bin", 10)
    assert entry.mtime_ns > 10**18
    storage.write("empty", b"")
    assert storage.read("empty") == b""
    assert storage.exists("empty")
    assert not storage.exists("a")


def test_a_range_past_the_end_is_an_error_that_says_truncated(storage: Storage) -> None:
    storage.write("x", b"0123")
    with pytest.raises(StorageError, match="ends 2 bytes before 6; the object was truncated"):
        storage.read("x", 2, 4)


def test_a_large_object_is_opened_as_a_file_of_ranges(
    storage: Storage, tmp_path: Path, faults: Faults
) -> None:
    path, data = source(tmp_path, 2 * READ_AHEAD + 1000)
    storage.put(path, "big")
    before = faults.requests["GET"]
    with storage.open_read("big") as file:
        file.seek(-500, io.SEEK_END)
        assert file.read() == data[-500:]
        file.seek(READ_AHEAD - 5)
        assert file.read(10) == data[READ_AHEAD - 5 : READ_AHEAD + 5]
        assert file.tell() == READ_AHEAD + 5
    assert faults.requests["GET"] - before <= 3
    fetch(storage, "big", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


def test_listing_goes_on_past_a_page(store: ObjectStore, storage: Storage) -> None:
    client, prefix = store.client, storage.root.removeprefix(f"s3://{BUCKET}/")
    names = [f"many/{n % 7}/{n:04d}" for n in range(1100)]
    for name in names:
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=name.encode())
    storage.write("many-more", b"not below the folder `many`")
    assert [(entry.path, entry.bytes) for entry in storage.list("many")] == [(n, 11) for n in sorted(names)]
    assert len(list(storage.list())) == 1101
    assert list(storage.list("nothing/here")) == []
    with storage.scratch():
        assert [entry.path for entry in storage.sub("many").list("6")][-1] == "6/1098"


def test_odd_names_are_names(storage: Storage) -> None:
    for name in NAMES:
        storage.write(f"{name}/{name}", name.encode())
    assert [entry.path for entry in storage.list()] == sorted(f"{name}/{name}" for name in NAMES)
    for name in NAMES:
        assert storage.read(f"{name}/{name}") == name.encode()
        assert storage.sub(name).read(name) == name.encode()
        assert [entry.path for entry in storage.list(name)] == [f"{name}/{name}"]
        storage.delete(f"{name}/{name}")
    assert list(storage.list()) == []


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_a_path_cannot_leave_the_root(storage: Storage, path: str) -> None:
    with pytest.raises(InputError, match="leaves the run"):
        storage.write(path, b"")


def test_deleting_what_is_not_there_is_no_error(storage: Storage) -> None:
    for path in ("a/b/c", "a/d", "ab"):
        storage.write(path, b"x")
    storage.delete("a/b/c")
    storage.delete("a/b/c")
    assert [entry.path for entry in storage.list()] == ["a/d", "ab"]
    storage.delete_tree("a")
    storage.delete_tree("a")
    storage.prune("a")
    assert [entry.path for entry in storage.list()] == ["ab"]
    with pytest.raises(StorageError, match=r"no such object while reading 's3://.*a/d'"):
        storage.read("a/d")
    with pytest.raises(StorageError, match="no such object"):
        storage.open_read("a/d")


# -- writing ----------------------------------------------------------------------------------------------


def test_a_put_in_parts_is_whole(store: ObjectStore, storage: Storage, tmp_path: Path) -> None:
    path, data = source(tmp_path, 2 * PART_BYTES + 12345)
    storage.put(path, "big")
    assert store.objects(storage.root.removeprefix(f"s3://{BUCKET}/")) == {"big": data}
    assert storage.read("big", PART_BYTES - 10, 20) == data[PART_BYTES - 10 : PART_BYTES + 10]
    with storage.writing("written") as file:
        file.write(data[100:])
        file.seek(0)
        file.write(b"head")
    assert storage.read("written") == b"head" + data[104:]


class _Breaking(io.FileIO):
    """A file on a disk that fails after one part and a bit."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > PART_BYTES:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(-1 if size is None else size) or b""


def test_a_put_whose_source_breaks_off_leaves_no_object(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = source(tmp_path, 3 * PART_BYTES)
    with monkeypatch.context() as patch:
        patch.setattr(object_storage, "open", lambda name, _: _Breaking(name), raising=False)
        with pytest.raises(StorageError, match="Input/output error"):
            storage.put(path, "big")
    assert list(storage.list()) == []
    storage.write("small", b"still works")
    assert next(iter(storage.list())).path == "small"


def test_nor_does_it_when_the_process_ends(store: ObjectStore, storage: Storage, tmp_path: Path) -> None:
    path, _ = source(tmp_path, 3 * PART_BYTES)
    script = (
        "import sys; from shards.storage import open_storage\n"
        "from shards import object_storage\n"
        "class Breaking:\n"
        "    def __init__(self, file): self.file = file\n"
        "    def __enter__(self): return self\n"
        "    def __exit__(self, *_): self.file.close()\n"
        "    def read(self, size):\n"
        "        if self.file.tell() > 10 << 20: raise KeyboardInterrupt\n"
        "        return self.file.read(size)\n"
        "object_storage.open = lambda name, mode: Breaking(open(name, mode))\n"
        "open_storage(sys.argv[1]).put(sys.argv[2], 'big')\n"
    )
    command = [sys.executable, "-c", script, storage.root, path]
    begun = store.unfinished()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "KeyboardInterrupt" in done.stderr
    assert store.unfinished() == begun + 1
    assert list(storage.list()) == []


def test_an_exception_while_writing_leaves_the_old_object_and_no_scratch(
    storage: Storage, tmp_path: Path
) -> None:
    storage.write("x", b"old")

    def interrupted() -> None:
        with storage.writing("x") as file:
            file.write(b"half of the ne")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert storage.read("x") == b"old"
    assert list((tmp_path / "scratch" / SCRATCH).iterdir()) == []


def test_two_that_put_the_same_object_leave_one_of_them_whole(storage: Storage, tmp_path: Path) -> None:
    sources = [source(tmp_path, PART_BYTES + 100, seed) for seed in range(2)]
    failed: list[StorageError] = []

    def put(path: Path) -> None:
        try:
            storage.put(path, "same")
        except StorageError as exc:
            failed.append(exc)

    threads = [threading.Thread(target=put, args=[path]) for path, _ in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert storage.read("same") in [data for _, data in sources]


# -- scratch ----------------------------------------------------------------------------------------------


def test_scratch_lies_where_the_environment_says_and_is_swept(storage: Storage, tmp_path: Path) -> None:
    script = (
        "import sys, time; from shards.storage import open_storage\n"
        "with open_storage(sys.argv[1]).scratch() as folder: print(folder, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, storage.root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        assert folder.parent == tmp_path / "scratch" / SCRATCH
        with storage.scratch() as mine:
            assert mine.parent == folder.parent
            assert storage.sweep() == ()
            child.kill()
            child.wait()
            assert storage.sweep() == (f"{SCRATCH}/{folder.name}",)
            assert mine.is_dir()
        assert not mine.exists()
    assert list(storage.list()) == []


def test_a_full_scratch_disk_says_so(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    monkeypatch.setenv("CURATE_SCRATCH", str(small))
    try:
        with (
            pytest.raises(StorageError, match=r"^disk full in '.*small': .*CURATE_SCRATCH$") as caught,
            storage.writing("x") as file,
        ):
            file.write(bytes(1 << 20))
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.ENOSPC
        assert not storage.exists("x")
        with storage.writing("x") as file:
            file.write(b"little")
        assert storage.read("x") == b"little"
    finally:
        subprocess.run(["umount", small], check=True)


# -- a store that misbehaves ------------------------------------------------------------------------------


def test_what_is_done_through_errors_and_drops_ends_right(
    storage: Storage, faults: Faults, tmp_path: Path
) -> None:
    faults.error_500 = faults.slow = faults.drop_before = faults.drop_middle = 0.05
    faults.drop_head = 0.02
    faults.injected.clear()
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda n: mixed(storage.sub(str(n)), tmp_path, n), range(4)))
    assert min(faults.injected[kind] for kind in KINDS if kind != "denied") > 3
    faults.stop()
    left = {entry.path: storage.read(entry.path) for entry in storage.list()}
    assert left == {f"{n}/{name}": data for n, model in enumerate(models) for name, data in model.items()}


def mixed(storage: Storage, tmp_path: Path, seed: int) -> dict[str, bytes]:
    """Do fifty operations, look at what each returns, and return what must be there in the end."""
    draw = random.Random(seed)
    model: dict[str, bytes] = {}
    kinds = ["write", "write", "put", "read", "range", "list", "entry", "delete"]
    for number in range(50):
        name, kind = f"{draw.randrange(2)}/{draw.randrange(5)}", draw.choice(kinds)
        if kind == "write":
            model[name] = draw.randbytes(draw.randrange(3000))
            storage.write(name, model[name])
        elif kind == "put":
            path, model[name] = source(tmp_path, draw.randrange(100_000), 100 * seed + number)
            storage.put(path, name)
        elif kind == "range" and name in model:
            begin = draw.randrange(len(model[name]) + 1)
            end = draw.randrange(begin, len(model[name]) + 1)
            assert storage.read(name, begin, end - begin) == model[name][begin:end]
        elif kind == "list":
            expected = sorted((key, len(data)) for key, data in model.items() if key[0] == name[0])
            assert [(entry.path, entry.bytes) for entry in storage.list(name[0])] == expected
        elif kind == "entry":
            entry = storage.entry(name)
            assert (None if entry is None else entry.bytes) == (len(model[name]) if name in model else None)
        elif kind == "delete":
            storage.delete(name)
            model.pop(name, None)
        else:
            assert_reads(storage, name, model)
    return model


def assert_reads(storage: Storage, name: str, model: dict[str, bytes]) -> None:
    if name in model:
        assert storage.read(name) == model[name]
        return
    with pytest.raises(StorageError, match="no such object"):
        storage.read(name)


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_ends_in_its_head_is_not_that_of_an_empty_object(
    storage: Storage, faults: Faults
) -> None:
    """A connection closed, in order, after some of the head: pyarrow takes that for an answer."""
    data = bytes(range(1, 251)) * 40
    storage.write("x", data)
    faults.drop_head = 0.15
    for _ in range(30):
        assert storage.read("x") == data
        assert storage.read("x", 100, 4000) == data[100:4100]
        entry = storage.entry("x")
        assert entry is not None
        assert entry.bytes == len(data)
        assert [found.path for found in storage.list()] == ["x"]
    assert faults.injected["drop_head"] > 5


def test_a_frozen_store_is_waited_for(store: ObjectStore) -> None:
    storage = open_storage(f"s3://{BUCKET}/frozen")
    storage.write("x", b"before")
    store.freeze()
    thaw = threading.Timer(3.0, store.thaw)
    thaw.start()
    begun_s = monotonic()
    try:
        assert storage.read("x") == b"before"
        assert monotonic() - begun_s > 2.5
    finally:
        store.thaw()
        thaw.cancel()
    storage.write("x", b"after")
    assert storage.read("x") == b"after"
