"""The stage `clip` through the command line, from sources to a selection."""

from __future__ import annotations

import shutil
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
      stages: {{caption: {{variants: [dense, short], aligner: {{clip: {{model: "local-dir:{folder}"}}}}}}}}
"""


def run_with(workers: int, home: Path, out: Path) -> Path:
    done = curate(
        "run", "laion", "--pipelines", home / "p.yaml", "--input", home / "in", "--output", out,
        "--workers", workers, "--set", "unit_sources=1", "--set", "score.clip.batch=4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def home(folder: Path, head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline, footage, and the run that they gave: `p.yaml`, `in`, `out`."""
    home = tmp_path_factory.mktemp("home")
    (home / "in").mkdir()
    Image.fromarray(picture(3)).save(home / "in/still.jpg")
    write_video(home / "in/two.mp4", [(70, 4.0), (180, 4.0)])
    (home / "p.yaml").write_text(PIPELINE.format(folder=folder, head=head))
    run_with(1, home, home / "out")
    return home


def test_the_whole_path_from_sources_to_a_selection(home: Path) -> None:
    out = home / "out"
    found = rows(out, "scores")
    assert len(found) == len(rows(out, "clips")) >= 2
    assert {len(row["embedding"]) for row in found} == {512}
    captions = rows(out, "captions")
    assert len(captions) == 2 * len(found)
    assert all(-1 <= row["alignment"] <= 1 for row in captions)
    assert len({row["alignment"] for row in captions}) > 1
    assert curate("verify", out).returncode == 0
    done = curate("select", out, "--where", "aesthetic > -1000 and len(embedding) = 512", "--name", "all")
    assert done.returncode == 0, done.stderr
    assert f"{len(found)} of {len(found)} clips" in done.stdout


def test_the_fingerprint_covers_the_heads_file(home: Path, tmp_path: Path) -> None:
    plan, other = (
        load_plan("laion", home / "p.yaml", [f"score.clip.head={make_head(tmp_path / 'h.pth', seed=seed)}"])
        for seed in (1, 2)
    )
    assert plan.passes[1].fingerprint != other.passes[1].fingerprint


def test_the_texts_encoder_must_be_that_of_the_embeddings(home: Path, tmp_path: Path) -> None:
    other = make_encoder(tmp_path / "tiny", seed=1)
    out = shutil.copytree(home / "out", tmp_path / "out")
    done = curate(
        "run", "laion", "--pipelines", home / "p.yaml", "--input", home / "in", "--output", out,
        "--workers", 1, "--set", "unit_sources=1", "--set", f"caption.aligner.clip.model=local-dir:{other}",
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "the clips' embeddings are of tiny@" in done.stderr


def test_one_worker_or_two_write_the_same_bytes(home: Path, tmp_path: Path) -> None:
    # The selection of another test is no part of a run; run.json tells how it was started.
    one, two = snapshot(home / "out"), snapshot(run_with(2, home, tmp_path / "out"))
    one = {path: digest for path, digest in one.items() if not path.startswith(("shards/", "run.json"))}
    assert any("scores" in path for path in one)
    assert one == {path: digest for path, digest in two.items() if path != "run.json"}
