from __future__ import annotations

import gc
import hashlib
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import webdataset
from fake_run import SPLIT, make_run
from killing import Killed, MortalStorage

from shards.errors import InputError, IntegrityError
from shards.packing import PackResult, pack
from shards.reader import ManifestReader
from shards.run import RunFiles
from shards.samples import sample_json
from shards.selection import select
from shards.tables import part_metadata, read_table

WHERE = "caption is not null"


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    run = make_run(tmp_path / "run", units=2)
    select(run, WHERE, "main")
    return run


def packed(run: RunFiles, **options: int) -> PackResult:
    return pack(run, "main", **({"shard_bytes": 20_000, "shard_clips": 4} | options))


def folder_of(run: RunFiles, name: str = "main") -> Path:
    return run.storage.local(run.selection_folder(name))


def contents(run: RunFiles, folder: str = "shards/main") -> dict[str, bytes]:
    return {entry.path: run.storage.read(entry.path) for entry in run.storage.list(folder)}


# webdataset leaves its last shard open for the garbage collector to close.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_stock_webdataset_reads_the_shards(run: RunFiles) -> None:
    result = packed(run)
    assert (result.clips, result.packed) == (10, True)
    assert result.shards > 2
    urls = [str(path) for path in sorted(folder_of(run).glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    gc.collect()
    rows = read_table(run.storage, run.manifest_path("main")).to_pylist()
    assert [sample["__key__"] for sample in samples] == [row["clip_id"] for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        assert {key for key in sample if not key.startswith("__")} == {"mp4", "txt", "json"}
        assert sample["txt"].decode() == row["caption"]
        assert hashlib.sha256(sample["mp4"]).hexdigest() == row["sha256"]
        told = json.loads(sample["json"])
        assert told["motion_total"] == row["motion_total"]
        assert told["sample_times_s"] == row["sample_times_s"]
        assert told["captions"] == row["captions"]
        assert not {"tar", "offset", "shard"} & set(told)


def test_the_manifest_points_into_the_shards(run: RunFiles) -> None:
    packed(run)
    seen = 0
    for sample in ManifestReader(str(folder_of(run) / "manifest.parquet"), verify=True):
        data = (folder_of(run) / str(sample.row["shard"])).read_bytes()
        assert data[sample.row["offset"] :].startswith(sample.media)
        seen += 1
    assert seen == 10
    stats = json.loads((folder_of(run) / "stats.json").read_text())
    assert (stats["clips"], stats["seconds"]) == (10, 10.0)
    assert stats["columns"]["motion_total"]["min"] > 0.1
    for name, digest in stats["shards"].items():
        data = (folder_of(run) / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (digest["bytes"], digest["sha256"])


def test_limits_of_a_shard(run: RunFiles) -> None:
    packed(run, shard_clips=3, shard_bytes=1 << 20)
    sizes = []
    for path in sorted(folder_of(run).glob("*.tar")):
        with tarfile.open(path) as tar:
            sizes.append(len(tar.getnames()) // 3)
    assert sizes == [3, 3, 3, 1]
    assert packed(run, shard_bytes=1, shard_clips=100).shards == 10
    packed(run, shard_bytes=20_480, shard_clips=100)
    assert max(path.stat().st_size for path in folder_of(run).glob("*.tar")) <= 20_480


def test_packing_again_does_nothing_and_gives_the_same_bytes(run: RunFiles, tmp_path: Path) -> None:
    packed(run)
    first = contents(run)
    times = [entry.mtime_ns for entry in run.storage.list("shards")]
    assert not packed(run).packed
    select(run, WHERE, "main")
    assert not packed(run).packed
    assert [entry.mtime_ns for entry in run.storage.list("shards")] == times
    assert packed(run, shard_clips=2).packed
    assert packed(run).packed
    assert contents(run) == first
    other = make_run(tmp_path / "other", units=2)
    select(other, WHERE, "main")
    packed(other)
    assert contents(other) == first


@pytest.mark.parametrize("harm", ["missing", "short", "extra"])
def test_packing_again_mends_what_was_harmed(run: RunFiles, harm: str) -> None:
    packed(run)
    first = contents(run)
    if harm == "missing":
        run.storage.delete("shards/main/00001.tar")
    elif harm == "short":
        run.storage.write("shards/main/00001.tar", b"")
    else:
        run.storage.write("shards/main/00099.tar", b"stale")
    assert packed(run).packed
    assert contents(run) == first


def test_a_changed_selection_takes_its_old_shards_away(run: RunFiles) -> None:
    packed(run)
    select(run, f"{WHERE} limit 3", "main")
    assert list(contents(run)) == ["shards/main/manifest.parquet"]
    assert packed(run).clips == 3


def test_killed_at_any_write_it_leaves_a_selection_that_reads_and_packs(run: RunFiles) -> None:
    packed(run, shard_clips=7)
    packed(run)
    wanted = contents(run)
    for start in ("select", "repack"):
        for lives in range(100):
            if start == "select":
                select(run, "true limit 1", "main")
                select(run, WHERE, "main")
            else:
                packed(run, shard_clips=7)
            storage = MortalStorage(run.storage.root, lives)
            try:
                packed(RunFiles(storage))
            except Killed:
                reader = ManifestReader(str(run.storage.local(run.manifest_path("main"))), verify=True)
                assert len(list(reader)) == 10
                packed(run)
                assert contents(run) == wanted
            else:
                break
        assert lives > 5


def test_a_changed_byte_stops_the_packing_and_is_named(run: RunFiles) -> None:
    row = read_table(run.storage, run.manifest_path("main")).to_pylist()[3]
    tar = bytearray(run.storage.read(row["tar"]))
    tar[row["offset"] + 7] ^= 1
    run.storage.write(row["tar"], bytes(tar))
    with pytest.raises(IntegrityError, match=f"{row['tar']}.*{row['clip_id']}"):
        packed(run)


def test_some_captions_are_refused_and_none_are_packed_without(run: RunFiles) -> None:
    select(run, "true", "all")
    with pytest.raises(InputError, match="2 of the 12 clips of selection 'all' have no caption; select with"):
        pack(run, "all")
    select(run, "caption is null", "plain")
    pack(run, "plain")
    with tarfile.open(folder_of(run, "plain") / "00000.tar") as tar:
        assert Counter(name.partition(".")[2] for name in tar.getnames()) == {"json": 2, "mp4": 2}


def test_an_empty_selection_packs_to_no_shard(run: RunFiles) -> None:
    select(run, "false", "none")
    assert pack(run, "none").shards == 0
    assert not pack(run, "none").packed


def test_what_cannot_be_packed(run: RunFiles) -> None:
    with pytest.raises(InputError, match="no selection 'nope'"):
        pack(run, "nope")
    packed(run)
    first = contents(run)
    run.storage.delete(run.clip_tar(SPLIT.fp8, "u000", 0))
    with pytest.raises(InputError, match="made of clips that are gone"):
        packed(run, shard_clips=1)
    assert contents(run) == first
    run.storage.write(run.manifest_path("main"), b"x")
    with pytest.raises(IntegrityError, match="damaged"):
        packed(run)


def test_progress_counts_every_clip(run: RunFiles) -> None:
    seen: list[tuple[int, int]] = []
    pack(run, "main", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(number, 10) for number in range(1, 11)]


def test_json_has_no_number_that_json_lacks() -> None:
    row = {"b": float("nan"), "a": [1.0, float("inf")], "c": {"d": -float("inf"), "e": "é"}}
    assert sample_json(row) == '{"a": [1.0, null], "b": null, "c": {"d": null, "e": "é"}}'.encode()


def test_options_and_condition_travel_with_the_manifest(run: RunFiles) -> None:
    packed(run)
    metadata = part_metadata(run.storage, run.manifest_path("main"))
    assert metadata["where"] == WHERE
    assert json.loads(metadata["options"])["shard_clips"] == 4
