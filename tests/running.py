"""Running the command line in tests, and looking at what it leaves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shards.run import RunFiles
from shards.tables import read_parts

__all__ = ["COMMAND", "ROOT", "curate", "environment", "failures", "media_digests", "rows", "snapshot"]

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "from curate.cli import main; main()"


def environment() -> dict[str, str]:
    """Return an environment in which workers find `parts`."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "200"}


def curate(
    *arguments: str | Path, cwd: Path | None = None, timeout_s: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `curate` with `arguments` in a process of its own."""
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, env=environment(), cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def snapshot(run: Path) -> dict[str, str]:
    """Return path → SHA-256 of every file that a run must reproduce to the byte (the index is a cache)."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.relative_to(run).parts[0] not in ("metrics", ".tmp", "index.parquet")
    }


def media_digests(run: Path) -> Mapping[str, str]:
    """Return the snapshot's media alone."""
    return {path: digest for path, digest in snapshot(run).items() if path.endswith(".tar")}


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    """Return the current rows of a table."""
    files = RunFiles.open(str(run))
    parts = files.parts(files.info(), table)
    return read_parts(files.storage, [part.path for part in parts]).to_pylist() if parts else []


def failures(run: Path) -> list[dict[str, Any]]:
    """Return the current failure rows of every pass."""
    files = RunFiles.open(str(run))
    info = files.info()
    paths = [part.path for name in info.passes for part in files.failures(info, name)]
    return read_parts(files.storage, paths).to_pylist() if paths else []
