"""Whether a run may go on from a checkpoint, said in one line where it may not."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

from shards.errors import InputError
from train.dit import TransformerConfig
from train.loop.saving import Record
from train.recipe import Recipe

__all__ = ["check_record", "plain", "tell_changes"]

_LOG = logging.getLogger(__name__)


def check_record(
    folder: Path,
    record: Record,
    recipe: Recipe,
    config: TransformerConfig,
    manifest: str,
    *,
    other_manifest: bool,
) -> None:
    """Raise InputError where a checkpoint is of another model, LoRA, average or manifest than this run.

    What else differs in the recipe holds from here on: see `tell_changes`.
    """
    model = plain(config)
    if changed := sorted(key for key in {*model, *record.model} if model.get(key) != record.model.get(key)):
        raise InputError(
            f"{folder}: is of model {record.recipe.get('model')!r}, not {recipe.model!r}: "
            + ", ".join(f"{key} {record.model.get(key)!r}, not {model.get(key)!r}" for key in changed[:3])
        )
    rank = record.recipe.get("lora_rank")
    if rank != recipe.lora_rank:
        raise InputError(
            f"{folder}: has a LoRA of rank {rank}, the recipe one of {recipe.lora_rank} (0: none)"
        )
    if (record.average_updates is None) != (recipe.optimizer.ema is None):
        kept = "keeps no average" if record.average_updates is None else "keeps an average"
        raise InputError(f"{folder}: {kept} of the parameters, the recipe says otherwise: set optimizer.ema")
    if record.manifest != manifest and not other_manifest:
        raise InputError(
            f"{folder}: was trained on the manifests {record.manifest[:12]}, these are {manifest[:12]}: "
            "the clips would be others; give --other-manifest to go on with them"
        )


def tell_changes(folder: Path, record: Record, recipe: Recipe) -> None:
    """Log what of the recipe is not as it was before the checkpoint."""
    for key, (before, now) in _differences(record.recipe, plain(recipe)).items():
        _LOG.warning("%s: %s was %s, and is %s from here on", folder, key, before, now)


def plain(value: Any) -> dict[str, Any]:
    """Return a dataclass as JSON has it: tuples are lists."""
    said: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(value)))
    return said


def _differences(before: Any, now: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted({*before, *now}):
            found |= _differences(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else key)
        return found
    return {} if before == now else {prefix: (before, now)}
