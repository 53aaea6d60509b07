"""`curate filters`: films to learn from, training and judging the classifiers of six labels."""

from __future__ import annotations

import typer

from filters.commands.eval import evaluate_labels
from filters.commands.synth import synth
from filters.commands.train import train

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Render films to learn from, train and judge the classifiers of the six negative labels."""


app.command("synth")(synth)
app.command("train")(train)
app.command("eval")(evaluate_labels)
