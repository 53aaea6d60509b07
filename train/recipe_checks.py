"""What a recipe's numbers must keep to, apart from their types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from shards.errors import ConfigError
from train.recipe import Recipe, Stage, Threshold

__all__ = ["check_recipe"]


def check_recipe(recipe: Recipe) -> None:
    """Raise ConfigError, with the place in the recipe, for the first number that cannot be."""
    for place, fault in _faults(recipe):
        raise ConfigError(f"{place}: {fault}")


def _faults(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if not recipe.stages:
        yield "stages", "there is none"
    for name in ("text_dropout", "held_out"):
        share = getattr(recipe, name)
        if not 0 <= share <= 1:
            yield name, f"{share} is no share from 0 to 1"
    if recipe.held_out == 1:
        yield "held_out", "nothing is left to train on"
    if recipe.block_steps < 1:
        yield "block_steps", f"{recipe.block_steps}; at least 1 is wanted"
    if recipe.seed < 0 or recipe.lora_rank < 0:
        yield ("seed" if recipe.seed < 0 else "lora_rank"), "is below 0"
    for number, stage in enumerate(recipe.stages):
        yield from _stage_faults(stage, f"stages.{number}")
    yield from _first_frame_faults(recipe)
    optimizer = recipe.optimizer
    for name in ("learning_rate", "warmup_steps", "final_share", "weight_decay"):
        if getattr(optimizer, name) < 0:
            yield f"optimizer.{name}", f"{getattr(optimizer, name)} is below 0"
    for name in ("eps", "clip_norm", "spike_ratio"):
        if getattr(optimizer, name) <= 0:
            yield f"optimizer.{name}", f"{getattr(optimizer, name)}; more than 0 is wanted"
    if not all(0 <= beta < 1 for beta in optimizer.betas):
        yield "optimizer.betas", f"{optimizer.betas}; from 0 to below 1 is wanted"
    if optimizer.ema is not None and not 0 <= optimizer.ema < 1:
        yield "optimizer.ema", f"{optimizer.ema}; from 0 to below 1 is wanted, or null"
    for name, least in (("every", 1), ("keep", 1), ("validate_every", 0), ("sample_every", 0)):
        if getattr(recipe.saving, name) < least:
            yield f"saving.{name}", f"{getattr(recipe.saving, name)}; at least {least} is wanted"


def _first_frame_faults(recipe: Recipe) -> Iterator[tuple[str, str]]:
    first, saving = recipe.first_frame, recipe.saving
    if first is not None and first.noise_deviation < 0:
        yield "first_frame.noise_deviation", f"{first.noise_deviation} is below 0"
    if first is not None and not 0 <= first.dropout <= 1:
        yield "first_frame.dropout", f"{first.dropout} is no share from 0 to 1"
    if recipe.lora_rank and recipe.model_changes.get("extra_channels"):
        yield "lora_rank", "the projection of the first frame would never learn: train all, or a merged model"
    if first is None and saving.images:
        yield "saving.images", "there is no `first_frame`: the model is shown none"
    if first is not None and len(saving.images) != len(saving.prompts):
        yield "saving.images", f"{len(saving.images)} for {len(saving.prompts)} prompts; one each is wanted"


def _stage_faults(stage: Stage, place: str) -> Iterator[tuple[str, str]]:
    for name in ("steps", "tokens", "packs", "short_side", "max_seconds", "min_frames", "max_tokens"):
        value = getattr(stage, name)
        if value is not None and value <= 0:
            yield f"{place}.{name}", f"{value}; more than 0 is wanted"
    if stage.short_side % 16:
        yield f"{place}.short_side", f"{stage.short_side} is no multiple of 16"
    if stage.max_tokens is not None and stage.max_tokens > stage.tokens:
        yield f"{place}.max_tokens", f"{stage.max_tokens} is more than a pack's {stage.tokens}"
    if (stage.min_frames - 1) % 4:
        yield f"{place}.min_frames", f"{stage.min_frames} is not of the form 4k+1"
    if not stage.fps or min(stage.fps) <= 0:
        yield f"{place}.fps", f"{list(stage.fps)}; frame rates above 0 are wanted"
    if stage.learning_rate is not None and stage.learning_rate < 0:
        yield f"{place}.learning_rate", f"{stage.learning_rate} is below 0"
    for number, threshold in enumerate(stage.thresholds):
        for name, fault in _threshold_faults(threshold):
            yield f"{place}.thresholds.{number}.{name}", fault


def _threshold_faults(threshold: Threshold) -> Iterator[tuple[str, str]]:
    pointed = threshold.kind in ("step", "ramp")
    if pointed and threshold.value is not None:
        yield "value", f"a {threshold.kind} has `points`, no value"
    if pointed and not threshold.points:
        yield "points", f"a {threshold.kind} needs some: [[step, value], …]"
    if not pointed and threshold.points:
        yield "points", f"a {threshold.kind} has `value`, no points"
    if not pointed and threshold.value is None:
        yield "value", "is missing"
    if threshold.kind == "quantile" and not 0 <= (threshold.value or 0) <= 1:
        yield "value", f"{threshold.value} is no share from 0 to 1"
    if pointed and not _rising([step for step, _ in threshold.points]):
        yield "points", f"their steps do not rise: {[step for step, _ in threshold.points]}"


def _rising(steps: Sequence[int]) -> bool:
    return all(one < other for one, other in itertools.pairwise(steps))
