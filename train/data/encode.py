"""Frames → latents by the VAE; texts → embeddings. One at a time: threads of a loader share the device."""

from __future__ import annotations

import hashlib
import math
import threading
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shards.errors import ConfigError
from train.data.fitting import VERSION
from train.data.latents import Space
from train.data.segments import Moments
from train.text import TextEncoder
from train.vae import RELEASED, AnyVae, ChunkRule

__all__ = ["LatentEncoder", "SharedText", "vae_digest", "video_of"]

_POINT: Final = -30.0
"""the least log-variance that a posterior says; where all are, it is a point"""
_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def vae_digest(vae: AnyVae) -> str:
    """Return the hash of a VAE's configuration, dtype and weights: 16 hex digits. Reads all of them."""
    made = hashlib.sha256(repr(vae.config).encode())
    for name, tensor in sorted(vae.state_dict().items()):
        made.update(f"{name} {tensor.dtype}".encode())
        made.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return made.hexdigest()[:16]


def video_of(frames_THWC: npt.NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """Return frames as the VAE reads them: (1, 3, T, H, W), float32, -1 … 1."""
    moved = torch.from_numpy(frames_THWC).to(device)
    return moved.permute(3, 0, 1, 2)[None].float() / 127.5 - 1


class LatentEncoder:
    """What makes latents: a VAE, how it divides time, and the type in which they are kept.

    Raises ConfigError for another `dtype` than float32 and bfloat16.
    """

    def __init__(self, vae: AnyVae, *, rule: ChunkRule = RELEASED, dtype: str = "bfloat16") -> None:
        if dtype not in _DTYPES:
            raise ConfigError(f"latents in {dtype}: one of {', '.join(_DTYPES)} is wanted")
        self.vae = vae.eval().requires_grad_(False)
        self.rule = rule
        self._dtype = _DTYPES[dtype]
        self.space = Space(vae_digest(vae), rule.to_record(), dtype, VERSION)
        self._lock = threading.Lock()

    def encode(self, frames_THWC: npt.NDArray[np.uint8]) -> Moments:
        """Return mean and log-variance (C, t, h, w) of the scaled latents of 4k+1 frames, on the CPU.

        Scaled means times the VAE's scaling factor, as a diffusion model sees them. The log-variance is None
        where there is no variance.
        """
        weight = next(self.vae.parameters())
        return self._moments(video_of(frames_THWC, weight.device), self.vae.config.scaling_factor)

    def encode_image(self, pixels_CHW: Tensor) -> Moments:
        """Return mean and log-variance (C, 1, h, w) of an image, -1 … 1, scaled as models read images."""
        weight = next(self.vae.parameters())
        return self._moments(
            pixels_CHW[None, :, None].to(weight.device), self.vae.config.image_scaling_factor
        )

    def _moments(self, video_BCTHW: Tensor, scale: float) -> Moments:
        with self._lock, torch.no_grad():
            posterior = self.vae.encode(video_BCTHW, rule=self.rule)
            mean = (posterior.mean[0] * scale).to(self._dtype)
            if float(posterior.logvar.max()) <= _POINT:
                return mean.cpu(), None
            logvar = (posterior.logvar[0] + 2 * math.log(scale)).to(self._dtype)
            return mean.cpu(), logvar.cpu()


class SharedText:
    """A text encoder that threads may share."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()

    def encode(self, text: str) -> Tensor:
        """Return the embedding (length, width) of a text, on the CPU."""
        with self._lock:
            return self._encoder.encode([text])[0].cpu()
