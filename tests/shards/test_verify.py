from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from fake_run import CAPTION, SPLIT, make_run, video_decoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.checks import Problem
from shards.errors import InputError
from shards.index import build_index
from shards.packing import pack
from shards.run import Purged, RunFiles
from shards.selection import select
from shards.tables import part_metadata, read_table, table_path, write_table
from shards.tar import TarWriter, iter_members
from shards.verify import verify


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    run = make_run(tmp_path_factory.mktemp("verify") / "run", units=2)
    select(run, "caption is not null", "packed")
    select(run, "true", "loose")
    pack(run, "packed", shard_clips=4)
    build_index(run)
    return run


@pytest.fixture
def run(sound: RunFiles, tmp_path: Path) -> RunFiles:
    shutil.copytree(sound.storage.root, tmp_path / "run")
    return RunFiles.open(str(tmp_path / "run"))


def problems(run: RunFiles, folder: str = "") -> list[Problem]:
    return verify(str(run.storage.local(folder)), decode=video_decoder)


def test_a_sound_run_has_no_problem(sound: RunFiles) -> None:
    assert problems(sound) == []
    assert problems(sound, "shards/packed") == []
    assert problems(sound, "shards/loose") == []
    assert verify(str(sound.storage.root), decode=video_decoder, workers=3) == []


def files_that_count(run: RunFiles) -> list[str]:
    return [entry.path for entry in run.storage.list()]


def flip(path: Path, at: int, bit: int) -> bytes:
    whole = path.read_bytes()
    data = bytearray(whole)
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return whole


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_flipped_byte_anywhere_names_the_file(sound: RunFiles, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files_that_count(sound)))
    local = sound.storage.local(path)
    at = data.draw(st.integers(0, local.stat().st_size - 1))
    whole = flip(local, at, data.draw(st.integers(0, 7)))
    try:
        found = problems(sound)
        assert path in {problem.path for problem in found}
        if path.startswith("shards/packed/"):
            name = path.removeprefix("shards/packed/")
            assert name in {problem.path for problem in problems(sound, "shards/packed")}
    finally:
        local.write_bytes(whole)


def test_every_kind_of_file_is_among_those_flipped(sound: RunFiles) -> None:
    files = files_that_count(sound)
    pieces = [
        f"tables/{table}/" for table in ("sources", "shots", "signals", "clips", "captions", "failures")
    ]
    pieces += ["clips/", "samples/", "shards/packed/00000.tar", "shards/packed/stats.json", "run.json"]
    pieces += ["shards/packed/manifest", "shards/loose/manifest", "index.parquet"]
    for piece in pieces:
        assert any(path.startswith(piece) for path in files), piece


@pytest.mark.parametrize("kind", ["tar", "samples_tar"])
def test_a_flipped_byte_in_a_clip_names_the_clip(run: RunFiles, kind: str) -> None:
    row = read_table(run.storage, table_path("clips", SPLIT.fp8, "u000")).to_pylist()[2]
    at = row["offset"] if kind == "tar" else row["sample_offsets"][1]
    flip(run.storage.local(row[kind]), at + 5, 3)
    found = [problem for problem in problems(run) if problem.path == row[kind]]
    assert row["clip_id"] in {problem.clip_id for problem in found}
    assert {problem.clip_id for problem in found} <= {None, row["clip_id"]}


@pytest.mark.parametrize("folder", ["clips", "samples", "tables", "shards/packed"])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_file_cut_short_or_gone_is_named(run: RunFiles, folder: str, harm: str) -> None:
    for entry in list(run.storage.list(folder)):
        whole = run.storage.read(entry.path)
        local = run.storage.local(entry.path)
        if harm == "cut":
            local.write_bytes(whole[:-1])
        else:
            local.unlink()
        found = problems(run)
        local.write_bytes(whole)
        if harm == "gone" and entry.path == "shards/packed/manifest.parquet":
            continue  # without a manifest there is no selection
        if harm == "gone" and entry.path.startswith("tables/captions/"):
            assert found == []  # a unit that was not captioned yet is no problem
            continue
        assert found, entry.path
        if harm == "cut" or not entry.path.startswith("tables/"):
            assert entry.path in {problem.path for problem in found}


