"""`curate filters eval`: a classifier against labelled clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from filters.commands.showing import Bars, table, wide_console
from filters.labels.building import open_encoder, pick_device, require_torch
from filters.labels.calibration import probabilities
from filters.labels.checkpoint import SHIPPED, load_model, read_checkpoint
from filters.labels.clips import LabelRun
from filters.labels.data import predict, read_labelled
from filters.labels.evaluation import Evaluation, evaluate, summary
from filters.labels.page import contact_sheet, render_page
from filters.labels.splits import SPLITS
from filters.spread import spread
from shards.errors import ConfigError, InputError

__all__ = ["evaluate_labels", "run"]

_SHOWN = 8


def run(
    labels: Path,
    clips: str,
    model: Path,
    output: Path,
    bars: Bars,
    *,
    split: str = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> Evaluation:
    """Judge the checkpoint in `model`; write eval.json, index.html and mistakes.png to `output`.

    `split`: all, train, val, test; auto is test for the labels that it was trained on, else all.
    """
    if split not in (*SPLITS, "all", "auto"):
        raise ConfigError(f"--split {split}: expected auto, all, train, val or test")
    require_torch()
    checkpoint = read_checkpoint(model)
    place = pick_device(device)
    encoder = open_encoder(checkpoint.model.encoder, place)
    opened = LabelRun(clips)
    data = read_labelled(
        labels, opened, checkpoint.model, encoder, output / "cache", bars.counting("features")
    )
    encoder.close()
    if split == "auto":
        split = "test" if data.labels_sha256 == checkpoint.labels_sha256 else "all"
    chosen = np.arange(len(data.rows))
    for name in SPLITS:
        if split == name:
            chosen = data.of(name, checkpoint.seed)
    if not len(chosen):
        raise InputError(f"{labels}: no clip of it lies in the split {split!r}")
    odds = predict(load_model(checkpoint, place), data, chosen, place)
    rows = [data.rows[int(n)] for n in chosen]
    found = evaluate(
        checkpoint.name,
        rows,
        [data.sources[int(n)] for n in chosen],
        data.yes_NL[chosen],
        probabilities(odds, checkpoint.temperatures),
    )
    wrong = {mistake.clip_id for mistake in found.mistakes}
    pictures = {
        str(row["clip_id"]): [sample.jpeg for sample in spread(opened.samples(row), _SHOWN)]
        for row in rows
        if row["clip_id"] in wrong
    }
    (output / "index.html").write_text(render_page(found, pictures), encoding="utf-8")
    (output / "mistakes.png").write_bytes(contact_sheet(found, pictures))
    said = {"split": split, "labels_sha256": data.labels_sha256, **found.to_json()}
    (output / "eval.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return found


def evaluate_labels(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS.csv", help="columns clip, label, answer, annotator")
    ],
    *,
    clips: Annotated[str, typer.Option(metavar="RUN", help="the run that cut and measured the clips")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="where figures and pictures go")],
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="a checkpoint; the one that is shipped unless named")
    ] = SHIPPED,
    split: Annotated[
        str,
        typer.Option(
            metavar="auto|all|train|val|test",
            help="which sources; auto: test of the labels it was trained on, all of others",
        ),
    ] = "auto",
) -> int:
    """Judge a classifier of the six labels against people's answers.

    Counts; recall and precision of both classes, balanced accuracy, PR-AUC and calibration error with 95 %
    intervals over sources; every source; the ten worst mistakes as pictures. DIR/eval.json has all of it,
    DIR/index.html shows it.
    """
    console = wide_console()
    with Bars(console) as bars:
        found = run(labels, clips, model, output, bars, split=split)
    console.print(table(summary(found)))
    console.print(str(output / "index.html"))
    return 0
