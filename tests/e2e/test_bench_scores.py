"""`curate bench scores`: what each score costs, and a page to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
from media import write_video
from running import curate

PIPELINE = """
scored:
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {}}
          signals: {"parts:MeanLuma": {}}
    score:
      stages: {"parts:SampleCount": {}}
    rank:
      stages: {"parts:Rank": {}}
"""


def test_costs_and_a_page(tmp_path: Path) -> None:
    for number in range(3):
        write_video(tmp_path / "in" / f"{number}.mp4", [(60 + 30 * number, 2)], seed=number)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "p.yaml").write_text(PIPELINE)
    command = ["bench", "scores", tmp_path / "in", "--output", tmp_path / "out"]
    done = curate(*command, "--pipeline", "scored", "--pipelines", tmp_path / "p.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 clips")
    for name in ("bare decode", "split", "parts:MeanLuma", "score", "parts:SampleCount", "rank"):
        line = next(text for text in done.stdout.splitlines() if text.strip().startswith(name))
        assert float(line.split()[-2]) >= 0
    assert "passes after the split, over it" in done.stdout
    page = (tmp_path / "out/page/index.html").read_text()
    assert "3 clips of" in page
    for column in ("mean_luma", "sample_count", "rank"):
        assert f'<img src="{column}.png"' in page
        assert cv2.imread(str(tmp_path / f"out/page/{column}.png")).std() > 5
        assert cv2.imread(str(tmp_path / f"out/page/{column}-clips.png")).std() > 5
    again = curate(*command, "--pipeline", "scored", "--pipelines", tmp_path / "p.yaml")
    assert again.returncode == 2
    assert "there is a run already" in again.stderr
