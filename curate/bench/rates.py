"""What each pass costs on this machine: a pipeline over a sample of sources, in a run of its own.

Every source is a unit by itself, so that there are as many measurements as sources; what a unit costs
whatever is in it is measured over empty ones and taken apart, because in a real run many sources share a
unit. Loading models and starting the decoder are not counted. Cost: one worker's time over the sample, and
its output on disk.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from curate.driver import RunFailedError, describe_run
from curate.measured import UnitCost, is_image, rates_of
from curate.plan import PassPlan, Plan
from curate.rates import Measurement, PassRates, Rate, Selected
from curate.records import Source
from curate.sources import list_sources
from curate.tasks import Done, Report, Task
from curate.units import Unit, divide
from curate.versions import package_versions
from curate.whole_run import run_whole_pass
from curate.worker import Worker, WorkerSpec
from shards.packing import pack
from shards.run import RunFiles
from shards.selection import select

__all__ = ["bench_rates", "render_rates"]

_EMPTY_UNITS = 3
_SELECTION = "sample"


@dataclass(frozen=True, slots=True)
class _Costs:
    """What a pass took: of units without a source, and of every source."""

    empty: UnitCost
    units: Sequence[UnitCost]


def bench_rates(
    inputs: Sequence[str], plan: Plan, *, sample: int = 20, seed: int = 0, note: Callable[[str], None]
) -> Measurement:
    """Return the rates of `plan` over at most `sample` sources of `inputs`, drawn with `seed`.

    Raises InputError when there are none, RunFailedError when a pass fails as it would in a run.
    """
    every = [s for s in list_sources(inputs).sources if s.duplicate_of is None]
    sources = _draw(every, sample, seed)
    size = sum(source.bytes for source in sources)
    note(f"{plan.pipeline}: {len(sources)} of {len(every)} sources, {size / 2**20:.1f} MiB, one at a time")
    folder = tempfile.mkdtemp(prefix="curate-rates-")
    try:
        files = RunFiles.create(folder)
        units = divide(sources, unit_bytes=1, unit_sources=1)
        files.write_info(describe_run(plan, units, None))
        costs, failed = _measure(plan, folder, units)
        selected = _select(plan, files, sum(c.media_bytes for c in costs[plan.names[0]].units))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    gpus = _gpus()
    passes = {
        p.name: _rates(p, costs[p.name], first=p is plan.passes[0], gpu=bool(gpus)) for p in plan.passes
    }
    first = passes[plan.names[0]]
    assert first.made is not None
    made = first.made.model_copy(update={"selected": selected})
    passes[plan.names[0]] = first.model_copy(update={"made": made})
    return Measurement(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine={"cpu": _cpu(), "cores": str(len(os.sched_getaffinity(0))), "gpus": ", ".join(gpus)},
        versions=package_versions(),
        sources=len(sources),
        images=sum(is_image(source.uri) for source in sources),
        bytes=size,
        failed=failed,
        passes=passes,
    )


def _draw(sources: Sequence[Source], sample: int, seed: int) -> list[Source]:
    if len(sources) <= sample:
        return list(sources)
    chosen = random.Random(seed).sample(range(len(sources)), sample)
    return [sources[n] for n in sorted(chosen)]


def _measure(plan: Plan, root: str, units: Sequence[Unit]) -> tuple[dict[str, _Costs], int]:
    """Run every pass over the units; return the costs by pass, and how many sources failed."""
    worker = Worker(WorkerSpec(plan, root))
    smallest = min(units, key=lambda unit: unit.bytes)
    costs, failed = {}, 0
    try:
        for pass_ in plan.passes:
            if pass_.whole_run:
                costs[pass_.name] = _whole(plan, pass_, root, units)
                continue
            if (broken := worker.load(pass_.name)) is not None:
                raise RunFailedError(broken)
            _run(worker, pass_, replace(smallest, id="warm"))
            empty = [
                UnitCost.of(pass_, unit, _run(worker, pass_, unit))
                for unit in (Unit(f"empty{n}", ()) for n in range(_EMPTY_UNITS))
            ]
            done = [(unit, _run(worker, pass_, unit)) for unit in units]
            measured = [UnitCost.of(pass_, unit, report) for unit, report in done]
            costs[pass_.name] = _Costs(sorted(empty, key=lambda c: c.cpu_s)[_EMPTY_UNITS // 2], measured)
            if pass_ is plan.passes[0]:
                failed = sum(report.counts.get("failures", 0) > 0 for _, report in done)
    finally:
        worker.close()
    return costs, failed


def _whole(plan: Plan, pass_: PassPlan, root: str, units: Sequence[Unit]) -> _Costs:
    """Run a pass over the whole run; what it takes grows with the clips alone."""
    files = RunFiles.open(root)
    done = run_whole_pass(files, files.info(), plan, pass_)
    measured = [UnitCost.of(pass_, unit, report) for unit, report in zip(units, done, strict=True)]
    nothing = UnitCost.of(pass_, Unit("empty", ()), Done({"cpu_s": 0.0}, {}))
    return _Costs(nothing, measured)


def _run(worker: Worker, pass_: PassPlan, unit: Unit) -> Done:
    report: Report = worker.run(Task(pass_.name, unit), lambda _: None)
    if not isinstance(report, Done):
        raise RunFailedError(report)
    return report


def _select(plan: Plan, files: RunFiles, media_bytes: float) -> Selected | None:
    """Select and pack as the pipeline would; return the shares, or None where it does not."""
    if plan.select is None or not media_bytes:
        return None
    chosen = select(files, plan.select.where, _SELECTION)
    packed_bytes = 0
    if chosen.clips:
        limits = plan.pack
        packed = pack(files, _SELECTION, shard_bytes=limits.shard_bytes, shard_clips=limits.shard_clips)
        packed_bytes = packed.bytes
    return Selected(where=plan.select.where, clips=chosen.clips / chosen.of, bytes=packed_bytes / media_bytes)


def _rates(pass_: PassPlan, costs: _Costs, *, first: bool, gpu: bool) -> PassRates:
    return rates_of(pass_, costs.units, first=first, empty=costs.empty, gpu=gpu)


def _cpu() -> str:
    """Return the processor's name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Return the names of this machine's GPUs, as the NVIDIA driver tells them."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with suppress(OSError):
            lines = path.read_text(encoding="utf-8").splitlines()
            names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return names


def render_rates(measured: Measurement) -> Table:
    """Return the rates as a table, a line a quantity."""
    failed = f", {measured.failed} failed" if measured.failed else ""
    table = Table(
        title=f"{measured.sources} sources ({measured.images} images{failed}), "
        f"{measured.bytes / 1e9:.2f} GB, on {measured.machine['cpu']}",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for name in ("", "a unit", "a source", "a GB"):
        table.add_column(name, justify="left" if not name else "right")
    for name, rates in measured.passes.items():
        _add(table, f"{name}: CPU seconds", rates.cpu_s)
        _add(table, f"{name}: GPU seconds", rates.gpu_s)
        _add(table, f"{name}: seconds of a worker", rates.worker_s)
        if rates.made is not None:
            _add(table, f"{name}: clips", rates.made.clips)
            _add(table, f"{name}: bytes of clips", rates.made.media_bytes)
            _add(table, f"{name}: bytes of samples", rates.made.samples_bytes)
    return table


def _add(table: Table, name: str, rate: Rate | None) -> None:
    if rate is None:
        table.add_row(name, "", "", "unknown: this machine has no GPU")
    elif rate != Rate():
        table.add_row(
            name,
            *(
                f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}"
                for value in (rate.per_unit, rate.per_source, rate.per_gb)
            ),
        )
