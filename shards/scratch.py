"""Folders for what is half done: one a writer, removed on leaving, swept when their owner has died.

Each lies in `.tmp` of a folder on a local disk and is named <host>-<pid>-<random>. Its lock file is held for
as long as its owner (or a child of it) lives, so that owners in other containers of a host are seen too.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["SCRATCH", "scratch_folder", "sweep_scratch"]

SCRATCH = ".tmp"


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """Yield a fresh folder below `root`; it is removed on leaving. Raises OSError."""
    folder = root / SCRATCH / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with suppress(OSError):  # a file system without locks: `sweep_scratch` then goes by the process id
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch(root: Path) -> tuple[str, ...]:
    """Remove the scratch folders below `root` whose process on this host has died; return their names."""
    removed = []
    top = root / SCRATCH
    for folder in sorted(top.iterdir()) if top.is_dir() else []:
        host, _, rest = folder.name.rpartition("-")[0].rpartition("-")
        if host == socket.gethostname() and rest.isdigit() and not _alive(int(rest), folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(f"{SCRATCH}/{folder.name}")
    return tuple(removed)


def _alive(pid: int, folder: Path) -> bool:
    """Say whether the owner of a scratch folder lives, also in another container of this host."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, 0)
        return True
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False
