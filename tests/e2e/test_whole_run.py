"""A pass that looks at all clips of a run at once, between passes that go unit by unit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from media import write_video
from running import COMMAND, curate, environment, rows, snapshot

PIPELINE = """
ranked:
  unit_sources: 1
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          max_s: 4
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {}}
          signals: {"parts:MeanLuma": {}}
    rank:
      where: mean_luma > 45
      stages: {"parts:Rank": {calls: CALLS}}
    extra:
      where: rank < 3
      stages: {"parts:SampleCount": {calls: COUNTED}}
  select: {name: main, where: rank < 3}
"""


class Ranking:
    """A folder of videos, a pipeline over them, and a run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run, self.yaml = folder / "in", folder / "run", folder / "p.yaml"
        self.calls, self.counted = folder / "calls", folder / "counted"
        self.yaml.write_text(PIPELINE.replace("CALLS", str(self.calls)).replace("COUNTED", str(self.counted)))
        for number, luma in enumerate((40, 60, 90, 120, 150)):
            write_video(self.folder / f"{number}.mp4", [(luma, 2)], seed=number)

    def arguments(self, *more: str, output: Path | None = None) -> list[str]:
        given = ["run", "ranked", "--pipelines", self.yaml, "--input", self.folder]
        return [*map(str, given), "--output", str(output or self.run), *more]

    def __call__(self, *more: str, output: Path | None = None) -> str:
        done = curate(*self.arguments(*more, output=output))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def seen(self, path: Path) -> int:
        """Return how many lines a stage has written since the last look."""
        lines = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return len(lines)

    def ranks(self) -> dict[str, int]:
        uris = {row["clip_id"]: Path(row["source_uri"]).stem for row in rows(self.run, "clips")}
        return {uris[row["clip_id"]]: row["rank"] for row in rows(self.run, "rank")}


@pytest.fixture
def ranking(tmp_path: Path) -> Ranking:
    return Ranking(tmp_path)


def test_it_sees_all_clips_that_are_admitted_and_later_passes_see_what_it_says(ranking: Ranking) -> None:
    ranking()
    assert ranking.ranks() == {"1": 0, "2": 1, "3": 2, "4": 3}
    assert {row["of"] for row in rows(ranking.run, "rank")} == {4}
    assert len(rows(ranking.run, "extra")) == 3
    assert curate("verify", ranking.run).returncode == 0
    assert ranking.seen(ranking.calls) == 1
    assert ranking.seen(ranking.counted) == 3
    assert "nothing was computed" in ranking()
    assert ranking.seen(ranking.calls) == 0


def test_a_new_source_is_ranked_with_the_old_ones_and_costs_later_passes_itself(ranking: Ranking) -> None:
    ranking()
    ranking.seen(ranking.calls), ranking.seen(ranking.counted)
    write_video(ranking.folder / "new.mp4", [(75, 2)], seed=9)
    ranking()
    assert ranking.ranks() == {"1": 0, "new": 1, "2": 2, "3": 3, "4": 4}
    assert ranking.seen(ranking.calls) == 1
    assert ranking.seen(ranking.counted) == 1
    (ranking.folder / "new.mp4").unlink()
    ranking()
    assert ranking.ranks() == {"1": 0, "2": 1, "3": 2, "4": 3}
    fresh = ranking.run.with_name("fresh")
    ranking(output=fresh)
    kept = {path: digest for path, digest in snapshot(ranking.run).items() if path in snapshot(fresh)}
    kept.pop("tables/extra", None)
    ranked = {path for path in snapshot(fresh) if "/rank/" in path}
    assert ranked
    assert {path: kept[path] for path in ranked} == {path: snapshot(fresh)[path] for path in ranked}


def test_ray_writes_the_same_bytes(ranking: Ranking) -> None:
    ranking()
    there = ranking.run.with_name("ray")
    ranking("--executor", "ray", output=there)
    assert snapshot(there) == snapshot(ranking.run)


def test_what_it_wrote_before_it_was_killed_does_not_pass_for_the_whole(ranking: Ranking) -> None:
    """SIGKILL the driver as soon as one part of the second state is there."""
    ranking()
    write_video(ranking.folder / "new.mp4", [(75, 2)], seed=9)
    old = {path: path.stat().st_mtime_ns for path in ranking.run.glob("tables/rank/*/*.parquet")}
    command = [sys.executable, "-c", COMMAND, *ranking.arguments()]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) as driver:
        while not any(path.stat().st_mtime_ns > stamp for path, stamp in old.items()):
            assert driver.poll() is None, "too late"
            time.sleep(0.0005)
        driver.send_signal(signal.SIGKILL)
    ranking()
    assert {row["of"] for row in rows(ranking.run, "rank")} == {5}
    assert ranking.ranks() == {"1": 0, "new": 1, "2": 2, "3": 3, "4": 4}


def test_a_changed_condition_is_looked_at_again(ranking: Ranking) -> None:
    ranking()
    ranking("--set", "rank.where=true")
    assert ranking.ranks() == {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4}


def test_alone_it_wants_the_passes_before_it_done(ranking: Ranking) -> None:
    ranking("--only", "split")
    assert "rank" not in {path.name for path in (ranking.run / "tables").iterdir()}
    ranking("--only", "rank")
    assert ranking.ranks() == {"1": 0, "2": 1, "3": 2, "4": 3}
    write_video(ranking.folder / "new.mp4", [(75, 2)], seed=9)
    done = curate(*ranking.arguments("--only", "rank"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("1 of 6 units have not been through 'split'")


@pytest.mark.parametrize(
    ("setting", "code", "words"),
    [
        ("rank.lose=true", 1, "stage 'parts:Rank' returned 3 rows for 4 clips"),
        ("rank.resources={cpus: 2}", 2, "the driver itself runs a pass over the whole run; it has none"),
        ('rank.stages={"parts:Rank": {}, "parts:SampleCount": {}}', 2, "stands alone in its pass"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(ranking: Ranking, setting: str, code: int, words: str) -> None:
    done = curate(*ranking.arguments("--set", setting))
    assert done.returncode == code, done.stderr
    assert words in done.stderr.splitlines()[-1]


def test_a_dry_run_counts_it(ranking: Ranking) -> None:
    assert "5 of 5 units to run" in ranking("--dry-run")
    ranking()
    assert "0 of 5 units to run" in ranking("--dry-run")
