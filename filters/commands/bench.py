"""`curate bench filters`: what the label pass costs, against the split pass of the same run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from curate.records import Clip, Failure
from filters.commands.showing import table
from filters.labels.clips import LabelRun
from filters.labels.stage import LabelOptions, Labels
from filters.spread import spread
from shards.errors import InputError
from shards.run import RunFiles

__all__ = ["Cost", "bench", "run"]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of this process, and of the run's split pass as its workers measured it."""

    clips: int
    """judged here"""
    cpu_s: float
    setup_cpu_s: float
    """once a worker, importing torch too"""
    split_clips: int
    split_cpu_s: float
    model: str

    @property
    def clip_ms(self) -> float:
        """CPU milliseconds a clip."""
        return 1000 * self.cpu_s / self.clips

    @property
    def split_clip_ms(self) -> float:
        """CPU milliseconds of the split pass, a clip that it made."""
        return 1000 * self.split_cpu_s / self.split_clips


def run(where: str, model: Path | None = None, at_most: int = 200) -> Cost:
    """Judge clips of a run on the CPU, one after another; raises InputError without metrics of its split."""
    files = RunFiles.open(where)
    info = files.info()
    name, current = next((name, p) for name, p in info.passes.items() if "clips" in p.tables)
    cpu_s, made = 0.0, 0
    for unit in files.committed(info, name):
        path = RunFiles.metrics_path(name, unit)
        if not files.storage.exists(path):
            raise InputError(f"{where}: no {path}, which says what the split pass cost; run it anew")
        said = json.loads(files.storage.read(path))
        if said["fingerprint"] == current.fingerprint:
            cpu_s += said["counts"]["cpu_s"]
            made += said["counts"]["rows"]
    if not made:
        raise InputError(f"{where}: its split pass made no clips")
    opened = LabelRun(where)
    started = time.process_time()
    stage = Labels(LabelOptions(model=model, device="cpu"))
    stage.setup()
    setup_cpu_s = time.process_time() - started
    rows = spread(opened.clips(sorted(stage.needs - {"samples"})), at_most)
    try:
        clips = []
        for row in rows:
            samples = opened.samples(row)
            clips.append(Clip(row, lambda samples=samples: samples, _no_media))  # type: ignore[misc]
        stage.process(clips[:3])  # what is done on first use belongs to the start
        started = time.process_time()
        outcomes = stage.process(clips)
        spent = time.process_time() - started
    finally:
        stage.close()
    judged = [outcome for outcome in outcomes if not isinstance(outcome, (Failure, tuple))]
    if not judged:
        raise InputError(f"{where}: none of its clips could be judged")
    return Cost(len(clips), spent, setup_cpu_s, made, cpu_s, str(judged[0]["label_model"]))


def _no_media() -> bytes:
    raise AssertionError("the stage asks for no media")


def bench(
    where: Annotated[str, typer.Argument(metavar="RUN", help="a run with split and score passes")],
    *,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="a checkpoint; the one that is shipped unless named")
    ] = None,
    at_most: Annotated[int, typer.Option("--clips", min=1, help="clips judged, evenly spread")] = 200,
) -> int:
    """CPU time of the label pass a clip, against that of the run's own split pass."""
    cost = run(where, model, at_most)
    rows = [
        ["", "label pass", "split pass", "share"],
        ["clips", str(cost.clips), str(cost.split_clips), ""],
        [
            "CPU ms a clip",
            f"{cost.clip_ms:.1f}",
            f"{cost.split_clip_ms:.1f}",
            f"{cost.clip_ms / cost.split_clip_ms:.3f}",
        ],
        ["CPU s to load, a worker", f"{cost.setup_cpu_s:.2f}", "", ""],
        ["model", cost.model, "", ""],
    ]
    Console(highlight=False).print(table(rows))
    return 0
