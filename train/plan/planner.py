"""The planner: from a recipe and manifests to the clips, views, packs and timesteps of every step.

Clips are drawn in the endless order, tested with the thresholds of the block of steps that draws them, and
wait in a window out of which packs are filled. When a block begins, those that wait are tested again: every
clip of a step passes the thresholds of the step's own block. Nothing depends on ranks. A state is a few
numbers and the window's rows, and the plan goes on from it exactly.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from shards.errors import ConfigError, InputError
from train.plan.admission import KEPT
from train.plan.block import Block
from train.plan.candidates import Candidate, Candidates, Viewer, planned_step, window_of
from train.plan.manifest import Manifest
from train.plan.packing import CHOICE, fill_packs
from train.plan.permutation import Order
from train.plan.steps import PlannedStep
from train.plan.thresholds import turning_points
from train.recipe import Recipe, Stage

__all__ = ["Planner"]

_DRAWS = 512
"""looked at together"""
_RECORDS = 64
"""of blocks that nobody took"""


@dataclass(slots=True, eq=False)
class _Ahead:
    """Draws that were looked at and not yet taken."""

    sources: list[int]
    """the manifest of each draw"""
    found: Candidates
    places: list[int]
    """of those that are kept"""
    taken: int = 0
    kept: int = 0
    """of `places` that were taken"""


class Planner:
    """Plans the steps of a run, one after another.

    Args:
        recipe: what is trained.
        manifest: the clips, as `read_manifest` gives them for this recipe.

    Raises ConfigError where a stage admits no clip, saying what drops how many.
    """

    def __init__(self, recipe: Recipe, manifest: Manifest) -> None:
        self.recipe = recipe
        self.manifest = manifest
        trained_N = ~manifest.held_out_N
        if not trained_N.any():
            raise ConfigError("held_out: no clip is left to train on")
        self.viewer = Viewer(recipe, manifest)
        self.config = self.viewer.config
        self.first_steps = list(accumulate((stage.steps for stage in recipe.stages), initial=0))
        """of each stage; and, last, the number of all steps"""
        self._order = Order(
            [
                np.flatnonzero(trained_N[manifest.rows(place)]) + manifest.starts[place]
                for place in range(len(manifest.sources))
            ],
            [source.weight for source in manifest.sources],
            recipe.seed,
        )
        for at, stage in enumerate(recipe.stages):
            for step in turning_points(stage.thresholds, stage.steps):
                self.viewer.check_admits(at, step // recipe.block_steps * recipe.block_steps)
        self._next = 0
        self._drawn = [0] * len(manifest.sources)
        self._window: list[Candidate] = []
        self._block: Block | None = None
        self._finished: deque[Block] = deque(maxlen=_RECORDS)
        self._ahead: _Ahead | None = None
        self.kept = self.dropped = self.shortened = 0
        """clips so far: drawn and admitted, drawn and not, and planned with fewer frames than they have"""

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return self.first_steps[-1]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The recipe's stages, quantiles turned into numbers."""
        return tuple(admission.stage for admission in self.viewer.admissions)

    @property
    def drawn(self) -> list[int]:
        """Clips of each manifest that were drawn so far."""
        return list(self._drawn)

    @property
    def epoch_draws(self) -> int:
        """Draws in which every clip comes once at least."""
        return self._order.epoch_draws

    def stage_of(self, number: int) -> int:
        """Return which stage a step is of. Raises IndexError for one that the recipe doesn't have."""
        if not 0 <= number < self.steps:
            raise IndexError(f"step {number} of {self.steps}")
        return next(at for at, end in enumerate(self.first_steps[1:]) if number < end)

    def step(self, number: int) -> PlannedStep:
        """Return a step. They come in sequence: raises ValueError for any but the next.

        Raises ConfigError where a block's thresholds admit no clip.
        """
        if number != self._next:
            raise ValueError(f"step {number} was asked for, the next is {self._next}")
        at = self.stage_of(number)
        stage = self.recipe.stages[at]
        block = self._block_of(at, number)
        self._top_up(block, stage)
        packs = fill_packs(window_of(self._window, self.config.text_length), stage.packs, stage.tokens)
        step = planned_step(number, at, self._window, packs, self.recipe, self.config)
        placed = [one for pack in packs for one in pack]
        self.shortened += sum(one.patches < self._window[one.place].patches for one in placed)
        used = {one.place for one in placed}
        self._window = [clip for place, clip in enumerate(self._window) if place not in used]
        self._next += 1
        if self._next == self.steps:
            self._finish_block()
        return step

    def take_blocks(self) -> list[Block]:
        """Return the records of the blocks that ended since the last call, to be logged: the last 64 at most.

        `replay` draws their clips again.
        """
        done = list(self._finished)
        self._finished.clear()
        return done

    def replay(self, block: Block) -> list[tuple[int, int, str]]:
        """Return (row, visit, reason) of every clip that a block drew, in order; the reason may be `kept`."""
        count = sum(block.end) - sum(block.start)
        if not count:
            return []
        draws = self._order.draws(block.start, count)
        codes_N = self.viewer.codes(block.stage, draws.rows_N, block.bounds)
        reasons = self.viewer.admissions[block.stage].reasons
        pairs = zip(draws.rows_N.tolist(), draws.visits_N.tolist(), codes_N.tolist(), strict=True)
        return [(row, visit, reasons[code]) for row, visit, code in pairs]

    def state(self) -> dict[str, Any]:
        """Return where the planner stands: what JSON can hold, about 20 bytes a clip that waits."""
        return {
            "manifest": self.manifest.digest,
            "next": self._next,
            "drawn": self.drawn,
            "window": [[clip.row, clip.visit] for clip in self._window],
            "kept": self.kept,
            "dropped": self.dropped,
            "shortened": self.shortened,
            "block": None if self._block is None else asdict(self._block),
        }

    def restore(self, state: Mapping[str, Any], *, other_manifest: bool = False) -> None:
        """Go on from a state, taken with the same recipe.

        Raises InputError where it was taken over another manifest, unless `other_manifest`: then the clips
        that waited are let go, and the order of clips begins anew.
        """
        same = state["manifest"] == self.manifest.digest
        if not same and not other_manifest:
            raise InputError(
                f"the run was planned over manifests of digest {state['manifest'][:12]}, these have "
                f"{self.manifest.digest[:12]}: give the same ones, in the same order"
            )
        self._next, self.kept = int(state["next"]), int(state["kept"])
        self.dropped, self.shortened = int(state["dropped"]), int(state["shortened"])
        self._drawn = [int(count) for count in state["drawn"]] if same else [0] * len(self._drawn)
        self._ahead, self._window, self._block = None, [], None
        self._finished.clear()
        if same and state["block"] is not None:
            self._block = Block(**json.loads(json.dumps(state["block"])))
            self._window = self._seen_again(self._block, [(row, visit) for row, visit in state["window"]])

    def skip_to(self, number: int, drawn: Sequence[int]) -> None:
        """Stand before a step with an empty window, so many clips of each manifest drawn: for estimates."""
        counts = {"kept": 0, "dropped": 0, "shortened": 0}
        place = {"next": number, "drawn": drawn, "window": [], "block": None}
        self.restore({"manifest": self.manifest.digest, **place, **counts})

    def _block_of(self, at: int, number: int) -> Block:
        """Return the block of a step; where it begins, test again what waits."""
        local = number - self.first_steps[at]
        place = local // self.recipe.block_steps
        if self._block is not None and (self._block.stage, self._block.number) == (at, place):
            return self._block
        self._finish_block()
        first = place * self.recipe.block_steps
        self._block = Block(
            stage=at,
            number=place,
            first_step=self.first_steps[at] + first,
            bounds=self.viewer.admissions[at].bounds(first),
            start=self.drawn,
            end=self.drawn,
        )
        waited = [(clip.row, clip.visit) for clip in self._window]
        self._window = self._seen_again(self._block, waited)
        self._block.let_go = len(waited) - len(self._window)
        self._ahead = None
        return self._block

    def _finish_block(self) -> None:
        if self._block is not None:
            self._finished.append(self._block)
            self._block = None

    def _seen_again(self, block: Block, waited: Sequence[tuple[int, int]]) -> list[Candidate]:
        """Return clips that wait, as the block's stage sees them; without those that its bounds drop."""
        if not waited:
            return []
        rows_N2 = np.array(waited, np.int64)
        found = self.viewer.look(block.stage, rows_N2[:, 0], rows_N2[:, 1], block.bounds)
        return [found[place] for place in np.flatnonzero(found.codes_N == KEPT).tolist()]

    def _top_up(self, block: Block, stage: Stage) -> None:
        """Draw until enough clips wait.

        That is twice the step's tokens: a pack never takes more clips than would fill two unshortened. And
        `CHOICE` clips more, so that the last pack is filled as well as the first.
        """
        lengths = [self._length(clip) for clip in self._window]
        tokens, wanted, vain = sum(lengths), 2 * stage.packs * stage.tokens, 0
        while tokens * (len(self._window) - CHOICE) < wanted * len(self._window) or not self._window:
            if self._ahead is None or self._ahead.kept == len(self._ahead.places):
                vain += self._pass(block, None)
                if vain > 2 * self.epoch_draws:
                    self.viewer.check_admits(block.stage, block.first_step - self.first_steps[block.stage])
                    raise ConfigError(
                        f"stages.{block.stage} ({stage.name}): of {vain:,} clips drawn none is admitted"
                    )
                draws = self._order.draws(self._drawn, _DRAWS)
                found = self.viewer.look(block.stage, draws.rows_N, draws.visits_N, block.bounds)
                self._ahead = _Ahead(
                    draws.sources_N.tolist(), found, np.flatnonzero(found.codes_N == KEPT).tolist()
                )
                continue
            place, vain = self._ahead.places[self._ahead.kept], 0
            self._ahead.kept += 1
            self._pass(block, place)
            clip = self._ahead.found[place]
            self._window.append(clip)
            tokens += self._length(clip)
        block.end = self.drawn

    def _length(self, clip: Candidate) -> int:
        return self.config.text_length + clip.area * clip.patches

    def _pass(self, block: Block, kept: int | None) -> int:
        """Take the draws up to one that is kept, or the rest of those looked at; count them."""
        ahead = self._ahead
        if ahead is None:
            return 0
        end = len(ahead.sources) if kept is None else kept + 1
        reasons = self.viewer.admissions[block.stage].reasons
        for place in range(ahead.taken, end):
            self._drawn[ahead.sources[place]] += 1
            if place == kept:
                block.kept += 1
                self.kept += 1
            else:
                block.drop(reasons[ahead.found.codes_N[place]])
                self.dropped += 1
        passed, ahead.taken = end - ahead.taken, end
        return passed
