"""What is logged of a step: pure arithmetic on what the ranks told each other."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final

from train.loop.settings import Planned
from train.loop.step import ClipLosses
from train.plan import PlannedStep
from train.recipe import Stage

__all__ = ["BINS", "bin_losses", "plan_record", "step_record"]

BINS: Final = 10


def bin_losses(
    timesteps: Sequence[int], losses: Sequence[float | None], timestep_count: int
) -> dict[str, float]:
    """Return the mean loss of the clips in each tenth of the timesteps, by its bounds (`000-099`, …).

    Clips that could not be read, or whose loss is no number, don't count.
    """
    found: dict[int, list[float]] = {}
    for timestep, loss in zip(timesteps, losses, strict=True):
        if loss is not None and math.isfinite(loss):
            found.setdefault(timestep * BINS // timestep_count, []).append(loss)
    bounds = [-(-at * timestep_count // BINS) for at in range(BINS + 1)]
    return {
        f"{bounds[at]:03d}-{bounds[at + 1] - 1:03d}": sum(values) / len(values)
        for at, values in sorted(found.items())
    }


def step_record(
    step: PlannedStep,
    stage: Stage,
    told: ClipLosses,
    *,
    norm: float,
    rate: float,
    timestep_count: int,
    wait_share: float,
    step_s: float,
    flops: int,
    peak_flops: float,
    memory: int,
    skipped: int,
) -> dict[str, Any]:
    """Return a step's numbers, for JSON.

    `wait_share`: of the time since the step before began, what went by waiting for the loader, the mean of
    the ranks; `step_s`: what the step took, with making the next one meanwhile; `peak_flops`: of all ranks'
    devices together. `mfu` counts the operations of the planned clips, `tokens_a_s` their tokens, without
    padding.
    """
    clips = step.clips
    tokens = sum(clip.tokens for clip in clips)
    return {
        "step": step.number,
        "stage": stage.name,
        "loss": _number(told.loss),
        "loss_by_timestep": bin_losses([clip.timestep for clip in clips], told.losses, timestep_count),
        "gradient_norm": _number(norm),
        "learning_rate": rate,
        "clips": len(clips),
        "unread_clips": told.losses.count(None),
        "skipped_steps": skipped,
        "tokens": tokens,
        "fill": tokens / (stage.tokens * len(step.packs)),
        "step_s": step_s,
        "tokens_a_s": tokens / step_s,
        "mfu": flops / step_s / peak_flops,
        "data_wait_share": wait_share,
        "memory_gb": memory / 1e9,
    }


def plan_record(planner: Planned) -> dict[str, Any]:
    """Return the share of clips drawn so far that were admitted, and the blocks that ended, for JSON."""
    drawn = planner.kept + planner.dropped
    record: dict[str, Any] = {"admitted_share": planner.kept / drawn if drawn else None}
    if blocks := planner.take_blocks():
        record["blocks"] = [dataclasses.asdict(block) for block in blocks]
    return record


def _number(value: float) -> float | None:
    """JSON has no infinities."""
    return value if math.isfinite(value) else None
