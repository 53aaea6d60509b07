"""Rates: the file they are kept in, which of them a pass is given, and measuring them."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from media import write_video
from rich.console import Console

from curate.bench.rates import bench_rates, render_rates
from curate.forecast import forecast
from curate.measured import is_image
from curate.meter import CpuMeter
from curate.plan import Plan, load_plan
from curate.rates import (
    Measurement,
    PassRates,
    Rate,
    RatesFile,
    find_rates,
    load_rates,
    rates_path,
    save_rates,
)
from curate.sources import list_sources
from curate.units import divide
from shards.errors import ConfigError

PIPELINE = """
small:
  unit_sources: 2
  passes:
    split:
      stages:
        split: {min_s: 0.9, max_s: 10, sample_every_s: 0.3, detector: {"parts:JumpDetector": {}},
                signals: {"parts:MeanLuma": {}}}
    score:
      stages: {"parts:SampleCount": {}}
      resources: {gpus: GPUS}
  select: {name: main, where: sample_count is not null and mean_luma > 60}
"""


def small_plan(folder: Path, gpus: float = 0, *settings: str) -> Plan:
    (folder / "p.yaml").write_text(PIPELINE.replace("GPUS", str(gpus)))
    return load_plan("small", folder / "p.yaml", settings)


def measurement(date: str, **fingerprints: str) -> Measurement:
    passes = {
        name: PassRates(
            fingerprint=fingerprint, sources=3, images=0, cpu_s=Rate(per_gb=1), gpu_s=None, worker_s=Rate()
        )
        for name, fingerprint in fingerprints.items()
    }
    return Measurement(
        date=date, machine={"cpu": f"CPU of {date}"}, versions={}, sources=3, images=0, bytes=9, failed=0,
        passes=passes,
    )  # fmt: skip


def test_the_file_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("CURATE_RATES", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert rates_path() == Path("/home/someone/.cache/cogcurate/rates.json")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert rates_path() == Path("/home/someone/.cache/cogcurate/rates.json")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert rates_path() == tmp_path / "cogcurate" / "rates.json"
    monkeypatch.setenv("CURATE_RATES", "/elsewhere/r.json")
    assert rates_path() == Path("/elsewhere/r.json")


def test_a_pipeline_replaces_its_own_measurement_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rates.json"
    assert load_rates(path) == RatesFile()
    save_rates(path, "default", measurement("2026-01-01", split="a"))
    save_rates(path, "gpu", measurement("2026-01-02", split="b"))
    save_rates(path, "default", measurement("2026-01-03", split="c"))
    file = load_rates(path)
    assert {name: m.passes["split"].fingerprint for name, m in file.pipelines.items()} == {
        "default": "c",
        "gpu": "b",
    }
    assert [p.name for p in path.parent.iterdir()] == ["rates.json"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"pipelines": {"default": {"date": 1}}}', '{"other": 1}', "\xff"]
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rates.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"rates\.json: not a file of rates .*; delete it") as caught:
        load_rates(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be (written|read) \(Not a directory\)"):
        save_rates(tmp_path / "file" / "rates.json", "default", measurement("2026-01-01", split="a"))


def test_the_fingerprint_finds_rates_before_the_pipeline_and_that_before_the_date(tmp_path: Path) -> None:
    split = small_plan(tmp_path).passes[0]
    same = split.fingerprint
    file = RatesFile(
        pipelines={
            "small": measurement("2026-01-01", split="other", extra="e"),
            "first": measurement("2026-01-02", split=same),
            "later": measurement("2026-01-03", split=same),
            "latest": measurement("2026-01-04", split="other"),
        }
    )
    found = find_rates(file, "small", split)
    assert found is not None
    assert found.exact
    assert found.origin == "measured 2026-01-03 on CPU of 2026-01-03, pipeline 'later'"
    file = RatesFile(pipelines={n: file.pipelines[n] for n in ("small", "latest")})
    found = find_rates(file, "small", split)
    assert found is not None
    assert not found.exact
    assert found.origin == "measured 2026-01-01 on CPU of 2026-01-01"
    assert find_rates(file, "small", replace(split, name="nobody")) is None


@pytest.mark.parametrize(
    ("uri", "image"),
    [
        ("/a/b.JPG", True),
        ("s3://b/k.png", True),
        ("/a/b.mp4", False),
        ("/jpg", False),
        ("t.tar#a.webp", True),
    ],
)
def test_images_are_known_by_their_names(uri: str, image: bool) -> None:
    assert is_image(uri) is image


def test_the_meter_shares_out_what_is_used_and_loses_nothing() -> None:
    now = 5.0
    meter = CpuMeter(lambda: now)
    with meter.task() as first:
        now += 1
        with meter.task() as second:
            now += 4
        now += 1
    assert (first.cpu_s, second.cpu_s) == (4, 2)
    now += 100  # while nothing is in flight
    with meter.task() as third:
        now -= 50  # a decoder died and took its time with it
        with meter.task():
            now += 2
    assert third.cpu_s == 1
    assert threading.active_count() >= 1


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, seconds in enumerate((1, 2, 3, 5, 8)):
        write_video(folder / f"{number}.mp4", [(120, seconds), (40, 1)], seed=number)
    (folder / "broken.mp4").write_bytes(b"this is no video")
    (folder / "copy.mp4").write_bytes((folder / "0.mp4").read_bytes())
    return folder


def test_a_pipeline_is_measured_over_a_sample(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = small_plan(tmp_path, 0.5)
    monkeypatch.setattr("curate.bench.rates._gpus", lambda: ["a GPU"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    measured = bench_rates([str(videos)], plan, note=said.append)
    assert (measured.sources, measured.images, measured.failed) == (6, 0, 1)
    assert measured.bytes == sum(p.stat().st_size for p in videos.iterdir() if p.name != "copy.mp4")
    assert len(said) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "p.yaml"]
    split, score = measured.passes["split"], measured.passes["score"]
    assert (split.fingerprint, score.fingerprint) == (plan.passes[0].fingerprint, plan.passes[1].fingerprint)
    assert split.made is not None
    assert score.made is None
    assert split.cpu_s.per_unit > 0
    assert score.gpu_s not in (None, Rate())
    assert split.gpu_s == Rate()
    units = divide(list_sources([str(videos)]).sources, unit_bytes=1, unit_sources=1)
    made = forecast_with(tmp_path, plan, measured, units, monkeypatch)
    # Ten shots are clips; five of them are bright.
    assert made.clips == pytest.approx(10, rel=1e-6)
    assert made.selected_clips == pytest.approx(5, rel=1e-6)
    assert made.shards == 1
    text = rendered(measured)
    assert "6 sources (0 images, 1 failed)" in text
    assert "split: bytes of clips" in text
    again = bench_rates([str(videos)], plan, sample=3, seed=1, note=said.append)
    assert again.sources == 3
    assert again.bytes < measured.bytes


def test_what_a_pass_would_take_of_a_gpu_stays_unknown_without_one(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.bench.rates._gpus", list)
    measured = bench_rates([str(videos / "1.mp4")], small_plan(tmp_path, 1), note=lambda _: None)
    assert measured.passes["score"].gpu_s is None
    assert "score: GPU seconds" in rendered(measured)
    assert "this machine has no GPU" in rendered(measured)


def rendered(measured: Measurement) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w", encoding="ascii"))  # noqa: SIM115
    console.print(render_rates(measured))
    console.file.close()
    return console.export_text()


def forecast_with(folder: Path, plan: Plan, measured: Measurement, units, monkeypatch):  # type: ignore[no-untyped-def]
    path = folder / "rates.json"
    path.write_text(json.dumps(RatesFile(pipelines={"small": measured}).model_dump(mode="json")))
    monkeypatch.setenv("CURATE_RATES", str(path))
    return forecast(plan, units, str(folder / "run")).estimate
