"""Probes and trees, learned from the real clips themselves, each source judged by what the others taught.

    python benchmarks/real_leave_out.py real.csv RUN            # from nothing
    python benchmarks/real_leave_out.py real.csv RUN --start    # learning on from the shipped `nano`

`real.csv` is `benchmarks/real_labels.py`'s, RUN has split and scored the clips. For lecture, low_quality and
static: of each source, probes and trees are grown on the clips of all others (`filters.labels.forest`) and
say what its clips are. With `--start`, for all labels, the shipped ones learn on. This shows what is to be
had from some hundred real clips, beside what rendered films alone teach; nothing that comes of it is shipped.
The number of trees is a twentieth of nano's and was not looked for.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console

from filters.commands.showing import table
from filters.labels.building import open_encoder, pick_device
from filters.labels.checkpoint import SHIPPED, load_model, read_checkpoint
from filters.labels.clips import LabelRun
from filters.labels.config import recipe
from filters.labels.data import LabelledClips, read_labelled
from filters.labels.evaluation import Evaluation, evaluate, summary
from filters.labels.forest import Examples, SignalForest, Size, grow
from filters.labels.planting import examples_of, size_of
from filters.labels.questions import LABELS

JUDGED = ("lecture", "low_quality", "static")
TREES = 20


def left_out(examples: Examples, size: Size, before: SignalForest | None = None) -> npt.NDArray[np.float64]:
    """Return the log-odds (N, L) of labels, each from trees that have seen no clip of its source."""
    sources = np.array(examples.sources)
    odds = np.zeros(examples.yes_NL.shape)
    for source in sorted(set(examples.sources)):
        judged = sources == source
        forest = grow(
            examples.of(~judged), TREES, size, drop_signal=0.25, reader_epochs=1, seed=0, before=before
        )
        odds[judged] = said(forest, examples.of(judged))
    return odds


def said(forest: SignalForest, seen: Examples) -> npt.NDArray[np.float64]:
    """Return the log-odds (N, L) of trees by themselves."""
    told = [torch.from_numpy(seen.plain_NX), forest.probe(seen.pooled_NP)]
    if len(forest.readers):
        told.append(torch.stack([reader(seen.maps) for reader in forest.readers]).mean(0))
    found: npt.NDArray[np.float64] = forest(torch.cat(told, dim=1)).detach().double().numpy()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("labels", type=Path, help="of benchmarks/real_labels.py")
    parser.add_argument("run")
    parser.add_argument("--start", action="store_true", help="learn on from the shipped checkpoint")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = recipe("nano").model
    encoder = open_encoder(model.encoder, pick_device("cpu"))
    with tempfile.TemporaryDirectory() as cache:
        data = read_labelled(asked.labels, LabelRun(asked.run), model, encoder, Path(cache))
        told = examples_of(data, np.arange(len(data.rows)), model.encoder.looks, len(data.rows))
    console = Console(width=140)
    if asked.start:
        before = load_model(read_checkpoint(SHIPPED), pick_device("cpu")).forest
        assert isinstance(before, SignalForest)
        size = size_of(model, encoder.width)
        for name, odds in (("shipped", said(before, told)), ("left out", left_out(told, size, before))):
            console.print(name)
            console.print(table(summary(judge(name, data, data.yes_NL, odds))))
        return
    judged = [LABELS.index(name) for name in JUDGED]
    yes = np.full_like(data.yes_NL, np.nan)
    yes[:, judged] = data.yes_NL[:, judged]
    odds = np.zeros(yes.shape)
    some = replace(told, yes_NL=yes[:, judged])
    odds[:, judged] = left_out(some, Size(encoder.width, model.encoder.looks))
    console.print(table(summary(judge("left out", data, yes, odds))))


def judge(
    name: str, data: LabelledClips, yes_NL: npt.NDArray[np.float32], odds_NL: npt.NDArray[np.float64]
) -> Evaluation:
    """Return how log-odds tell the labels."""
    return evaluate(name, data.rows, data.sources, yes_NL, 1 / (1 + np.exp(-odds_NL)))


if __name__ == "__main__":
    main()
