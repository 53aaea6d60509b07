"""LoRA on the attention projections (Hu et al. 2021, arXiv 2106.09685), in the file that diffusers reads.

W + (alpha / rank)·B·A, A random and B zero, so step 0 is the parent. The parent's parameters keep their
names, so its checkpoints load as before. In the file the factor is multiplied into B: readers that find no
alpha take alpha = rank, and older diffusers read no alpha at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import ConfigError, InputError
from train.dit.model import Transformer

__all__ = ["LORA_FILE", "LoraLinear", "add_lora", "load_lora", "merge_lora", "save_lora"]

LORA_FILE: Final = "pytorch_lora_weights.safetensors"
_PREFIX: Final = "transformer."
_TARGETS: Final = ("to_q", "to_k", "to_v", "to_out.0")


class LoraLinear(nn.Linear):
    """A linear map with a low-rank one added, around the parameters of another."""

    def __init__(self, parent: nn.Linear, rank: int, scale: float) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = parent.in_features, parent.out_features
        self.weight, self.bias, self.scale = parent.weight, parent.bias, scale
        options = {"bias": False, "device": parent.weight.device, "dtype": parent.weight.dtype}
        self.lora_A = nn.Linear(self.in_features, rank, **options)
        self.lora_B = nn.Linear(rank, self.out_features, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of x, of any shape (…, in), as (…, out)."""
        return functional.linear(x, self.weight, self.bias) + self.scale * self.lora_B(self.lora_A(x))


def add_lora(model: Transformer, rank: int, generator: torch.Generator, alpha: float | None = None) -> None:
    """Put LoRA around queries, keys, values and outputs of all blocks, and freeze everything else; in
    place.

    `alpha`: the sum is scaled by alpha / rank (None: by 1). Raises ConfigError where there is one already,
    or for a rank below 1.
    """
    if rank < 1 or any(True for _ in _adapted(model)):
        raise ConfigError(
            f"LoRA of rank {rank}: want 1 or more" if rank < 1 else "the transformer has a LoRA already"
        )
    model.requires_grad_(False)
    for name in _targets(model):
        made = LoraLinear(model.get_submodule(name), rank, (rank if alpha is None else alpha) / rank)
        nn.init.kaiming_uniform_(made.lora_A.weight, math.sqrt(5), generator=generator)
        nn.init.zeros_(made.lora_B.weight)
        model.set_submodule(name, made)


def save_lora(model: Transformer, folder: Path) -> Path:
    """Write the LoRA alone, and return its file; `load_lora_weights(folder)` of a diffusers pipeline reads
    it.
    """
    tensors = {}
    for name, module in _adapted(model):
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = module.lora_A.weight.detach()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = module.lora_B.weight.detach() * module.scale
    if not tensors:
        raise ConfigError("the transformer has no LoRA to save")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{LORA_FILE}.partial"
    save_file({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}, partial, {"format": "pt"})
    return partial.replace(folder / LORA_FILE)


def load_lora(model: Transformer, folder: Path) -> None:
    """Put the LoRA of a folder, as `save_lora` writes it, around the projections; in place.

    Raises InputError where the file is missing, broken, of another model, or of adapters elsewhere.
    """
    path = folder / LORA_FILE
    tensors = _read(path)
    wanted = {f"{_PREFIX}{name}.lora_{side}.weight" for name in _targets(model) for side in "AB"}
    if wrong := sorted(wanted ^ set(tensors)):
        raise InputError(
            f"{path}: not a LoRA of this model's attention projections: {wrong[0]} and {len(wrong) - 1} more"
        )
    ranks = {tensor.shape[0] for key, tensor in tensors.items() if key.endswith("lora_A.weight")}
    for name in _targets(model):
        linear = model.get_submodule(name)
        shapes = [tuple(tensors[f"{_PREFIX}{name}.lora_{side}.weight"].shape) for side in "AB"]
        rank = min(ranks)
        if len(ranks) != 1 or shapes != [(rank, linear.in_features), (linear.out_features, rank)]:
            raise InputError(f"{path}: {name} has the shapes {shapes}, of another model")
    add_lora(model, min(ranks), torch.Generator(model.proj_out.weight.device))
    with torch.no_grad():
        for name, module in _adapted(model):
            module.lora_A.weight.copy_(tensors[f"{_PREFIX}{name}.lora_A.weight"])
            module.lora_B.weight.copy_(tensors[f"{_PREFIX}{name}.lora_B.weight"])


def merge_lora(model: Transformer) -> None:
    """Add the LoRA to the weights that it is around, and take it away; in place.

    All parameters train again.
    """
    with torch.no_grad():
        for name, module in list(_adapted(model)):
            module.weight += module.scale * (module.lora_B.weight @ module.lora_A.weight)
            plain = nn.Linear(module.in_features, module.out_features, device="meta")
            plain.weight, plain.bias = module.weight, module.bias
            model.set_submodule(name, plain)
    model.requires_grad_(True)


def _targets(model: Transformer) -> list[str]:
    return [
        f"transformer_blocks.{n}.attn1.{target}" for n in range(model.config.layers) for target in _TARGETS
    ]


def _adapted(model: Transformer) -> Iterator[tuple[str, LoraLinear]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        tensors: Mapping[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: cut short or no safetensors file: {error}") from None
    return tensors
