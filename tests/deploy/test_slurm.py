"""The Slurm script on this machine: stand-ins for Slurm run each step here, the cluster is real."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from media import write_video
from running import ROOT, environment

SCRIPT = ROOT / "deploy/slurm.sh"
STAND_INS = {
    "srun": 'echo "$@" >>srun.log\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
    "scontrol": "for ((n = 0; n < SLURM_JOB_NUM_NODES; n++)); do echo localhost; done\n",
}


class Job:
    """A folder with videos, and the script run in it as Slurm would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in STAND_INS.items():
            path = folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/usr/bin/env bash\n{text}")
            path.chmod(0o755)
        for n in range(2):
            write_video(folder / "videos" / f"{n}.mp4", [(90, 4), (150, 4)], seed=n)
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str, nodes: int = 1) -> subprocess.Popen[str]:
        """Run the script; its arguments are those of `curate run`, with input and output given."""
        env = environment() | {
            "PATH": f"{self.folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SLURM_JOB_ID": str(_free_job()), "SLURM_JOB_NODELIST": "localhost",
            "SLURM_JOB_NUM_NODES": str(nodes), "SLURM_CPUS_PER_TASK": "1",
            "TMPDIR": str(self.folder), "CURATE_SCRATCH": str(self.folder),
        }  # fmt: skip
        command = [str(SCRIPT), *arguments, "--input", "videos", "--output", "run"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self.process

    def left_over(self) -> list[str]:
        """Return what of the cluster is still there."""
        folders = [str(path) for path in self.folder.glob("ray-*") if path.is_dir()]
        return folders + [str(process) for process in self._cluster()]

    def close(self) -> None:
        """End what a failed test has left."""
        if self.process and self.process.poll() is None:
            family = [*psutil.Process(self.process.pid).children(recursive=True), self.process]
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
        for process in self._cluster():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _cluster(self) -> list[psutil.Process]:
        """Return the processes of Ray that name the job's folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                named = f"{self.folder}/ray-" in " ".join(process.cmdline())
                if named and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def _free_job() -> int:
    """Return a job number whose two ports are free."""
    while True:
        number = random.randrange(5000)
        with suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 22000 + 2 * number))
            second.bind(("127.0.0.1", 22001 + 2 * number))
            return number


@pytest.fixture
def job() -> Iterator[Job]:
    folder = Path(tempfile.mkdtemp(prefix="cgs", dir="/tmp"))  # short: Ray's sockets lie below it
    made = Job(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_it_is_bash() -> None:
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_shellcheck_has_nothing_to_say() -> None:
    beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=beside)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_two_nodes_make_a_run_and_leave_nothing(job: Job) -> None:
    output, _ = job.start(nodes=2).communicate(timeout=240)
    assert job.process
    assert job.process.returncode == 0, output
    assert "captioned" in output, "no funnel"
    assert "nodes have joined; going on" not in output
    assert (job.folder / "run/shards/main/manifest.parquet").exists()
    steps = (job.folder / "srun.log").read_text().splitlines()
    assert ["--head" in step for step in steps] == [True, False]
    assert job.left_over() == []


@pytest.mark.slow
def test_the_exit_code_is_the_runs(job: Job) -> None:
    (job.folder / "videos" / "broken.mp4").write_bytes(b"no video")
    output, _ = job.start("default", "--max-failures", "0").communicate(timeout=240)
    assert job.process
    assert job.process.returncode == 3, output
    assert job.left_over() == []


@pytest.mark.slow
def test_a_cancelled_job_stops_the_run_and_the_cluster(job: Job) -> None:
    for n in range(2, 60):
        path = job.folder / f"videos/{n}.mp4"
        path.write_bytes((job.folder / "videos/0.mp4").read_bytes() + bytes([n]))  # another source
    process = job.start("--set", "unit_sources=1")
    deadline_s = time.monotonic() + 120
    while not list(job.folder.glob("run/tables/clips/*/*.parquet")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "run the same command again" in output
    assert job.left_over() == []
