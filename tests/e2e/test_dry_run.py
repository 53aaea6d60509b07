"""`curate run --dry-run`: the figures it prints, over a list of 20,000 and over runs that have begun."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from media import write_video
from plans import TWO_PASSES, two_passes
from running import curate, rows, snapshot

from curate.forecast import ASK_PARTS, forecast
from curate.measured import rates_of_run
from curate.plan import load_plan
from curate.rates import Made, Measurement, PassRates, Rate, RatesFile, Selected
from curate.sources import list_sources
from curate.units import divide
from shards.run import RunFiles

PIPELINE = """
small:
  unit_sources: 2
  passes:
    split:
      stages:
        split: {min_s: 0.9, max_s: 10, sample_every_s: 0.3, detector: {"parts:JumpDetector": {}},
                signals: {"parts:MeanLuma": {}}}
    score:
      where: mean_luma > 60
      stages: {"parts:SampleCount": {}}
  select: {name: main, where: sample_count is not null}
"""
TWO = ("two", "--pipelines", TWO_PASSES)
COUNT = 20_000
SIZE = 5_000_000


def save(path: Path, *, gpu: bool = True, **settings: Any) -> Path:
    """Write rates of round numbers for the pipeline of two passes."""
    split = two_passes().passes[0]
    made = Made(
        clips=Rate(per_source=2),
        media_bytes=Rate(per_gb=9e8),
        samples_bytes=Rate(per_gb=1e8),
        selected=Selected(where="frames > 9", clips=0.5, bytes=0.5),
    )
    passes = {
        "split": PassRates(
            fingerprint=split.fingerprint, sources=7, images=0, made=made, gpu_s=Rate(),
            cpu_s=Rate(per_unit=0.36, per_source=0.72, per_gb=36), worker_s=Rate(per_source=1.8),
        ),
        "caption": PassRates(
            fingerprint="of other options", sources=7, images=0, cpu_s=Rate(per_source=0.18),
            gpu_s=Rate(per_source=0.36) if gpu else None, worker_s=Rate(per_source=0.36),
        ),
    }  # fmt: skip
    measured = Measurement(
        date="2026-01-02T03:04:05+00:00", machine={"cpu": "Abacus 9"}, versions={}, sources=7, images=0,
        bytes=9, failed=0, passes=passes | settings,
    )  # fmt: skip
    path.write_text(json.dumps(RatesFile(pipelines={"two": measured}).model_dump(mode="json")))
    return path


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of objects with sizes and etags, none of which is ever looked at."""
    path = tmp_path_factory.mktemp("lists") / "inventory.parquet"
    names = [f"s3://bucket-that-is-not-there/{n:05d}.mp4" for n in range(COUNT - 4)]
    names += [f"s3://bucket-that-is-not-there/{n:05d}.jpg" for n in range(4)]
    etags = [f"{n:032x}" for n in range(COUNT)]
    pq.write_table(pa.table({"uri": names, "bytes": [SIZE] * COUNT, "etag": etags}), path)
    return path


