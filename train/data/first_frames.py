"""What an image-to-video model is shown of a clip: latents of its first frame, noise added to the pixels.

The noise is keyed by the clip and its view alone: latents may be kept, and another visit, which starts
elsewhere in the clip, has other noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from train.data.encode import LatentEncoder, video_of
from train.data.latents import Space
from train.data.segments import Moments
from train.recipe import FirstFrame

__all__ = ["FirstFrames", "noisy_pixels"]


def noisy_pixels(frame_HWC: npt.NDArray[np.uint8], key: str, given: FirstFrame) -> Tensor:
    """Return a frame (3, H, W), float32, -1 … 1, and beyond where noise was added."""
    seed = int.from_bytes(hashlib.sha256(f"first frame\0{key}".encode()).digest()[:16], "little")
    random = np.random.Generator(np.random.Philox(key=seed))
    deviation = np.exp(random.normal(given.noise_mean, given.noise_deviation))
    pixels_CHW = video_of(frame_HWC[None])[0, :, 0]
    drawn = random.standard_normal(tuple(pixels_CHW.shape), dtype=np.float32)
    return pixels_CHW + torch.from_numpy(drawn) * float(deviation)


class FirstFrames:
    """Makes latents of first frames. `space`: what they depend on besides the clip and the view."""

    def __init__(self, latents: LatentEncoder, given: FirstFrame) -> None:
        self._latents, self._given = latents, given
        self.space: Space = replace(latents.space, noise=(given.noise_mean, given.noise_deviation))

    def encode(self, frame_HWC: npt.NDArray[np.uint8], key: str) -> Moments:
        """Return mean and log-variance (C, 1, h, w) of a frame of the view `key` (`entry_key`)."""
        return self._latents.encode_image(noisy_pixels(frame_HWC, key, self._given))
