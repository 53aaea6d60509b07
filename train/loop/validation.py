"""The loss on clips that are never trained on, always under the same noise and timesteps.

Held-out steps are planned once; their noise is keyed as in training, so two checkpoints are compared on
exactly the same inputs, at any number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from train.data import Batches
from train.dit import Transformer
from train.loop.optimizer import Average
from train.loop.packs import PackMaker, ReadyPack
from train.loop.parallel import World
from train.loop.step import clip_losses, gather_losses
from train.plan import PlannedStep
from train.recipe import Recipe

__all__ = ["Deal", "HeldOut", "validate"]

Deal = Callable[[PlannedStep, int], Sequence[Sequence[int]]]
"""(step, ranks) → the places of each rank's packs in the step; each pack once"""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Planned steps over held-out clips, and where they are read."""

    stages: tuple[tuple[PlannedStep, ...], ...]
    """the steps of each of the recipe's stages: a stage looks at them as it looks at what it trains on"""
    batches: Batches


def validate(
    model: Transformer,
    average: Average | None,
    held_out: HeldOut,
    stage: int,
    deal: Deal,
    maker: PackMaker,
    recipe: Recipe,
    world: World,
) -> dict[str, float]:
    """Return the mean loss over a stage's held-out clips: `loss`; by averaged parameters, `loss_average`."""
    sums = [0.0] * 3
    for step in held_out.stages[stage]:
        shares = deal(step, world.size)
        mine = shares[world.rank]
        loaded = held_out.batches.load(step, mine)
        tokens = recipe.stages[step.stage].tokens
        packs = maker.make(step, mine, loaded, tokens, max(map(len, shares)))
        weights = [clip.weight for clip in step.clips]
        losses = [gather_losses(packs, _forward(model, packs, recipe, world), weights, world)]
        if average is not None:
            with average.in_place(model):
                losses.append(gather_losses(packs, _forward(model, packs, recipe, world), weights, world))
        found = [[loss for loss in one.losses if loss is not None] for one in losses]
        sums[0] += len(found[0])
        for at, values in enumerate(found, 1):
            sums[at] += sum(values)
    if not sums[0]:
        return {}
    names = ("loss", "loss_average") if average is not None else ("loss",)
    return {name: value / sums[0] for name, value in zip(names, sums[1:], strict=False)}


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch's types are skipped
def _forward(model: Transformer, packs: Sequence[ReadyPack], recipe: Recipe, world: World) -> list[Tensor]:
    return [clip_losses(model, ready, world.device, recipe) for ready in packs]
