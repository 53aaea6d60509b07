"""Random numbers of training, keyed by what they are for: seed, step, clip and visit, and nothing else.

Ranks, loader workers and the order of packs don't enter, so any number of processes draws the same noise for
a clip, and no two clips of a step draw the same. The key is 128 bits of SHA-256 for a counter-based generator
(Philox): torch's own on the CPU keeps 32 bits of a seed, and of 100,000 clips two would share theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from train.data import LoadedClip

__all__ = ["draw_latents", "normals"]


def normals(
    shape: Sequence[int],
    purpose: Literal["posterior", "noise"],
    *,
    seed: int,
    step: int,
    clip_id: str,
    visit: int,
) -> Tensor:
    """Return standard normal numbers, float32 on the CPU."""
    said = f"{purpose}\0{seed}\0{step}\0{visit}\0{clip_id}".encode()
    key = int.from_bytes(hashlib.sha256(said).digest()[:16], "little")
    generator = np.random.Generator(np.random.Philox(key=key))
    return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32))


def draw_latents(clip: LoadedClip, *, seed: int, step: int, visit: int) -> Tensor:
    """Return a draw from a clip's posterior, float32 (C, T, H, W); its mean where it has no variance."""
    mean_CTHW = clip.mean_CTHW.float()
    if clip.logvar_CTHW is None:
        return mean_CTHW
    drawn = normals(mean_CTHW.shape, "posterior", seed=seed, step=step, clip_id=clip.clip_id, visit=visit)
    return mean_CTHW + torch.exp(0.5 * clip.logvar_CTHW.float()) * drawn
