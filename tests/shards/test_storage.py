from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shards.errors import InputError, StorageError
from shards.scratch import SCRATCH
from shards.storage import Storage, beside, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(tmp_path / "a run").create()


def test_a_written_file_reads_back_whole_and_by_range(storage: Storage) -> None:
    storage.write("a/b.bin", b"0123456789")
    assert storage.read("a/b.bin") == b"0123456789"
    assert storage.read("a/b.bin", 3, 4) == b"3456"
    assert storage.read("a/b.bin", 8) == b"89"
    with storage.open_read("a/b.bin") as file:
        file.seek(5)
        assert file.read() == b"56789"


def test_a_range_past_the_end_is_an_error_that_says_truncated(storage: Storage) -> None:
    storage.write("x", b"0123")
    with pytest.raises(StorageError, match="ends 2 bytes before 6; the file was truncated"):
        storage.read("x", 2, 4)


def test_listing_is_sorted_relative_and_without_scratch(storage: Storage) -> None:
    for path in ("b/2", "b/1", "a", "b-c"):
        storage.write(path, path.encode())
    with storage.scratch() as folder:
        (folder / "half").write_bytes(b"x")
        assert [entry.path for entry in storage.list()] == ["a", "b-c", "b/1", "b/2"]
    assert [(entry.path, entry.bytes) for entry in storage.list("b")] == [("b/1", 3), ("b/2", 3)]
    assert list(storage.list("nothing/here")) == []


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_a_path_cannot_leave_the_root(storage: Storage, path: str) -> None:
    with pytest.raises(InputError, match="leaves the run"):
        storage.write(path, b"")


def test_an_exception_while_writing_leaves_the_old_file_and_no_scratch(storage: Storage) -> None:
    storage.write("x", b"old")

    def interrupted() -> None:
        with storage.writing("x") as file:
            file.write(b"half of the ne")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert storage.read("x") == b"old"
    assert list(storage.local(SCRATCH).iterdir()) == []


def test_sweep_removes_scratch_of_dead_processes_only(storage: Storage) -> None:
    script = (
        "import sys, time; from shards.storage import open_storage\n"
        "with open_storage(sys.argv[1]).scratch() as folder:\n"
        "    (folder / 'big').write_bytes(b'x'); print(folder.name, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(storage.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        other_host = storage.local(SCRATCH) / "elsewhere-1-0a"
        other_host.mkdir()
        with storage.scratch() as mine:
            assert storage.sweep() == ()
            child.send_signal(signal.SIGKILL)
            child.wait()
            assert storage.sweep() == (f"{SCRATCH}/{name}",)
            assert mine.is_dir()
            assert other_host.is_dir()


def test_sweep_spares_a_lock_holder_whose_process_id_it_cannot_see(storage: Storage) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with storage.scratch() as mine:
        # As if the owner ran in another container of this host: its number means nothing here.
        hidden = mine.rename(mine.parent / f"{socket.gethostname()}-{dead.pid}-0b")
        assert storage.sweep() == ()
    assert storage.sweep() == (f"{SCRATCH}/{hidden.name}",)


def test_a_full_disk_is_one_line_that_says_so(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"^disk full while writing '.*a run/x': free some space"):
        storage.write("x", b"data")
    assert not storage.exists("x")


def test_a_real_limit_on_file_size_is_a_storage_error(tmp_path: Path) -> None:
    script = (
        "import sys, signal, resource; from shards.storage import open_storage\n"
        "from shards.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "import pyarrow as pa; from shards.tables import write_table\n"
        "table = pa.table({'x': list(range(10000))})\n"
        "for write in (lambda s: s.write('x', bytes(5000)), lambda s: write_table(s, 'x', table, {})):\n"
        "    try: write(open_storage(sys.argv[1]))\n"
        "    except StorageError as exc: print(exc)\n"
    )
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("File too large while writing") == 2, done.stdout + done.stderr


def test_a_missing_file_and_an_unwritable_root_are_clear(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such file while reading"):
        storage.read("nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="a file stands where a folder should"):
        open_storage(tmp_path / "file" / "run").create()


def test_beside_follows_relative_paths(storage: Storage) -> None:
    storage.write("clips/a.tar", b"abc")
    other, name = beside(storage.local("shards/x/manifest.parquet"), "../../clips/a.tar")
    assert other.read(name) == b"abc"


def test_deleting_and_pruning(storage: Storage) -> None:
    storage.write("a/b/c", b"")
    storage.write("a/d", b"")
    storage.delete("a/b/c")
    storage.delete("a/b/c")
    storage.prune("a")
    assert not storage.local("a/b").exists()
    assert storage.exists("a/d")
    storage.delete_tree("a")
    storage.delete_tree("a")
    assert storage.entry("a/d") is None
