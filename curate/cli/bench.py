"""`curate bench …`: what the parts cost and how well they do."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from curate.executors.place import ExecutorName, choose_place
from curate.plan import load_plan
from curate.progress import LineReporter
from shards.run import RunFiles

__all__ = ["app"]

app = typer.Typer(name="bench", help="Measure speed, memory and detection quality.", no_args_is_help=True)


@app.command("decode")
def decode(
    inputs: Annotated[list[str], typer.Argument(metavar="DIR|FILE…", help="videos")],
    *,
    pipeline: Annotated[str, typer.Option(help="whose split pass")] = "default",
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C")] = None,
    runs: Annotated[int, typer.Option(min=1, help="paired runs")] = 3,
    scaling: Annotated[bool, typer.Option(help="also measure two processes against one")] = True,
) -> int:
    """CPU time of the split pass against a bare single-thread decode of the same files."""
    from curate.bench.decode import bench_decode, render_decode

    result = bench_decode(inputs, load_plan(pipeline, None, settings or ()), runs=runs, scaling=scaling)
    Console(highlight=False).print(render_decode(result))
    return 0


@app.command("split")
def split(
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH.csv", help="columns file, hard_cuts, cut_truth, gradual")
    ],
    clips: Annotated[Path, typer.Argument(metavar="DIR", help="where the files are")],
) -> int:
    """Shot boundaries against the truth, beside PySceneDetect's and TransNetV2's where installed."""
    from curate.bench.split import bench_split, render_split

    console = Console(highlight=False)
    for renderable in render_split(bench_split(truth, clips)):
        console.print(renderable)
    return 0


@app.command("memory")
def memory(
    *,
    pipeline: Annotated[str, typer.Option(help="whose split pass")] = "default",
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C")] = None,
    minutes: Annotated[list[float] | None, typer.Option(help="lengths of the rendered sources")] = None,
) -> int:
    """Peak memory of a worker and its decoder on a short and on a very long source."""
    from curate.bench.memory import bench_memory, render_memory

    lengths = minutes or [2.0, 120.0]
    result = bench_memory(load_plan(pipeline, None, settings or ()), lengths)
    Console(highlight=False).print(render_memory(result))
    return 0


@app.command("rates")
def rates(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT…", help="as `curate run --input` takes them")],
    *,
    pipeline: Annotated[str, typer.Option(help="whose passes")] = "default",
    pipelines: Annotated[Path | None, typer.Option(help="another pipelines.yaml")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C")] = None,
    sample: Annotated[int, typer.Option(min=1, help="sources to run over, at most")] = 20,
    seed: Annotated[int, typer.Option(help="draws the sample")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="else $CURATE_RATES, or the user's cache folder")
    ] = None,
) -> int:
    """CPU and GPU seconds, clips and bytes by pass, for `curate run --dry-run` to reckon with."""
    from curate.bench.rates import bench_rates, render_rates
    from curate.rates import load_rates, rates_path, save_rates

    console = Console(highlight=False, soft_wrap=True)
    plan = load_plan(pipeline, pipelines, settings or ())
    path = output or rates_path()
    load_rates(path)  # a damaged file is refused before the work, not after it
    measured = bench_rates(
        inputs, plan, sample=sample, seed=seed, note=lambda text: console.print(text, markup=False)
    )
    save_rates(path, pipeline, measured)
    console.print(render_rates(measured))
    console.print(f"rates: {path}", markup=False)
    return 0


@app.command("executor")
def executor(
    *,
    name: Annotated[
        ExecutorName, typer.Option("--executor", help="where the workers run")
    ] = ExecutorName.LOCAL,
    ray_address: Annotated[str | None, typer.Option(metavar="ADDRESS", help="as for `curate run`")] = None,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    units: Annotated[list[int] | None, typer.Option(help="how many units, rising; may be repeated")] = None,
) -> int:
    """Units a second and the driver's memory over a pass that does nothing."""
    from curate.bench.executor import measure_driving, render_driving

    place = choose_place(name, ray_address, workers, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        measured = list(measure_driving(place, folder, units or [1000, 10_000], LineReporter(sys.stderr)))
    Console(highlight=False).print(render_driving(measured))
    return 0


@app.command("scores")
def scores(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT…", help="videos on this machine")],
    output: Annotated[Path, typer.Option("--output", help="a new folder, for the run and the page")],
    *,
    pipeline: Annotated[str, typer.Option(help="whose signals and scores")] = "default",
    pipelines: Annotated[Path | None, typer.Option(help="another pipelines.yaml")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C")] = None,
) -> int:
    """CPU time a clip of each signal and score, and a page of their distributions and extremes."""
    from curate.bench.score_page import write_page
    from curate.bench.scores import bench_scores, render_costs

    console = Console(highlight=False, soft_wrap=True)
    plan = load_plan(pipeline, pipelines, settings or ())
    costs = bench_scores(inputs, plan, str(output / "run"))
    console.print(render_costs(costs))
    page = write_page(RunFiles.open(str(output / "run")), output / "page")
    console.print(f"page: {page}", markup=False)
    return 0
