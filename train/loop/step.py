"""The loss of a step over all ranks' packs, and its gradients.

Loss = Σ w · (mean squared error of a clip's velocity) / Σ w, both sums over the *global* batch: a clip
weighs the same on whichever rank and in whichever pack it lies. Ranks say before the backward pass what
weight they have, since clips may have turned out unreadable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.diffusion import v_loss
from train.loop.packs import ReadyPack
from train.loop.parallel import World, precision, synced
from train.recipe import Recipe

__all__ = ["ClipLosses", "clip_losses", "gather_losses", "pass_over"]


def clip_losses(called: nn.Module, ready: ReadyPack, device: torch.device, recipe: Recipe) -> Tensor:
    """Return the loss of each clip of a pack, float32 (N,); of a filler one 0 that depends on the model."""
    context, dtype = precision(recipe, device)
    pack, velocity_VP = ready.to(device, dtype)
    with context:
        out_VP = called(pack)
    if not ready.places:
        return out_VP.float().sum()[None] * 0.0
    parts = [v_loss(out_VP[start:end][None], velocity_VP[start:end][None]) for start, end in pack.patch_spans]
    return torch.cat(parts)


def pass_over(
    called: nn.Module, packs: Sequence[ReadyPack], total_weight: float, world: World, recipe: Recipe
) -> list[Tensor]:
    """Add the gradients of the global loss over this rank's packs; return each pack's losses by clip.

    `total_weight`: Σ w over all ranks. The losses stay on the device: nothing waits for it here.
    """
    losses = []
    for number, ready in enumerate(packs, 1):
        with synced(called, last=number == len(packs)):
            losses_N = clip_losses(called, ready, world.device, recipe)
            weights_N = torch.tensor(ready.weights or (0.0,), device=world.device)
            # DDP and FSDP2 average over ranks; the sum is wanted.
            ((weights_N * losses_N).sum() * (world.size / total_weight)).backward()
        losses.append(losses_N.detach())
    return losses


@dataclass(frozen=True, slots=True)
class ClipLosses:
    """What all clips of a step gave, in the step's order."""

    losses: tuple[float | None, ...]
    """None: could not be read"""
    loss: float
    """weighted"""


def gather_losses(
    packs: Sequence[ReadyPack], losses: Sequence[Tensor], weights: Sequence[float], world: World
) -> ClipLosses:
    """Return the losses of all clips, from all ranks; this waits for the device.

    `weights`: of all clips of the step.
    """
    count = len(weights)
    told = [0.0] * (2 * count)
    for ready, losses_N in zip(packs, losses, strict=True):
        if ready.places:
            for place, loss in zip(ready.places, losses_N.tolist(), strict=True):
                told[place], told[count + place] = loss, 1.0
    told = world.total(told)
    found = tuple(loss if seen else None for loss, seen in zip(told[:count], told[count:], strict=True))
    pairs = [(w, loss) for w, loss in zip(weights, found, strict=True) if loss is not None]
    total = sum(w for w, _ in pairs)
    return ClipLosses(found, sum(w * loss for w, loss in pairs) / total if total else float("nan"))
