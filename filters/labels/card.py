"""A checkpoint's README: what it is, what it was trained on, and how good it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from filters.labels.checkpoint import Checkpoint
from filters.labels.config import Recipe
from filters.labels.evaluation import Evaluation, figures
from filters.labels.questions import LABELS
from filters.labels.training import Trained

__all__ = ["model_card"]


def model_card(
    checkpoint: Checkpoint,
    recipe: Recipe,
    trained: Trained,
    test: Evaluation,
    clips: Mapping[str, int],
    parameters: int,
    data_digests: Mapping[str, str],
    settings: Sequence[str],
) -> str:
    """Return the card as Markdown.

    `clips` are counts by split, `data_digests` name → SHA-256, `settings` what was said by `--set`.
    """
    best = trained.history[trained.best]
    rates = ", ".join(f"{label} {checkpoint.temperatures[n]:.2f}" for n, label in enumerate(LABELS))
    counted = ", ".join(f"{count} {split}" for split, count in clips.items())
    said = "".join(f" --set {setting}" for setting in settings)
    how = f"--start {checkpoint.start}" if checkpoint.start else f"--size {recipe.model.size}"
    trees, shares = "", ""
    if trained.network.forest is not None:
        trees = f"; beside it {checkpoint.model.trees} boosted trees a label over the measurements"
        each = zip(LABELS, trained.network.forest.share.tolist(), strict=True)
        said_of = ", ".join(f"{label} {share:.2f}" for label, share in each)
        shares = f"\n- share of the trees, chosen on validation: {said_of}"
    digests = "\n".join(f"- {name}: `{digest}`" for name, digest in data_digests.items())
    return f"""# Six negative labels: {checkpoint.name}

A Video-LLaMA-style classifier (filters/videollama.py) of size `{checkpoint.model.size}`: {parameters:,}
trained parameters{trees}.
Answers `{"`, `".join(LABELS)}` for a clip, from up to {checkpoint.model.frames} of its
samples{" and its measurements" if checkpoint.model.signals else ""}.

Probabilities take yes and no for equally likely beforehand. What it has not seen, it may well judge wrong:
look at `curate filters eval` over labelled clips of your own before a threshold throws anything away.

## Training

    curate filters train LABELS.csv --clips RUN {how} --output DIR{said}

- clips by split of sources (seed {recipe.seed}): {counted}
- {len(trained.history)} epochs, {trained.history[-1].steps} updates of {recipe.batch} clips; the best was
  number {best.epoch + 1}, validation loss {best.val_loss:.4f}
- temperatures, fitted on validation: {rates}{shares}

## Data

{digests}

## Evaluation on the held-out sources

{markdown_table(figures(test))}

In brackets: 95 % intervals, {test.sources} sources resampled.
"""


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table; the first is its head."""
    head, *rest = rows
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
