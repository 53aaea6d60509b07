"""What each stage of a run will take, before any of it is run: tokens, fill, epochs, operations, bytes.

A stage of few packs is planned whole; of a longer one some steps, evenly spread, stand for all. Which clips
are admitted is counted over all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from train.dit.config import TransformerConfig
from train.dit.flops import training_flops
from train.plan.planner import Planner
from train.plan.steps import PlannedStep, View
from train.plan.tokens import grid_of_view

__all__ = ["StageEstimate", "estimate_stages"]

_WHOLE_PACKS: Final = 4000
"""a stage of so few is planned whole"""
_PLACES: Final = 4
"""in a longer one, at which steps are planned"""
_LATENT_CHANNELS: Final = 16
_LATENT_PX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """One stage. Of the whole stage, unless something else is said."""

    stage: int
    planned_steps: int
    """from which the rest is estimated"""
    first: dict[str, int]
    """clips kept, and dropped by reason, with the first step's thresholds"""
    last: dict[str, int]
    """likewise with the last step's"""
    clips: float
    tokens: float
    """without padding"""
    fill: float
    """share of the packs' tokens, mean"""
    least_fill: float
    """of the emptiest pack that was planned"""
    shortened: float
    """share of the clips that were shortened to fill a pack"""
    seconds: float
    """of video shown"""
    epochs: float
    """how often each clip is drawn, mean"""
    flops: float
    """of training, by the formula of MFU: without padding and without what is computed twice"""
    latent_bytes: float
    """of the cache: of a stage that was planned whole; else at most, as if no view came twice"""
    text_bytes: float
    """likewise: at most each caption once"""


def estimate_stages(planner: Planner, value_bytes: int) -> list[StageEstimate]:
    """Return the estimates of all stages; `value_bytes` is of one number in the caches.

    The planner is moved about in, so plan nothing else with it.
    """
    made = []
    drawn = [0.0] * len(planner.drawn)
    for stage in range(len(planner.recipe.stages)):
        one, drawn = _stage(planner, stage, drawn, value_bytes)
        made.append(one)
    return made


def _stage(
    planner: Planner, stage: int, drawn: Sequence[float], value_bytes: int
) -> tuple[StageEstimate, list[float]]:
    """Return a stage's estimate, and how many clips of each manifest are drawn at its end."""
    plan, first = planner.recipe.stages[stage], planner.first_steps[stage]
    length, starts = plan.steps, [0]
    if plan.steps * plan.packs > _WHOLE_PACKS:
        length = max(1, _WHOLE_PACKS // _PLACES // plan.packs)
        starts = [plan.steps * place // _PLACES for place in range(_PLACES)]
    steps: list[PlannedStep] = []
    here, shortened = list(drawn), 0
    for start, until in pairwise([*starts, plan.steps]):
        # From the middle of its part, for which it stands.
        at = first + start + (until - start - length) // 2
        planner.skip_to(at, [int(count) for count in here])
        before = planner.drawn
        mine = [planner.step(at + number) for number in range(length)]
        steps += mine
        shortened += planner.shortened
        # Of what was drawn, some still waits for later steps.
        used = sum(len(step.clips) for step in mine) / planner.kept * (until - start) / length
        pairs = zip(here, planner.drawn, before, strict=True)
        here = [count + (now - then) * used for count, now, then in pairs]
    return _estimate(planner, stage, steps, shortened, sum(here) - sum(drawn), value_bytes), here


def _estimate(
    planner: Planner,
    stage: int,
    steps: Sequence[PlannedStep],
    shortened: int,
    drawn: float,
    value_bytes: int,
) -> StageEstimate:
    """Return what these steps say of the stage, in which so many clips are drawn."""
    plan, config, manifest = planner.recipe.stages[stage], planner.config, planner.manifest
    scale, images = plan.steps / len(steps), int(planner.recipe.first_frame is not None)
    packs = [pack for step in steps for pack in step.packs]
    views = Counter(clip.view for pack in packs for clip in pack.clips)
    clips, tokens = sum(views.values()), sum(pack.tokens for pack in packs)
    if len(steps) == plan.steps:
        pairs = {(clip.row, clip.view) for pack in packs for clip in pack.clips}
        values = float(sum(_values(view, images) for _, view in pairs))
        drawn_texts = {(c.row, c.caption) for pack in packs for c in pack.clips if c.caption is not None}
        texts = float(len(drawn_texts))
    else:
        values = scale * sum(count * _values(view, images) for view, count in views.items())
        captions = np.bitwise_count(manifest.captions_N[~manifest.held_out_N & manifest.admitted[stage]])
        texts = min(scale * clips * (1 - planner.recipe.text_dropout), float(captions.sum()))
    return StageEstimate(
        stage=stage,
        planned_steps=len(steps),
        first=planner.viewer.count(stage, 0),
        last=planner.viewer.count(stage, plan.steps - 1),
        clips=scale * clips,
        tokens=scale * tokens,
        fill=tokens / (plan.tokens * len(packs)),
        least_fill=min(pack.tokens for pack in packs) / plan.tokens,
        shortened=shortened / clips,
        seconds=scale * sum(count * view.frames / view.fps for view, count in views.items()),
        epochs=drawn / (~manifest.held_out_N).sum(),
        flops=scale * sum(count * _flops(view, config) for view, count in views.items()),
        latent_bytes=values * value_bytes,
        text_bytes=texts * config.text_length * config.text_dim * value_bytes,
    )


def _flops(view: View, config: TransformerConfig) -> int:
    return training_flops(
        config, [(config.text_length, grid_of_view(view.frames, view.height, view.width, config))]
    )


def _values(view: View, images: int) -> int:
    """Return how many numbers the mean and the log-variance of a view's latents are, with `images` beside."""
    frames = (view.frames - 1) // 4 + 1 + images
    return 2 * _LATENT_CHANNELS * frames * (view.height // _LATENT_PX) * (view.width // _LATENT_PX)
