"""A small run of labelled clips: pages of text against street scenes, rendered, cut and measured."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from running import curate

from curate.footage.encode import Encoding, encode
from curate.footage.film import Film, Shot, frames
from filters.labels import LABELS

__all__ = ["PIPELINE", "SIGNALS", "SMALL", "make_run", "write_labels"]

SIGNALS = ("motion_total", "frozen_share", "sharpness", "colorfulness")
PIPELINE = """
made:
  unit_sources: 20
  passes: &passes
    split:
      stages:
        split:
          min_s: 2.0
          trim_frames: 0
          sample_every_s: 0.6
          sample_px: 112
          detector: {shots: {}}
          signals: {motion: {}, frozen: {}, quality: {}}
labelled:
  unit_sources: 20
  passes:
    <<: *passes
    label:
      stages:
        labels: {model: MODEL}
"""
# The shipped recipe, smaller and shorter.
SMALL = (
    "model.width=64", "model.heads=4", "model.layers=2", "model.queries=8", "model.frames=4",
    f"model.signals=[{', '.join(SIGNALS)}]", "epochs=14", "patience=14",
    "seed=1", "batch=4", "learning_rate=0.0015", "drop_signals=0", "drop_frames=0", "average=0.9",
    "signal_epochs=2", "model.trees=20", "model.reader=8", "reader_epochs=4",
)  # fmt: skip
SCENES = ("page", "street")
REVERSED = ("static", "lecture")
SIZE, FPS = (192, 112), 6


def make_run(folder: Path, sources: int = 40) -> Path:
    """Render, cut and measure into `folder/run`, and write `folder/labels.csv`; return the folder."""
    (folder / "in").mkdir(parents=True)
    answers = {}
    for number in range(sources):
        scene = SCENES[number % 2]
        film = Film((Shot(scene, 15, seed=number + 1),), size=SIZE, fps=Fraction(FPS))
        path = folder / "in" / f"{number:02}-{scene}.mp4"
        encode(path, frames(film), film.size, film.ticks(), film.fps, Encoding())
        # Every label is asked of the same two kinds of picture, some the other way round.
        answers[f"in/{path.name}"] = {
            label: "yes" if (scene == "page") == (label not in REVERSED) else "no" for label in LABELS
        }
    write_labels(folder / "labels.csv", answers)
    (folder / "p.yaml").write_text(PIPELINE)
    done = curate(
        "run", "made", "--pipelines", folder / "p.yaml", "--input", folder / "in", "--output",
        folder / "run", "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def write_labels(
    path: Path, answers: Mapping[str, Mapping[str, str]], more: Sequence[Sequence[str]] = ()
) -> Path:
    """Write a labels file of clip → label → answer, and further lines."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "label", "answer", "annotator", "source"])
        for clip, said in answers.items():
            source = Path(clip).stem[:2]
            writer.writerows([clip, label, answer, "test", source] for label, answer in said.items())
        writer.writerows(more)
    return path
