"""Child processes that never outlive their parent, and one that is watched while it decodes.

Workers and decoders are spawned, not forked: a library with threads of its own survives that. Each asks the
kernel to be killed with its parent, so that a SIGKILL to the driver leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Child", "describe_exit"]

_PR_SET_PDEATHSIG = 1
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_STARTING = threading.Lock()


class Child:
    """A spawned process and the pipe to it.

    `target(connection, *args)` runs in the child and ends when the pipe does. A `leaf` has no children of its
    own, does its arithmetic on one thread (OpenBLAS would start one a core, waiting for each other in busy
    loops), and is ended when the interpreter that started it ends, even if nobody closed it.
    """

    def __init__(self, target: Callable[..., None], *args: object, name: str, leaf: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_enter, args=(os.getpid(), target, theirs, args), name=name, daemon=leaf
        )
        with _STARTING, _without_main(), _one_thread(leaf):
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid or 0

    def send(self, message: Any) -> None:
        """Send a message; OSError when the child is gone."""
        self.connection.send(message)

    def kill(self) -> None:
        """End the child by force; its pipe then closes."""
        self._process.kill()

    def exit_code(self) -> int | None:
        """Wait a moment for the child's end and return its exit code; None while it runs."""
        self._process.join(timeout=5)
        return self._process.exitcode

    def cpu_s(self) -> float:
        """Return the processor time that the child has used; 0 where the system does not say."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except (OSError, ValueError):  # it has ended, or another thread has just closed it
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self, patience_s: float = 0.0) -> None:
        """Close the pipe, wait `patience_s` for the child to end by itself, and kill it if it does not."""
        self.connection.close()
        self._process.join(timeout=patience_s)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()


@contextmanager
def _without_main() -> Iterator[None]:
    """Start a child without the main module: the command line or Ray's worker script, 0.7 s of imports.

    multiprocessing would run it again in each spawned child, for the sake of functions defined there.
    """
    main = sys.modules["__main__"]
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    main.__file__ = main.__spec__ = None
    try:
        yield
    finally:
        main.__file__, main.__spec__ = file, spec


@contextmanager
def _one_thread(wanted: bool) -> Iterator[None]:
    """Start a child whose OpenBLAS has one thread, unless the user has said how many; read at import."""
    if not wanted or _BLAS_THREADS in os.environ:
        yield
        return
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_BLAS_THREADS]


def describe_exit(code: int | None) -> str:
    """Return the words for an exit code: "killed by SIGSEGV", "exit status 1"."""
    if code is None:
        return "not responding"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


def _enter(
    parent: int, target: Callable[..., None], connection: Connection, args: tuple[object, ...]
) -> None:
    """Run in the child: tie its life to the parent's, leave Ctrl-C to the driver, call `target`."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        target(connection, *args)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The other side is gone: there is nobody left to work for.
        os._exit(0)
