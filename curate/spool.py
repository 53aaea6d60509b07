"""Sources that lie elsewhere, brought to this machine's disk one ahead of the decoder.

A source is read whole anyway (its id is a hash of its content), so it is fetched once, by several ranges at a
time, and opened as a file; measured against reading by range in docs/decisions/0007. What is larger than half
the bound is read by range instead. The bound holds for all sources that one worker has on disk at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from curate.records import Source
from curate.sources.names import local_path
from curate.sources.reading import lies_here, read_source
from curate.transfer import clip_error
from shards.errors import InputError, SourceError, StorageError

__all__ = ["Ahead", "Spool"]

_CHUNK = 8 << 20
_RANGES = 4


class Spool:
    """What the units of one worker share: threads and the bound."""

    def __init__(self, limit_bytes: int) -> None:
        self.largest = limit_bytes // 2
        self._early = 0
        self._lock = threading.Lock()
        self.fetchers = ThreadPoolExecutor(2, thread_name_prefix="fetch")
        self.ranges = ThreadPoolExecutor(_RANGES, thread_name_prefix="range")

    def reserve(self, size: int) -> bool:
        """Take `size` bytes for a source that is fetched early, if there is room: half of the bound.

        The other half is for the one source that is being decoded: nobody ever waits for room.
        """
        with self._lock:
            if self._early + size > self.largest:
                return False
            self._early += size
            return True

    def release(self, size: int) -> None:
        """Give back what was reserved."""
        with self._lock:
            self._early -= size

    def close(self) -> None:
        """Let go of the threads; what they still fetch is of no use to anybody."""
        self.fetchers.shutdown(wait=False, cancel_futures=True)
        self.ranges.shutdown(wait=False, cancel_futures=True)


class Ahead:
    """The sources of one unit, in the order in which they are decoded, the next one fetched early."""

    def __init__(self, spool: Spool, sources: Sequence[Source], folder: Path) -> None:
        self._spool = spool
        self._folder = folder
        self._wanted = [s for s in sources if not lies_here(s) and 0 < s.bytes <= spool.largest]
        self._fetched: dict[str, Future[Path]] = {}
        self._past: set[str] = set()
        self._reserved: dict[str, int] = {}
        self._given_up = threading.Event()
        self._begin_next()

    def _begin_next(self) -> None:
        """Begin to fetch the first source that nobody has asked for, if there is room."""
        seen = self._past | set(self._fetched)
        waiting = next((s for s in self._wanted if s.uri not in seen), None)
        if waiting is not None and self._spool.reserve(waiting.bytes):
            self._reserved[waiting.uri] = waiting.bytes
            self._fetched[waiting.uri] = self._spool.fetchers.submit(self._fetch, waiting)

    def _fetch(self, source: Source) -> Path:
        """Copy the source to the unit's folder: whole, or not at all."""
        target = self._folder / f"source-{self._wanted.index(source)}"
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

        def copy(start: int) -> None:
            if not self._given_up.is_set():
                _write(handle, read_source(source, start, min(_CHUNK, source.bytes - start)), start)

        copies: list[Future[None]] = []
        try:
            for start in range(0, source.bytes, _CHUNK):
                copies.append(self._spool.ranges.submit(copy, start))
            for one in copies:
                one.result()
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            # Not before the last one has ended: by then the number may be that of another file.
            wait([one for one in copies if not one.cancel()])
            os.close(handle)
        return target

    @contextmanager
    def opened(self, source: Source) -> Iterator[str]:
        """Yield what opens the source: a path, or a URI for one that is read by range.

        Raises SourceError when it is not there or access is denied, TransferError when the store does not
        answer, OSError when this machine's disk is full.
        """
        if lies_here(source):
            yield local_path(source.uri)
            return
        if source not in self._wanted:
            if source.offset is not None and source.bytes:
                raise SourceError("a member of a tar larger than half of spool_bytes; raise it")
            yield source.uri
            return
        if source.uri not in self._fetched:
            self._fetched[source.uri] = self._spool.fetchers.submit(self._fetch, source)
        self._past.add(source.uri)
        try:
            path = self._fetched[source.uri].result()
        except (InputError, StorageError) as exc:
            raise clip_error(exc) from exc
        finally:
            # Whoever asks again, because the decoder died over it, has it fetched again.
            del self._fetched[source.uri]
            if source.uri in self._reserved:
                self._spool.release(self._reserved.pop(source.uri))
            self._begin_next()
        try:
            yield str(path)
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up what was fetched early and not asked for."""
        self._given_up.set()
        for uri, fetched in self._fetched.items():
            fetched.cancel()
            if uri in self._reserved:
                self._spool.release(self._reserved.pop(uri))


def _write(handle: int, data: bytes, start: int) -> None:
    """Write every byte of `data` at `start`.

    On a disk that is almost full one call takes a part of it without a word; the next one says why.
    """
    left = memoryview(data)
    while left:
        written = os.pwrite(handle, left, start)
        left, start = left[written:], start + written
