"""A module → a folder that diffusers reads: `config.json`, safetensors in shards with an index.

The folder appears whole or not at all: it is written beside its place and renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from shards.errors import InputError, StorageError
from train.checkpoints.folder import index_name, weights_name
from train.checkpoints.keys import Joined, all_rules
from train.checkpoints.memory import tensor_bytes

__all__ = ["MAX_SHARD_BYTES", "save_folder"]

MAX_SHARD_BYTES: Final = 5 * 10**9


def save_folder(
    module: nn.Module,
    config: Mapping[str, object],
    folder: Path,
    *,
    rules: Sequence[Joined] = (),
    dtype: torch.dtype | None = None,
    variant: str | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write a module and its `config.json` into a new folder; floating tensors as `dtype`, or as they are.

    A tensor above `max_shard_bytes` has a shard of its own. At most one shard is in memory beside the module.
    Raises InputError where the folder exists and is not empty, StorageError where it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already; name a new folder")
    state = {key: tensor.detach() for key, tensor in module.state_dict().items()}
    every = all_rules({key: tuple(x.shape) for key, x in state.items()}, rules)
    stored = [_Stored(key, rule) for rule in every for key in rule.file]
    shards = _shards(stored, [part.bytes(state, dtype) for part in stored], max_shard_bytes)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial, state, shards, dtype, variant)
        (partial / "config.json").write_text(
            json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageError(f"{folder}: could not be written: {error}") from None


@dataclass(frozen=True, slots=True)
class _Stored:
    """One tensor of the file, by the rule that makes it."""

    key: str
    rule: Joined

    def bytes(self, state: Mapping[str, Tensor], dtype: torch.dtype | None) -> int:
        whole = tensor_bytes((state[key] for key in self.rule.module), dtype)
        return whole // len(self.rule.file)

    def tensor(self, state: Mapping[str, Tensor], dtype: torch.dtype | None) -> Tensor:
        parts = [state[key] for key in self.rule.module]
        whole = parts[0] if len(parts) == 1 else torch.cat(parts, self.rule.axis)
        count = len(self.rule.file)
        if count > 1:
            whole = whole.tensor_split(count, self.rule.axis)[self.rule.file.index(self.key)]
        return whole.to("cpu", dtype if whole.is_floating_point() else None).contiguous()


def _shards(stored: Sequence[_Stored], sizes: Sequence[int], most: int) -> list[list[_Stored]]:
    """Deal tensors to shards in order, as many each as fit."""
    shards: list[list[_Stored]] = [[]]
    filled = 0
    for part, size in zip(stored, sizes, strict=True):
        if shards[-1] and filled + size > most:
            shards.append([])
            filled = 0
        shards[-1].append(part)
        filled += size
    return shards


def _write(
    folder: Path,
    state: Mapping[str, Tensor],
    shards: Sequence[Sequence[_Stored]],
    dtype: torch.dtype | None,
    variant: str | None,
) -> None:
    index: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = weights_name(variant, f"-{number:05d}-of-{len(shards):05d}" if len(shards) > 1 else "")
        save_file({part.key: part.tensor(state, dtype) for part in shard}, folder / name, {"format": "pt"})
        index |= dict.fromkeys((part.key for part in shard), name)
    if len(shards) > 1:
        total = sum(part.bytes(state, dtype) for shard in shards for part in shard)
        content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
        (folder / index_name(variant)).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
