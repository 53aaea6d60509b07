"""`Batches` over manifests: planned packs are read, decoded and encoded by threads ahead of the loop.

What comes is known before: `coming` gives the (step, packs of this rank) in the order in which they will be
asked for, and the next `ahead` packs of it are under way. What is asked for out of turn is made at once, so
the tensors depend on what is asked and on nothing else. A clip that cannot be read becomes None and is
logged once; a shard that is not there, or a store that fails, stops the run.
Memory: the latents of `ahead` packs, and the frames of one view a worker.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from shards.errors import ClipError, ConfigError
from train.data.batches import LoadedClip, LoadedPack
from train.data.clips import ClipRow, Clips
from train.data.decode import decode
from train.data.decoders import decoder
from train.data.encode import LatentEncoder, SharedText
from train.data.first_frames import FirstFrames
from train.data.kept import KeptLatents, Latents
from train.data.latents import LatentCache, entry_key
from train.plan import PlannedClip, PlannedPack, PlannedStep
from train.text import TextEncoder

__all__ = ["Kept", "Loader", "LoadingStats", "caption_of"]

_LOG = logging.getLogger(__name__)
_MOST_AHEAD: Final = 8
Kept = Literal["made", "there", "failed"]


@dataclass(frozen=True, slots=True)
class LoadingStats:
    """What loading has come to so far."""

    clips: int = 0
    cached: int = 0
    """clips whose latents lay in the cache"""
    failed: int = 0
    """clips that could not be read, each time"""
    waited_s: float = 0.0
    """for how long `load` kept the loop waiting"""


def caption_of(row: ClipRow, caption: int | None) -> str:
    """Return the text of a planned clip; the empty one where its caption is dropped."""
    if caption is None:
        return ""
    text = row.captions[caption] if caption < len(row.captions) else None
    if text is None:
        raise ConfigError(f"clip {row.clip_id}: it has no caption {caption}; plan by the same manifests")
    return text


class Loader:
    """Loads planned packs. Use `close`, or it as a context.

    Args:
        clips: the clips of the planner's manifests.
        text: encoder of the captions (`CachedText` keeps what it gives).
        latents: makes latents.
        cache: where they are kept; None: made each time.
        first_frames: makes latents of first frames, for image-to-video; None: clips come without.
        image_cache: where these are kept.
        coming: the steps and this rank's packs of them, as they will be asked for; None: nothing is known.
        decoder_name: of `train.data.decoders`.
        workers: threads that read and decode.
        ahead: packs that are loaded before they are asked for.
    """

    def __init__(
        self,
        clips: Clips,
        text: TextEncoder,
        latents: LatentEncoder,
        *,
        cache: LatentCache | None = None,
        first_frames: FirstFrames | None = None,
        image_cache: LatentCache | None = None,
        coming: Iterable[tuple[PlannedStep, Sequence[int]]] | None = None,
        decoder_name: str = "av",
        workers: int = 4,
        ahead: int = _MOST_AHEAD,
    ) -> None:
        if workers < 1 or ahead < 1:
            raise ConfigError(f"loader: {workers} workers, {ahead} packs ahead; at least 1 of each is wanted")
        self._clips, self._kept = clips, KeptLatents(latents, cache, first_frames, image_cache)
        self._text = SharedText(text)
        self._decode = decoder(decoder_name)
        self._ahead = ahead
        self._coming: Iterator[tuple[PlannedStep, Sequence[int]]] = iter(coming or ())
        self._queue: deque[_Promised] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._stats = LoadingStats()
        self._fill()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stats(self) -> LoadingStats:
        """What loading has come to so far."""
        with self._lock:
            return self._stats

    def load(self, step: PlannedStep, packs: Sequence[int]) -> list[LoadedPack]:
        """Return those packs of a step, in the order asked for.

        Raises InputError where a shard is not there, StorageError where its store fails, ConfigError for a
        caption that the manifests do not have.
        """
        begin_s = perf_counter()
        promised = [self._take(step, number) for number in packs]
        self._fill()
        loaded = [one.wait() for one in promised]
        with self._lock:
            self._stats = replace(self._stats, waited_s=self._stats.waited_s + perf_counter() - begin_s)
        return loaded

    def close(self) -> None:
        """Stop the threads, write what the cache gathered, and let go of the files."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._queue.clear()
        self._kept.close()
        self._clips.close()

    def frames(self, clip: PlannedClip) -> npt.NDArray[np.uint8]:
        """Return what is seen of a clip: frames (T, H, W, 3), uint8. Raises SourceError, as `Clips.read`."""
        row = self._clips.row(clip.row)
        return decode(self._clips.read(row), clip.view, row.shown, self._decode, row.rolls)

    def latents(self, clip: PlannedClip) -> Latents:
        """Return the latents of a clip, from the caches or made and kept. Raises as `frames` does."""
        key = entry_key(self._clips.row(clip.row).clip_id, clip.view)
        found = self._kept.get(key, lambda: self.frames(clip))
        if found.cached:
            self._count(cached=1)
        return found

    def keep(self, clip: PlannedClip) -> Kept:
        """See to it that a clip's latents and text are in the caches. Raises as `load` does."""
        row = self._clips.row(clip.row)
        self._text.encode(caption_of(row, clip.caption))
        if entry_key(row.clip_id, clip.view) in self._kept:
            return "there"
        return "failed" if self._latents_or_none(row, clip) is None else "made"

    def _take(self, step: PlannedStep, number: int) -> _Promised:
        """Return the pack that is under way, or begin it: a held-out step's is not among those to come."""
        plan = step.packs[number]
        wanted = step.number, number
        found = next((one for one in self._queue if one.key == wanted and one.plan == plan), None)
        if found is None:
            return _Promised(wanted, plan, self._begun(plan))
        for stale in [one for one in self._queue if one.key[0] < step.number]:
            stale.cancel()  # was not asked for after all
            self._queue.remove(stale)
        self._queue.remove(found)
        return found

    def _fill(self) -> None:
        while len(self._queue) < self._ahead:
            found = next(self._coming, None)
            if found is None:
                return
            step, packs = found
            for number in packs:
                plan = step.packs[number]
                self._queue.append(_Promised((step.number, number), plan, self._begun(plan)))

    def _begun(self, plan: PlannedPack) -> list[Future[LoadedClip | None]]:
        return [self._pool.submit(self._loaded, clip) for clip in plan.clips]

    def _loaded(self, clip: PlannedClip) -> LoadedClip | None:
        row = self._clips.row(clip.row)
        text_UE = self._text.encode(caption_of(row, clip.caption))
        found = self._latents_or_none(row, clip)
        return None if found is None else LoadedClip(row.clip_id, *found.video, text_UE, found.image)

    def _latents_or_none(self, row: ClipRow, clip: PlannedClip) -> Latents | None:
        """Return the latents of a clip; None, and said once, where it cannot be read."""
        try:
            found = self.latents(clip)
        except ClipError as exc:
            self._count(clips=1, failed=1)
            with self._lock:
                known = row.clip_id in self._told
                self._told.add(row.clip_id)
            if not known:
                _LOG.warning("clip %s cannot be read and counts for nothing: %s", row.clip_id, exc)
            return None
        self._count(clips=1)
        return found

    def _count(self, *, clips: int = 0, cached: int = 0, failed: int = 0) -> None:
        with self._lock:
            said = self._stats
            self._stats = replace(
                said,
                clips=said.clips + clips,
                cached=said.cached + cached,
                failed=said.failed + failed,
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Promised:
    """A pack under way."""

    key: tuple[int, int]
    """number of the step, and of the pack in it"""
    plan: PlannedPack
    clips: list[Future[LoadedClip | None]]

    def wait(self) -> LoadedPack:
        return LoadedPack(self.plan, tuple(future.result() for future in self.clips))

    def cancel(self) -> None:
        for future in self.clips:
            future.cancel()
