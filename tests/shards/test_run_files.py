from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_run import CAPTION, SPLIT, make_run

from shards.errors import ConfigError, InputError, IntegrityError, StorageError
from shards.run import Purged, RunFiles, RunInfo, safe_name


def test_run_json_comes_back(tmp_path: Path) -> None:
    run = RunFiles.create(str(tmp_path / "r"))
    info = RunInfo(
        {"split": SPLIT, "caption": CAPTION},
        {"name": "x", "passes": [{"a": 1}]},
        ("u1", "u2"),
        {"av": "18"},
        {"cpu": "é"},
        (Purged("a" * 32, ("b", "c")), Purged(None, ("d",))),
    )
    run.write_info(info)
    assert run.info() == info
    assert list(run.info().passes) == ["split", "caption"]
    before = run.storage.entry("run.json")
    run.write_info(info)
    assert run.storage.entry("run.json") == before


def test_a_broken_run_json_is_clear(tmp_path: Path) -> None:
    run = RunFiles.create(str(tmp_path))
    for data in (b"", b"{", b"[]", b'{"passes": {}}', b"\xff"):
        run.storage.write("run.json", data)
        with pytest.raises(IntegrityError, match="not a run description"):
            run.info()


def test_no_run_and_no_place_for_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run at"):
        RunFiles.open(str(tmp_path / "nothing"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        RunFiles.create(str(tmp_path / "file" / "run"))


def test_parts_count_only_where_the_commit_is_there(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", units=3)
    info = run.info()
    assert [part.unit for part in run.parts(info, "signals")] == ["u000", "u001", "u002"]
    run.storage.delete(f"tables/clips/{SPLIT.fp8}/u001.parquet")
    assert [part.unit for part in run.parts(info, "signals")] == ["u000", "u002"]
    assert [part.unit for part in run.parts(info, "clips")] == ["u000", "u002"]
    assert [part.unit for part in run.failures(info, "split")] == ["u000", "u002"]
    assert run.failures(info, "caption") == []
    assert list(run.committed(replace(info, units=("u002", "u009")), "split")) == ["u002"]
    with pytest.raises(InputError, match=r"no pass .* writes the table 'labels'"):
        run.parts(info, "labels")


def test_parts_of_another_fingerprint_are_not_seen(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    info = run.info()
    other = replace(info, passes={"split": replace(SPLIT, fingerprint="6" * 64)})
    assert run.parts(other, "clips") == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "a\n", "é", "x" * 101])
def test_names_that_could_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a selection"):
        safe_name(name)


def test_selections_are_those_with_a_manifest(tmp_path: Path) -> None:
    run = RunFiles.create(str(tmp_path))
    run.storage.write(run.manifest_path("b"), b"")
    run.storage.write(run.manifest_path("a.1"), b"")
    run.storage.write("shards/c/00000.tar", b"")
    assert run.selections() == ["a.1", "b"]
