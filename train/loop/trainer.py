"""The training loop, from top to bottom.

A step: the packs that were planned for it are loaded, noise is added, each rank computes its share, gradients
meet, all ranks judge the step alike, the optimizer moves. The next step is made while the device still works
on this one. Everything random is keyed by (seed, step, clip), so a run goes on from a checkpoint exactly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from train.diffusion import Schedule
from train.dit import Transformer
from train.loop.clip_table import ClipTable
from train.loop.export import diffusion_of
from train.loop.guards import Guard
from train.loop.metrics import RunLog
from train.loop.optimizer import (
    Average,
    build_optimizer,
    clip_gradients,
    gradient_norm,
    learned,
    learning_rate,
)
from train.loop.packs import PackMaker, ReadyPack
from train.loop.parallel import World, spread
from train.loop.record import plan_record, step_record
from train.loop.resume import check_record, plain, tell_changes
from train.loop.saving import Record, Saver, load_tensors, read_record, tensors_of
from train.loop.settings import Data, Outcome, Settings
from train.loop.shown import ProgressLine, Tracer
from train.loop.speed import matmul_flops, memory_bytes, step_flops
from train.loop.step import ClipLosses, gather_losses, pass_over
from train.loop.validation import validate
from train.loop.watch import StopSignal, Watchdog
from train.loop.weights import gathered
from train.plan import PlannedStep
from train.recipe import Recipe

__all__ = ["train"]

_LOG = logging.getLogger(__name__)


def train(model: Transformer, recipe: Recipe, data: Data, settings: Settings, world: World) -> Outcome:
    """Train from the first or a checkpoint's step to the recipe's last. `model` is changed in place.

    All ranks call it with the same. Raises InputError for a checkpoint of another model or manifest,
    StageError where step after step had to be skipped.
    """
    with StopSignal() as stop, Watchdog(settings.hang_s) as watchdog:
        trainer = _Trainer(model, recipe, data, settings, world, watchdog)
        if settings.resume is not None:
            trainer.resume(settings.resume)
        return trainer.run(stop)


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A step that is about to be computed."""

    step: PlannedStep
    packs: list[ReadyPack]
    planner: Mapping[str, Any]
    """the planner's state after this step"""
    plan: dict[str, Any]
    """what is logged of the plan"""
    wait_s: float
    """for the loader"""


