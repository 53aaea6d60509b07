"""The cache of latents: a folder that many processes fill and read at once, without a server or locks.

An entry is the posterior's mean and log-variance of one view of one clip, so a step may draw its own latents.
What else they depend on (the VAE, how it divides time, the type of the numbers, how pictures are scaled) is
the cache's space: a folder of its own, described in its `space.json`. Entries are gathered in memory until a
segment is full (`segment_bytes`), or `flush` is called; until then no other process sees them, and two
that work at once may make the same. A broken entry counts as none: it is logged, and made anew.
Cost: some 300 bytes of memory an entry; one read of a header a segment when the cache is opened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from shards.errors import IntegrityError, StorageError
from train.data.segments import SUFFIX, Moments, Place, index_of, read_entry, write_segment
from train.plan import View

__all__ = ["LatentCache", "Space", "entry_key"]

_LOG = logging.getLogger(__name__)
_SEGMENT_BYTES: Final = 256 << 20
_OPEN_FILES: Final = 64
_LOOK_AGAIN_S: Final = 10.0


def entry_key(clip_id: str, view: View) -> str:
    """Return the key of a view of a clip."""
    return f"{clip_id}-{view.key}"


@dataclass(frozen=True, slots=True)
class Space:
    """What latents depend on besides the clip and the view."""

    vae: str
    """digest of the VAE"""
    rule: Mapping[str, Any]
    """record of the chunk rule"""
    dtype: str
    fitting: int
    """version of how pictures are scaled"""
    noise: tuple[float, float] | None = None
    """of first frames alone: mean and deviation of the logarithm of what was added"""

    def record(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        said = {"vae": self.vae, "rule": dict(self.rule), "dtype": self.dtype, "fitting": self.fitting}
        return said if self.noise is None else {**said, "noise": list(self.noise)}

    @property
    def digest(self) -> str:
        """Name of the space: 16 hex digits."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()[:16]


class LatentCache:
    """Latents of one space, in `folder`/latents/<digest of the space>. May be used from threads.

    Raises StorageError where the folder cannot be written or read.
    """

    def __init__(self, folder: Path, space: Space, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self.folder = folder / "latents" / space.digest
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._places: dict[str, list[Place]] = {}
        self._seen: set[str] = set()
        self._looked_s = 0.0
        self._pending: dict[str, Moments] = {}
        self._pending_bytes = 0
        self._files: OrderedDict[str, int] = OrderedDict()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            described = self.folder / "space.json"
            if not described.exists():
                partial = self.folder / f".space.{os.getpid()}.partial"
                partial.write_text(json.dumps(space.record(), indent=2) + "\n", encoding="utf-8")
                partial.replace(described)
        except OSError as exc:
            raise StorageError(f"{self.folder}: no cache can be kept here: {exc.strerror or exc}") from exc
        with self._lock:
            self._look()

    def __len__(self) -> int:
        """Return the number of entries that are known."""
        with self._lock:
            return len(self._places.keys() | self._pending.keys())

    def __contains__(self, key: str) -> bool:
        """Return whether there is an entry, as far as is known without reading it."""
        with self._lock:
            return self._known(key)

    def get(self, key: str) -> Moments | None:
        """Return an entry, or None where there is none, or none that is whole."""
        while True:
            with self._lock:
                if key in self._pending:
                    return self._pending[key]
                if not self._known(key):
                    return None
                place = self._places[key][-1]
                try:
                    # Duplicated, as another thread may close the file meanwhile.
                    handle = os.dup(self._opened(place.segment))
                except OSError as exc:
                    self._drop(key, place, exc.strerror or str(exc))
                    continue
            try:
                return read_entry(handle, place)
            except (IntegrityError, OSError) as exc:
                with self._lock:
                    self._drop(key, place, str(exc))
            finally:
                os.close(handle)

    def put(self, key: str, moments: Moments) -> None:
        """Keep an entry; on disk once a segment is full."""
        full: dict[str, Moments] = {}
        with self._lock:
            self._pending[key] = moments
            self._pending_bytes += sum(part.nbytes for part in moments if part is not None)
            if self._pending_bytes >= self._segment_bytes:
                full = self._taken()
        self._write(full)

    def flush(self) -> None:
        """Write what is gathered."""
        with self._lock:
            full = self._taken()
        self._write(full)

    def close(self) -> None:
        """Write what is gathered and close the files."""
        self.flush()
        with self._lock:
            for handle in self._files.values():
                os.close(handle)
            self._files.clear()

    def _taken(self) -> dict[str, Moments]:
        """Return what is gathered, and begin anew; it stays readable until it is written."""
        full = dict(self._pending)
        self._pending_bytes = 0
        return full

    def _write(self, full: dict[str, Moments]) -> None:
        if not full:
            return
        name = write_segment(self.folder, full)
        with self._lock:
            self._add(name)
            for key, moments in full.items():
                if self._pending.get(key) is moments:
                    del self._pending[key]

    def _known(self, key: str) -> bool:
        if key in self._pending or self._places.get(key):
            return True
        # Another process may have written it by now. Rarely asked: a listing is dear on a shared disk.
        if monotonic() - self._looked_s > _LOOK_AGAIN_S:
            self._look()
        return bool(self._places.get(key))

    def _look(self) -> None:
        """Take in the segments that are new."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.endswith(SUFFIX))
        except OSError as exc:
            raise StorageError(f"{self.folder}: cannot be read: {exc.strerror or exc}") from exc
        for name in names:
            if name not in self._seen:
                self._add(name)
        self._looked_s = monotonic()

    def _add(self, name: str) -> None:
        self._seen.add(name)
        try:
            places = index_of(self.folder / name)
        except IntegrityError as exc:
            _LOG.warning("%s; what it held is made anew", exc)
            return
        for key, place in places.items():
            self._places.setdefault(key, []).append(place)

    def _drop(self, key: str, place: Place, why: str) -> None:
        _LOG.warning("%s: %s; latents %s are made anew", self.folder / place.segment, why, key)
        self._places[key] = [other for other in self._places[key] if other is not place]

    def _opened(self, segment: str) -> int:
        if segment in self._files:
            self._files.move_to_end(segment)
            return self._files[segment]
        handle = os.open(self.folder / segment, os.O_RDONLY)
        self._files[segment] = handle
        if len(self._files) > _OPEN_FILES:
            os.close(self._files.popitem(last=False)[1])
        return handle
