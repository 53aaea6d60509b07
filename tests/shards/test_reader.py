from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from fake_run import make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import InputError, IntegrityError, StorageError
from shards.packing import pack
from shards.reader import ManifestReader
from shards.run import RunFiles
from shards.selection import select


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    run = make_run(tmp_path_factory.mktemp("reader") / "run", units=2)
    for name in ("loose", "packed"):
        select(run, "caption is not null", name)
    pack(run, "packed", shard_clips=3)
    return run


def manifest(run: RunFiles, name: str) -> str:
    return str(run.storage.local(run.manifest_path(name)))


def ids(reader: ManifestReader) -> list[str]:
    return [str(sample.row["clip_id"]) for sample in reader]


def test_clip_tars_and_packed_shards_give_the_same_samples(run: RunFiles) -> None:
    loose, packed = (list(ManifestReader(manifest(run, name), verify=True)) for name in ("loose", "packed"))
    assert [sample.media for sample in loose] == [sample.media for sample in packed]
    for sample in loose:
        assert hashlib.sha256(sample.media).hexdigest() == sample.row["sha256"]


@settings(max_examples=40)
@given(st.integers(1, 13), st.none() | st.integers(0, 5), st.integers(0, 3))
def test_ranks_share_nothing_and_miss_nothing(
    run: RunFiles, ranks: int, seed: int | None, epoch: int
) -> None:
    path = manifest(run, "packed")
    readers = [ManifestReader(path, rank=r, world_size=ranks, seed=seed, epoch=epoch) for r in range(ranks)]
    assert max(map(len, readers)) - min(map(len, readers)) <= 1
    shares = [ids(reader) for reader in readers]
    together = [ident for share in shares for ident in share]
    assert sorted(together) == ids(ManifestReader(path))


@settings(max_examples=40)
@given(st.integers(1, 4), st.none() | st.integers(0, 5), st.integers(0, 10))
def test_a_reader_goes_on_where_it_stood(run: RunFiles, ranks: int, seed: int | None, steps: int) -> None:
    options = {"rank": ranks - 1, "world_size": ranks, "seed": seed, "epoch": 2}
    whole = ids(ManifestReader(manifest(run, "packed"), **options))
    broken = ManifestReader(manifest(run, "packed"), **options)
    before = [str(sample.row["clip_id"]) for sample, _ in zip(broken, range(steps), strict=False)]
    # zip takes a sample more than it gives when the numbers run out first
    resumed = ManifestReader(
        manifest(run, "packed"), **options, start=replace(broken.state(), index=len(before))
    )
    assert before + ids(resumed) == whole


def test_state_counts_what_was_given_out(run: RunFiles) -> None:
    reader = ManifestReader(manifest(run, "packed"), seed=1)
    assert reader.state().index == 0
    iterator = iter(reader)
    next(iterator)
    next(iterator)
    assert reader.state().index == 2
    assert ids(ManifestReader(manifest(run, "packed"), seed=1, start=2)) == ids(
        ManifestReader(manifest(run, "packed"), seed=1, start=reader.state())
    )


def test_epochs_differ_and_repeat(run: RunFiles) -> None:
    path = manifest(run, "packed")
    first, second = (ids(ManifestReader(path, seed=7, epoch=epoch)) for epoch in (0, 1))
    assert first != second
    assert first == ids(ManifestReader(path, seed=7, epoch=0))


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 1}, {"rank": 1}, {"world_size": 3}])
def test_a_position_of_another_reader_is_refused(run: RunFiles, change: dict) -> None:
    options = {"seed": 1, "epoch": 0, "rank": 0, "world_size": 2}
    state = ManifestReader(manifest(run, "packed"), **options).state()
    with pytest.raises(InputError, match=f"the position was taken with {next(iter(change))}"):
        ManifestReader(manifest(run, "packed"), **(options | change), start=state)
    with pytest.raises(InputError, match="manifest"):
        ManifestReader(manifest(run, "loose"), **options, start=state)


def test_columns_can_be_chosen(run: RunFiles) -> None:
    (sample, *_) = ManifestReader(manifest(run, "loose"), columns=["caption"])
    assert set(sample.row) == {"clip_id", "shard", "offset", "bytes", "sha256", "caption"}
    with pytest.raises(IntegrityError, match="column 'nope' is missing"):
        ManifestReader(manifest(run, "loose"), columns=["nope"])


def test_wrong_bytes_and_missing_files_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, units=1)
    select(run, "true", "loose")
    row = ManifestReader(manifest(run, "loose")).row(2)
    tar = bytearray(run.storage.read(row["tar"]))
    tar[row["offset"]] ^= 1
    run.storage.write(row["tar"], bytes(tar))
    with pytest.raises(IntegrityError, match=f"{row['tar']}.*{row['clip_id']}"):
        list(ManifestReader(manifest(run, "loose"), verify=True))
    assert len(list(ManifestReader(manifest(run, "loose")))) == 6
    run.storage.delete(row["tar"])
    with pytest.raises(StorageError, match="no such file"):
        list(ManifestReader(manifest(run, "loose")))
    with pytest.raises(InputError, match="no manifest"):
        ManifestReader(manifest(run, "nope"))
    with pytest.raises(InputError, match="rank 2 of 2"):
        ManifestReader(manifest(run, "loose"), rank=2, world_size=2)
