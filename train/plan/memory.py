"""How much memory training takes on one rank, from the recipe alone.

Counted: parameters, gradients, Adam's two moments and the average, all float32 (4 bytes each, shared out over
the ranks by FSDP); what a block needs whole; and what the backward pass reads of one pack. Not counted: the
VAE and text encoder, where latents are not cached, the CUDA context and fragmentation: leave a tenth free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from shards.errors import ConfigError
from train.dit import Transformer
from train.dit.config import TransformerConfig
from train.recipe import Recipe

__all__ = ["Memory", "check_memory", "training_memory"]

_BLOCK_VALUES: Final = 27.2
"""numbers a token and channel that a block keeps for its backward pass, counted by torch's own hooks (a test
repeats it); compiling keeps fewer"""
_ENDS_VALUES: Final = 6.0
"""likewise of what comes before and after the blocks"""
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one rank."""

    states: int
    """parameters, gradients, moments and average: this rank's share"""
    gathered: int
    """parameters in half precision, and, with FSDP, two blocks that are whole for a while"""
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.states + self.gathered + self.activations


def training_memory(recipe: Recipe, config: TransformerConfig, ranks: int, tokens: int) -> Memory:
    """Return what a step takes on each of `ranks`, a pack of so many tokens after the other."""
    with torch.device("meta"):
        model = Transformer(config)
    every = learning = sum(value.numel() for value in model.parameters())
    if recipe.lora_rank:  # two factors around queries, keys, values and outputs
        learning = config.layers * 4 * 2 * config.width * recipe.lora_rank
        every += learning
    block = sum(value.numel() for value in model.transformer_blocks[0].parameters())
    # Of what learns: gradient, two moments, and the average, which only it has.
    states = 4 * every + learning * (12 + 4 * (recipe.optimizer.ema is not None))
    half = 2 if recipe.precision == "bfloat16" else 4
    if recipe.parallel == "fsdp" and ranks > 1:
        states = -(-states // ranks)
        gathered = 2 * block * (half + 4)
    else:
        gathered = half * every if half == 2 else 0
    kept = _BLOCK_VALUES + config.layers if recipe.activation_checkpointing else _BLOCK_VALUES * config.layers
    activations = int((kept + _ENDS_VALUES) * tokens * config.width * half)
    return Memory(states=states, gathered=gathered, activations=activations)


def check_memory(recipe: Recipe, config: TransformerConfig, ranks: int, available_bytes: int) -> None:
    """Raise ConfigError where the largest stage takes more than there is, with what may help."""
    stage = max(recipe.stages, key=lambda one: one.tokens)
    needed = training_memory(recipe, config, ranks, stage.tokens)
    if needed.total <= available_bytes:
        return
    advice = []
    if recipe.parallel == "ddp":
        advice.append("parallel=fsdp on several ranks")
    elif needed.states > needed.activations:
        advice.append("more ranks")
    if not recipe.activation_checkpointing:
        advice.append("activation_checkpointing=true")
    if needed.activations > needed.states:
        advice.append(f"fewer `tokens` a pack than {stage.tokens:,}")
    raise ConfigError(
        f"too little memory: stage {stage.name} takes about {needed.total / _GIB:.3g} GiB a rank "
        f"({needed.states / _GIB:.3g} parameters and optimizer, {needed.gathered / _GIB:.3g} whole blocks, "
        f"{needed.activations / _GIB:.3g} activations), there are {available_bytes / _GIB:.3g}: "
        f"try {', '.join(advice) or 'a smaller model'}"
    )
