"""What planning costs: `python benchmarks/dry_run.py [--sizes 1000 100000 1000000] [--limits]`.

Writes lists of sources that need not exist: local paths in a text file, and S3 URIs with sizes and etags in
Parquet, as an inventory of a bucket gives them. Over each runs `curate run --dry-run` in a process of its own
and reports its seconds and its peak memory. `--limits` fails unless a million takes under a minute and 1 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

_LIMIT_S = 60.0
_LIMIT_BYTES = 10**9
_SMALLEST, _LARGEST = 10**6, 4 * 10**7


@dataclass(frozen=True, slots=True)
class Cost:
    """What one dry run took."""

    seconds: float
    cpu_s: float
    peak_bytes: int
    last_line: str


def write_paths(path: Path, count: int) -> Path:
    """Write a text list of local paths that don't exist."""
    path = path.with_suffix(".txt")
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"/data/raw/{n // 1000:04d}/video-{n:07d}.mp4\n" for n in range(count))
    return path


def write_inventory(path: Path, count: int) -> Path:
    """Write a Parquet list of S3 URIs with the size and etag of each."""
    path = path.with_suffix(".parquet")
    draw = random.Random(count)
    table = pa.table(
        {
            "uri": [f"s3://bucket/raw/{n // 1000:04d}/video-{n:07d}.mp4" for n in range(count)],
            "bytes": [draw.randrange(_SMALLEST, _LARGEST) for _ in range(count)],
            "etag": [hashlib.md5(str(n).encode()).hexdigest() for n in range(count)],
        }
    )
    pq.write_table(table, path)
    return path


KINDS: dict[str, Callable[[Path, int], Path]] = {"paths": write_paths, "inventory": write_inventory}


def dry_run(listed: Path) -> Cost:
    """Plan a run over a list in a process of its own; peak memory is that of the process alone."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (str(listed),))


def _measure(listed: str) -> Cost:
    command = [sys.executable, "-c", "from curate.cli import main; main()", "run", "--dry-run"]
    command += ["--input", listed, "--output", f"{listed}.run"]
    started_s = perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100"}
    )
    seconds = perf_counter() - started_s
    if done.returncode:
        raise RuntimeError(done.stderr)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    last = done.stdout.rstrip().splitlines()[-1]
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, last)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--limits", action="store_true", help="fail when a run takes more than allowed")
    options = parser.parse_args()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("list")
    for name in ("sources", "seconds", "CPU s", "peak MB"):
        table.add_column(name, justify="right")
    over = []
    with tempfile.TemporaryDirectory(prefix="curate-dry-run-") as folder:
        for kind in options.kinds:
            for count in options.sizes:
                cost = dry_run(KINDS[kind](Path(folder) / f"{kind}-{count}", count))
                table.add_row(
                    kind,
                    f"{count:,}",
                    f"{cost.seconds:.1f}",
                    f"{cost.cpu_s:.1f}",
                    f"{cost.peak_bytes / 1e6:.0f}",
                )
                if cost.seconds > _LIMIT_S or cost.peak_bytes > _LIMIT_BYTES:
                    over.append(
                        f"{kind}, {count:,} sources: {cost.seconds:.0f} s, {cost.peak_bytes / 1e6:.0f} MB"
                    )
    Console(highlight=False).print(table)
    if options.limits and over:
        print("over the limits:", *over, sep="\n  ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
