"""What `curate run --dry-run` prints: what there is to do, what it will make, and what that costs.

No figure without a measurement behind it, and whatever weakens one is said beside it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.estimate import Estimate, PassEstimate, Pool
from curate.executors.pools import form_pools
from curate.forecast import Forecast, forecast
from curate.measured import is_image
from curate.plan import Plan
from curate.sources import Listing
from curate.units import Unit

__all__ = ["print_plan"]

# More units than these are not listed one by one, only the first few.
_ALL_UNITS = 40
_FIRST_UNITS = 5
_MEASURE = "`curate bench rates INPUT` measures them"
UNKNOWN = "unknown"


def print_plan(
    console: Console,
    plan: Plan,
    listing: Listing,
    units: Sequence[Unit],
    output: str,
    *,
    only: str | None = None,
    workers: int | None = None,
    ray: bool = False,
) -> None:
    """Print the plan and its estimate. `workers` is what the user allows; `ray`: a pool a pass, elsewhere."""
    looked = forecast(plan, units, output, only=only)
    estimate = looked.estimate
    images = sum(is_image(source.uri) for source in listing.sources)
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold", no_wrap=True)
    head.add_column(overflow="fold")
    head.add_row("input", Text(_input(listing, estimate, images)))
    if listing.ignored:
        passed = ", ".join(f"{n:,} × {name or 'no suffix'}" for name, n in sorted(listing.ignored.items()))
        head.add_row("", Text(f"not taken, by their names: {passed}"))
    head.add_row("output", Text(output))
    for number, pass_ in enumerate(plan.passes):
        where = f" where {pass_.where}" if pass_.where else ""
        stages = ", ".join(stage.name for stage in pass_.stages)
        head.add_row("" if number else "passes", Text(f"{pass_.name} [{pass_.fp8}]: {stages}{where}"))
    if plan.select and only is None:
        head.add_row("then", Text(f"select {plan.select.name!r} where {plan.select.where}, and pack it"))
    console.print(Text(f"{plan.pipeline}: a dry run, nothing is done", style="bold"))
    console.print(head)
    console.print()
    console.print(_costs(estimate, len(units)))
    console.print()
    tail = Table.grid(padding=(0, 2))
    tail.add_column(style="bold", no_wrap=True)
    tail.add_column(overflow="fold")
    tail.add_row("takes", Text(_wall(estimate, _pools(plan, workers, ray=ray), ray=ray)))
    tail.add_row("makes", Text(_made(estimate, plan, only)))
    for number, line in enumerate(_rates(looked, images, plan)):
        tail.add_row("" if number else "rates", Text(line))
    console.print(tail)
    console.print()
    _print_units(console, plan, units, looked)


def _input(listing: Listing, estimate: Estimate, images: int) -> str:
    size = sum(source.bytes for source in listing.sources)
    copies = len(listing.sources) - estimate.load.sources
    unread = sum(source.version == "unreadable" for source in listing.sources)
    kinds = [f"{images:,} images"] if images else []
    kinds += [f"{copies:,} copies of others"] if copies else []
    kinds += [f"{unread:,} that cannot be read"] if unread else []
    among = f" (among them {', '.join(kinds)})" if kinds else ""
    estimated = listing.estimated
    about = ""
    if estimated:
        about = ", about: some sizes were not looked up, and taken to be the mean of a sample"
    return f"{len(listing.sources):,} sources{among}, {size_text(size)}{about}"


def _costs(estimate: Estimate, units: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("pass", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("CPU hours", "GPU hours", "worker hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in estimate.passes:
        to_do = f"{item.left.units:,} of {units:,} units to run"
        table.add_row(item.pass_.name, to_do, *map(hours, (item.cpu_s, item.gpu_s, item.worker_s)))
    whole = (
        estimate.total(lambda item: item.cpu_s),
        estimate.total(lambda item: item.gpu_s),
        estimate.total(lambda item: item.worker_s),
    )
    table.add_row("in all", "", *map(hours, whole), style="bold")
    return table


def _pools(plan: Plan, workers: int | None, *, ray: bool) -> list[Pool]:
    passes = [p for p in plan.passes if not p.whole_run]
    alone = [Pool(1, (p.name,)) for p in plan.passes if p.whole_run]
    if ray:
        return [*(Pool(s.workers, tuple(names)) for s, names in form_pools(passes, workers).items()), *alone]
    cores = len(os.sched_getaffinity(0))
    names = tuple(p.name for p in passes)
    return [Pool(workers or max(p.resources.workers or cores for p in passes), names), *alone]


def _wall(estimate: Estimate, pools: Sequence[Pool], *, ray: bool) -> str:
    if not any(item.left.units for item in estimate.passes):
        return "no time: everything is there already"
    wall_s = estimate.wall_s(pools)
    counts = (
        ", ".join(f"{p.workers} for {' and '.join(p.passes)}" for p in pools) if ray else pools[0].workers
    )
    if wall_s is not None:
        where = "in the cluster" if ray else "on this machine"
        return f"{span(wall_s)} or a little more, with workers {where}: {counts}"
    if any(pool.workers is None for pool in pools):
        return f"{UNKNOWN}: as many workers as fit on the cluster; --workers N says with how many to reckon"
    return f"{UNKNOWN}: no rates of every pass"


def _made(estimate: Estimate, plan: Plan, only: str | None) -> str:
    if estimate.clips is None or estimate.media_bytes is None or estimate.samples_bytes is None:
        return f"{UNKNOWN}: no rates of the pass {plan.names[0]!r}"
    text = (
        f"{round(estimate.clips):,} clips in all, {size_text(estimate.media_bytes)}, "
        f"and {size_text(estimate.samples_bytes)} of samples"
    )
    if plan.select is None or only is not None:
        return text
    if estimate.shards is None or estimate.selected_clips is None or estimate.selected_bytes is None:
        return f"{text}; shards: {UNKNOWN}"
    return (
        f"{text}; {round(estimate.selected_clips):,} selected, "
        f"{size_text(estimate.selected_bytes)} in {_count(estimate.shards, 'shard')}"
    )


def _rates(looked: Forecast, images: int, plan: Plan) -> list[str]:
    """Return where the rates are from, and what speaks against them."""
    items = looked.estimate.passes
    known = [(item, item.found) for item in items if item.found is not None]
    origins: dict[str, list[PassEstimate]] = {}
    for item, found in known:
        origins.setdefault(found.origin, []).append(item)
    lines = []
    for origin, of in origins.items():
        whose = "" if len(of) == len(items) else f"{', '.join(item.pass_.name for item in of)}: "
        over = max(item.found.rates.sources for item in of if item.found)
        lines.append(f"{whose}{origin}, over {_count(over, 'source')}")
    other = [item.pass_.name for item, found in known if not found.exact]
    if other:
        lines.append(f"{', '.join(other)}: with other options than these; {_MEASURE} anew")
    blind = [item.pass_.name for item, found in known if images and not found.rates.images]
    if blind:
        lines.append(f"{', '.join(blind)}: over videos alone, and {_count(images, 'source')} here are images")
    gpu = [item.pass_.name for item, found in known if found.rates.gpu_s is None]
    if gpu:
        lines.append(f"{', '.join(gpu)}: on a machine without a GPU; that side is {UNKNOWN}")
    made = items[0].found.rates.made if items[0].found else None
    if made and made.selected and plan.select and made.selected.where != plan.select.where:
        lines.append(f"selected and shards: by another condition, {made.selected.where}")
    if missing := [item.pass_.name for item in items if item.found is None]:
        lines.append(f"{', '.join(missing)}: {UNKNOWN}; {_MEASURE} (looked in {looked.rates_file})")
    return lines


def _print_units(console: Console, plan: Plan, units: Sequence[Unit], looked: Forecast) -> None:
    def to_do(unit: Unit) -> str:
        return ", ".join(p.name for p in plan.passes if unit.id not in looked.committed.get(p.name, ()))

    listed, most = units, _ALL_UNITS
    if len(units) > _ALL_UNITS:
        listed, most = [unit for unit in units if to_do(unit)], _FIRST_UNITS
    for unit in listed[:most]:
        size = size_text(unit.bytes)
        console.print(
            f"unit {unit.id}: {_count(len(unit.sources), 'source')}, {size}: {to_do(unit) or 'done'}",
            markup=False,
        )
    if len(listed) > most:
        console.print(f"… and {len(listed) - most:,} more units to run")


def size_text(size: float) -> str:
    """Return "1.42 TiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1000 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.3g} {unit}"


def hours(seconds: float | None) -> str:
    """Return hours to three digits."""
    if seconds is None:
        return UNKNOWN
    value = seconds / 3600
    if 0 < value < 0.001:
        return "< 0.001"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def span(seconds: float) -> str:
    """Return a stretch of time in the two units that say most: "3 d 4 h", "12 min 5 s"."""
    whole = round(seconds)
    for size, name, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size:,} {name} {whole % size // below} {small}"
    return f"{whole} s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
