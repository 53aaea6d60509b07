"""The recipe's plumbing, by an engine that echoes: every request has the right frames of the right clip.

The frames say in bars which video and frame they are, so what an engine got is decoded and compared with what
the clip's row says, whatever happened on the way: many requests at once, answers out of order, wrong ids,
errors, questions asked again, workers killed.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import captioned
import psutil
import pytest
from captioned import FPS, cut_numbered, sha256
from numbered_video import read_number
from running import COMMAND, curate, environment, failures, rows

from curate.clips_unit import read_samples
from shards.run import RunFiles

# One in so many requests meets each fault, the first time that it is asked.
FAULTS = {
    "delay_s": 0.05,
    "wrong_id": r"[0-3]/frame\.\d+/1$",
    "error": r"[4-5]/(frame\.\d+|short)/1$",
    "empty": r"[6-7]/summary/1$",
}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `p.yaml` and `run`: cut, not captioned."""
    return cut_numbered(tmp_path_factory.mktemp("captions"))


def arguments(cut: Path, *more: str | Path, **options: Any) -> list[str | Path]:
    return captioned.arguments(cut, "echo", "echo_engine:Echo", *more, **options)


def check_every_picture(run: Path) -> int:
    """Compare what the engine saw with the clips' rows; return how many pictures it saw."""
    files = RunFiles.open(str(run))
    clips = {row["clip_id"]: row for row in rows(run, "clips")}
    captions = rows(run, "captions")
    assert sorted((row["clip_id"], row["variant"]) for row in captions) == sorted(
        (ident, variant) for ident in clips for variant in ("dense", "short")
    )
    seen = 0
    for row in captions:
        clip = clips[row["clip_id"]]
        samples = {sha256(s.jpeg): s for s in read_samples(files.storage, clip)}
        answers = [row["caption"], *(part["text"] for part in row["parts"] if part["text"])]
        assert row["request_id"].startswith(f"{row['clip_id']}/")
        for text in answers:
            said = json.loads(text)
            assert said["id"].startswith(f"{row['clip_id']}/")
            for time_s, digest in said["pictures"]:
                # The picture that the engine got is one of this clip's, at the second that it was told.
                video, frame = read_number(samples[digest].jpeg)
                assert video == int(Path(clip["source_uri"]).stem)
                assert frame / FPS == pytest.approx(clip["start_s"] + time_s, abs=1e-6)
                assert f"{time_s:.1f}" in re.split("[ _,]", said["prompt"])
                seen += 1
    return seen


def test_every_request_has_its_own_frames_whatever_goes_wrong(cut: Path) -> None:
    done = curate(*arguments(cut, name="faulty", **FAULTS))
    assert done.returncode == 0, done.stderr
    assert check_every_picture(cut / "run") > 100
    captions = rows(cut / "run", "captions")
    assert {row["asked"] for row in captions} == {1, 2}
    assert all(row["caption_ok"] for row in captions)
    metrics = [json.loads(path.read_text()) for path in (cut / "run/metrics/caption").iterdir()]
    assert sum(m["counts"].get("wrong_ids", 0) for m in metrics) > 3
    assert curate("verify", cut / "run").returncode == 0


def test_a_captioner_that_stays_wrong_costs_its_clips_alone(cut: Path) -> None:
    done = curate(*arguments(cut, "--max-failures", "50%", name="liar", wrong_id=r"^[0-3]\w+/short"))
    assert done.returncode == 0, done.stderr
    lost = [row for row in failures(cut / "run") if row["pass"] == "caption"]
    assert lost
    assert all("answered for another request" in row["message"] for row in lost)
    assert {row["clip_id"][0] for row in lost} <= set("0123")
    left = {row["clip_id"] for row in rows(cut / "run", "captions")}
    assert left == {row["clip_id"] for row in rows(cut / "run", "clips")} - {row["clip_id"] for row in lost}


@pytest.mark.parametrize("executor", ["local", "ray"])
@pytest.mark.timeout(300)
def test_killed_workers_mix_nothing_up(cut: Path, executor: str) -> None:
    more = ["--executor", executor]
    words = [str(word) for word in arguments(cut, *more, **{**FAULTS, "name": executor, "delay_s": 1.0})]
    # Not a pipe: it would fill, and then stop who writes.
    log = cut / f"{executor}.log"
    with log.open("wb") as out:
        started = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words], env=environment(), stdout=out, stderr=out
        )
    killed = 0
    chance = random.Random(3)
    # Three in a row that die while they load would end the run: that is another test's.
    while started.poll() is None and killed < 2:
        if found := workers(started.pid, executor):
            time.sleep(0.2 + chance.random())
            chance.choice(found).kill()
            killed += 1
            time.sleep(2)
        time.sleep(0.02)
    code, said = started.wait(timeout=240), log.read_text()
    assert code == 0, said
    assert killed
    assert "trying again" in said
    assert check_every_picture(cut / "run") > 100


def workers(driver: int, executor: str) -> list[psutil.Process]:
    """Return the living workers of a run."""
    try:
        family = psutil.Process(driver).children(recursive=executor == "ray")
        mark = "CurateWorker" if executor == "ray" else "spawn_main"
        return [p for p in family if mark in " ".join(p.cmdline())]
    except psutil.NoSuchProcess:
        return []


def test_captions_of_before_stay_until_gc(cut: Path) -> None:
    assert curate(*arguments(cut, name="first")).returncode == 0
    before = rows(cut / "run", "captions")
    assert curate(*arguments(cut, name="second")).returncode == 0
    folders = {path.name for path in (cut / "run/tables/captions").iterdir()}
    assert len(folders) >= 2
    again = curate(*arguments(cut, name="first"))
    assert "nothing was computed" in again.stdout
    assert rows(cut / "run", "captions") == before
    assert curate("gc", cut / "run").returncode == 0
    assert len(list((cut / "run/tables/captions").iterdir())) == 1


def test_what_is_wrong_is_one_line(cut: Path, tmp_path: Path) -> None:
    for words, message in [
        (["caption", tmp_path / "none"], "no run at"),
        ([*arguments(cut), "--set", "caption.variants=[dens]"], "did you mean 'dense'"),
        ([*arguments(cut), "--set", "caption.engine={}"], "name exactly one engine"),
        ([*arguments(cut)[:-2], "--pipeline", "ech"], "did you mean 'echo'"),
        ([*arguments(cut), "--set", f"caption.prompts={tmp_path / 'none'}"], "no folder"),
        (["run", "echo", "--pipelines", cut / "p.yaml", "--output", cut / "run"], "--input is missing"),
    ]:
        done = curate(*words)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert message in done.stderr
