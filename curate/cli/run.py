"""`curate run`: plan, drive, select, pack, and say what came of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console

from curate.again import plan_again, units_of
from curate.asked import describe_requests
from curate.cli.plan import print_plan
from curate.driver import Totals, describe_run, drive
from curate.executors.place import ExecutorName, choose_place
from curate.funnel import Funnel, measure_funnel, render_funnel, render_seconds
from curate.plan import Plan, load_plan
from curate.progress import BarReporter, JsonReporter, LineReporter, Reporter
from curate.sources import Listing, is_list, list_sources, local_path
from curate.sources.reading import holder
from curate.units import Unit, divide
from curate.worker import WorkerSpec
from shards.errors import ConfigError, InputError, StorageError
from shards.index import build_index
from shards.packing import pack
from shards.run import RUN_JSON, RunFiles
from shards.selection import select
from shards.storage import is_remote

__all__ = ["register"]

TOO_MANY_FAILURES = 3


def register(app: typer.Typer) -> None:
    """Add `run`."""
    app.command("run")(run)


def run(
    output: Annotated[str, typer.Option("--output", help="the run's folder; made if need be")],
    pipeline: Annotated[str, typer.Argument(help="a name in pipelines.yaml")] = "default",
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="folder, file, glob or list; may be repeated; with --only, none: the clips that the run has",
        ),
    ] = None,
    pipelines: Annotated[Path | None, typer.Option(help="another pipelines.yaml")] = None,
    only: Annotated[str | None, typer.Option("--only", metavar="PASS", help="run this pass alone")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="override a value, e.g. split.max_s=10")
    ] = None,
    executor: Annotated[
        ExecutorName | None, typer.Option(help="where the workers run; ray inside a Ray job, else local")
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="HOST:6379 or ray://HOST:10001; else RAY_ADDRESS, else here"),
    ] = None,
    wait_for_nodes: Annotated[
        float, typer.Option(min=0, metavar="S", help="Ray: how long a cluster may take to grow")
    ] = 0.0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="at most so many; by default one a core, or what the cluster holds"),
    ] = None,
    retry_failures: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="try failures of this class again, or `all`; see tables/failures"),
    ] = None,
    max_failures: Annotated[
        str, typer.Option(help="failed sources that still make a success: a number or a percentage")
    ] = "5%",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print units and what would run")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="progress as JSON lines")] = False,
) -> int:
    """Turn videos into captioned, packed training shards; run it again and only what is missing is done."""
    place = choose_place(executor, ray_address, workers, wait_for_nodes)
    allowed = _parse_allowance(max_failures)

    def load(carried: pa.Schema | None = None) -> Plan:
        plan = load_plan(pipeline, pipelines, settings or (), carried)
        if only is not None:
            plan.pass_named(only)
        return plan

    if not is_remote(output):
        output = os.path.abspath(local_path(output))  # workers elsewhere have other working directories
    # What is wrong in the pipeline is said before a long listing, unless a list has a say in it.
    early = load() if inputs and not any(is_list(text) for text in inputs) else None

    def gather(*, estimate: bool) -> tuple[Plan, Listing, list[Unit]]:
        if not inputs:
            if only is None:
                raise ConfigError("--input is missing: only a pass alone (--only) takes the run's own clips")
            files = RunFiles.open(output)
            units = units_of(files)
            listing = Listing(tuple(source for unit in units for source in unit.sources), {})
            return plan_again(files, only, pipeline, pipelines, settings or ()), listing, units
        listing = list_sources(inputs, estimate=estimate)
        plan = early or load(listing.carried)
        return plan, listing, _divide(plan, listing)

    console = Console(highlight=False)
    if dry_run:
        plan, listing, units = gather(estimate=True)
        ray = place.name is ExecutorName.RAY
        print_plan(console, plan, listing, units, output, only=only, workers=workers, ray=ray)
        return 0
    with place.joined():
        plan, listing, units = gather(estimate=False)
        files = _open_run(output)
        before = files.info() if files.storage.exists(RUN_JSON) else None
        info = describe_run(plan, units, before)
        files.write_info(info)
        files.storage.sweep()
        if not log_json:
            _announce(console, plan, listing, units, output)
        reporter = _reporter(console, log_json=log_json)
        retry = None if retry_failures is None else frozenset({retry_failures} - {"all"})
        passes = [p for p in plan.passes if only in (None, p.name) and not p.whole_run]
        spec = WorkerSpec(plan, output, info.purged)
        with place.executor(spec, passes, reporter.note, _witnesses(output, listing)) as executing:
            try:
                totals = drive(plan, files, units, executing, reporter, only=only, retry=retry)
            finally:
                reporter.stop()
    build_index(files)
    folder = _finish_selection(plan, files) if only is None else None
    funnel = measure_funnel(files, plan.select.name if folder and plan.select else None)
    _summarise(console, funnel, totals, output, folder, log_json=log_json)
    return _verdict(funnel, allowed)


def _witnesses(output: str, listing: Listing) -> list[str]:
    """Return a file of the run and one of the input, where these are files of this machine."""
    paths = [f"{output}/{RUN_JSON}", next((local_path(holder(s)) for s in listing.sources if s.bytes), "")]
    return [path for path in paths if path and not is_remote(path) and os.path.exists(path)]


def _divide(plan: Plan, listing: Listing) -> list[Unit]:
    columns = listing.carried.names
    return divide(
        listing.sources, unit_bytes=plan.unit_bytes, unit_sources=plan.unit_sources, columns=columns
    )


def _open_run(output: str) -> RunFiles:
    try:
        return RunFiles.create(output)
    except (StorageError, InputError) as exc:
        raise ConfigError(f"--output {output}: {exc}") from exc


def _parse_allowance(text: str) -> tuple[float, bool]:
    """Return ("5%" → 0.05, True) or ("7" → 7, False)."""
    share = text.strip().endswith("%")
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise ConfigError(f"--max-failures {text!r}: expected a number or a percentage such as 5%") from None
    if number < 0:
        raise ConfigError(f"--max-failures {text!r}: cannot be negative")
    return (number / 100, True) if share else (number, False)


def _verdict(funnel: Funnel, allowed: tuple[float, bool]) -> int:
    number, share = allowed
    limit = number * funnel.sources if share else number
    return TOO_MANY_FAILURES if funnel.failed_sources > limit else 0


def _reporter(console: Console, *, log_json: bool) -> Reporter:
    if log_json:
        return JsonReporter(sys.stdout)
    return BarReporter(console) if console.is_terminal else LineReporter(sys.stdout)


def _announce(console: Console, plan: Plan, listing: Listing, units: list[Unit], output: str) -> None:
    size = sum(source.bytes for source in listing.sources)
    console.print(
        f"{plan.pipeline}: {len(listing.sources)} sources, {size / 2**20:.1f} MiB, "
        f"{len(units)} units → {output}",
        markup=False,
    )
    if listing.ignored:
        passed = ", ".join(f"{n} × {suffix or 'no suffix'}" for suffix, n in sorted(listing.ignored.items()))
        console.print(f"not taken, by their names: {passed}", markup=False)


def _finish_selection(plan: Plan, files: RunFiles) -> str | None:
    """Select and pack what the pipeline asks for; return the folder."""
    if plan.select is None:
        return None
    select(files, plan.select.where, plan.select.name)
    packed = pack(
        files, plan.select.name, shard_bytes=plan.pack.shard_bytes, shard_clips=plan.pack.shard_clips
    )
    return packed.folder


def _summarise(
    console: Console, funnel: Funnel, totals: Totals, output: str, folder: str | None, *, log_json: bool
) -> None:
    if log_json:
        sys.stdout.write(json.dumps({"event": "funnel", **funnel.as_dict(), "shards": folder}) + "\n")
        return
    console.print(render_funnel(funnel))
    if totals.units:
        console.print(render_seconds(totals))
        for line in describe_requests(totals):
            console.print(line, markup=False)
    else:
        console.print("everything was there already: nothing was computed")
    # Paths are not broken where a terminal ends: they are copied from there.
    if funnel.failures:
        kinds = ", ".join(f"{n} × {kind}" for kind, n in funnel.failures.items())
        console.print(
            f"failures: {kinds}; each is a row in {output}/tables/failures", markup=False, soft_wrap=True
        )
    console.print(f"run: {output}   index: {output}/index.parquet", markup=False, soft_wrap=True)
    if folder:
        shards = f"{output}/{folder}"
        console.print(f"shards: {shards}   manifest: {shards}/manifest.parquet", markup=False, soft_wrap=True)
