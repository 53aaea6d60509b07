"""The stage `clip` through the command line, from sources to a selection."""

from __future__ import annotations

from pathlib import Path

import pytest
from media import write_video
from PIL import Image
from running import curate, rows, snapshot
from tiny_clip import make_encoder, make_head, picture

from curate.plan import load_plan

pytest.importorskip("open_clip")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_head(tmp_path_factory.mktemp("head") / "sa_linear.pth")


PIPELINE = """
laion:
  passes:
    split: {{stages: {{split: {{signals: {{motion: {{}}, frozen: {{}}, quality: {{}}, borders: {{}}}}}}}}}}
    score:
      where: duration_s >= 0
      stages: {{clip: {{model: "local-dir:{folder}", head: "{head}"}}}}
    caption:
      where: aesthetic > -1000 and len(embedding) = 512
      stages: [caption]
"""


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    sources = tmp_path / "in"
    sources.mkdir()
    Image.fromarray(picture(3)).save(sources / "still.jpg")
    write_video(sources / "two.mp4", [(70, 4.0), (180, 4.0)])
    return sources


def test_the_whole_path_from_an_image_to_a_selection(
    folder: Path, head: Path, footage: Path, tmp_path: Path
) -> None:
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(PIPELINE.format(folder=folder, head=head))
    out = tmp_path / "out"
    done = curate("run", "laion", "--pipelines", pipeline, "--input", footage, "--output", out)
    assert done.returncode == 0, done.stderr
    found = rows(out, "scores")
    assert len(found) == len(rows(out, "clips")) >= 2
    assert {len(row["embedding"]) for row in found} == {512}
    assert len(rows(out, "captions")) == len(found)
    done = curate("select", out, "--where", "aesthetic > -1000 and len(embedding) = 512", "--name", "all")
    assert done.returncode == 0, done.stderr
    assert f"{len(found)} of {len(found)} clips" in done.stdout
    plan = load_plan("laion", pipeline)
    other = load_plan("laion", pipeline, [f"score.clip.head={make_head(tmp_path / 'b.pth', seed=2)}"])
    assert plan.passes[1].fingerprint != other.passes[1].fingerprint


def test_one_worker_or_two_write_the_same_bytes(
    folder: Path, head: Path, footage: Path, tmp_path: Path
) -> None:
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(PIPELINE.format(folder=folder, head=head))
    options = ("--set", "unit_sources=1", "--set", "score.clip.batch=4")
    for number in (1, 2):
        out = tmp_path / f"out{number}"
        done = curate(
            "run", "laion", "--pipelines", pipeline, "--input", footage, "--output", out,
            "--workers", number, *options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    one, two = (snapshot(tmp_path / f"out{number}") for number in (1, 2))
    assert any("scores" in path for path in one)
    one.pop("run.json")
    two.pop("run.json")
    assert one == two
