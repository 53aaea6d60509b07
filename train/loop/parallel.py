"""Processes, and the model spread over them: DDP, or FSDP2 block by block; bfloat16 over float32 parameters.

There is always a process group, of one process where torchrun started none: one code for both. Numbers that
all ranks decide by (weights, losses, stop) go through gloo on the CPU, gradients through NCCL on a GPU.

bfloat16 comes by FSDP2's own policy where the model is sharded: parameters are gathered in two bytes, half
of the traffic. Elsewhere by autocast, which casts the float32 parameters where a product reads them.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from shards.errors import ConfigError
from train.dit import Transformer
from train.recipe import Recipe

__all__ = ["World", "joined", "local", "precision", "resharded", "spread", "synced", "whole"]

_ENVIRONMENT: Final = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """This process among all of a run."""

    rank: int
    size: int
    device: torch.device
    saving: dist.ProcessGroup
    """of checkpoints, which are written beside training"""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes logs and renames checkpoints."""
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, in float64; the same numbers on each."""
        summed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(summed)
        out: list[float] = summed.tolist()
        return out

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Return when all ranks are here."""
        self.total([0.0])


@contextlib.contextmanager
def joined(device: str | None = None) -> Iterator[World]:
    """Join the processes that torchrun started, or stay alone; leave at the end.

    `device`: `cpu` or `cuda`, default: `cuda` where there is one. Raises ConfigError for a GPU that is not
    there, and for half of torchrun's environment.
    """
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"device {kind!r}: cpu or cuda is wanted")
    place = _device(kind)
    backend = "gloo" if kind == "cpu" else "cpu:gloo,cuda:nccl"
    given = [name for name in _ENVIRONMENT if name in os.environ]
    if len(given) == len(_ENVIRONMENT):
        dist.init_process_group(backend)
    elif "RANK" in given or "WORLD_SIZE" in given:
        missing = sorted(set(_ENVIRONMENT) - set(given))
        raise ConfigError(f"{', '.join(missing)} not set beside {', '.join(given)}: start by torchrun")
    else:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield World(dist.get_rank(), dist.get_world_size(), place, dist.new_group(backend="gloo"))
    finally:
        dist.destroy_process_group()


def _device(kind: str) -> torch.device:
    if kind == "cpu":
        return torch.device("cpu")
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if not torch.cuda.is_available() or number >= torch.cuda.device_count():
        raise ConfigError(f"no GPU {number} here: there are {torch.cuda.device_count()}")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def spread(model: Transformer, recipe: Recipe, world: World) -> nn.Module:
    """Return what is called in training: the model itself, changed in place, or DDP around it.

    Checkpointing lies around compilation and inside FSDP's hooks, which then gather a block's parameters
    before it is computed again.
    """
    for block in model.transformer_blocks:
        forward = block.forward
        if recipe.compile:
            forward = torch.compile(forward, fullgraph=True)
        if recipe.activation_checkpointing:
            # Nothing in a block is random.
            forward = functools.partial(checkpoint, forward, use_reentrant=False, preserve_rng_state=False)
        block.forward = forward
    if recipe.parallel == "fsdp":
        mesh = init_device_mesh(world.device.type, (world.size,))
        half = torch.bfloat16 if recipe.precision == "bfloat16" else None
        policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for block in model.transformer_blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)
        return model
    if world.size == 1:
        return model
    return DistributedDataParallel(model, gradient_as_bucket_view=True)


def precision(recipe: Recipe, device: torch.device) -> tuple[AbstractContextManager[Any], torch.dtype | None]:
    """Return the context to compute in, and the type of patches and texts (None: as they are)."""
    if recipe.precision == "float32":
        return contextlib.nullcontext(), None
    if recipe.parallel == "fsdp":
        return contextlib.nullcontext(), torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16), None


def synced(called: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Return the context of one of a step's passes: gradients meet in the last one.

    FSDP2 meets in each: waiting would keep all gradients unsharded.
    """
    if isinstance(called, DistributedDataParallel) and not last:
        context: AbstractContextManager[Any] = called.no_sync()
        return context
    return contextlib.nullcontext()


def resharded(model: nn.Module) -> None:
    """Let FSDP2 put away what it gathered for a forward pass that had no backward pass."""
    if isinstance(model, FSDPModule):
        model.reshard()


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a tensor, in the same memory."""
    part: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor; where it is sharded, all ranks must ask."""
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full
