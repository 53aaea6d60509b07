"""Weights of a folder → a module, every key accounted for, one tensor at a time.

Nothing is changed before all keys and shapes are known to be right and the memory is known to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from shards.errors import InputError
from train.checkpoints.folder import WeightFiles, listed
from train.checkpoints.keys import Joined, all_rules, key_faults, shape_faults
from train.checkpoints.memory import free_bytes, require_memory, tensor_bytes

__all__ = ["load_weights"]


def load_weights(
    module: nn.Module,
    folder: Path,
    *,
    rules: Sequence[Joined] = (),
    variant: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    free: Callable[[torch.device], int | None] = free_bytes,
) -> None:
    """Read a folder's weights into a module.

    What of the module lies on the meta device is made on `device`, in `dtype` (None: as the module has it),
    so a model is never in memory twice; anything else is filled where it lies. Raises InputError (folder,
    keys, shapes), IntegrityError (broken files), ConfigError (too little memory).
    """
    device = torch.device(device)
    state = module.state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    every = all_rules(shapes, rules)
    files = WeightFiles.open(folder, variant)
    missing, unexpected = key_faults(files.shapes, every)
    if missing or unexpected:
        raise InputError(f"{folder}: does not hold this model: {_faults(missing, unexpected)}")
    if wrong := shape_faults(shapes, files.shapes, every):
        raise InputError(f"{folder}: {len(wrong)} tensors of another size: {listed(wrong)}")
    absent = [tensor for tensor in state.values() if tensor.is_meta]
    require_memory(tensor_bytes(absent, dtype), device, str(folder), free)
    for rule in every:
        _fill(module, rule, [files.read(key) for key in rule.file], device, dtype)
    if left := [name for name, buffer in module.named_buffers() if buffer.is_meta]:
        raise ValueError(f"no part of the state, and without values: {listed(left)}")


def _faults(missing: list[str], unexpected: list[str]) -> str:
    kinds = (("missing", missing), ("unexpected", unexpected))
    return "; ".join(f"{len(keys)} {kind} keys: {listed(keys)}" for kind, keys in kinds if keys)


def _fill(
    module: nn.Module, rule: Joined, parts: list[Tensor], device: torch.device, dtype: torch.dtype | None
) -> None:
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, rule.axis)
    targets = [_owner(module, key) for key in rule.module]
    tensors = [getattr(owner, name) for owner, name in targets]
    cuts = [whole]
    if len(tensors) > 1:
        cuts = list(whole.split([tensor.shape[rule.axis] for tensor in tensors], rule.axis))
    for (owner, name), tensor, cut in zip(targets, tensors, cuts, strict=True):
        if tensor.is_meta:
            wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
            # A copy, because a cut would keep the whole alive.
            made = torch.empty(tensor.shape, dtype=wanted, device=device).copy_(cut)
            _put(
                owner,
                name,
                nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made,
            )
        else:
            with torch.no_grad():
                tensor.copy_(cut)


def _owner(module: nn.Module, key: str) -> tuple[nn.Module, str]:
    path, _, name = key.rpartition(".")
    return module.get_submodule(path), name


def _put(owner: nn.Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, nn.Parameter):
        owner.register_parameter(name, tensor)
    else:
        owner.register_buffer(name, tensor)
