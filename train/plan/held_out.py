"""Steps over the clips that are never trained on: the same views, packs and timesteps every time."""

from __future__ import annotations

import numpy as np

from train.plan.admission import KEPT
from train.plan.candidates import Viewer, planned_step, window_of
from train.plan.packing import Placed, fill_packs
from train.plan.planner import Planner
from train.plan.steps import PlannedPack, PlannedStep
from train.plan.views import Ints

__all__ = ["validation_steps"]


def validation_steps(planner: Planner, stage: int, clips: int = 64) -> list[PlannedStep]:
    """Return steps over at most `clips` held-out clips, as a stage sees them; none where nothing is held out.

    Each has the stage's number of packs; where the clips run out, packs without clips. Their numbers are -1,
    -2 and so on: noise keyed by the step is fixed, and is no training step's. Clips are those that the
    stage's condition and lengths admit; thresholds are left out, since they move and this must not. No
    caption is dropped.
    """
    viewer = planner.viewer
    plan = planner.recipe.stages[stage]
    rows = _rows(viewer, stage)[:clips]
    bounds = viewer.admissions[stage].bounds(0)
    found = viewer.look(stage, rows, np.zeros(len(rows), np.int64), bounds, text_dropout=0.0)
    waiting = [found[place] for place in range(len(rows))]
    packs: list[tuple[Placed, ...]] = []
    left = list(range(len(waiting)))
    while left:
        window = window_of([waiting[place] for place in left], planner.config.text_length)
        (pack,) = fill_packs(window, 1, plan.tokens)
        packs.append(tuple(Placed(left[placed.place], placed.patches) for placed in pack))
        used = {placed.place for placed in pack}
        left = [place for at, place in enumerate(left) if at not in used]
    steps: list[PlannedStep] = []
    for first in range(0, len(packs), plan.packs):
        mine = packs[first : first + plan.packs]
        step = planned_step(-1 - len(steps), stage, waiting, mine, planner.recipe, planner.config)
        empty = (PlannedPack(()),) * (plan.packs - len(mine))
        steps.append(PlannedStep(step.number, stage, (*step.packs, *empty)))
    return steps


def _rows(viewer: Viewer, stage: int) -> Ints:
    """Return the held-out rows that a stage can show, in a keyed order."""
    manifest = viewer.manifest
    rows = np.flatnonzero(manifest.held_out_N)
    rows = rows[np.argsort(manifest.keys_N[rows], kind="stable")]
    if not rows.size:
        return rows
    admission = viewer.admissions[stage]
    codes_N = admission.codes(rows, viewer.allowed(stage, rows), admission.bounds(0))
    shown: Ints = rows[(codes_N == KEPT) | (codes_N > admission.last_rule)]
    return shown
