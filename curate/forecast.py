"""What a run has left to do and what is known of its cost, gathered without starting it.

Nothing is written, and what is read does not grow with the run: a listing a pass, the metrics of a few units,
the file of rates. For whether a pass is up to date, a run of many parts is believed to hold what its
`run.json` says of `where`; of a small local one every part is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curate.driver import committed_units, describe_run
from curate.estimate import Estimate, estimate
from curate.measured import rates_of_run
from curate.plan import Plan
from curate.rates import Found, find_rates, load_rates, rates_path
from curate.units import Unit
from shards.errors import IntegrityError
from shards.run import RUN_JSON, Part, RunFiles, RunInfo
from shards.storage import open_storage

__all__ = ["Forecast", "forecast"]

ASK_PARTS = 256


@dataclass(frozen=True, slots=True)
class Forecast:
    """The state of a run, and the estimate of what is left."""

    committed: dict[str, set[str]]
    estimate: Estimate
    rates_file: str
    """where rates were looked for"""


def forecast(plan: Plan, units: Sequence[Unit], output: str, *, only: str | None = None) -> Forecast:
    """Return what running `plan` over `units` into `output` will take, as far as it was ever measured."""
    storage = open_storage(output)
    run = RunFiles(storage) if storage.exists(RUN_JSON) else None
    committed: dict[str, set[str]] = {}
    if run is not None:
        info = describe_run(plan, units, None)
        few = len(units) <= ASK_PARTS and "://" not in output
        committed = committed_units(run, info, plan) if few else _listed(run, info, plan)
    path = rates_path()
    file = load_rates(path)
    rates: dict[str, Found] = {}
    for pass_ in plan.passes:
        found = None
        if run is not None and (done := [u for u in units if u.id in committed[pass_.name]]):
            found = rates_of_run(run, pass_, done, first=pass_ is plan.passes[0])
        filed = find_rates(file, plan.pipeline, pass_)
        found = _with_selection(found, filed) if found else filed
        if found is not None:
            rates[pass_.name] = found
    return Forecast(committed, estimate(plan, units, committed, rates, only=only), str(path))


def _with_selection(found: Found, filed: Found | None) -> Found:
    """Return a run's own rates with the share selected as the file has it: units do not know it."""
    if found.rates.made is None or filed is None or filed.rates.made is None:
        return found
    made = found.rates.made.model_copy(update={"selected": filed.rates.made.selected})
    return replace(found, rates=found.rates.model_copy(update={"made": made}))


def _listed(run: RunFiles, info: RunInfo, plan: Plan) -> dict[str, set[str]]:
    """Return what `committed_units` does, by listings alone: `where` is the one that run.json has."""
    try:
        stored = run.info().passes
    except IntegrityError:
        stored = {}
    result: dict[str, set[str]] = {}
    upstream: dict[str, Part] | None = None
    for pass_ in plan.passes:
        parts = run.committed(info, pass_.name)
        same = pass_.name in stored and stored[pass_.name].where == pass_.where
        if upstream is None:
            result[pass_.name] = set(parts)
        else:
            result[pass_.name] = {
                unit
                for unit, part in parts.items()
                if same and unit in upstream and part.entry.mtime_ns >= upstream[unit].entry.mtime_ns
            }
        upstream = parts
    return result
