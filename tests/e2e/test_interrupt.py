"""Ctrl-C and SIGTERM in the middle: workers end, one line is said, the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from media import write_video
from running import curate, environment, rows

PIPELINE = """
slow:
  unit_sources: 1
  passes:
    split:
      stages:
        split: {min_s: 1.5, sample_every_s: 0.5, detector: {"parts:JumpDetector": {}}, signals: {}}
    extra:
      stages: {"parts:Picky": {hang: second, until: FIXED}}
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_running_and_goes_on_later(tmp_path: Path, how: signal.Signals) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    for name in ("first", "second"):
        write_video(tmp_path / "in" / f"{name}.mp4", [(60, 2)], seed=len(name))
    (tmp_path / "p.yaml").write_text(PIPELINE.replace("FIXED", str(tmp_path / "fixed")))
    arguments = ["run", "slow", "--pipelines", tmp_path / "p.yaml", "--input", tmp_path / "in"]
    arguments += ["--output", tmp_path / "run", "--workers", "2"]
    command = [sys.executable, "-c", "from curate.cli import main; main()", *map(str, arguments)]
    driver = subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline_s = time.monotonic() + 120
    while len(list((tmp_path / "run").glob("tables/clips/*/*.parquet"))) < 2 or not list(
        (tmp_path / "run").glob("tables/extra/*/*.parquet")
    ):
        assert time.monotonic() < deadline_s, "it never came to the second pass"
        assert driver.poll() is None
        time.sleep(0.1)
    family = psutil.Process(driver.pid).children(recursive=True)
    assert family
    if how == signal.SIGINT:
        # As a terminal does it: to the whole group.
        os.killpg(driver.pid, how)
    else:
        driver.send_signal(how)
    _, err = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert err.splitlines() == ["curate: interrupted; run the same command again to go on"]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    (tmp_path / "fixed").touch()
    assert curate(*arguments).returncode == 0
    assert len(rows(tmp_path / "run", "extra")) == 2
