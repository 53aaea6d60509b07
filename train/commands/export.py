"""`curate train export`: a checkpoint as a folder that `curate train sample` and diffusers read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["export", "run"]


def run(
    folder: Path, output: Path, *, average: bool | None = None, vae: Path | None = None, text: str = "words"
) -> Path:
    """Write a checkpoint's model into a new folder; a run's folder stands for its newest checkpoint.

    `average`: None: averaged weights where there are any. Without `vae` the transformer and the scheduler
    alone. Errors as of `train.loop.export`.
    """
    import torch

    from train.loop import export as write
    from train.loop import latest, read_record
    from train.loop.assemble import load_vae, make_text
    from train.loop.weights import config_of

    checkpoint = latest(folder) or folder
    if vae is None:
        return write(checkpoint, output, average=average)
    cpu = torch.device("cpu")
    config = config_of(read_record(checkpoint).model, checkpoint)
    encoder = make_text(text, config, None, cpu)
    return write(checkpoint, output, average=average, vae=load_vae(vae, cpu), text=encoder)


def export(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint's folder, or that of a run: its newest")],
    output: Annotated[Path, typer.Option(help="a new folder")],
    vae: Annotated[Path | None, typer.Option(help="folder of the VAE that goes with it")] = None,
    text: Annotated[
        str, typer.Option(help="`words`, or a pipeline's folder with its text encoder")
    ] = "words",
    average: Annotated[
        bool | None,
        typer.Option("--average/--last", help="averaged weights, or the last [default: averaged, if kept]"),
    ] = None,
) -> None:
    """Write a checkpoint's model as a folder for `curate train sample` and diffusers."""
    written = run(checkpoint, output, average=average, vae=vae, text=text)
    Console(highlight=False, soft_wrap=True).print(str(written))
