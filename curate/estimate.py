"""What a run will cost, from rates that were measured: pure arithmetic, no I/O.

Every quantity (processor seconds, clips, bytes written …) is a line in what is to be done: so much a unit, so
much a source, so much a gigabyte. The second term is what makes many small files come out right. What was
never measured stays unknown: no rate, no figure. Cost: one pass over the units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from curate.pipeline import PackOptions
from curate.plan import PassPlan, Plan
from curate.rates import Found, Rate
from curate.units import Unit

__all__ = ["Estimate", "Load", "PassEstimate", "Point", "Pool", "estimate", "fit_rate", "load_of"]

GB = 1e9
# A sample whose sizes lie closer together than this says nothing about what a source costs by itself.
_SPREAD = 2.0
_POINTS = 4


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done: duplicates of other sources are not read, and do not count."""

    units: int = 0
    sources: int = 0
    bytes: int = 0

    def __add__(self, other: Load) -> Load:
        return Load(self.units + other.units, self.sources + other.sources, self.bytes + other.bytes)

    def times(self, rate: Rate) -> float:
        """Return what this takes, or gives, at `rate`."""
        return rate.per_unit * self.units + rate.per_source * self.sources + rate.per_gb * self.bytes / GB


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: a quantity `y` over some sources and gigabytes."""

    sources: int
    gb: float
    y: float


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers that take the tasks of some passes."""

    workers: int | None
    """null: not known before the run"""
    passes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassEstimate:
    """What one pass has left to do, and what that takes; null where no rate is known."""

    pass_: PassPlan
    left: Load
    found: Found | None
    """where its rates are from"""
    cpu_s: float | None
    gpu_s: float | None
    worker_s: float | None
    """of one worker that does one unit at a time"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run has to do, and what it will have made in the end."""

    load: Load
    passes: tuple[PassEstimate, ...]
    clips: float | None
    media_bytes: float | None
    samples_bytes: float | None
    selected_clips: float | None
    selected_bytes: float | None
    shards: int | None

    def total(self, of: Callable[[PassEstimate], float | None]) -> float | None:
        """Return the sum over the passes; null when one is unknown that has something to do."""
        figures = [of(p) for p in self.passes if p.left.units]
        return None if None in figures else sum(f for f in figures if f is not None)

    def wall_s(self, pools: Sequence[Pool]) -> float | None:
        """Return how long the run takes in these pools, at least; null where something is unknown.

        The passes of a pool share its workers and come one after another; pools work at the same time, so
        the slowest decides. No pool has more hands than units.
        """
        walls = []
        for pool in pools:
            wall_s = 0.0
            for item in self.passes:
                if item.pass_.name not in pool.passes or not item.left.units:
                    continue
                if item.worker_s is None or pool.workers is None:
                    return None
                wall_s += item.worker_s / min(pool.workers, item.left.units)
            walls.append(wall_s)
        return max(walls, default=0.0)


def load_of(unit: Unit) -> Load:
    """Return what a unit has to read."""
    sources = size = 0
    for source in unit.sources:
        if source.duplicate_of is None:
            sources += 1
            size += source.bytes
    return Load(1, sources, size)


def fit_rate(points: Sequence[Point], per_unit: float = 0.0) -> Rate:
    """Return the rate that fits `points`, each of which holds `per_unit` once.

    Least squares of y = a·sources + b·GB with weights 1/GB: a point's error grows with its size, and so
    weighted, the fitted values add up to what was measured. Where a or b would be negative, the points are
    too few, or their sizes too much alike to tell the two apart, one term alone has the same sum: b, or a if
    there were no bytes.
    """
    used = [Point(p.sources, max(p.gb, 1e-9), p.y - per_unit) for p in points if p.sources]
    y, sources, gb = sum(p.y for p in used), sum(p.sources for p in used), sum(p.gb for p in used)
    if not used or y <= 0:
        return Rate(per_unit=per_unit)
    sizes = sorted(p.gb / p.sources for p in used)
    if len(used) >= _POINTS and sizes[-1] >= _SPREAD * sizes[0]:
        nn = sum(p.sources**2 / p.gb for p in used)
        ny = sum(p.sources * p.y / p.gb for p in used)
        scale = nn * gb - sources**2
        a, b = (gb * ny - sources * y) / scale, (nn * y - sources * ny) / scale
        if a >= 0 and b >= 0:
            return Rate(per_unit=per_unit, per_source=a, per_gb=b)
        if b < 0:
            return Rate(per_unit=per_unit, per_source=y / sources)
    return Rate(per_unit=per_unit, per_gb=y / gb)


def estimate(
    plan: Plan,
    units: Sequence[Unit],
    committed: Mapping[str, Collection[str]],
    rates: Mapping[str, Found],
    *,
    only: str | None = None,
) -> Estimate:
    """Return what `plan` over `units` takes; `committed` names the units that each pass has done already.

    What the run holds in the end counts all units, what it takes only those that are left: of the pass `only`
    alone, those that every pass before it has committed.
    """
    loads = [(unit.id, load_of(unit)) for unit in units]
    whole = _sum(load for _, load in loads)
    passes = []
    ready = loads
    for pass_ in plan.passes:
        done = committed.get(pass_.name, ())
        to_do = ready if only in (None, pass_.name) else []
        left = _sum(load for ident, load in to_do if ident not in done)
        if only is not None:
            ready = [(ident, load) for ident, load in ready if ident in done]
        found = rates.get(pass_.name)
        if found is None:
            passes.append(PassEstimate(pass_, left, None, None, None, None))
            continue
        r = found.rates
        gpu_s = None if r.gpu_s is None else left.times(r.gpu_s)
        passes.append(PassEstimate(pass_, left, found, left.times(r.cpu_s), gpu_s, left.times(r.worker_s)))
    first = rates.get(plan.passes[0].name)
    made = first.rates.made if first else None
    if made is None:
        return Estimate(whole, tuple(passes), None, None, None, None, None, None)
    clips, media = whole.times(made.clips), whole.times(made.media_bytes)
    samples = whole.times(made.samples_bytes)
    chosen = made.selected
    if chosen is None or plan.select is None:
        return Estimate(whole, tuple(passes), clips, media, samples, None, None, None)
    selected_clips, selected_bytes = clips * chosen.clips, media * chosen.bytes
    shards = count_shards(selected_clips, selected_bytes, plan.pack)
    return Estimate(whole, tuple(passes), clips, media, samples, selected_clips, selected_bytes, shards)


def count_shards(clips: float, size: float, pack: PackOptions) -> int:
    """Return how many shards so many clips fill.

    A shard ends before the clip that would take it past its bound: half a clip of room is lost on average.
    """
    if clips < 1:
        return 0
    room = max(pack.shard_bytes - size / clips / 2, size / clips, 1.0)
    return max(1, ceil(size / room), ceil(clips / pack.shard_clips))


def _sum(loads: Iterable[Load]) -> Load:
    units = sources = size = 0
    for load in loads:
        units += load.units
        sources += load.sources
        size += load.bytes
    return Load(units, sources, size)
