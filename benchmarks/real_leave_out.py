"""Trees over signals, learned from the real clips themselves, each source judged by what the others taught.

    python benchmarks/real_leave_out.py real.csv RUN

`real.csv` is `benchmarks/real_labels.py`'s, RUN has split and scored the clips. For lecture, low_quality and
static: of each source, trees are grown on the clips of all others (`filters.labels.forest`) and say what its
clips are. This shows what is to be had from some hundred real clips, beside what rendered films alone teach;
nothing that comes of it is shipped. The number of trees is a tenth of nano's and was not looked for.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console

from filters.commands.showing import table
from filters.labels.clips import LabelRun
from filters.labels.config import recipe
from filters.labels.data import LabelledClips, read_labelled
from filters.labels.evaluation import evaluate, summary
from filters.labels.forest import grow
from filters.labels.questions import LABELS

JUDGED = ("lecture", "low_quality", "static")
TREES = 20


def left_out(data: LabelledClips, label: int) -> npt.NDArray[np.float64]:
    """Return the log-odds (N,) of a label, each from trees that have seen no clip of its source."""
    sources = np.array(data.sources)
    odds = np.zeros(len(sources))
    for source in sorted(set(data.sources)):
        judged = sources == source
        trees = grow(
            data.signals_NS[~judged],
            data.yes_NL[~judged, label : label + 1],
            sources[~judged].tolist(),
            TREES,
            drop_signal=0.25,
            seed=0,
        )
        odds[judged] = trees(torch.from_numpy(data.signals_NS[judged]))[:, 0].double().numpy()
    return odds


def main() -> None:
    """Print the table."""
    labels, run = Path(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as cache:
        data = read_labelled(labels, LabelRun(run), recipe("nano").model, None, Path(cache))
    yes = np.full_like(data.yes_NL, np.nan)
    chances = np.full(yes.shape, 0.5)
    for name in JUDGED:
        label = LABELS.index(name)
        yes[:, label] = data.yes_NL[:, label]
        chances[:, label] = 1 / (1 + np.exp(-left_out(data, label)))
    found = evaluate("left out", data.rows, data.sources, yes, chances)
    Console(width=140).print(table(summary(found)))


if __name__ == "__main__":
    main()
