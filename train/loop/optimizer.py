"""AdamW, its learning rate by step, the clipped norm, and the average of the parameters.

Weight decay is for matrices alone: biases and the scales of norms, whose size means something else, keep
theirs. All of it works on parameters as they are, whole or sharded by FSDP2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from train.loop.parallel import local, resharded, whole
from train.recipe import Optimizer, Recipe

__all__ = ["Average", "build_optimizer", "clip_gradients", "gradient_norm", "learned", "learning_rate"]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate of a step, counted from 0 over all stages.

    It rises over the warm-up to the given rate, and falls by a cosine to `final_share` of it in the last
    step. A stage with a rate of its own begins anew, and those after it go on with its curve.
    """
    settings = recipe.optimizer
    begin, end, rate, at = 0, 0, settings.learning_rate, 0
    for stage in recipe.stages:
        if stage.learning_rate is not None:
            if at > step:
                break
            begin, rate = at, stage.learning_rate
        at += stage.steps
        end = at
    done, steps = step - begin, end - begin
    warmup = min(settings.warmup_steps, steps)
    if done < warmup:
        return rate * (done + 1) / warmup
    share = (done - warmup) / max(steps - 1 - warmup, 1)
    falling = settings.final_share + (1 - settings.final_share) * (1 + math.cos(math.pi * min(share, 1))) / 2
    return rate * falling


def learned(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def build_optimizer(model: nn.Module, settings: Optimizer) -> torch.optim.AdamW:
    """Return AdamW over the trained parameters, its moments made: what is saved is there before a step."""
    values = list(learned(model).values())
    groups = [
        {"params": [x for x in values if x.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [x for x in values if x.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = values[0].device.type == "cuda"
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        fused=fused or None,
    )
    for value in values:
        optimizer.state[value] = {
            "step": torch.zeros((), dtype=torch.float32, device=value.device if fused else "cpu"),
            "exp_avg": torch.zeros_like(value),
            "exp_avg_sq": torch.zeros_like(value),
        }
    return optimizer


def gradient_norm(values: Sequence[nn.Parameter]) -> Tensor:
    """Return the norm of all gradients, of all ranks' shards together."""
    return whole(get_total_norm([x.grad for x in values if x.grad is not None]))


def clip_gradients(values: Sequence[nn.Parameter], most: float, norm: Tensor) -> None:
    """Scale the gradients in place to a norm of `most` where they are longer. `norm`: theirs."""
    clip_grads_with_norm_(values, most, norm)


class Average:
    """The exponential moving average of parameters, float32, each where its parameter lies.

    The decay rises to its value as (1 + n) / (10 + n) over updates n: the first steps are soon forgotten.
    """

    def __init__(self, values: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values: dict[str, Tensor] = {
            name: value.detach().clone().float() for name, value in values.items()
        }

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch's types are skipped
    def update(self, values: Mapping[str, nn.Parameter]) -> None:
        """Move towards the parameters."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        ours = [local(self.values[name]) for name in values]
        theirs = [local(value.detach()).float() for value in values.values()]
        torch._foreach_lerp_(ours, theirs, 1 - decay)

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Let the model compute with the average meanwhile; one tensor more is in memory at a time."""
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch's types are skipped
    def _exchange(self, model: nn.Module) -> None:
        resharded(model)
        for name, value in learned(model).items():
            ours, theirs = local(self.values[name]), local(value.detach())
            kept = theirs.clone()
            theirs.copy_(ours)
            ours.copy_(kept)