@pytest.fixture
def rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the rates of a test are; nothing is there yet."""
    path = tmp_path / "rates.json"
    monkeypatch.setenv("CURATE_RATES", str(path))
    return path


def dry_run(*arguments: str | Path) -> str:
    done = curate("run", "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    return re.sub(r" +", " ", done.stdout)


def test_the_figures_of_a_large_list(inventory: Path, rates: Path, tmp_path: Path) -> None:
    save(rates)
    text = dry_run(*TWO, "--input", inventory, "--output", tmp_path / "run", "--workers", "10")
    # 16 sources a unit: 20,000 sources of 5 MB are 1,250 units and 100 GB.
    assert "20,000 sources (among them 4 images), 93.1 GiB" in text
    assert "split 1,250 of 1,250 units to run" in text
    hours = (0.36 * 1250 + 0.72 * 20_000 + 36 * 100) / 3600
    assert f"to run {hours:.3g} 0 10" in text
    assert "caption 1,250 of 1,250 units to run 1 2 2" in text
    assert f"in all {hours + 1:.3g} 2 12" in text
    assert "1 h 12 min or a little more, with workers on this machine: 10" in text
    # Half of 90 GB in shards of 512 MiB, each short of half a clip of 2.25 MB.
    assert (
        "40,000 clips in all, 83.8 GiB, and 9.31 GiB of samples; 20,000 selected, 41.9 GiB in 84 shards"
        in text
    )
    assert "measured 2026-01-02 on Abacus 9, over 7 sources" in text
    assert "caption: with other options than these" in text
    assert "split, caption: over videos alone, and 4 sources here are images" in text
    assert "by another condition, frames > 9" in text
    assert (
        len(re.findall(r"^unit [0-9a-f]{16}: 16 sources, 76.3 MiB: split, caption$", text, re.MULTILINE)) == 5
    )
    assert "and 1,245 more units to run" in text
    assert not (tmp_path / "run").exists()


def test_a_cluster_has_a_pool_a_shape_of_worker(inventory: Path, rates: Path, tmp_path: Path) -> None:
    save(rates, gpu=False)
    there = (*TWO, "--input", inventory, "--output", tmp_path / "run", "--executor", "ray")
    assert "unknown: as many workers as fit on the cluster" in dry_run(*there)
    gpu = ("--set", "caption.resources.gpus=1", "--set", "caption.resources.workers=1")
    text = dry_run(*there, "--workers", "20", *gpu)
    assert "2 h 0 min or a little more, with workers in the cluster: 20 for split, 1 for caption" in text
    assert "caption: on a machine without a GPU; that side is unknown" in text


def test_nothing_is_made_up_where_nothing_was_measured(inventory: Path, rates: Path, tmp_path: Path) -> None:
    text = dry_run(*TWO, "--input", inventory, "--output", tmp_path / "run")
    assert "split 1,250 of 1,250 units to run unknown unknown unknown" in text
    assert "in all unknown unknown unknown" in text
    assert f"`curate bench rates INPUT` measures them (looked in {rates})" in text
    assert "takes unknown" in text
    assert "makes unknown" in text
    rates.write_text("no rates")
    done = curate("run", "--dry-run", *TWO, "--input", inventory, "--output", tmp_path / "run")
    assert done.returncode == 2
    assert "rates.json: not a file of rates" in done.stderr


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A pipeline, videos, and a run over the first four of them."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "p.yaml").write_text(PIPELINE)
    for number in range(4):
        write_video(folder / "videos" / f"{number}.mp4", [(120, 2 + number), (40, 1)], seed=number)
    done = curate(
        "run",
        "small",
        "--pipelines",
        folder / "p.yaml",
        "--input",
        folder / "videos",
        "--output",
        folder / "run",
    )
    assert done.returncode == 0, done.stderr
    return folder / "p.yaml", folder / "videos", folder / "run"


def test_a_run_that_has_begun_knows_its_own_rates(begun: tuple[Path, Path, Path], rates: Path) -> None:
    yaml, videos, run = begun
    metrics = [json.loads(path.read_text()) for path in sorted((run / "metrics" / "split").iterdir())]
    assert len(metrics) == 2
    cpu_s = sum(item["counts"]["cpu_s"] for item in metrics)
    assert 0.05 < cpu_s < 60
    assert sum(item["counts"]["media_bytes"] for item in metrics) == sum(
        r["bytes"] for r in rows(run, "clips")
    )
    before = snapshot(run)
    more = write_video(videos / "new.mp4", [(120, 4), (40, 1)], seed=9)
    try:
        there = ("small", "--pipelines", yaml, "--input", videos, "--output", run)
        text = dry_run(*there)
        assert "split 1 of 3 units to run" in text
        assert "score 1 of 3 units to run" in text
        assert "measured in this run, 2 units, over 4 sources" in text
        sizes = [path.stat().st_size for path in sorted(videos.iterdir())]
        expected = cpu_s * sizes[-1] / sum(sizes[:-1])
        plan = load_plan("small", yaml)
        units = divide(list_sources([str(videos)]).sources, unit_bytes=plan.unit_bytes, unit_sources=2)
        made = forecast(plan, units, str(run)).estimate
        assert made.passes[0].cpu_s == pytest.approx(expected, rel=1e-6)
        # Metrics of other options say nothing of these.
        assert "split: unknown" not in text
        assert "split, score: unknown" in dry_run(*there, "--set", "split.max_s=9")
    finally:
        more.unlink()
    assert snapshot(run) == before
    assert not rates.exists()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("score", {"fingerprint": "of other options"}),
        ("score", {"counts": {"computed": 1}}),
        ("split", {"counts": {}}),
        ("split", {"counts": None}),
    ],
)
def test_metrics_that_say_nothing_of_a_whole_unit_are_passed_over(
    begun: tuple[Path, Path, Path], tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    yaml, videos, run = begun
    copy = shutil.copytree(run, tmp_path / "run")
    plan = load_plan("small", yaml)
    units = divide(list_sources([str(videos)]).sources, unit_bytes=plan.unit_bytes, unit_sources=2)
    pass_ = plan.pass_named(name)
    files = RunFiles.open(str(copy))
    found = rates_of_run(files, pass_, units, first=name == "split")
    assert found is not None
    assert found.rates.sources == 4
    path = copy / "metrics" / name / f"{units[0].id}.json"
    data = json.loads(path.read_text())
    if changes.get("counts"):
        changes = {"counts": data["counts"] | changes["counts"]}
    path.write_text(json.dumps(data | changes))
    found = rates_of_run(files, pass_, units, first=name == "split")
    assert found is not None
    assert found.rates.sources == 2
    path.unlink()
    assert rates_of_run(files, pass_, units[:1], first=True) is None


def test_a_changed_condition_is_seen_in_few_parts_and_in_many(
    begun: tuple[Path, Path, Path], rates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml, videos, run = begun
    for asked in (ASK_PARTS, 0):
        monkeypatch.setattr("curate.forecast.ASK_PARTS", asked)
        for settings, left in (((), [0, 0]), (("score.where=true",), [0, 2])):
            plan = load_plan("small", yaml, settings)
            units = divide(list_sources([str(videos)]).sources, unit_bytes=plan.unit_bytes, unit_sources=2)
            made = forecast(plan, units, str(run)).estimate
            assert [p.left.units for p in made.passes] == left, (asked, settings)
    assert not rates.exists()