Change = Callable[[dict], object]


def change_part(run: RunFiles, table: str, fp8: str, change: Change, **metadata: str) -> str:
    """Rewrite a part of unit u000, sealed, with its first row changed."""
    path = table_path(table, fp8, "u000")
    rows = read_table(run.storage, path)
    listed = rows.to_pylist()
    change(listed[0])
    stored = part_metadata(run.storage, path) | metadata
    write_table(run.storage, path, pa.Table.from_pylist(listed, schema=rows.schema), stored)
    return path


@pytest.mark.parametrize(
    ("table", "change", "what"),
    [
        ("clips", lambda row: row.update(offset=row["offset"] + 512), "lies elsewhere"),
        ("clips", lambda row: row.update(bytes=row["bytes"] - 1), "lies elsewhere"),
        ("clips", lambda row: row.update(sha256="0" * 64), "do not match their SHA-256"),
        ("clips", lambda row: row.update(frames=9), "decodes to 8 frames, not 9"),
        ("clips", lambda row: row.update(end_pts=row["end_pts"] + 1), "make the id"),
        ("clips", lambda row: row.update(stream=1), "make the id"),
        ("clips", lambda row: row.update(samples_sha256="0" * 64), "samples do not match"),
        ("clips", lambda row: row.update(source_uri="elsewhere.mp4"), "its source is not in"),
        ("clips", lambda row: row.update(tar="clips/55555555/u009-0.tar"), "does not list"),
        ("signals", lambda row: row.update(clip_id="f" * 32), "there is no such clip"),
        ("captions", lambda row: row.update(clip_id="f" * 32), "there is no such clip"),
        ("captions", lambda row: row.update(samples_digest="0" * 64), "made of other samples"),
        ("captions", lambda row: row.update(variant="dense"), "has two rows"),
        ("captions", lambda row: row.update(request_id="f" * 32 + "/short/1"), "not about this clip"),
        ("captions", lambda row: row.update(request_id=row["clip_id"] + "0/short/1"), "not about this clip"),
        (
            "captions",
            lambda row: row["parts"][1].update(time_s=1.5),
            "at 1.5 s, where the clip has no sample",
        ),
        ("captions", lambda row: row["parts"][0].update(time_s=-0.25), "at -0.25 s, where the clip has no"),
        ("captions", lambda row: row.update(problems=["opening"]), "ok, but to have problems: opening"),
        ("captions", lambda row: row.update(status="truncated"), "ok, but its status is 'truncated'"),
        ("captions", lambda row: row.update(caption=None, words=0), "ok, but has no text"),
        ("captions", lambda row: row.update(caption_ok=False), "not to be ok, but its status is, and it has"),
        (
            "captions",
            lambda row: row.update(caption_ok=False, problems=["opening", "meta", "meta"]),
            "problems twice, or not in order",
        ),
        ("captions", lambda row: row.update(words=5), "has 4 words, not 5"),
    ],
)
def test_rows_that_do_not_agree_are_found(run: RunFiles, table: str, change: Change, what: str) -> None:
    change_part(run, table, CAPTION.fp8 if table == "captions" else SPLIT.fp8, change)
    found = problems(run)
    assert any(what in problem.what for problem in found), found


@pytest.mark.parametrize("key", ["clips_in", "failed", "not_admitted"])
def test_a_pass_that_does_not_account_for_every_clip_is_found(run: RunFiles, key: str) -> None:
    for table, fp8 in (("clips", SPLIT.fp8), ("captions", CAPTION.fp8)):
        path = change_part(run, table, fp8, dict.copy, **{key: "2"})
        found = [problem.what for problem in problems(run) if problem.path == path]
        assert any("clips in, but" in what for what in found), found


