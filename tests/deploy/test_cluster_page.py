"""The cluster page's three nodes run as they are written, in a network and a process tree of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ROOT, curate, environment, rows, snapshot

PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
# `ray stop` ends every Ray process it sees, and the page uses Ray's usual ports.
ALONE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")


def blocks() -> list[str]:
    """Return the page's marked commands, in order."""
    return re.findall(r"<!-- example: three nodes -->\n```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the names of Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="cg", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_three_nodes_by_copy_and_paste(tmp_path: Path, short: Path) -> None:
    tried = subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("this machine allows no namespaces: " + tried.stderr.decode(errors="replace").strip())
    (tmp_path / ".venv").symlink_to(sys.prefix)
    written = "".join(blocks())
    assert written.count("/tmp/three/") == 3
    check = "ray list nodes --filter state=ALIVE --format json >nodes.json\n"
    script = "set -euo pipefail\nip link set lo up\n" + written.replace("/tmp/three/", f"{short}/").replace(
        "curate footage", f"{check}curate footage", 1
    )
    done = subprocess.run(
        [*ALONE, "bash", "-c", script],
        cwd=tmp_path, env={**environment(), "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "nodes.json").read_text().count('"node_id"') == 3
    assert "24 sources" in done.stdout
    assert "everything was there already: nothing was computed" in done.stdout, "the job found another run"
    assert len(rows(tmp_path / "runs/three", "captions")) == 24
    options = re.findall(r"--set [a-z_.]+=\S+", written[written.index("curate run") :])[:3]
    local = curate(
        "run", "--input", tmp_path / "runs/shapes/*.tar", "--output", tmp_path / "runs/local",
        *" ".join(options).split(),
    )  # fmt: skip
    assert local.returncode == 0, local.stderr
    assert snapshot(tmp_path / "runs/three") == snapshot(tmp_path / "runs/local")