class _Trainer:
    def __init__(
        self,
        model: Transformer,
        recipe: Recipe,
        data: Data,
        settings: Settings,
        world: World,
        watchdog: Watchdog,
    ) -> None:
        self.model, self.config = model, model.config
        self.recipe, self.data, self.settings = recipe, data, settings
        self.world, self.watchdog = world, watchdog
        dropout = 0.0 if recipe.first_frame is None else recipe.first_frame.dropout
        schedule = Schedule.of(diffusion_of(recipe.diffusion))
        self.maker = PackMaker(
            self.config, schedule, recipe.seed, fixed=recipe.compile, image_dropout=dropout
        )
        self.called = spread(model, recipe, world)
        self.values = learned(model)
        self.optimizer = build_optimizer(model, recipe.optimizer)
        decay = recipe.optimizer.ema
        self.average = None if decay is None else Average(self.values, decay)
        self.guard = Guard(recipe.optimizer.spike_ratio)
        self.total = sum(stage.steps for stage in recipe.stages)
        self.done = 0
        self.saver = Saver(settings.output, recipe.saving.keep, world)
        self.table = ClipTable(settings.output, world.rank)

    def resume(self, folder: Path) -> None:
        """Take everything from a checkpoint."""
        record = read_record(folder)
        check_record(
            folder, record, self.recipe, self.config, self.data.digest,
            other_manifest=self.settings.other_manifest,
        )  # fmt: skip
        if self.world.first:
            tell_changes(folder, record, self.recipe)
        load_tensors(tensors_of(self.model, self.optimizer, self.average), folder)
        if self.average is not None and record.average_updates is not None:
            self.average.updates = record.average_updates
        self.guard.restore(record.guard)
        self.data.planner.restore(record.planner, other_manifest=self.settings.other_manifest)
        self.done = record.step

    def run(self, stop: StopSignal) -> Outcome:
        """Go on to the last step, or until asked to stop."""
        output, settings = self.settings.output, self.settings
        half = torch.float32 if self.recipe.precision == "float32" else torch.bfloat16
        self.peak_flops = matmul_flops(self.world.device, half) * self.world.size
        with ExitStack() as held:
            log = None
            if self.world.first:
                self.table.cut(self.done)
                log = RunLog(output, self.done, wandb=settings.wandb, config=plain(self.recipe))
                held.enter_context(closing(log))
            self.world.wait()
            shown = settings.shown and self.world.first
            line = held.enter_context(ProgressLine(self.total, self.done, shown=shown))
            tracer = held.enter_context(Tracer(output, settings.trace_steps, self.world.rank))
            checkpoint = self._steps(stop, log, line, tracer)
            self.saver.finish()
            self.world.wait()
        return Outcome(self.done, checkpoint, stopped=self.done < self.total)

    def _steps(self, stop: StopSignal, log: RunLog | None, line: ProgressLine, tracer: Tracer) -> Path:
        saving, asked = self.recipe.saving, False
        checkpoint, state = self.settings.resume, self.data.planner.state()
        self.begun = time.perf_counter()
        upcoming = self._make(self.done) if self.done < self.total else None
        while upcoming is not None and not asked:
            current = upcoming
            record, upcoming, asked = self._step(current, stop)
            self.done, state = current.step.number + 1, current.planner
            tracer.step()
            self.saver.poll()
            self.watchdog.beat()
            if self._due(saving.validate_every):
                record |= self._validated(current.step.stage)
            if log is not None:
                log.write(record)
                line.show(record)
            self.guard.check(current.step.number)
            if self._due(saving.sample_every):
                self._sample(current.step.stage)
            if asked or self._due(saving.every):
                checkpoint = self._save(state)
        return self._save(state) if checkpoint is None else checkpoint

    def _due(self, every: int) -> bool:
        """Whether what happens every so many steps, and after the last one, happens now; 0: never."""
        return every > 0 and (self.done % every == 0 or self.done == self.total)

    def _make(self, number: int) -> _Ready:
        """Plan a step, load this rank's packs, add noise."""
        step = self.data.planner.step(number)
        state, plan = self.data.planner.state(), plan_record(self.data.planner)
        shares = self.data.deal(step, self.world.size)
        mine = shares[self.world.rank]
        begun = time.perf_counter()
        loaded = self.data.batches.load(step, mine)
        wait_s = time.perf_counter() - begun
        tokens = self.recipe.stages[step.stage].tokens
        packs = self.maker.make(step, mine, loaded, tokens, max(map(len, shares)))
        if self.world.device.type == "cuda":
            # From pinned memory a pack is copied while the device computes.
            packs = [pack.pinned() for pack in packs]
        return _Ready(step, packs, state, plan, wait_s)

    def _step(self, current: _Ready, stop: StopSignal) -> tuple[dict[str, Any], _Ready | None, bool]:
        """Compute a step and move, or skip it.

        Returns what is logged of it, the next step, and whether any rank was asked to stop.
        """
        begun = time.perf_counter()
        since_s, self.begun = begun - self.begun, begun
        step, packs, parameters = current.step, current.packs, list(self.values.values())
        weights = [clip.weight for clip in step.clips]
        rate = learning_rate(self.recipe, step.number)
        mine = sum(sum(pack.weights) for pack in packs)
        share = current.wait_s / since_s / self.world.size
        weight, wait_share, asked = self.world.total([mine, share, float(stop.asked)])
        losses = pass_over(self.called, packs, weight, self.world, self.recipe) if weight else []
        # The device is at work: the next step is made meanwhile.
        upcoming = self._make(step.number + 1) if step.number + 1 < self.total else None
        if weight:
            told = gather_losses(packs, losses, weights, self.world)
            norm = gradient_norm(parameters)
            length = norm.item()
            reason = self.guard.judge(told.loss, length)
        else:
            told, length = ClipLosses((None,) * len(weights), float("nan")), 0.0
            reason = "none of its clips could be read"
        if reason is None:
            clip_gradients(parameters, self.recipe.optimizer.clip_norm, norm)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            if self.average is not None:
                self.average.update(self.values)
        self.optimizer.zero_grad()
        skipped = self._skipped(current, told, reason) if reason is not None else {}
        self._note(current, told)
        record = step_record(
            step, self.recipe.stages[step.stage], told,
            norm=length, rate=rate, timestep_count=len(self.maker.schedule), wait_share=wait_share,
            step_s=time.perf_counter() - begun, flops=step_flops(self.config, step.clips),
            peak_flops=self.peak_flops, memory=memory_bytes(self.world.device), skipped=self.guard.skipped,
        )  # fmt: skip
        return record | current.plan | skipped, upcoming, asked > 0

    def _skipped(self, current: _Ready, told: ClipLosses, reason: str) -> dict[str, Any]:
        """Return why a step was skipped, and its clips with their losses; all ranks come here."""
        mine = [
            (clip_id, told.losses[place])
            for pack in current.packs
            for place, clip_id in zip(pack.places, pack.clip_ids, strict=True)
        ]
        clips = {clip_id: repr(loss) for part in self.world.gather(mine) for clip_id, loss in part}
        if self.world.first:
            _LOG.warning("step %d is skipped: %s; clips %s", current.step.number, reason, ", ".join(clips))
        self.guard.skip()
        return {"skipped": {"reason": reason, "clips": clips}}

    def _note(self, current: _Ready, told: ClipLosses) -> None:
        for pack in current.packs:
            for place, clip_id in zip(pack.places, pack.clip_ids, strict=True):
                loss, clip = told.losses[place], current.step.clips[place]
                if loss is not None:
                    self.table.add(clip_id, current.step.number, clip.timestep, loss)

    def _validated(self, stage: int) -> dict[str, Any]:
        held_out = self.data.held_out
        if held_out is None:
            return {}
        found = validate(
            self.model, self.average, held_out, stage, self.data.deal, self.maker, self.recipe, self.world
        )
        self.watchdog.beat()
        return {"held_out": found}

    def _sample(self, stage: int) -> None:
        sampler = self.settings.sampler
        if sampler is None or not self.recipe.saving.prompts:
            return
        weights = gathered(self.model, self.average, self.world)
        if weights is not None:
            sampler.write(
                self.settings.output / "samples" / f"step-{self.done:08d}", self.config, weights,
                self.recipe, self.recipe.stages[stage], self.world.device, self.watchdog.beat,
            )  # fmt: skip
        self.world.wait()
        self.watchdog.beat()

    def _save(self, planner: Mapping[str, Any]) -> Path:
        self.table.write()
        record = Record(
            step=self.done,
            recipe=plain(self.recipe),
            model=plain(self.config),
            manifest=self.data.digest,
            planner=dict(planner),
            guard=self.guard.state(),
            average_updates=None if self.average is None else self.average.updates,
            ranks=self.world.size,
        )
        path = self.saver.start(tensors_of(self.model, self.optimizer, self.average), record)
        self.watchdog.beat()
        return path
