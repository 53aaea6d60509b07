"""The README's worked example runs as it is written, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from media import write_video
from running import ROOT, curate, environment, rows

README = (ROOT / "README.md").read_text(encoding="utf-8")


def example(name: str) -> str:
    """Return the code block that follows the marker of `name`."""
    found = re.search(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


def test_a_stage_of_ones_own(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "my_stages.py").write_text(example("my_stages.py"))
    (tmp_path / "my_pipelines.yaml").write_text(example("my_pipelines.yaml"))
    write_video(tmp_path / "videos" / "a.mp4", [(90, 4), (150, 4)])
    words = shlex.split(example("command").replace("~/videos", "videos"))
    assert words[:2] == ["PYTHONPATH=.", "curate"]
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("running.environment", lambda: {**environment(), "PYTHONPATH": str(tmp_path)})
    done = curate(*words[2:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = rows(tmp_path / "runs" / "colour", "scores")
    assert scores
    assert all(0 <= row["colourfulness"] < 5 for row in scores), "the footage is gray"


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"`?curate (run|select|pack|verify|purge|gc|footage|bench \w+)", README))
    assert {"run", "select", "pack", "verify", "purge", "gc", "footage", "bench decode"} <= named
    for command in sorted(named):
        assert curate(*command.split(), "--help").returncode == 0, command
