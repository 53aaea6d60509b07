"""What the device can do, measured, and what share of it training uses (MFU)."""

from __future__ import annotations

import math
import time

import torch

from train.dit import TransformerConfig, training_flops
from train.plan import PlannedClip
from train.plan.tokens import grid_of_view

__all__ = ["matmul_flops", "memory_bytes", "step_flops"]


def matmul_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of a large product of matrices: the best of some runs, about 1 s.

    On a CPU that others use too, short and many: one of them is left alone for long enough.
    """
    side, runs, tries = (8192, 10, 5) if device.type == "cuda" else (512, 1, 100)
    a = torch.randn(side, side, device=device).to(dtype)
    best_s = float("inf")
    for _ in range(tries):
        _wait(device)
        begin = time.perf_counter()
        for _ in range(runs):
            a @ a
        _wait(device)
        best_s = min(best_s, (time.perf_counter() - begin) / runs)
    return 2 * side**3 / best_s


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_flops(config: TransformerConfig, clips: tuple[PlannedClip, ...]) -> int:
    """Return the operations of a training step over planned clips (`train.dit.training_flops`)."""
    grids = [grid_of_view(clip.view.frames, clip.view.height, clip.view.width, config) for clip in clips]
    sizes = [(clip.tokens - math.prod(grid), grid) for clip, grid in zip(clips, grids, strict=True)]
    return training_flops(config, sizes)


def memory_bytes(device: torch.device) -> int:
    """Return the most memory taken so far: on a GPU by tensors, else by the process."""
    if device.type == "cuda":
        taken: int = torch.cuda.max_memory_allocated(device)
        return taken
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
