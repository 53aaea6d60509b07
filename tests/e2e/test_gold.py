"""The default pipeline over the whole gold corpus: every hard case comes out as its truth says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from exactness import inexact_clips
from running import curate, failures, media_digests, rows

SETTINGS = ("--set", "split.min_s=1.2", "--set", "split.sample_every_s=0.4", "--max-failures", "25%")


@pytest.fixture(scope="module")
def run(gold: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "run"
    done = curate("run", "--input", gold, "--output", output, *SETTINGS, timeout_s=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


@pytest.fixture(scope="module")
def truth(gold: Path) -> dict[str, dict[str, Any]]:
    return {row["file"]: row for row in json.loads((gold / "truth.json").read_text(encoding="utf-8"))}


def test_every_file_comes_out_as_expected(run: Path, truth: dict[str, dict[str, Any]]) -> None:
    sources = {Path(row["source_uri"]).name: row for row in rows(run, "sources")}
    failed = {Path(row["source_uri"]).name: row for row in failures(run)}
    with_clips = {Path(row["source_uri"]).name for row in rows(run, "clips")}
    assert set(sources) == set(truth)
    for name, expected in truth.items():
        row = sources[name]
        match expected["outcome"]:
            case "clips":
                copy = row["duplicate_of"] is not None
                short = (row["error"] or "").startswith("no clip")
                assert copy or short or row["error"] is None, (name, row["error"])
                assert copy or short or name in with_clips, name
                assert name not in failed, failed[name]
                assert copy or expected["frames"] in (None, row["frames"]), name
            case "partial":
                assert row["error"], name
                assert failed[name]["error"] == "SourceError", failed[name]
            case "failure" | "no video":
                assert row["error"], name
                assert failed[name]["error"] == "SourceError", failed[name]
                assert len(failed[name]["message"]) > 15
    assert sum(row["duplicate_of"] is not None for row in sources.values()) == sum(
        expected["duplicate_of"] is not None for expected in truth.values()
    )


def test_every_clip_is_exact(run: Path) -> None:
    clips = rows(run, "clips")
    assert len(clips) > 80
    assert inexact_clips(run, clips) == []
    reasons = {row["cut_reason"] for row in clips if row["cut"] == "transcode"}
    assert None not in reasons


def test_images_are_clips_of_one_frame_without_motion(run: Path) -> None:
    signals = {row["clip_id"]: row for row in rows(run, "signals")}
    images = [row for row in rows(run, "clips") if row["source_uri"].endswith((".jpg", ".png", ".webp"))]
    assert len(images) == 3
    for row in images:
        assert row["frames"] == 1
        assert signals[row["clip_id"]]["motion_total"] is None
        assert len(row["sample_times_s"]) == 1


def test_captions_are_measured_and_say_so(run: Path) -> None:
    captions = rows(run, "captions")
    assert captions
    assert {row["caption_model"] for row in captions} == {"signals-1"}
    digests = {row["clip_id"]: row["samples_sha256"] for row in rows(run, "clips")}
    assert all(row["samples_digest"] == digests[row["clip_id"]] for row in captions)


def test_it_verifies_and_one_flipped_byte_is_found(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert curate("verify", copy).returncode == 0
    for pattern in (
        "clips/*/*.tar",
        "samples/*/*.tar",
        "tables/clips/*/*.parquet",
        "tables/captions/*/*.parquet",
        "tables/failures/*/*.parquet",
        "shards/main/00000.tar",
        "shards/main/manifest.parquet",
    ):
        path = sorted(copy.glob(pattern))[0]
        data = bytearray(path.read_bytes())
        at = len(data) * 2 // 3
        data[at] ^= 1
        path.write_bytes(data)
        done = curate("verify", copy)
        assert done.returncode == 1, pattern
        assert str(path.relative_to(copy)) in done.stdout, pattern
        data[at] ^= 1
        path.write_bytes(data)
    assert curate("verify", copy).returncode == 0


def test_the_copies_of_a_purged_source_go_with_it(run: Path, gold: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = len(rows(copy, "clips"))
    done = curate("purge", copy, "--source", gold / "fire.mp4")
    assert done.returncode == 0, done.stderr
    assert len(rows(copy, "clips")) < before
    assert not [row for row in rows(copy, "clips") if row["source_uri"].endswith("fire.mp4")]
    assert curate("verify", copy).returncode == 0
    again = curate("run", "--input", gold, "--output", copy, *SETTINGS)
    assert again.returncode == 0, again.stderr
    # What was a copy of a purged clip is looked at again; nothing is cut or scored.
    assert not [line for line in again.stdout.splitlines() if line.startswith(("split ", "score "))]
    assert not [row for row in rows(copy, "clips") if row["source_uri"].endswith("fire.mp4")]
    assert "nothing was computed" in curate("run", "--input", gold, "--output", copy, *SETTINGS).stdout
    assert not [row for row in rows(copy, "clips") if row["source_uri"].endswith("fire.mp4")]


def test_a_changed_caption_option_redoes_captions_alone(run: Path, gold: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    clips = {p: p.stat().st_mtime_ns for p in copy.glob("clips/*/*.tar")}
    media = {k: v for k, v in media_digests(copy).items() if not k.startswith("shards")}
    more = ("--set", "caption.variants=[dense, short]")
    assert curate("run", "--input", gold, "--output", copy, *SETTINGS, *more).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in copy.glob("clips/*/*.tar")} == clips
    assert {k: v for k, v in media_digests(copy).items() if not k.startswith("shards")} == media
    assert {row["variant"] for row in rows(copy, "captions")} == {"dense", "short"}
    assert curate("verify", copy).returncode == 0
