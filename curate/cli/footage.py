"""`curate footage`: render the gold corpus, or the set of moving shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.bars import counting
from shards.errors import ConfigError

__all__ = ["register"]

SETS = ("gold", "shapes")


def register(app: typer.Typer) -> None:
    """Add `footage`."""
    app.command("footage")(footage)


def footage(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="where to; made if need be")],
    *,
    what: Annotated[str, typer.Option("--set", metavar="gold|shapes", help="what to render")] = "gold",
    count: Annotated[int, typer.Option(min=1, help="clips of the shapes set")] = 1000,
    seed: Annotated[int, typer.Option(help="of the shapes set")] = 0,
    plain: Annotated[
        bool, typer.Option("--plain", help="shapes of one sentence each, all of which can be seen")
    ] = False,
    size_px: Annotated[int, typer.Option(min=32, help="side of the frames of the shapes set")] = 64,
    frames: Annotated[int, typer.Option(min=2, help="of a clip of the shapes set, 8 a second")] = 17,
) -> int:
    """Render synthetic footage with its truth: the gold corpus, or shapes already packed in shards."""
    from curate.footage import render_gold, render_shapes

    if what not in SETS:
        raise ConfigError(f"--set {what}: expected one of {', '.join(SETS)}")
    with counting(f"rendering {what}") as advance:
        if what == "gold":
            result = render_gold(directory, progress=advance)
        else:
            result = render_shapes(
                directory, count, seed=seed, size_px=size_px, frames=frames, plain=plain, progress=advance
            )
    typer.echo(f"{what}: {result}")
    return 0
