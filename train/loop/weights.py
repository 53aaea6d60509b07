"""Weights of a run as a model that stands alone: gathered while it trains, or read from a checkpoint.

LoRA is added to the weights that it is around, so that what samples knows nothing of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shards.errors import ConfigError, IntegrityError
from train.dit import Transformer, TransformerConfig, add_lora
from train.loop.optimizer import Average, learned
from train.loop.parallel import World, resharded, whole
from train.loop.saving import Record, load_tensors

__all__ = ["gathered", "model_of_checkpoint", "model_of_weights"]


def gathered(model: nn.Module, average: Average | None, world: World) -> dict[str, Tensor] | None:
    """Return all weights on the CPU, averaged where there is an average; None on all ranks but the first.

    All ranks must call it.
    """
    resharded(model)
    tensors = {name: value.detach() for name, value in model.state_dict().items()}
    if average is not None:
        tensors |= average.values
    kept: dict[str, Tensor] = {}
    for name, value in tensors.items():
        full = whole(value)
        if world.first:
            kept[name] = full.to("cpu", copy=True)
    return kept if world.first else None


def model_of_weights(
    config: TransformerConfig,
    weights: Mapping[str, Tensor],
    lora_rank: int,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Transformer:
    """Return the model of a run's weights, its LoRA still apart; for sampling, so nothing of it learns."""
    model = _empty(config, lora_rank)
    model.load_state_dict(dict(weights), assign=True)
    made: Transformer = model.to(device, dtype).eval().requires_grad_(False)
    return made


def model_of_checkpoint(folder: Path, record: Record, *, average: bool) -> Transformer:
    """Return the model of a checkpoint, on the CPU, float32, its LoRA still apart.

    Raises ConfigError where an average is asked for and none was kept, IntegrityError for broken files.
    """
    if average and record.average_updates is None:
        raise ConfigError(f"{folder}: no average of the parameters was kept: ask for those of the last step")
    config = config_of(record.model, folder)
    model = _empty(config, int(record.recipe["lora_rank"]))
    trained = learned(model) if average else {}
    # Frozen parameters have no average.
    wanted = {name: f"average.{name}" if name in trained else f"model.{name}" for name in model.state_dict()}
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    weights = {name: torch.empty(shape) for name, shape in shapes.items()}
    load_tensors({wanted[name]: value for name, value in weights.items()}, folder, alone=True)
    model.load_state_dict(weights, assign=True)
    made: Transformer = model.eval().requires_grad_(False)
    return made


def config_of(said: Mapping[str, Any], folder: Path) -> TransformerConfig:
    """Return the configuration that a checkpoint's record says."""
    names = {field.name for field in dataclasses.fields(TransformerConfig)}
    if wrong := sorted(names ^ said.keys()):
        raise IntegrityError(f"{folder}: its model has other fields than this version's: {', '.join(wrong)}")
    return TransformerConfig(**said)


def _empty(config: TransformerConfig, lora_rank: int) -> Transformer:
    with torch.device("meta"):
        model = Transformer(config)
        if lora_rank:
            add_lora(model, lora_rank, torch.Generator())
    return model
