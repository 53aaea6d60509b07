"""Processor time of a run on Ray against the same run on the local executor, two workers each.

    python benchmarks/ray_overhead.py INPUT [--repeat 3]

Everything counts: driver, workers, decoders, and Ray's daemons, for this process adopts what its children
leave behind. Start-up is taken off by running half of the videos in the same way: what the other half adds is
work. (A much shorter run would end before Ray's daemons have started, and take off too little.) Runs are
interleaved; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
EXECUTORS = ("local", "ray")
_LOOK_S = 0.1


def cpu_s(executor: str, given: Path, folder: Path) -> float:
    """Return the processor seconds of one run with all that it started, each as last seen.

    Not what the kernel adds up of children: Ray's raylet does not wait for its workers.
    """
    output = Path(tempfile.mkdtemp(dir=folder))
    command = [Path(sys.executable).with_name("curate"), "run", "--input", given, "--output", output / "run"]
    options = ["--executor", executor, "--workers", "2", "--max-failures", "100%", "--set", "unit_sources=4"]
    seen: dict[tuple[int, float], float] = {}
    with (output / "log").open("wb") as log:
        run = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        while run.poll() is None or psutil.Process().children():
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    used = process.cpu_times()
                    seen[process.pid, process.create_time()] = used.user + used.system
            with suppress(ChildProcessError, psutil.Error):
                for orphan in psutil.Process().children():
                    if orphan.pid != run.pid and orphan.status() == psutil.STATUS_ZOMBIE:
                        os.waitpid(orphan.pid, 0)
            time.sleep(_LOOK_S)
    if run.returncode:
        sys.exit((output / "log").read_text())
    shutil.rmtree(output)
    return sum(seen.values())


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("input", type=Path, help="a folder of videos")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    videos = sorted((path for path in given.input.rglob("*") if path.is_file()), key=os.path.getsize)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "half").mkdir()
        for path in videos[::2]:
            (folder / "half" / path.name).symlink_to(path.resolve())
        whole: dict[str, list[float]] = {name: [] for name in EXECUTORS}
        half: dict[str, list[float]] = {name: [] for name in EXECUTORS}
        for _ in range(given.repeat):
            for executor in EXECUTORS:
                half[executor].append(cpu_s(executor, folder / "half", folder))
                whole[executor].append(cpu_s(executor, given.input, folder))
    print(f"{'executor':8}  {'half':>8}  {'whole':>8}  {'work':>8}  CPU seconds, medians of {given.repeat}")
    work = {}
    for executor in EXECUTORS:
        half_s, all_s = statistics.median(half[executor]), statistics.median(whole[executor])
        work[executor] = all_s - half_s
        print(f"{executor:8}  {half_s:8.1f}  {all_s:8.1f}  {work[executor]:8.1f}")
    print(f"ray / local: {work['ray'] / work['local']:.3f}")


if __name__ == "__main__":
    main()
