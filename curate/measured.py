"""What units have cost, as their workers measured it, and the rates that follow.

A run's own `metrics/` are the best rates there are: these sources, this machine, these options. They are
read for at most `SAMPLE_UNITS` units of a pass, spread over the run, some at a time: a remote run answers in
seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from curate.estimate import GB, Load, Point, fit_rate, load_of
from curate.plan import PassPlan
from curate.rates import Found, Made, PassRates, Rate
from curate.sources import IMAGE_SUFFIXES
from curate.tasks import Done
from curate.units import Unit
from shards.errors import StorageError
from shards.run import RunFiles
from shards.storage import Storage

__all__ = ["UnitCost", "is_image", "rates_of", "rates_of_run"]

SAMPLE_UNITS = 200
_THREADS = 16


def is_image(uri: str) -> bool:
    """Say whether a source is an image, by its name."""
    return f".{uri.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one unit of a pass took and made."""

    load: Load
    images: int
    """of the load's sources"""
    cpu_s: float
    gpu_s: float
    worker_s: float
    clips: float
    media_bytes: float
    samples_bytes: float

    @classmethod
    def of(cls, pass_: PassPlan, unit: Unit, done: Done) -> UnitCost:
        """Return the cost of `unit` as its worker reported it."""
        in_stages_s = sum(done.seconds.get(stage.name, 0.0) for stage in pass_.stages)
        return cls(
            load_of(unit),
            sum(is_image(source.uri) for source in unit.sources if source.duplicate_of is None),
            done.counts["cpu_s"],
            pass_.resources.gpus * in_stages_s,
            sum(done.seconds.values()),
            done.counts["rows"],
            done.counts.get("media_bytes", 0.0),
            done.counts.get("samples_bytes", 0.0),
        )


def rates_of(
    pass_: PassPlan,
    costs: Sequence[UnitCost],
    *,
    first: bool,
    empty: UnitCost | None = None,
    gpu: bool = True,
) -> PassRates:
    """Return the rates that the costs of some units come to.

    `empty` is the cost of a unit without sources: what a unit costs whatever is in it. `first`: of the pass
    that makes the clips. Without a `gpu`, what a pass that asks for one would take of it stays unknown.
    """

    def fit(values: Sequence[float], per_unit: float = 0.0) -> Rate:
        points = [Point(c.load.sources, c.load.bytes / GB, y) for c, y in zip(costs, values, strict=True)]
        return fit_rate(points, per_unit)

    made = None
    if first:
        made = Made(
            clips=fit([c.clips for c in costs]),
            media_bytes=fit([c.media_bytes for c in costs]),
            samples_bytes=fit([c.samples_bytes for c in costs]),
        )
    unknown = pass_.resources.gpus > 0 and not gpu
    return PassRates(
        fingerprint=pass_.fingerprint,
        sources=sum(cost.load.sources for cost in costs),
        images=sum(cost.images for cost in costs),
        cpu_s=fit([c.cpu_s for c in costs], empty.cpu_s if empty else 0.0),
        gpu_s=None if unknown else fit([c.gpu_s for c in costs], empty.gpu_s if empty else 0.0),
        worker_s=fit([c.worker_s for c in costs], empty.worker_s if empty else 0.0),
        made=made,
    )


def rates_of_run(run: RunFiles, pass_: PassPlan, done: Sequence[Unit], *, first: bool) -> Found | None:
    """Return what the run's own metrics say of a pass over the units `done`; None when they say nothing."""
    step = max(1, len(done) // SAMPLE_UNITS)
    sample = [unit for unit in done[::step][:SAMPLE_UNITS] if load_of(unit).sources]
    with ThreadPoolExecutor(_THREADS) as pool:
        read = pool.map(lambda unit: _cost(run.storage, pass_, unit), sample)
        costs = [cost for cost in read if cost is not None]
    if not costs:
        return None
    return Found(rates_of(pass_, costs, first=first), f"measured in this run, {len(costs)} units", exact=True)


def _cost(storage: Storage, pass_: PassPlan, unit: Unit) -> UnitCost | None:
    """Return what the metrics of a unit say; None unless they are of these options and of the whole unit."""
    try:
        data = json.loads(storage.read(RunFiles.metrics_path(pass_.name, unit.id)))
        if data["fingerprint"] != pass_.fingerprint or not _whole(data["counts"]):
            return None
        return UnitCost.of(pass_, unit, Done(data["counts"], data["seconds"]))
    except (StorageError, ValueError, KeyError, TypeError):
        return None  # metrics are no part of the commit: they may be missing, or of another version


def _whole(counts: Mapping[str, float]) -> bool:
    """Say whether a unit was computed at once: what is added to an earlier part costs less than the whole."""
    if "computed" not in counts:
        return True
    return counts["computed"] >= counts["clips_in"] - counts["failed"] - counts["not_admitted"]
