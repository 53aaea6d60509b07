"""`curate filters train`: a classifier from labels and a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from filters.commands.showing import Bars, table, wide_console
from filters.labels.building import open_encoder, pick_device, require_torch
from filters.labels.calibration import probabilities, temperature
from filters.labels.card import model_card
from filters.labels.checkpoint import (
    SHIPPED,
    Checkpoint,
    load_model,
    read_checkpoint,
    round_weights,
    write_checkpoint,
)
from filters.labels.clips import LabelRun
from filters.labels.config import Recipe, recipe
from filters.labels.data import LabelledClips, check_classes, predict, read_labelled
from filters.labels.evaluation import Evaluation, evaluate, summary
from filters.labels.planting import plant
from filters.labels.processes import Group
from filters.labels.questions import LABELS
from filters.labels.splits import SPLITS
from filters.labels.training import Trained, begin
from filters.labels.training import train as fit
from filters.labels.trees import check_lightgbm

__all__ = ["run", "train"]


def run(
    labels: Path,
    clips: str,
    output: Path,
    chosen: Recipe,
    bars: Bars,
    settings: Sequence[str] = (),
    start: Checkpoint | None = None,
) -> Evaluation | None:
    """Train as `chosen` says and write the checkpoint; return its evaluation on the test split.

    `start` is learned on from, `settings` are quoted in the card. None on the processes of `torchrun` that
    do not write.
    """
    require_torch()
    if chosen.model.trees:
        check_lightgbm()
    import torch

    device = pick_device(chosen.device)
    with Group() as group:
        encoder = open_encoder(chosen.model.encoder, device)
        opened = LabelRun(clips)
        # The first process makes the features, the others find them made; and it alone speaks.
        if group.rank != 0:
            bars = Bars(Console(quiet=True))
            group.wait()
        data = read_labelled(
            labels, opened, chosen.model, encoder, output / "cache", bars.counting("features")
        )
        _check_splits(labels, data, chosen)
        before = load_model(start, torch.device("cpu")) if start else None
        weights = start.weights_sha256 if start else None
        begin(output, chosen, data.labels_sha256, str(clips), start=weights, writes=group.rank == 0)
        if group.rank == 0:
            group.wait()
        encoder.close()
        trained = fit(
            data,
            chosen,
            encoder.width,
            output / "state.pt",
            device,
            group,
            bars.stepping("train"),
            bars.epoch,
            before,
        )
        if group.rank != 0:
            return None
        plant(trained.network, data, chosen, device, before, bars.stepping("trees"))
        round_weights(trained.network)
        val = data.of("val", chosen.seed)
        odds = predict(trained.network, data, val, device)
        temperatures = {}
        for number, label in enumerate(LABELS):
            yes = data.yes_NL[val, number]
            known = ~np.isnan(yes)
            temperatures[label] = temperature(yes[known] == 1, odds[known, number])
        grown = chosen.model.trees + (chosen.more_trees if before and before.forest else 0)
        checkpoint = write_checkpoint(
            output,
            trained.network,
            chosen.model.model_copy(update={"trees": grown}),
            temperatures=temperatures,
            feature_width=encoder.width,
            seed=chosen.seed,
            labels_sha256=data.labels_sha256,
            start=start.name if start else None,
        )
        test = data.of("test", chosen.seed)
        found = evaluate(
            checkpoint.name,
            [data.rows[int(n)] for n in test],
            [data.sources[int(n)] for n in test],
            data.yes_NL[test],
            probabilities(predict(trained.network, data, test, device), checkpoint.temperatures),
        )
        _report(output, checkpoint, chosen, trained, data, found, settings)
    return found


def _check_splits(labels: Path, data: LabelledClips, chosen: Recipe) -> None:
    """Refuse labels of one class: overall, to learn from, or to choose the best epoch by."""
    check_classes(labels, data.yes_NL, "it")
    for split in ("train", "val"):
        check_classes(labels, data.yes_NL[data.of(split, chosen.seed)], f"the split {split!r}")


def _report(
    output: Path,
    checkpoint: Checkpoint,
    chosen: Recipe,
    trained: Trained,
    data: LabelledClips,
    test: Evaluation,
    settings: Sequence[str],
) -> None:
    import hashlib

    clips: dict[str, int] = {split: len(data.of(split, chosen.seed)) for split in SPLITS}
    samples = "\n".join(f"{row['clip_id']} {row['samples_sha256']}" for row in data.rows)
    digests = {
        "labels file": data.labels_sha256,
        "clips and their samples": hashlib.sha256(samples.encode()).hexdigest(),
        "weights": checkpoint.weights_sha256,
        **{f"frozen {part}": digest for part, digest in checkpoint.digests.items()},
    }
    count = sum(value.numel() for value in trained.network.parameters() if value.requires_grad)
    card = model_card(checkpoint, chosen, trained, test, clips, count, digests, settings)
    (output / "README.md").write_text(card, encoding="utf-8")
    report = {
        "model": checkpoint.name,
        "recipe": chosen.model_dump(mode="json"),
        "clips": clips,
        "parameters": count,
        "data": digests,
        "history": [asdict(epoch) for epoch in trained.history],
        "best_epoch": trained.best,
        "test": test.to_json(),
    }
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def train(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS.csv", help="columns clip, label, answer, annotator")
    ],
    *,
    clips: Annotated[str, typer.Option(metavar="RUN", help="the run that cut and measured the clips")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="where to; continues what was begun there")],
    size: Annotated[str, typer.Option(metavar="nano|base|full", help="what is trained")] = "nano",
    start: Annotated[
        str | None,
        typer.Option(metavar="nano|DIR", help="learn on from this checkpoint, of the size that it has"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="A.B=C", help="override a value, e.g. seed=3 or model.language.model=DIR"
        ),
    ] = None,
) -> int:
    """Train a classifier of the six labels; sources are divided 80:10:10 into train, val and test.

    DIR then holds model.safetensors, config.json and README.md, for `labels: { model: DIR }` in a pipeline.
    One CPU or GPU; several GPUs by `torchrun --nproc-per-node N --no-python curate filters train …`. Run
    again after an interruption, it goes on from the last epoch. `--start nano` learns on from the shipped
    checkpoint, which then is put right by what it has not seen. Needs the extra `labels`; sizes `base` and
    `full` the extra `labels-large` too.
    """
    console = wide_console()
    require_torch()
    before = read_checkpoint(SHIPPED if start == "nano" else Path(start)) if start else None
    if before:
        chosen = recipe(before.model.size, settings or (), before.model, before.seed)
    else:
        chosen = recipe(size, settings or ())
    with Bars(console) as bars:
        found = run(labels, clips, output, chosen, bars, settings or (), before)
    if found is not None:
        console.print(table(summary(found)))
        console.print(str(output / "README.md"))
    return 0
