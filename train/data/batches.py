"""What a loader gives the loop: the clips of a planned pack as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from train.data.segments import Moments
from train.plan import PlannedPack, PlannedStep

__all__ = ["Batches", "LoadedClip", "LoadedPack"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedClip:
    """A clip's latents, as a distribution, and its text, on the CPU."""

    clip_id: str
    mean_CTHW: Tensor
    """float32 or bfloat16, multiplied by the VAE's scaling factor"""
    logvar_CTHW: Tensor | None
    """of the scaled latents; None: no variance"""
    text_UE: Tensor
    image: Moments | None = None
    """of its first frame with noise added, (C, 1, H, W); None: not asked for"""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPack:
    """One pack, filled."""

    plan: PlannedPack
    clips: tuple[LoadedClip | None, ...]
    """in the plan's order; None: could not be read, was logged, and counts as padding of weight 0"""


class Batches(Protocol):
    """Where the loop gets its packs."""

    def load(self, step: PlannedStep, packs: Sequence[int]) -> list[LoadedPack]:
        """Return those packs of a step, by their places in it, this rank's share, in the order asked for."""
        ...

    def close(self) -> None:
        """Let go of threads and files."""
        ...
