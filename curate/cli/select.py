"""`curate select` and `curate pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.bars import counting
from curate.config import parse_size
from curate.presets import find_preset
from shards.errors import ConfigError
from shards.packing import pack as pack_selection
from shards.run import RunFiles
from shards.selection import select as select_clips

__all__ = ["register"]

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="a run's folder")]


def register(app: typer.Typer) -> None:
    """Add `select` and `pack`."""
    app.command("select")(select)
    app.command("pack")(pack)


def select(
    run: RunArgument,
    where: Annotated[
        str | None, typer.Option(help="SQL condition, with `order by` and `limit` if wanted")
    ] = None,
    name: Annotated[str | None, typer.Option(help="the selection's name; else the preset's")] = None,
    *,
    preset: Annotated[
        str | None, typer.Option(help="a condition by its name, from `selections` in pipelines.yaml")
    ] = None,
    pipelines: Annotated[Path | None, typer.Option(help="another pipelines.yaml")] = None,
    mix_aesthetics: Annotated[
        bool, typer.Option("--mix-aesthetics", help="compare ratings of several aesthetic models")
    ] = False,
) -> int:
    """Pick clips by SQL over the run's index and write a manifest that points at them."""
    if (where is None) == (preset is None):
        raise ConfigError("give --where or --preset, one of them")
    condition = where or find_preset(preset or "", pipelines).where
    if name is None and preset is None:
        raise ConfigError("--name: a selection by --where needs a name")
    files = RunFiles.open(run)
    selection = select_clips(files, condition, name or preset or "", mix_aesthetics=mix_aesthetics)
    typer.echo(f"{selection.clips} of {selection.of} clips → {run}/{selection.path}")
    if not selection.clips:
        typer.echo("nothing fits the condition: the manifest is empty", err=True)
    if selection.without_caption:
        typer.echo(f"{selection.without_caption} of them have no caption", err=True)
    return 0


def pack(
    run: RunArgument,
    name: Annotated[str, typer.Option(help="the selection to pack")],
    shard_bytes: Annotated[str, typer.Option(help="size of a shard at most")] = "512 MiB",
    shard_clips: Annotated[int, typer.Option(min=1, help="clips in a shard at most")] = 10_000,
) -> int:
    """Copy a selection into WebDataset shards of its own."""
    try:
        size = parse_size(shard_bytes)
    except ValueError as exc:
        raise ConfigError(f"--shard-bytes: {exc}") from exc
    if not isinstance(size, int) or size < 1:
        raise ConfigError(f"--shard-bytes {shard_bytes!r}: expected a positive size")
    with counting("packing") as advance:
        result = pack_selection(
            RunFiles.open(run), name, shard_bytes=size, shard_clips=shard_clips, progress=advance
        )
    size_mib = result.bytes / 2**20
    done = "packed" if result.packed else "was packed already"
    where = f"{run}/{result.folder}"
    typer.echo(f"{result.clips} clips in {result.shards} shards, {size_mib:.1f} MiB, {done}: {where}")
    return 0
