"""Filling the caches ahead of training: the latents and texts of clips that a plan will ask for.

Made to be stopped and started again: what is there is passed over. Memory: the frames of one view a worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from train.data.loader import Kept, Loader
from train.plan import PlannedClip, PlannedStep

__all__ = ["fill", "share_of"]


def share_of(
    steps: Iterable[PlannedStep], rank: int, ranks: int
) -> Iterator[tuple[PlannedStep, list[PlannedClip]]]:
    """Yield of each step what this process is to make: every `ranks`-th view that no step before had.

    Memory: two numbers a distinct view.
    """
    seen: set[tuple[int, str]] = set()
    for step in steps:
        mine = []
        for clip in step.clips:
            key = clip.row, clip.view.key
            if key not in seen:
                if len(seen) % ranks == rank:
                    mine.append(clip)
                seen.add(key)
        yield step, mine


def fill(loader: Loader, clips: Iterable[PlannedClip], workers: int) -> Iterator[tuple[PlannedClip, Kept]]:
    """Yield clips, in order, with what was done: their latents and text are in the caches now, or cannot be.

    Raises as `Loader.load` does.
    """
    waiting: deque[tuple[PlannedClip, Future[Kept]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="filling") as pool:
        try:
            for clip in clips:
                waiting.append((clip, pool.submit(loader.keep, clip)))
                if len(waiting) > 2 * workers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
