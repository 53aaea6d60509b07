"""What users get wrong: one clear line on standard error and the exit code of the design."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from media import write_video
from running import curate, rows

PIPELINE = """
small:
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {}}
          signals: {"parts:MeanLuma": {}}
  select: {name: main}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one video, a pipeline and a run of it."""
    folder = tmp_path_factory.mktemp("made")
    write_video(folder / "in" / "a.mp4", [(60, 2), (140, 2)])
    (folder / "p.yaml").write_text(PIPELINE)
    done = run(folder, folder / "in", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, given: Path | str, output: Path | str, *more: str) -> subprocess.CompletedProcess[str]:
    return curate(
        "run", "small", "--pipelines", folder / "p.yaml", "--input", given, "--output", output, *more
    )


def one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check the exit code, and that standard error is one line that holds `words`."""
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def test_no_such_input(made: Path, tmp_path: Path) -> None:
    one_line(run(made, tmp_path / "nowhere", tmp_path / "run"), 2, "nowhere", "no such file or folder")


def test_empty_folder(made: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    one_line(run(made, tmp_path / "empty", tmp_path / "run"), 2, "no video or image", "1 × .txt")


def test_output_that_is_a_file(made: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    one_line(run(made, made / "in", tmp_path / "taken"), 2, "--output", "taken")


def test_output_where_nothing_can_be_written(made: Path) -> None:
    one_line(run(made, made / "in", "/proc/curate-run"), 2, "--output", "/proc/curate-run")


def test_unknown_pipeline(made: Path, tmp_path: Path) -> None:
    done = curate(
        "run", "smal", "--pipelines", made / "p.yaml", "--input", made / "in", "--output", tmp_path / "r"
    )
    one_line(done, 2, "no pipeline 'smal'", "did you mean 'small'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("small: [1, 2", ("p.yaml:", "expected")),
        ("- a list", ("expected a mapping",)),
        (PIPELINE.replace("min_s", "min_seconds"), ("unknown key 'min_seconds'", "'min_s'")),
        (PIPELINE.replace("min_s: 1.5", "min_s: -1"), ("min_s", "greater than 0")),
        (PIPELINE.replace("select: {name: main}", "select: {name: ../up}"), ("'../up'",)),
        (PIPELINE.replace("select: {name: main}", "select: {where: no_such > 1}"), ("no_such",)),
    ],
)
def test_wrong_yaml(tmp_path: Path, made: Path, text: str, words: tuple[str, ...]) -> None:
    (tmp_path / "p.yaml").write_text(text)
    one_line(run(tmp_path, made / "in", tmp_path / "run"), 2, *words)
    assert not (tmp_path / "run" / "clips").exists(), "it was found out only after the work"


def test_unknown_option_and_missing_option(made: Path) -> None:
    one_line(curate("run", "--inptu", made), 2, "--inptu")
    one_line(curate("run", "--input", made), 2, "--output")
    one_line(curate("select", made / "run", "--name", "x"), 2, "--where")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("mean_lume > 3", ("mean_lume", "did you mean 'mean_luma'")),
        ("mean_luma >", ("condition",)),
        ("1=1; drop table clips", ("without ';'",)),
        ("true union select 'x'", ("only a condition",)),
        ("clip_id in (select * from read_csv('/etc/passwd'))", ("condition",)),
        ("clip_id in (delete from clips returning clip_id)", ("condition",)),
        ("mean_luma = 'dark'", ("condition",)),
    ],
)
def test_wrong_or_writing_sql(made: Path, where: str, words: tuple[str, ...]) -> None:
    one_line(curate("select", made / "run", "--where", where, "--name", "bad"), 2, *words)
    assert not (made / "run" / "shards" / "bad").exists()


def test_no_run_there(tmp_path: Path) -> None:
    for command in (
        ["select", tmp_path, "--where", "true", "--name", "x"],
        ["verify", tmp_path],
        ["gc", tmp_path],
    ):
        one_line(curate(*command), 2, str(tmp_path))


def test_pack_without_its_selection(made: Path) -> None:
    one_line(curate("pack", made / "run", "--name", "nosuch"), 2, "nosuch")


def test_a_number_of_failures_that_is_none(made: Path, tmp_path: Path) -> None:
    one_line(run(made, made / "in", tmp_path / "r", "--max-failures", "few"), 2, "few")


@pytest.mark.parametrize(
    "name", ["with space", "new\nline", "ünïcode-日本", "quote'\"", "100%d{}", "-dash", "glob*[x]"]
)
def test_odd_paths_are_ordinary(made: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    write_video(folder / f"{name}.mp4", [(60, 2)])
    done = run(made, f"{folder}/../{name}", folder / "run")
    assert done.returncode == 0, done.stderr
    (clip,) = rows(folder / "run", "clips")
    assert clip["source_uri"] == str(folder / f"{name}.mp4")
    assert curate("verify", folder / "run").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_disk_full_says_so_and_goes_on_when_there_is_room(made: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        one_line(run(made, made / "in", small / "run"), 1, "disk full")
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        assert run(made, made / "in", small / "run").returncode == 0
        assert curate("verify", small / "run").returncode == 0
    finally:
        subprocess.run(["umount", small], check=True)
