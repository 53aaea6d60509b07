"""`curate train info`: what a checkpoint is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

__all__ = ["info", "run"]


def run(folder: Path) -> dict[str, Any]:
    """Return what a checkpoint is, a run's folder standing for its newest. Raises InputError for others."""
    from torch.distributed.checkpoint import FileSystemReader

    from train.loop import latest, read_record

    checkpoint = latest(folder) or folder
    record = read_record(checkpoint)
    known = FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    sizes: dict[str, int] = {}
    for name, tensor in known.items():
        kind = name.split(".")[0]
        sizes[kind] = sizes.get(kind, 0) + tensor.size.numel()
    steps = [stage["steps"] for stage in record.recipe["stages"]]
    at, left = 0, record.step
    while at < len(steps) - 1 and left >= steps[at]:
        left -= steps[at]
        at += 1
    return {
        "checkpoint": str(checkpoint),
        "step": record.step,
        "steps": sum(steps),
        "stage": record.recipe["stages"][at]["name"],
        "recipe": record.recipe["name"],
        "model": record.recipe["model"],
        "parameters": sizes["model"],
        "lora_rank": record.recipe["lora_rank"],
        "average_updates": record.average_updates,
        "ranks": record.ranks,
        "parallel": record.recipe["parallel"],
        "precision": record.recipe["precision"],
        "manifest": record.manifest,
        "skipped_steps": record.guard["skipped"],
        "bytes": sum(path.stat().st_size for path in checkpoint.iterdir()),
    }


def info(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint's folder, or that of a run: its newest")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say what a checkpoint is: step, stage, model, manifests, size."""
    said = run(checkpoint)
    shown = Console(highlight=False, soft_wrap=True)
    if as_json:
        shown.print(json.dumps(said, indent=2))
        return
    for name, value in said.items():
        words = f"{value:,}" if isinstance(value, int) else str(value)
        shown.print(f"{name.replace('_', ' '):<16} {words}")
