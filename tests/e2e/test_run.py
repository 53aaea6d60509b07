"""`curate run` over small videos: what it makes, what it does not do again, what it does about trouble."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from media import write_video
from running import curate, failures, media_digests, rows, snapshot

SMALL = """
small:
  unit_sources: 2
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          max_s: 4
          sample_every_s: 0.5
          detector: {"parts:NastyDetector": {mode: MODE}}
          signals: {"parts:MeanLuma": {}}
      resources: {stall_limit_s: 2, address_space: 2 GiB}
    score:
      where: mean_luma > 60
      stages: {"parts:SampleCount": {calls: CALLS}}
    extra:
      stages: {"parts:Picky": {}}
  select: {name: main, where: sample_count is not null}
"""


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five readable sources, a copy of one, and a broken one."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "a.mp4", [(40, 2), (120, 2), (40, 1)])
    write_video(folder / "b with space.mkv", [(100, 9)], seed=1)
    write_video(folder / "bright.mp4", [(120, 2), (235, 2)], seed=2)
    write_video(folder / "dark.mp4", [(30, 3)], seed=3)
    write_video(folder / "vp8.webm", [(90, 2), (140, 2)], codec="libvpx", seed=4)
    shutil.copy(folder / "a.mp4", folder / "copy of a.mp4")
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


class Bench:
    """A folder with a pipeline, inputs and a run."""

    def __init__(self, folder: Path, videos: Path) -> None:
        self.yaml, self.calls, self.run, self.videos = (
            folder / "p.yaml",
            folder / "calls",
            folder / "run",
            videos,
        )
        self.write()

    def write(self, mode: str = "none") -> None:
        self.yaml.write_text(SMALL.replace("CALLS", str(self.calls)).replace("MODE", mode))

    def __call__(self, *more: str | Path, output: Path | None = None) -> tuple[int, str]:
        done = curate(
            "run", "small", "--pipelines", self.yaml, "--input", self.videos, "--output", output or self.run,
            "--max-failures", "50%", "--workers", "2", *more,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def computed(self) -> list[str]:
        """Return the ids that the score stage has been called with since the last look."""
        lines = self.calls.read_text().split() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return lines


@pytest.fixture
def bench(tmp_path: Path, videos: Path) -> Bench:
    return Bench(tmp_path, videos)


def test_a_run_accounts_for_every_source_and_clip(bench: Bench) -> None:
    code, text = bench()
    assert code == 0, text
    sources = {Path(row["source_uri"]).name: row for row in rows(bench.run, "sources")}
    assert len(sources) == 7
    assert Path(sources["copy of a.mp4"]["duplicate_of"]).name == "a.mp4"
    assert sources["broken.mp4"]["error"]
    assert sources["a.mp4"]["error"] is None
    clips = rows(bench.run, "clips")
    spans = {(Path(c["source_uri"]).name, c["start_frame"], c["end_frame"]) for c in clips}
    trim = 2  # 2/30 s at 20 frames a second, rounded up to whole frames
    assert spans == {
        ("a.mp4", 0, 40 - trim),
        ("a.mp4", 40 + trim, 80 - trim),
        ("b with space.mkv", 0, 80),
        ("b with space.mkv", 80, 180),
        ("bright.mp4", 0, 40 - trim),
        ("bright.mp4", 40 + trim, 80),
        ("dark.mp4", 0, 60),
        ("vp8.webm", 0, 40 - trim),
        ("vp8.webm", 40 + trim, 80),
    }
    assert {c["cut"] for c in clips if c["source_uri"].endswith("webm")} == {"transcode"}
    assert all(len(c["sample_times_s"]) >= 3 for c in clips)
    assert {f["source_uri"].rsplit("/")[-1] for f in failures(bench.run)} == {"broken.mp4"}
    scored = {row["clip_id"] for row in rows(bench.run, "scores")}
    bright = {row["clip_id"] for row in rows(bench.run, "signals") if row["mean_luma"] > 60}
    assert scored == bright
    assert 0 < len(scored) < len(clips)
    done = curate("verify", bench.run)
    assert done.returncode == 0, done.stdout


def test_a_second_run_does_nothing_and_changes_nothing(bench: Bench) -> None:
    bench.run /= "wider-than-the-terminal" * 9
    assert bench()[0] == 0
    before = {path: path.stat().st_mtime_ns for path in bench.run.rglob("*") if path.is_file()}
    bench.computed()
    code, text = bench()
    assert code == 0
    assert "nothing was computed" in text
    assert f"manifest: {bench.run}/shards/main/manifest.parquet" in text, "the path is broken"
    assert bench.computed() == []
    assert {path: path.stat().st_mtime_ns for path in bench.run.rglob("*") if path.is_file()} == before


def test_a_widened_where_computes_only_what_is_missing(bench: Bench, tmp_path: Path) -> None:
    assert bench()[0] == 0
    first = bench.computed()
    assert bench("--set", "score.where=true")[0] == 0
    second = bench.computed()
    assert second
    assert not set(first) & set(second)
    assert len(first) + len(second) == len(rows(bench.run, "clips")) == len(rows(bench.run, "scores"))
    straight = tmp_path / "straight"
    assert bench("--set", "score.where=true", output=straight)[0] == 0
    assert snapshot(straight) == snapshot(bench.run)


def test_a_changed_option_redoes_its_pass_alone(bench: Bench) -> None:
    assert bench()[0] == 0
    media, first = media_digests(bench.run), bench.computed()
    stamps = {p: p.stat().st_mtime_ns for p in (bench.run / "clips").rglob("*.tar")}
    assert bench("--set", "score.add=100")[0] == 0
    assert sorted(bench.computed()) == sorted(first)
    assert {p: p.stat().st_mtime_ns for p in (bench.run / "clips").rglob("*.tar")} == stamps
    assert {k: v for k, v in media_digests(bench.run).items() if not k.startswith("shards")} == {
        k: v for k, v in media.items() if not k.startswith("shards")
    }
    assert all(row["sample_count"] >= 100 for row in rows(bench.run, "scores"))
    folders = list((bench.run / "tables" / "scores").iterdir())
    assert len(folders) == 2
    assert curate("gc", bench.run).returncode == 0
    assert len(list((bench.run / "tables" / "scores").iterdir())) == 1
    assert curate("verify", bench.run).returncode == 0


def test_only_one_pass_over_what_is_there(bench: Bench) -> None:
    code, text = bench("--only", "score")
    assert code == 2
    assert "4 of 4 units are left out" in text
    assert "no clips have been cut yet; run the pass 'split'" in text
    assert bench("--only", "split")[0] == 0
    assert bench.computed() == []
    assert bench("--only", "score")[0] == 0
    assert len(bench.computed()) == len(rows(bench.run, "scores")) > 0


def test_failures_stay_until_they_are_asked_to_be_retried(bench: Bench, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    picky = ("--set", f"extra.until={fixed}", "--set", "extra.fail=bright")
    assert bench(*picky)[0] == 0
    failed = [f for f in failures(bench.run) if f["pass"] == "extra"]
    assert {(f["error"], f["message"]) for f in failed} == {("PickyError", "not to my taste")}
    assert len(failed) == 2
    fixed.touch()
    assert bench(*picky)[0] == 0
    assert len(rows(bench.run, "extra")) == len(rows(bench.run, "clips")) - 2
    assert bench(*picky, "--retry-failures", "OtherError")[0] == 0
    assert len(rows(bench.run, "extra")) == len(rows(bench.run, "clips")) - 2
    assert bench(*picky, "--retry-failures", "PickyError")[0] == 0
    assert len(rows(bench.run, "extra")) == len(rows(bench.run, "clips"))
    assert curate("verify", bench.run).returncode == 0


def test_a_retried_source_brings_its_clips_to_every_pass(tmp_path: Path, videos: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(videos, folder)
    bench = Bench(tmp_path, folder)
    bench.write("segv")
    assert bench()[0] == 0
    (failed,) = [f for f in failures(bench.run) if "bright" in f["source_uri"]]
    assert failed["attempts"] == 3
    assert "SIGSEGV" in failed["message"]
    first = bench.computed()
    # The decoder is mended without a change of options, as by an update of a library.
    marker = json.loads((bench.run / "run.json").read_text())["passes"]["split"]["fingerprint"]
    assert marker
    assert bench("--retry-failures", "SourceError")[0] == 0
    assert bench.computed() == []
    assert len(first) == len(rows(bench.run, "scores"))


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        ("segv", "SourceError", "SIGSEGV"),
        ("stall", "DecodeLimitError", "stall_limit_s"),
        ("memory", "DecodeLimitError", "address_space"),
    ],
)
def test_a_source_that_breaks_its_decoder_costs_one_row(
    bench: Bench, mode: str, error: str, words: str
) -> None:
    bench.write(mode)
    code, text = bench()
    assert code == 0, text
    by_name = {Path(f["source_uri"]).name: f for f in failures(bench.run)}
    assert set(by_name) == {"bright.mp4", "broken.mp4"}
    assert by_name["bright.mp4"]["error"] == error
    assert words in by_name["bright.mp4"]["message"]
    assert {Path(c["source_uri"]).name for c in rows(bench.run, "clips")} == {
        "a.mp4", "b with space.mkv", "dark.mp4", "vp8.webm",
    }  # fmt: skip
    assert curate("verify", bench.run).returncode == 0


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path, videos: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(videos, folder)
    bench = Bench(tmp_path, folder)
    bench.write(f"touch:{folder / 'bright.mp4'}")
    assert bench()[0] == 0
    (failed,) = [f for f in failures(bench.run) if "bright" in f["source_uri"]]
    assert "changed while it was read" in failed["message"]


def test_a_source_that_kills_its_worker_is_isolated(bench: Bench) -> None:
    code, text = bench("--set", "extra.kill=b with")
    assert code == 0, text
    assert "killed by SIGKILL" in text
    lost = [f for f in failures(bench.run) if f["pass"] == "extra"]
    assert {Path(f["source_uri"]).name for f in lost} == {"b with space.mkv"}
    assert {f["attempts"] for f in lost} == {3}
    assert len(rows(bench.run, "extra")) == len(rows(bench.run, "clips")) - len(lost)
    assert curate("verify", bench.run).returncode == 0


def test_a_worker_whose_engine_dies_is_replaced_and_its_source_isolated(bench: Bench) -> None:
    code, text = bench("--set", "extra.lose=b with")
    assert code == 0, text
    lost = [f for f in failures(bench.run) if f["pass"] == "extra"]
    assert {Path(f["source_uri"]).name for f in lost} == {"b with space.mkv"}
    assert {f["attempts"] for f in lost} == {3}
    assert len(rows(bench.run, "extra")) == len(rows(bench.run, "clips")) - len(lost)


def test_a_stage_that_hangs_loses_its_worker_and_its_source_a_row(bench: Bench) -> None:
    limits = ("--set", "extra.resources={unit_limit_s: 3, attempts: 1}", "--workers", "1")
    code, text = bench("--set", "extra.hang=dark", *limits)
    assert code == 0, text
    lost = [f for f in failures(bench.run) if f["pass"] == "extra"]
    assert {Path(f["source_uri"]).name for f in lost} == {"dark.mp4"}
    assert {f["error"] for f in lost} == {"WorkerDied"}


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_workers_that_die_while_loading_stop_the_run_and_condemn_nothing(bench: Bench, executor: str) -> None:
    bench.yaml.write_text(bench.yaml.read_text().replace('{"parts:Picky": {}}', '{"parts:DiesLoading": {}}'))
    place = ("--executor", executor, "--set", "extra.resources.cpus=0.5")
    code, text = bench(*place)
    assert code == 1, text
    assert "'extra': 3 workers in a row died while loading" in text.splitlines()[-1]
    assert not [f for f in failures(bench.run) if f["pass"] == "extra"]
    spare = bench.run.parent / "spare"
    spare.touch()
    code, text = bench(*place, "--workers", "1", "--set", f"extra.spare={spare}")
    assert code == 0, text
    assert len(rows(bench.run, "extra")) == len(rows(bench.run, "clips"))


def test_a_bug_in_a_stage_stops_the_run_and_keeps_what_was_committed(bench: Bench) -> None:
    code, text = bench("--set", "extra.crash=dark")
    assert code == 1
    assert "RuntimeError: a bug in a stage" in text.splitlines()[-1]
    assert rows(bench.run, "clips")
    assert bench()[0] == 0


def test_a_stage_that_breaks_its_contract_is_named(bench: Bench) -> None:
    bench.yaml.write_text(bench.yaml.read_text().replace("parts:Picky", "parts:WrongColumn"))
    code, text = bench()
    assert code == 1
    assert "'parts:WrongColumn' returned the column 'wrong', which it does not provide" in text


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(bench: Bench) -> None:
    code, text = bench("--dry-run")
    assert code == 0
    assert "4 of 4 units to run" in text
    assert not bench.run.exists()
    assert bench()[0] == 0
    assert "0 of 4 units to run" in bench("--dry-run")[1]


def test_json_lines_tell_the_same(bench: Bench) -> None:
    code, text = bench("--log-json")
    assert code == 0
    events = [json.loads(line) for line in text.splitlines()]
    assert next(e["event"] for e in events) == "start"
    funnel = events[-1]
    assert funnel["event"] == "funnel"
    assert funnel["clips"] == len(rows(bench.run, "clips")) == 9
    assert sum(e["event"] == "unit" for e in events) == 3 * 4


def test_more_failures_than_allowed_is_code_3(bench: Bench) -> None:
    code, _ = bench("--max-failures", "0")
    assert code == 3
    assert rows(bench.run, "clips")
