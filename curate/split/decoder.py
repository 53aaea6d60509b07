"""The supervised decoder: a child process that scans sources, and the worker's side of the pipe to it.

A hostile file may crash the decoder, fill the memory or never end. Whatever it does it does to the child,
which has an address-space limit, is watched for silence and for total time, and is replaced when it dies.
One child serves many sources. Cost: the clips' bytes cross a pipe.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import monotonic
from typing import TypeAlias

import cv2

from curate.processes import Child, describe_exit
from curate.records import Failure
from curate.split.events import Event, SourceScanned
from curate.split.scan import scan_source
from curate.split.stage import Split, SplitOptions
from shards.errors import DecodeLimitError

__all__ = ["Broken", "Decoder", "DecoderDiedError", "Limits", "Refused"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may cost before its decoder is killed."""

    stall_limit_s: float
    time_limit_s: float
    address_space: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the source could be read."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Broken:
    """The detector or a signal cannot even be built."""

    message: str


class DecoderDiedError(Exception):
    """The child died: of the source, or of something else. Worth another try."""


Message: TypeAlias = "Event | Refused | Broken"


class Decoder:
    """The worker's handle on its decoder child."""

    def __init__(self, options: SplitOptions, limits: Limits) -> None:
        self._options = options
        self._limits = limits
        self._child: Child | None = None

    def scan(self, uri: str, path: str) -> Iterator[Message]:
        """Yield what the child says of the source, to its end.

        Raises DecoderDiedError when the child dies, DecodeLimitError when it had to be killed.
        """
        child = self._child = self._child or self._spawn()
        started_s = monotonic()
        try:
            child.send((uri, path))
            while True:
                self._await(child, started_s + self._limits.time_limit_s)
                message: Message = child.connection.recv()
                yield message
                if isinstance(message, (SourceScanned, Refused, Broken)):
                    return
        except (EOFError, OSError) as exc:
            how = describe_exit(child.exit_code())
            self.close()
            raise DecoderDiedError(f"the decoder was {how}") from exc
        except GeneratorExit:
            # The consumer gave up in the middle (disk full, say): what the child still sends has no reader.
            self.close()
            raise

    def cpu_s(self) -> float:
        """Return the processor time that the child has used; 0 while there is none."""
        child = self._child  # another thread may close it
        return child.cpu_s() if child else 0.0

    @property
    def pid(self) -> int:
        """The child's process id; 0 while there is none."""
        return self._child.pid if self._child else 0

    def _await(self, child: Child, deadline_s: float) -> None:
        """Wait for a message; kill the child and raise DecodeLimitError when it takes too long.

        Silence is allowed while the child works (a long transcode says nothing until it is done): only a
        child that has also used no processor time is stalled.
        """
        stall_s = self._limits.stall_limit_s
        cpu_s = child.cpu_s()
        while not child.connection.poll(max(0.0, min(stall_s, deadline_s - monotonic()))):
            used_s = child.cpu_s() - cpu_s
            cpu_s += used_s
            if monotonic() >= deadline_s:
                self.close()
                raise DecodeLimitError(f"not read within time_limit_s ({self._limits.time_limit_s:g} s)")
            if used_s < 0.01 * stall_s:
                self.close()
                raise DecodeLimitError(f"the decoder stood still for stall_limit_s ({stall_s:g} s)")

    def _spawn(self) -> Child:
        return Child(_serve, self._options, self._limits.address_space, name="curate-decoder", leaf=True)

    def close(self) -> None:
        """End the child; safe at any time."""
        if self._child is not None:
            self._child.close()
            self._child = None


def _serve(connection: Connection, options: SplitOptions, address_space: int) -> None:
    """Run in the child: answer each (uri, path) with the events of its scan."""
    # One thread a core is the pool's business: OpenCV's own would only get in each other's way.
    cv2.setNumThreads(1)
    split = Split(options)
    _limit_memory(address_space)
    while True:
        uri, path = connection.recv()
        try:
            eyes = split.eyes()
        except Exception as exc:
            # Before the source is even opened: that is the program's fault, and every source's fate.
            connection.send(Broken(f"{type(exc).__name__}: {exc}"))
            continue
        try:
            for event in scan_source(split.options, eyes, uri, path):
                connection.send(event)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except MemoryError:
            limit = f"needs more than address_space ({address_space / 2**20:.0f} MiB)"
            connection.send(Refused(Failure(DecodeLimitError.__name__, limit)))
        except Exception as exc:
            # Here a stage meets a source: whatever this one provokes must not stop the others.
            connection.send(Refused(Failure.of(exc)))


def _limit_memory(address_space: int) -> None:
    used = _mapped_bytes()
    soft = used + address_space
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _mapped_bytes() -> int:
    """Return what is mapped already: libraries, not the source's doing."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
