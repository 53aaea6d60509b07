"""`curate verify`, `curate purge` and `curate gc`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from curate.cli.bars import counting
from curate.video.count import count_frames
from shards.gc import gc as collect
from shards.purge import purge as purge_source
from shards.run import RunFiles
from shards.verify import verify as find_problems

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add `verify`, `purge` and `gc`."""
    app.command("verify")(verify)
    app.command("purge")(purge)
    app.command("gc")(gc)


def verify(
    path: Annotated[
        str, typer.Argument(metavar="RUN|SHARDS", help="a run's folder, or one of its selections'")
    ],
) -> int:
    """Read everything again: hashes, counts, ids, frames and captions. Exit code 1 if anything is wrong."""
    with counting("verifying") as advance:
        cores = len(os.sched_getaffinity(0))
        problems = find_problems(path, decode=count_frames, workers=cores, progress=advance)
    for problem in problems:
        typer.echo(str(problem))
    typer.echo(f"{path}: {len(problems)} problems" if problems else f"{path}: every byte is as it should be")
    return 1 if problems else 0


def purge(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder")],
    source: Annotated[str, typer.Option(help="URI or id of the source to take out")],
) -> int:
    """Take a source's clips, samples, captions and shards out of a run, everywhere, for good."""
    result = purge_source(RunFiles.open(run), source)
    typer.echo(f"{result.clips} clips of {', '.join(result.source_uris) or source} taken out")
    for name in result.selections:
        typer.echo(f"selection {name!r} was made anew without them")
    for name in result.dropped:
        typer.echo(f"selection {name!r} is gone: the clips that it was packed from no longer exist", err=True)
    return 0


def gc(run: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder")]) -> int:
    """Remove what no current setting refers to."""
    for path in (removed := collect(RunFiles.open(run))):
        typer.echo(path)
    typer.echo(f"{len(removed)} removed")
    return 0