def test_a_failure_that_is_not_told_is_found(run: RunFiles) -> None:
    path = change_part(run, "clips", SPLIT.fp8, dict.copy, failed="1", clips_in="7")
    assert any(problem.path == path and "failures table has 0" in problem.what for problem in problems(run))


def test_members_that_no_row_knows_are_found(run: RunFiles) -> None:
    path = run.clip_tar(SPLIT.fp8, "u000", 0)
    with run.storage.open_read(path) as file:
        members = [(name, run.storage.read(path, at, size)) for name, at, size in iter_members(file)]
    with run.storage.writing(path) as file, TarWriter(file) as writer:
        for name, data in members:
            writer.add(name, data)
        writer.add("stray.mp4", b"x")
    found = [problem.what for problem in problems(run) if problem.path == path]
    assert any("'stray.mp4' where nothing should follow" in what for what in found)


def test_a_video_that_does_not_decode_is_named(run: RunFiles) -> None:
    assert verify(str(run.storage.root)) == []
    found = verify(str(run.storage.root), decode=len)
    assert len(found) == 12
    assert {problem.clip_id for problem in found} == set(
        read_table(run.storage, "index.parquet")["clip_id"].to_pylist()
    )


def test_a_stray_shard_and_a_purged_source_are_found(run: RunFiles) -> None:
    run.storage.write("shards/packed/00077.tar", b"")
    row = read_table(run.storage, "index.parquet").to_pylist()[0]
    run.write_info(replace(run.info(), purged=(Purged(row["source_id"], (row["source_uri"],)),)))
    found = problems(run)
    assert Problem("shards/packed/00077.tar", None, "the manifest does not know this shard") in found
    assert any("was purged" in problem.what and problem.clip_id == row["clip_id"] for problem in found)


def test_run_json_that_was_edited_is_found(run: RunFiles) -> None:
    data = json.loads(run.storage.read("run.json"))
    data["units"] = ["u000"]
    run.storage.write("run.json", json.dumps(data, indent=1).encode())
    assert any(problem.path == "run.json" for problem in problems(run))
    run.storage.write("run.json", b"{")
    assert [problem.path for problem in problems(run)] == ["run.json"]


def test_nothing_to_verify_and_progress(run: RunFiles, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither run.json nor manifest.parquet"):
        verify(str(tmp_path / "nothing"))
    seen: list[tuple[int, int]] = []
    verify(str(run.storage.root), progress=lambda done, of: seen.append((done, of)))
    assert seen == [(number, 5) for number in range(1, 6)]  # two units, the index, two selections
    assert str(Problem("a", "b", "c")) == "a (clip b): c"


def test_a_selection_with_another_clips_caption_is_found(run: RunFiles) -> None:
    path = run.manifest_path("loose")
    rows = read_table(run.storage, path)
    listed = rows.to_pylist()
    one, other = [row for row in listed if row["captions"]][:2]
    one["captions"], other["captions"] = other["captions"], one["captions"]
    changed = pa.Table.from_pylist(listed, schema=rows.schema)
    write_table(run.storage, path, changed, part_metadata(run.storage, path))
    found = [problem for problem in problems(run) if problem.path == path]
    assert {problem.clip_id for problem in found} == {one["clip_id"], other["clip_id"]}
    assert any("made of other samples" in problem.what for problem in found)
    assert any("not about this clip" in problem.what for problem in found)


def test_a_caption_that_was_not_checked_and_one_that_is_not_ok_are_sound(run: RunFiles) -> None:
    change_part(
        run, "captions", CAPTION.fp8, lambda row: row.update(problems=None, request_id=None, parts=None)
    )
    path = change_part(
        run, "captions", CAPTION.fp8, lambda row: row.update(caption_ok=False, problems=["opening"])
    )
    assert [problem for problem in problems(run) if problem.path == path] == []
