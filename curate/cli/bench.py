"""`curate bench …`: what the parts cost and how well they do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from curate.plan import load_plan

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
