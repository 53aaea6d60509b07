"""`curate train`: what is done with models of videos."""

from __future__ import annotations

import typer

from train.commands.cache import cache
from train.commands.dit import dit
from train.commands.export import export
from train.commands.info import info
from train.commands.plan import plan
from train.commands.sample import sample
from train.commands.vae import vae

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Train models of videos, and sample from them."""


app.command("plan")(plan)
app.command("cache")(cache)
app.command("dit")(dit)
app.command("info")(info)
app.command("export")(export)
app.command("sample")(sample)
app.command("vae")(vae)
