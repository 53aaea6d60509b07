"""The default pipeline over the real clips beside the project, where they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from exactness import inexact_clips
from running import ROOT, curate, failures, rows

CLIPS = ROOT.parent / "shared" / "data" / "clips"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not beside the project"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("real") / "run"
    done = curate("run", "--input", CLIPS, "--output", output, timeout_s=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_every_file_yields_clips_or_says_why_not(run: Path) -> None:
    sources = rows(run, "sources")
    assert len(sources) == len(list(CLIPS.iterdir()))
    with_clips = {row["source_uri"] for row in rows(run, "clips")}
    assert all(row["error"] or row["source_uri"] in with_clips for row in sources)
    failed = {Path(row["source_uri"]).name: row["message"] for row in failures(run)}
    assert set(failed) == {"DOVER--error_test.mp4", "decord--corrupted.mp4"}
    assert "0 bytes" in failed["DOVER--error_test.mp4"]
    assert "of 50 declared" in failed["decord--corrupted.mp4"]


def test_copied_clips_are_exact_and_few_are_transcoded(run: Path) -> None:
    clips = rows(run, "clips")
    assert inexact_clips(run, clips) == []
    cuts = Counter(row["cut"] for row in clips)
    assert cuts["transcode"] <= 0.15 * len(clips), cuts
    assert all(row["cut_reason"] for row in clips if row["cut"] == "transcode")


def test_it_verifies(run: Path) -> None:
    done = curate("verify", run)
    assert done.returncode == 0, done.stdout
