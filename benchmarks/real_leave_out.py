"""Probes and trees, learned from the real clips themselves, each source judged by what the others taught.

    python benchmarks/real_leave_out.py real.csv RUN

`real.csv` is `benchmarks/real_labels.py`'s, RUN has split and scored the clips. For lecture, low_quality and
static: of each source, probes and trees are grown on the clips of all others (`filters.labels.forest`) and
say what its clips are. This shows what is to be had from some hundred real clips, beside what rendered films
alone teach; nothing that comes of it is shipped. The number of trees is a twentieth of nano's and was not
looked for.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console

from filters.commands.showing import table
from filters.labels.building import open_encoder, pick_device
from filters.labels.clips import LabelRun
from filters.labels.config import recipe
from filters.labels.data import read_labelled
from filters.labels.evaluation import evaluate, summary
from filters.labels.forest import Examples, Size, grow
from filters.labels.planting import examples_of
from filters.labels.questions import LABELS

JUDGED = ("lecture", "low_quality", "static")
TREES = 20


def left_out(examples: Examples, size: Size) -> npt.NDArray[np.float64]:
    """Return the log-odds (N, L) of labels, each from trees that have seen no clip of its source."""
    sources = np.array(examples.sources)
    odds = np.zeros(examples.yes_NL.shape)
    for source in sorted(set(examples.sources)):
        judged = sources == source
        forest = grow(examples.of(~judged), TREES, size, drop_signal=0.25, reader_epochs=1, seed=0)
        seen = examples.of(judged)
        probed = forest.probe(seen.pooled_NP)
        odds[judged] = forest(torch.cat([torch.from_numpy(seen.plain_NX), probed], dim=1)).double().numpy()
    return odds


def main() -> None:
    """Print the table."""
    labels, run = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    model = recipe("nano").model
    encoder = open_encoder(model.encoder, pick_device("cpu"))
    with tempfile.TemporaryDirectory() as cache:
        data = read_labelled(labels, LabelRun(run), model, encoder, Path(cache))
        told = examples_of(data, np.arange(len(data.rows)), model.encoder.looks, len(data.rows))
    judged = [LABELS.index(name) for name in JUDGED]
    yes = np.full_like(data.yes_NL, np.nan)
    yes[:, judged] = data.yes_NL[:, judged]
    chances = np.full(yes.shape, 0.5)
    some = replace(told, yes_NL=yes[:, judged])
    chances[:, judged] = 1 / (1 + np.exp(-left_out(some, Size(encoder.width, model.encoder.looks))))
    found = evaluate("left out", data.rows, data.sources, yes, chances)
    Console(width=140).print(table(summary(found)))


if __name__ == "__main__":
    main()
