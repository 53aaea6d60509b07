"""A clip's latents, and those of its first frame where the model reads one: from caches, or made and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.data.encode import LatentEncoder
from train.data.first_frames import FirstFrames
from train.data.latents import LatentCache
from train.data.segments import Moments

__all__ = ["KeptLatents", "Latents"]

Frames = Callable[[], npt.NDArray[np.uint8]]
"""what reads and decodes a view: (T, H, W, 3)"""


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """Of one view of a clip."""

    video: Moments
    image: Moments | None
    cached: bool
    """nothing had to be decoded"""


class KeptLatents:
    """Latents by the key of a view (`entry_key`). May be used from threads.

    Args:
        latents: makes those of videos.
        cache: where they are kept; None: made each time.
        first_frames: makes those of first frames; None: they are not wanted.
        image_cache: where these are kept, in a space of their own.
    """

    def __init__(
        self,
        latents: LatentEncoder,
        cache: LatentCache | None,
        first_frames: FirstFrames | None,
        image_cache: LatentCache | None,
    ) -> None:
        self._latents, self._cache = latents, cache
        self._first, self._images = first_frames, image_cache

    def get(self, key: str, frames: Frames) -> Latents:
        """Return a view's latents. Decodes at most once; raises as `frames` does."""
        video = None if self._cache is None else self._cache.get(key)
        image = None if self._images is None else self._images.get(key)
        if video is not None and (image is not None or self._first is None):
            return Latents(video, image, cached=True)
        seen_THWC = frames()
        if video is None:
            video = self._latents.encode(seen_THWC)
            if self._cache is not None:
                self._cache.put(key, video)
        if image is None and self._first is not None:
            image = self._first.encode(seen_THWC[0], key)
            if self._images is not None:
                self._images.put(key, image)
        return Latents(video, image, cached=False)

    def __contains__(self, key: str) -> bool:
        """Return whether all that is wanted is kept, as far as is known without reading it."""
        images = self._first is None or (self._images is not None and key in self._images)
        return images and self._cache is not None and key in self._cache

    def close(self) -> None:
        """Write what the caches gathered."""
        for cache in (self._cache, self._images):
            if cache is not None:
                cache.close()
