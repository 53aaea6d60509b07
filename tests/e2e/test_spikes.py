"""A run whose captions are all the same does not pass for one that is done."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from running import curate, rows

pytestmark = pytest.mark.slow

PIPELINE = """
said:
  unit_sources: 2
  passes:
    split: {stages: {split: {}}}
    caption: {stages: {"stuck:Stuck": {text: TEXT, spikes: {least: 5}}}}
  select: {name: main, where: caption is not null}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(6):
        Image.new("RGB", (64, 48), (40 * number, 90, 60)).save(tmp_path / f"in/{number}.jpg")
    return tmp_path


def run(folder: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "p.yaml").write_text(PIPELINE.replace("TEXT", json.dumps(text)))
    given = ["run", "said", "--pipelines", folder / "p.yaml", "--input", folder / "in"]
    return curate(*given, "--output", folder / "run", "--workers", "1", *more)


def test_equal_captions_fail_the_run_until_they_are_allowed(folder: Path) -> None:
    done = run(folder, "A dog.")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "the caption 'A dog.' stands at 6 of 6 clips (100%) in the variant 'dense' by stuck-1" in lines[0]
    assert not (folder / "run/shards/main").exists()
    assert len(rows(folder / "run", "captions")) == 6  # what was made is there to be looked at
    done = curate("verify", folder / "run")
    assert done.returncode == 1
    assert "'A dog.' stands at 6 of 6 clips" in done.stdout
    before = sorted((folder / "run/tables/captions").rglob("*.parquet"))
    allowed = run(folder, "A dog.", "--set", "caption.spikes.max_equal_share=1")
    assert allowed.returncode == 0, allowed.stderr
    assert "nothing was computed" in allowed.stdout
    assert sorted((folder / "run/tables/captions").rglob("*.parquet")) == before
    assert curate("verify", folder / "run").returncode == 0


def test_captions_that_differ_pass(folder: Path) -> None:
    done = run(folder, "Clip {clip_id}.")
    assert done.returncode == 0, done.stderr
    assert curate("verify", folder / "run").returncode == 0


def test_an_unknown_limit_is_told(folder: Path) -> None:
    done = run(folder, "A dog.", "--set", "caption.spikes.max_share=1")
    assert done.returncode == 2
    assert "unknown key 'max_share'; did you mean 'max_equal_share'?" in done.stderr
