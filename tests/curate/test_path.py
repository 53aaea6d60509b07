"""The packages come from beside `_cogcurate`, whatever lies first on the path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import _cogcurate

SCRIPT = """
import sys
import _cogcurate
_cogcurate.settle_path()
import caption, curate, curate.cli, filters, shards, train, mine
print(mine.HERE, *(module.__file__ for module in (caption, curate, filters, shards, train)), sep="\\n")
"""


@pytest.mark.parametrize("packages", [False, True])
def test_a_folder_that_hides_the_packages_is_moved_behind_them(tmp_path: Path, *, packages: bool) -> None:
    for name in _cogcurate.PACKAGES:
        hiding = tmp_path / name / "__init__.py" if packages else tmp_path / f"{name}.py"
        hiding.parent.mkdir(exist_ok=True)
        hiding.write_text("raise RuntimeError('hidden')\n")
    (tmp_path / "mine.py").write_text("HERE = 'still found'\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found, *files = done.stdout.split("\n")[:6]
    assert found == "still found"
    assert all(Path(file).parents[1] == Path(_cogcurate.HOME) for file in files)


def test_a_path_that_hides_nothing_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()  # no package: a folder of somebody's, which hides nothing
    before = [str(tmp_path), _cogcurate.HOME, "/nowhere"]
    monkeypatch.setattr(sys, "path", list(before))
    _cogcurate.settle_path()
    assert sys.path == before
