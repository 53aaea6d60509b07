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
from train.data.segments import Moments

__all__ = ["Purpose", "draw_image", "draw_latents", "is_dropped", "normals"]

Purpose = Literal["posterior", "noise", "image", "no image"]


def normals(
    shape: Sequence[int],
    purpose: Purpose,
    *,
    seed: int,
    step: int,
    clip_id: str,
    visit: int,
) -> Tensor:
    """Return standard normal numbers, float32 on the CPU."""
    generator = _generator(purpose, seed, step, clip_id, visit)
    return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32))


def _generator(purpose: Purpose, seed: int, step: int, clip_id: str, visit: int) -> np.random.Generator:
    said = f"{purpose}\0{seed}\0{step}\0{visit}\0{clip_id}".encode()
    key = int.from_bytes(hashlib.sha256(said).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def draw_latents(clip: LoadedClip, *, seed: int, step: int, visit: int) -> Tensor:
    """Return a draw from a clip's posterior, float32 (C, T, H, W); its mean where it has no variance."""
    moments = clip.mean_CTHW, clip.logvar_CTHW
    return _drawn(moments, "posterior", seed=seed, step=step, clip_id=clip.clip_id, visit=visit)


def draw_image(image: Moments, clip_id: str, *, seed: int, step: int, visit: int) -> Tensor:
    """Return a draw from the posterior of a clip's first frame, float32 (C, 1, H, W)."""
    return _drawn(image, "image", seed=seed, step=step, clip_id=clip_id, visit=visit)


def is_dropped(share: float, clip_id: str, *, seed: int, step: int, visit: int) -> bool:
    """Return whether a clip is drawn without its first frame: `share` of all are."""
    return bool(_generator("no image", seed, step, clip_id, visit).random() < share)


def _drawn(moments: Moments, purpose: Purpose, *, seed: int, step: int, clip_id: str, visit: int) -> Tensor:
    mean_CTHW, logvar_CTHW = moments
    if logvar_CTHW is None:
        return mean_CTHW.float()
    drawn = normals(mean_CTHW.shape, purpose, seed=seed, step=step, clip_id=clip_id, visit=visit)
    return mean_CTHW.float() + torch.exp(0.5 * logvar_CTHW.float()) * drawn
