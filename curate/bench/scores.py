"""What each signal and score costs a clip, over a folder: a pipeline's passes up to the captions, one worker.

Passes are measured whole, decoders and commits included; a signal while it is pushed frames and sums up, in a
second decode without the rest; a stage while it computes. All are CPU seconds of one process that does one
thing at a time, on whatever threads its libraries start. Loading models is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import process_time
from typing import cast

import av
from rich.table import Table

from curate.bench.decode import decode_bare
from curate.clips_unit import ClipsRunner
from curate.driver import describe_run
from curate.frames import Signal, SmallFrame
from curate.plan import PassPlan, Plan
from curate.records import Row
from curate.sources import list_sources
from curate.split.scan import scan_source
from curate.split.stage import Eyes, Split
from curate.split.unit import SplitRunner
from curate.tally import Tally
from curate.tasks import Task
from curate.units import Unit, divide
from curate.whole_run import run_whole_pass
from shards.errors import ConfigError, SourceError
from shards.index import build_index
from shards.run import RUN_JSON, RunFiles
from shards.tables import part_shape

__all__ = ["ScoreCosts", "bench_scores", "render_costs"]


@dataclass(frozen=True, slots=True)
class ScoreCosts:
    """CPU seconds over all clips of a run."""

    clips: int
    decode_s: float
    """a bare decode of the sources that could be read"""
    passes_s: dict[str, float]
    parts_s: dict[str, dict[str, float]]
    """pass → signal or stage → CPU seconds"""

    @property
    def score_share(self) -> float:
        """What the passes after the split take, over what the split takes."""
        split_s, *others_s = self.passes_s.values()
        return sum(others_s) / split_s


class _Timed:
    """A signal that counts the processor time it takes."""

    def __init__(self, signal: Signal, name: str, spent_s: Tally) -> None:
        self._signal, self._name, self._spent_s = signal, name, spent_s
        self.native = getattr(signal, "native", False)

    def push(self, frames: Sequence[SmallFrame]) -> None:
        started_s = process_time()
        self._signal.push(frames)
        self._spent_s[self._name] += process_time() - started_s

    def summary(self, start_frame: int, end_frame: int) -> Row:
        started_s = process_time()
        row = self._signal.summary(start_frame, end_frame)
        self._spent_s[self._name] += process_time() - started_s
        return row

    def forget(self, before_frame: int) -> None:
        self._signal.forget(before_frame)


def bench_scores(inputs: Sequence[str], plan: Plan, output: str) -> ScoreCosts:
    """Run the passes of `plan` that come before its captions into the run `output`; return what they cost.

    Raises ConfigError when `output` is a run already, and whatever a run raises.
    """
    scoring = tuple(pass_ for pass_ in plan.passes if pass_.table != "captions")
    plan = replace(plan, passes=scoring, select=None)
    files = RunFiles.create(output)
    if files.storage.exists(RUN_JSON):
        raise ConfigError(f"--output {output}: there is a run already; name a new folder")
    listing = list_sources(inputs)
    units = divide(listing.sources, unit_bytes=plan.unit_bytes, unit_sources=plan.unit_sources)
    files.write_info(describe_run(plan, units, None))
    passes_s: dict[str, float] = {}
    parts_s: dict[str, dict[str, float]] = {}
    for pass_ in plan.passes:
        if pass_.whole_run:
            passes_s[pass_.name] = sum(
                done.counts["cpu_s"] for done in run_whole_pass(files, files.info(), plan, pass_)
            )
            parts_s[pass_.name] = {}
        elif pass_ is plan.passes[0]:
            passes_s[pass_.name] = _split(pass_, files, units)
            paths = [source.uri for unit in units for source in unit.sources if source.duplicate_of is None]
            parts_s[pass_.name], decode_s = _signals(pass_, paths)
        else:
            passes_s[pass_.name], parts_s[pass_.name] = _clips(plan, pass_, files, units)
    _, clips = part_shape(files.storage, build_index(files))
    return ScoreCosts(clips, decode_s, passes_s, parts_s)


def _split(pass_: PassPlan, files: RunFiles, units: Sequence[Unit]) -> float:
    runner = SplitRunner(pass_, files.storage)
    try:
        runner.run(Task(pass_.name, units[0]), lambda _: None)  # starts the decoder; done again below
        before_s = process_time() + runner.decoder_cpu_s()
        for unit in units:
            runner.run(Task(pass_.name, unit), lambda _: None)
        return process_time() + runner.decoder_cpu_s() - before_s
    finally:
        runner.close()


def _signals(pass_: PassPlan, paths: Sequence[str]) -> tuple[dict[str, float], float]:
    """Return the CPU seconds of each signal, and of a bare decode of what can be read."""
    spent_s = Tally()
    decode_s = 0.0
    stage: Split = pass_.stages[0].cls(pass_.stages[0].options)
    names = list(stage.options.signals)
    for path in paths:
        eyes = stage.eyes()
        pairs = zip(eyes.signals, names, strict=True)
        timed = tuple(cast("Signal", _Timed(signal, name, spent_s)) for signal, name in pairs)
        try:
            for _ in scan_source(stage.options, Eyes(eyes.detector, timed), path, path):
                pass
        except SourceError:
            continue  # it has a failure row already
        started_s = process_time()
        with suppress(av.error.FFmpegError):  # a bare decode stops where a file is damaged
            decode_bare([path])
        decode_s += process_time() - started_s
    return dict(spent_s), decode_s


def _clips(
    plan: Plan, pass_: PassPlan, files: RunFiles, units: Sequence[Unit]
) -> tuple[float, dict[str, float]]:
    runner = ClipsRunner(pass_, plan.passes[: plan.passes.index(pass_)], files.storage)
    try:
        before_s = process_time()
        for unit in units:
            runner.run(Task(pass_.name, unit), lambda _: None)
        return process_time() - before_s, dict(runner.stage_cpu_s)
    finally:
        runner.close()


def render_costs(costs: ScoreCosts) -> Table:
    """Return the figures as a table, CPU milliseconds a clip."""
    table = Table(
        title=f"{costs.clips} clips", title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in ("", "CPU ms a clip", "× decode"):
        table.add_column(name, justify="left" if not name else "right")

    def row(name: str, seconds: float, style: str = "") -> None:
        ratio = f"{seconds / costs.decode_s:.3f}" if costs.decode_s else ""
        table.add_row(name, f"{1000 * seconds / max(costs.clips, 1):.1f}", ratio, style=style)

    row("bare decode", costs.decode_s)
    for pass_name, seconds in costs.passes_s.items():
        row(pass_name, seconds, "bold")
        for name, part_s in sorted(costs.parts_s[pass_name].items(), key=lambda item: -item[1]):
            row(f"  {name}", part_s)
    if len(costs.passes_s) > 1:
        table.add_row("passes after the split, over it", "", f"{costs.score_share:.2f}")
    return table
