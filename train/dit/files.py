"""Transformers by preset or from a folder of diffusers, and back; too little memory is said before anything
else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from shards.errors import ConfigError
from train.checkpoints import (
    MAX_SHARD_BYTES,
    free_bytes,
    load_weights,
    read_config,
    require_memory,
    save_folder,
    tensor_bytes,
)
from train.dit.adapters import merge_rules
from train.dit.config import TransformerConfig
from train.dit.initial import initialise
from train.dit.lora import LoraLinear
from train.dit.model import Transformer
from train.dit.segments import Kernel

__all__ = ["build_transformer", "load_transformer", "save_transformer"]

Free = Callable[[torch.device], int | None]


def build_transformer(
    config: TransformerConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: Kernel | Literal["auto"] = "auto",
    free: Free = free_bytes,
) -> Transformer:
    """Return an untrained transformer; the same numbers for the same seed, device and dtype.

    Raises ConfigError where the device has too little memory for its weights.
    """
    device = torch.device(device)
    with torch.device("meta"):
        model = Transformer(config, attention)
    model.to(dtype)
    require_memory(tensor_bytes(model.state_dict().values()), device, f"the transformer in {dtype}", free)
    model.to_empty(device=device)
    initialise(model, torch.Generator(device).manual_seed(seed))
    return model


def load_transformer(
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
    attention: Kernel | Literal["auto"] = "auto",
    free: Free = free_bytes,
) -> Transformer:
    """Return the transformer of a diffusers folder. Errors as of `load_weights` and `from_diffusers`."""
    try:
        config = TransformerConfig.from_diffusers(read_config(folder))
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}") from None
    with torch.device("meta"):
        model = Transformer(config, attention)
    load_weights(model, folder, variant=variant, device=device, dtype=dtype, free=free)
    return model


def save_transformer(
    model: Transformer,
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write a new folder that diffusers reads, extra channels merged. Errors as of `save_folder`.

    Raises ConfigError for a model with a LoRA, which goes into a file of its own or is merged first.
    """
    if any(isinstance(module, LoraLinear) for module in model.modules()):
        raise ConfigError("the transformer has a LoRA: save it with save_lora, or call merge_lora first")
    config, rules = model.config.to_diffusers(), merge_rules(model.config)
    save_folder(model, config, folder, rules=rules, dtype=dtype, max_shard_bytes=max_shard_bytes)
