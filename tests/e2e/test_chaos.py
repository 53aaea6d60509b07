"""Kills at random moments: whatever dies, the run ends with the bytes of an undisturbed one.

Three kills by default, as many as CHAOS_KILLS says otherwise (`make chaos`: twenty). Each is a SIGKILL to
the driver, a worker or a decoder child, drawn at random; the seed is printed and can be set by CHAOS_SEED.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from media import write_video
from running import curate, environment, snapshot

PIPELINE = """
chaos:
  unit_sources: 2
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          max_s: 4
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {}}
          signals: {"parts:MeanLuma": {}}
    score:
      where: mean_luma > 60
      stages: {"parts:SampleCount": {}}
  select: {name: main, where: sample_count is not null}
  pack: {shard_clips: 7}
"""
KINDS = ("driver", "worker", "decoder")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chaos")
    for n in range(10):
        codec = "libvpx" if n % 5 == 4 else "libx264"
        path = folder / f"{n}.{'webm' if codec == 'libvpx' else 'mp4'}"
        write_video(path, [(50 + 10 * n, 3), (150, 3), (40, 5)], size=(320, 192), codec=codec, seed=n)
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "p.yaml").write_text(PIPELINE)
    return folder


def arguments(inputs: Path, output: Path) -> list[str | Path]:
    return [
        "run", "chaos", "--pipelines", inputs / "p.yaml", "--input", inputs, "--output", output,
        "--workers", "2", "--max-failures", "50%",
    ]  # fmt: skip


def victims(driver: psutil.Process, kind: str) -> list[psutil.Process]:
    """Return the living processes of a kind, found by their place in the tree."""
    if kind == "driver":
        return [driver]
    workers = [p for p in driver.children() if "spawn_main" in " ".join(p.cmdline())]
    if kind == "worker":
        return workers
    return [c for w in workers for c in w.children() if "spawn_main" in " ".join(c.cmdline())]


def kill_one(process: subprocess.Popen[bytes], kind: str) -> bool:
    """Kill one process of a kind; False when there is none left."""
    try:
        driver = psutil.Process(process.pid)
        family = [driver, *driver.children(recursive=True)]
        found = victims(driver, kind)
        if not found or process.poll() is not None:
            return False
        random.choice(found).kill()
    except psutil.NoSuchProcess:
        return False
    if kind == "driver":
        process.wait()
        _, alive = psutil.wait_procs(family[1:], timeout=10)
        assert not alive, f"outlived the driver: {alive}"
    return True


@pytest.mark.timeout(1800)
def test_killed_at_random_moments_it_ends_with_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    kills = int(os.environ.get("CHAOS_KILLS", "3"))
    seed = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 10**6)))
    random.seed(seed)
    quiet, wild = tmp_path / "quiet", tmp_path / "wild"
    started_s = time.monotonic()
    assert curate(*arguments(inputs, quiet)).returncode == 0
    span_s = time.monotonic() - started_s
    command = [
        sys.executable,
        "-c",
        "from curate.cli import main; main()",
        *map(str, arguments(inputs, wild)),
    ]
    log, done = [], 0
    # The first ones are one of each kind, so that three kills are three kinds.
    order = [*KINDS, *random.choices(KINDS, k=max(0, kills - 3))][:kills]
    while done < kills:
        process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and done < kills:
            time.sleep(random.uniform(0.2, span_s / 2))
            if kill_one(process, order[done]):
                log.append(order[done])
                done += 1
        if done < kills and process.wait() == 0:
            # It got through before all kills were dealt: begin anew, from nothing.
            subprocess.run(["rm", "-rf", str(wild)], check=True)
            log.append("finished")
        elif process.poll() is None:
            process.wait(timeout=300)
    final = curate(*arguments(inputs, wild))
    sys.stderr.write(f"chaos: seed {seed}, {done} kills: {' '.join(log)}\n")
    assert final.returncode == 0, final.stdout + final.stderr
    assert snapshot(wild) == snapshot(quiet), f"seed {seed}: {log}"
    checked = curate("verify", wild)
    assert checked.returncode == 0, checked.stdout
    assert not list((wild / ".tmp").glob("*")), "scratch was left behind"
