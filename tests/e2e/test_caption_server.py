"""A run captioned by a server that misbehaves in every way: it ends, and no caption is on a wrong clip."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from captioned import arguments, cut_numbered, sha256
from echoes import proof_of, prose
from faulty_server import ServerProcess
from running import COMMAND, curate, environment, failures, rows

from curate.clips_unit import read_samples
from shards.run import RunFiles

FAULTS = (
    "error_500=0.04,error_503=0.02,rate_limit=0.04,slow=0.04,drop_before=0.03,drop_middle=0.03,malformed=0.04,"
    "no_choices=0.02,empty=0.03,endless=0.02,wrong_id=0.04,swapped=0.05,duplicate=0.03,truncated=0.02,"
    "refused=0.02,html=0.02"
)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_numbered(tmp_path_factory.mktemp("served"))


def served(cut: Path, server: ServerProcess, *more: str, revision: str, patience_s: float = 60) -> list[str]:
    given = {
        "base_url": server.base_url,
        "revision": revision,
        "patience_s": patience_s,
        "max_answer_bytes": 65536,
    }
    return [str(word) for word in arguments(cut, "served", "openai", *more, **given)]


def check_every_caption(run: Path, log: Path) -> None:
    """Compare the captions with what the server answered to their requests, and those with the clips."""
    files = RunFiles.open(str(run))
    clips = {row["clip_id"]: row for row in rows(run, "clips")}
    seen: dict[str, list[dict[str, Any]]] = {}
    for line in log.read_text().splitlines():
        request = json.loads(line)
        seen.setdefault(request["id"].removeprefix("cogcurate-"), []).append(request)
    captions = rows(run, "captions")
    lost = {row["clip_id"] for row in failures(run) if row["pass"] == "caption"}
    assert {row["clip_id"] for row in captions} | lost == set(clips)
    assert len(captions) == 2 * len(set(clips) - lost)
    for row in captions:
        own = {sha256(sample.jpeg)[:12] for sample in read_samples(files.storage, clips[row["clip_id"]])}
        assert row["request_id"].startswith(f"{row['clip_id']}/")
        asked = seen[row["request_id"]]
        for request in asked:
            assert {picture.split()[0] for picture in request["pictures"]} <= own
        if row["caption_ok"]:
            assert row["caption"] in {
                prose(proof_of(r["id"], r["pictures"], r["prompt"], r["body"]["seed"])) for r in asked
            }


def test_every_fault_and_a_server_killed_in_the_middle(cut: Path) -> None:
    log = cut / "faulty.jsonl"
    words = ["--faults", FAULTS, "--seed", "5", "--style", "prose", "--log", str(log), "--latency-s", "0.05"]
    with ServerProcess(*words) as server:
        started = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *served(cut, server, "--max-failures", "100%", revision="a")],
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        while started.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 60):
            time.sleep(0.05)
        assert started.poll() is None
        server.kill()
        time.sleep(1)
        server.start()
        said, _ = started.communicate(timeout=240)
    assert started.returncode == 0, said
    check_every_caption(cut / "run", log)
    captions = rows(cut / "run", "captions")
    assert {row["asked"] for row in captions} == {1, 2}
    assert sum(row["caption_ok"] for row in captions) > 0.8 * len(captions)
    metrics = [json.loads(path.read_text()) for path in (cut / "run/metrics/caption").iterdir()]
    assert sum(m["counts"].get("retries", 0) for m in metrics) > 20
    assert curate("verify", cut / "run").returncode == 0


def test_a_server_that_stays_away_ends_the_run_in_one_line(cut: Path) -> None:
    with ServerProcess("--style", "prose") as server:
        pass
    done = curate(*served(cut, server, revision="gone", patience_s=2))
    assert done.returncode == 2
    *waiting, last = done.stderr.splitlines()
    assert all("waiting up to 2 s" in line for line in waiting)
    assert last.startswith(f"curate: {server.base_url}: no answer in 2 s")
