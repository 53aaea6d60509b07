"""Checkpoints: a folder a step, sharded, written beside training, there whole or not at all.

`OUTPUT/checkpoints/step-00000500/` holds what torch.distributed.checkpoint writes (parameters, moments,
average: each rank its shards) and `checkpoint.json`, the rest: recipe, model, digest of the manifests, the
planner's state, the guard's. Random numbers have no state: all are keyed. Another number of ranks, or DDP in
place of FSDP2, reads the same folder.

Tensors are copied to main memory, then training goes on; a thread a rank writes. When all ranks have
written, the first one renames the folder into place, and drops the oldest.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn

from shards.errors import InputError, IntegrityError, StorageError
from train.loop.optimizer import Average, learned
from train.loop.parallel import World

__all__ = ["Record", "Saver", "checkpoints", "latest", "load_tensors", "read_record", "tensors_of"]

RECORD: Final = "checkpoint.json"
_FORMAT: Final = 1
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a checkpoint says of itself, beside its tensors."""

    step: int
    """steps done, of all stages"""
    recipe: dict[str, Any]
    model: dict[str, Any]
    """the transformer's configuration, field by field"""
    manifest: str
    """digest of the manifests"""
    planner: dict[str, Any]
    guard: dict[str, Any]
    average_updates: int | None
    """None: no average is kept"""
    ranks: int
    format: int = _FORMAT


def checkpoints(output: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    return sorted(path for path in (output / "checkpoints").glob("step-*") if (path / RECORD).is_file())


def latest(output: Path) -> Path | None:
    """Return the newest whole checkpoint of a run."""
    found = checkpoints(output)
    return found[-1] if found else None


def read_record(folder: Path) -> Record:
    """Return what a checkpoint says of itself. Raises InputError where it is none, or of another version."""
    path = folder / RECORD
    if not path.is_file():
        raise InputError(f"{folder}: no {RECORD}; is it a checkpoint of `curate train dit`?")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise InputError(f"{path}: format {said['format']}, this version reads {_FORMAT}")
        return Record(**said)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: not a checkpoint's record: {error}") from None


def tensors_of(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, average: Average | None
) -> dict[str, Tensor]:
    """Return all tensors of a run by name, as they are: sharded ones sharded, in their own memory."""
    tensors = {f"model.{name}": value.detach() for name, value in model.state_dict().items()}
    for name, value in learned(model).items():
        if optimizer is not None:
            state = optimizer.state[value]
            tensors |= {f"optimizer.{name}.{key}": tensor for key, tensor in state.items()}
        if average is not None:
            tensors[f"average.{name}"] = average.values[name]
    return tensors


def load_tensors(tensors: dict[str, Tensor], folder: Path, *, alone: bool = False) -> None:
    """Fill tensors from a checkpoint. `alone`: this process reads whole tensors, whoever else there is.

    Raises IntegrityError where the checkpoint lacks one, or is broken.
    """
    try:
        known = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
        if missing := sorted(tensors.keys() - known.keys()):
            raise IntegrityError(f"{folder}: lacks {missing[0]} and {len(missing) - 1} more tensors")
        with _quiet():
            dcp.load(tensors, checkpoint_id=folder, no_dist=alone)
    except (OSError, RuntimeError, ValueError, dcp.CheckpointException) as error:
        raise IntegrityError(f"{folder}: cannot be read: {str(error).splitlines()[0]}") from None


class Saver:
    """Writes checkpoints beside training, one at a time, and keeps the newest `keep`."""

    def __init__(self, output: Path, keep: int, world: World) -> None:
        self._folder, self._keep, self._world = output / "checkpoints", keep, world
        self._writing: tuple[Future[Any], Path] | None = None
        if world.first:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in self._folder.glob(".step-*.partial"):
                _LOG.info("%s: left by a run that ended while it saved; removed", left)
                shutil.rmtree(left)
        world.wait()

    def start(self, tensors: Mapping[str, Tensor], record: Record) -> Path:
        """Copy the tensors and begin to write; return where the checkpoint will be."""
        self.finish()
        final = self._folder / f"step-{record.step:08d}"
        partial = final.with_name(f".{final.name}.partial")
        if self._world.first:
            partial.mkdir(exist_ok=True)
            with (partial / RECORD).open("w", encoding="utf-8") as file:
                json.dump(dataclasses.asdict(record), file, indent=2)
                file.flush()
                os.fsync(file.fileno())
        self._world.wait()
        with _quiet():
            future = dcp.async_save(dict(tensors), checkpoint_id=partial, process_group=self._world.saving)
        self._writing = (future, final)
        return final

    def poll(self) -> None:
        """Put a checkpoint in its place if it is written."""
        if self._writing is not None and self._writing[0].done():
            self.finish()

    def finish(self) -> None:
        """Wait for a checkpoint to be written, and put it in its place. Raises StorageError."""
        if self._writing is None:
            return
        (future, final), self._writing = self._writing, None
        try:
            future.result()
            if self._world.first:
                self._place(final)
        except (OSError, RuntimeError, dcp.CheckpointException) as error:
            raise StorageError(f"{final}: could not be written: {str(error).splitlines()[0]}") from error

    def _place(self, final: Path) -> None:
        partial = final.with_name(f".{final.name}.partial")
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        for old in checkpoints(self._folder.parent)[: -self._keep]:
            shutil.rmtree(old)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide torch's remarks on its own code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*in a single process", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*TypedStorage is deprecated", category=UserWarning)
        yield
