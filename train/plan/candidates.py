"""Drawn clips with what is seen of them and whether they are admitted; and steps made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shards.errors import ConfigError
from train.dit.config import TransformerConfig
from train.plan.admission import Admission
from train.plan.manifest import Manifest
from train.plan.packing import Placed, Window
from train.plan.steps import PlannedClip, PlannedPack, PlannedStep, View
from train.plan.strata import stratified
from train.plan.tokens import SIDE_PX, frames_of, patch_frames, transformer_config
from train.plan.views import Allowed, Ints, Views, allowed, views
from train.recipe import Recipe

__all__ = ["Candidate", "Candidates", "Viewer", "planned_step", "window_of"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that waits for a pack, with its longest view."""

    row: int
    visit: int
    view: View
    caption: int | None
    area: int
    """tokens of a frame of patches"""
    patches: int
    """frames of patches"""
    least: int
    """of which it must keep so many"""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Clips that were drawn together."""

    rows_N: Ints
    visits_N: Ints
    views: Views
    codes_N: Ints
    """`KEPT`, or why not"""
    config: TransformerConfig

    def __getitem__(self, place: int) -> Candidate:
        """Return one that was kept."""
        seen = self.views
        rows, columns = int(seen.rows_N[place]), int(seen.columns_N[place])
        frames, caption = int(seen.frames_N[place]), int(seen.captions_N[place])
        view = View(
            start_s=float(seen.start_s_N[place]),
            fps=float(seen.fps_N[place]),
            frames=frames,
            height=rows * SIDE_PX,
            width=columns * SIDE_PX,
        )
        return Candidate(
            row=int(self.rows_N[place]),
            visit=int(self.visits_N[place]),
            view=view,
            caption=None if caption < 0 else caption,
            area=rows * columns,
            patches=patch_frames(frames, self.config),
            least=patch_frames(int(seen.least_N[place]), self.config),
        )


class Viewer:
    """Looks at rows of a manifest as the recipe's stages see them.

    Raises ConfigError where a stage's budget holds no clip.
    """

    def __init__(self, recipe: Recipe, manifest: Manifest) -> None:
        self.recipe = recipe
        self.manifest = manifest
        self.config = transformer_config(recipe)
        self.admissions = [
            Admission(manifest, number, stage, captioned=recipe.text_dropout < 1)
            for number, stage in enumerate(recipe.stages)
        ]
        for number in range(len(recipe.stages)):
            self.allowed(number, np.zeros(1, np.int64))

    def allowed(self, stage: int, rows_N: Ints) -> Allowed:
        """Return what clips allow in a stage."""
        return allowed(self.manifest, rows_N, self.recipe.stages[stage], self.config)

    def codes(self, stage: int, rows_N: Ints, bounds: Sequence[float]) -> Ints:
        """Return `KEPT` of each row, or why it is dropped: its place in the admission's `reasons`."""
        return self.admissions[stage].codes(rows_N, self.allowed(stage, rows_N), bounds)

    def look(
        self,
        stage: int,
        rows_N: Ints,
        visits_N: Ints,
        bounds: Sequence[float],
        text_dropout: float | None = None,
    ) -> Candidates:
        """Return the clips as they are drawn; `text_dropout` in place of the recipe's."""
        may = self.allowed(stage, rows_N)
        dropout = self.recipe.text_dropout if text_dropout is None else text_dropout
        seen = views(
            self.manifest,
            rows_N,
            visits_N,
            self.recipe.stages[stage],
            may,
            seed=self.recipe.seed,
            text_dropout=dropout,
        )
        codes_N = self.admissions[stage].codes(rows_N, may, bounds)
        return Candidates(rows_N, visits_N, seen, codes_N, self.config)

    def count(self, stage: int, step: int) -> dict[str, int]:
        """Return how many of the clips that are trained on a stage admits at a step of it, or why not."""
        admission = self.admissions[stage]
        bounds, reasons = admission.bounds(step), admission.reasons
        rows = np.flatnonzero(~self.manifest.held_out_N)
        counts = np.zeros(len(reasons), np.int64)
        for start in range(0, len(rows), _ROWS):
            codes_N = self.codes(stage, rows[start : start + _ROWS], bounds)
            counts += np.bincount(codes_N, minlength=len(reasons))
        return {reason: int(count) for reason, count in zip(reasons, counts, strict=True)}

    def check_admits(self, stage: int, step: int) -> None:
        """Raise ConfigError where a stage admits no clip at a step of it, saying what drops how many."""
        counts = self.count(stage, step)
        if not counts["kept"]:
            dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts.items() if count)
            bounds = self.admissions[stage].bounds(step)
            thresholds = zip(self.recipe.stages[stage].thresholds, bounds, strict=True)
            said = "".join(f"; {one.column} {one.bound} {bound:g}" for one, bound in thresholds)
            raise ConfigError(
                f"stages.{stage} ({self.recipe.stages[stage].name}): at its step {step} no clip of "
                f"{sum(counts.values()):,} is admitted (dropped: {dropped}{said})"
            )


_ROWS = 1 << 16
"""looked at together"""


def window_of(clips: Sequence[Candidate], text: int) -> Window:
    """Return the sizes that packs are filled by."""
    names = ("area", "patches", "least")
    area_W, patches_W, least_W = (
        np.array([getattr(clip, name) for clip in clips], np.int64) for name in names
    )
    return Window(area_W, patches_W, least_W, text)


def planned_step(
    number: int,
    stage: int,
    clips: Sequence[Candidate],
    packs: Sequence[Sequence[Placed]],
    recipe: Recipe,
    config: TransformerConfig,
) -> PlannedStep:
    """Return a step of packs filled from `clips`: views shortened, timesteps spread over the whole step."""
    times = iter(stratified(sum(map(len, packs)), number, recipe.seed).tolist())
    made = []
    for pack in packs:
        planned = []
        for placed in pack:
            clip = clips[placed.place]
            video = clip.area * placed.patches
            planned.append(
                PlannedClip(
                    row=clip.row,
                    visit=clip.visit,
                    view=_shortened(clip, placed.patches, config),
                    caption=clip.caption,
                    tokens=config.text_length + video,
                    weight=float(video) if recipe.loss_weight == "tokens" else 1.0,
                    timestep=next(times),
                )
            )
        made.append(PlannedPack(tuple(planned)))
    return PlannedStep(number, stage, tuple(made))


def _shortened(clip: Candidate, patches: int, config: TransformerConfig) -> View:
    view = clip.view
    if patches == clip.patches:
        return view
    return View(view.start_s, view.fps, frames_of(patches, config), view.height, view.width)
