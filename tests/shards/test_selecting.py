from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fake_run import SPLIT, make_run

from shards.condition import matching_ids
from shards.errors import ConfigError, InputError, IntegrityError, StorageError
from shards.index import build_index
from shards.packing import pack
from shards.run import PassInfo, RunFiles, RunInfo
from shards.schemas import CAPTIONS, column
from shards.selection import select
from shards.tables import part_metadata, part_schema, read_table, rows_to_table, table_path, write_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return make_run(tmp_path_factory.mktemp("a [run]*'\"\n\u00e9") / "r?", units=3)


def table_of(run: RunFiles, path: str = "index.parquet") -> list[dict]:
    return read_table(run.storage, path).to_pylist()


def add_table(run: RunFiles, name: str, schema: pa.Schema, rows: dict[str, list[dict]]) -> None:
    """Add a pass that writes the table `name`; `rows` by unit."""
    info = run.info()
    current = PassInfo(hashlib.sha256(name.encode()).hexdigest(), (name,), ("split",))
    run.write_info(RunInfo({**info.passes, name: current}, units=info.units))
    for unit, listed in rows.items():
        path = table_path(name, current.fp8, unit)
        write_table(run.storage, path, rows_to_table(listed, schema, name), {})


# -- the index --------------------------------------------------------------------------------------------


def test_the_index_joins_everything_one_row_a_clip(run: RunFiles) -> None:
    rows = table_of(run, build_index(run))
    assert len(rows) == 3 * 2 * 3
    ids = [row["clip_id"] for row in rows]
    assert ids == sorted(set(ids))
    for row in rows:
        if row["motion_total"] > 0.1:
            assert row["caption"] == f"dense text of {row['clip_id']}"
            assert [said["variant"] for said in row["captions"]] == ["dense", "short"]
            assert row["captions"][0]["samples_digest"] == row["samples_sha256"]
            assert row["caption_model"] == "fake-1"
        else:
            assert row["caption"] is row["captions"] is row["caption_model"] is None
    assert sum(row["caption"] is None for row in rows) == 3
    schema = part_schema(run.storage, "index.parquet")
    assert schema.field("motion_total").metadata == {b"unit": b"diagonal/s"}
    assert schema.field("duration_s").metadata[b"unit"] == b"s"


def test_the_index_is_a_cache(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    build_index(run)
    before = run.storage.entry("index.parquet")
    build_index(run)
    assert run.storage.entry("index.parquet") == before
    path = table_path("signals", SPLIT.fp8, "u000")
    signals = read_table(run.storage, path)
    faster = signals.set_column(1, signals.schema.field(1), pa.array([9.0] * len(signals)))
    write_table(run.storage, path, faster, part_metadata(run.storage, path))
    assert [row["motion_total"] for row in table_of(run, build_index(run))].count(9.0) == 6
    data = run.storage.read("index.parquet")
    run.storage.write("index.parquet", b"damaged")
    build_index(run)
    assert run.storage.read("index.parquet") == data


def test_the_preferred_caption(tmp_path: Path) -> None:
    run = make_run(tmp_path, units=1, sources=1, clips=3, captions=False)
    ids = [row["clip_id"] for row in table_of(run, build_index(run))]
    assert {row["caption"] for row in table_of(run)} == {None}
    base = {"status": "ok", "caption_model": "m", "samples_digest": "0", "caption_ok": True}
    rows = [
        {**base, "clip_id": ids[0], "variant": "a", "caption": "of a"},
        {**base, "clip_id": ids[0], "variant": "dense", "caption": "refused", "caption_ok": False},
        {**base, "clip_id": ids[1], "variant": "a", "caption": "of a"},
        {**base, "clip_id": ids[1], "variant": "dense", "caption": "of dense", "caption_model": "n"},
        {**base, "clip_id": ids[2], "variant": "b", "caption": None, "caption_ok": False, "status": "error"},
    ]
    add_table(run, "captions", CAPTIONS, {"u000": rows})
    found = [
        (row["caption"], row["caption_model"], len(row["captions"]))
        for row in table_of(run, build_index(run))
    ]
    assert found == [("of a", "m", 2), ("of dense", "n", 2), (None, None, 1)]


def test_a_later_table_joins_and_may_lack_units(tmp_path: Path) -> None:
    run = make_run(tmp_path, units=2)
    clip = read_table(run.storage, table_path("clips", SPLIT.fp8, "u001"))["clip_id"][0].as_py()
    schema = pa.schema(
        [column("clip_id", pa.string(), nullable=False), column("embedding", pa.list_(pa.float32(), 2))]
    )
    add_table(run, "scores", schema, {"u001": [{"clip_id": clip, "embedding": [1.0, 2.0]}]})
    rows = {row["clip_id"]: row["embedding"] for row in table_of(run, build_index(run))}
    assert rows.pop(clip) == [1.0, 2.0]
    assert set(rows.values()) == {None}
    assert part_schema(run.storage, "index.parquet").field("embedding").type == pa.list_(pa.float32(), 2)


def test_two_tables_cannot_share_a_column(tmp_path: Path) -> None:
    run = make_run(tmp_path, units=1)
    schema = pa.schema([column("clip_id", pa.string()), column("sharpness", pa.float64())])
    add_table(run, "scores", schema, {"u000": []})
    with pytest.raises(ConfigError, match="'signals' and 'scores' both have a column 'sharpness'"):
        build_index(run)


@pytest.mark.parametrize("name", ["caption", "shard"])
def test_a_table_cannot_take_a_name_of_the_index(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, units=1)
    add_table(
        run, "scores", pa.schema([column("clip_id", pa.string()), column(name, pa.string())]), {"u000": []}
    )
    with pytest.raises(ConfigError, match=f"both have a column '{name}'"):
        build_index(run)


def test_a_clip_in_two_units_is_found(tmp_path: Path) -> None:
    run = make_run(tmp_path, units=2)
    path = table_path("clips", SPLIT.fp8, "u000")
    write_table(run.storage, table_path("clips", SPLIT.fp8, "u001"), read_table(run.storage, path), {})
    with pytest.raises(IntegrityError, match=r"'clips' has the clip .* twice.*curate gc"):
        build_index(run)


def test_no_clips_yet(tmp_path: Path) -> None:
    run = RunFiles.create(str(tmp_path))
    run.write_info(RunInfo({"split": SPLIT}))
    with pytest.raises(InputError, match="no clips have been cut yet"):
        build_index(run)


def test_many_units_are_joined_in_groups_and_sorted_through_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, units=9, sources=3, clips=4)
    whole = run.storage.read(build_index(run))
    run.storage.delete("index.parquet")
    monkeypatch.setattr("shards.index._ROWS_AT_ONCE", 10)
    assert run.storage.read(build_index(run)) == whole


def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path, units=2, sources=20, clips=20)
    with pytest.raises(StorageError, match=r"cannot be joined: Out of Memory Error: [^\n]*$"):
        build_index(run, memory_bytes=1 << 20)
    assert not run.storage.exists("index.parquet")


# -- conditions -------------------------------------------------------------------------------------------


def ids_of(run: RunFiles, where: str, name: str = "t") -> list[str]:
    select(run, where, name)
    return read_table(run.storage, run.manifest_path(name))["clip_id"].to_pylist()


def test_quantiles_order_and_limit(run: RunFiles) -> None:
    rows = table_of(run, build_index(run))
    middle = sorted(row["motion_total"] for row in rows)[len(rows) // 2 - 1 :][:2]
    wanted = [row["clip_id"] for row in rows if row["motion_total"] > sum(middle) / 2]
    assert ids_of(run, "motion_total > (select quantile_cont(motion_total, 0.5) from clips)") == wanted
    best = sorted(rows, key=lambda row: -row["sharpness"])[:4]
    assert ids_of(run, "true order by sharpness desc limit 4") == sorted(row["clip_id"] for row in best)
    assert ids_of(run, " ORDER BY sharpness desc limit 4") == sorted(row["clip_id"] for row in best)
    assert ids_of(run, "limit 5") == [row["clip_id"] for row in rows[:5]]
    assert ids_of(run, "caption like 'dense%' -- the described ones") == [
        row["clip_id"] for row in rows if row["caption"]
    ]
    one_a_source = "true qualify row_number() over (partition by source_id order by sharpness desc) = 1"
    assert len(ids_of(run, one_a_source)) == len({row["source_id"] for row in rows})


WRITING = [
    "true; drop table clips",
    "true; copy clips to 'x.csv'",
    "true;select 1",
    "true union select 'x'",
    "true union all select clip_id from clips",
    "true group by clip_id",
    "true having true",
    "clip_id in (select clip_id from read_parquet('{here}'))",
    "clip_id in (select clip_id from '{here}')",
    "clip_id in (select content from read_text('/etc/passwd'))",
    "clip_id in (select file from glob('/*'))",
    "clip_id in (select column0 from read_csv('/etc/passwd'))",
    "clip_id in (delete from clips returning clip_id)",
    "(copy clips to 'x.csv')",
    "(attach 'x.db')",
    "set_config('threads', 1)",
    "true /* unterminated",
    "1 = 1) or (1 = 1",
    "",
    "motion_total >",
    "clip_id in (select clip_id from ids)",
    "clip_id in (from query('copy clips to ''x.csv'''))",
]


@pytest.mark.parametrize("where", WRITING)
def test_nothing_but_reading_the_clips_works(
    run: RunFiles, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(run)
    monkeypatch.chdir(tmp_path)
    ids = pa.table({"clip_id": ["a"]})  # a Python variable that SQL must not see
    assert ids.num_rows
    before = [(entry.path, entry.mtime_ns) for entry in run.storage.list()]
    with pytest.raises(ConfigError) as caught:
        select(run, where.format(here=run.storage.local("index.parquet")), "evil")
    assert "\n" not in str(caught.value)
    assert [(entry.path, entry.mtime_ns) for entry in run.storage.list()] == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("motoin_total > 1", "no column 'motoin_total'; did you mean 'motion_total'"),
        ("clips.sharpnes > 1", "no column 'sharpnes'; did you mean 'sharpness'"),
        ("xyzzy = 1", "no column 'xyzzy'; there are clip_id, source_id"),
        ("sharpness > 'much'", "Conversion Error"),
    ],
)
def test_a_wrong_condition_is_explained(run: RunFiles, where: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        select(run, where, "t")


def test_ties_and_limits_pick_the_same_clips_every_time() -> None:
    table = pa.table({"clip_id": [f"{n:05d}" for n in range(5000)], "x": [n % 3 for n in range(5000)]})
    first = matching_ids(table, "x > 0 order by x limit 700")
    assert all(matching_ids(table, "x > 0 order by x limit 700") == first for _ in range(5))


# -- manifests --------------------------------------------------------------------------------------------


def test_a_manifest_points_at_the_bytes(run: RunFiles) -> None:
    selection = select(run, "motion_total > 0.1", "moving")
    assert (selection.clips, selection.of, selection.without_caption) == (15, 18, 0)
    path = run.storage.local(selection.path)
    rows = table_of(run, run.manifest_path("moving"))
    assert [row["clip_id"] for row in rows] == sorted(row["clip_id"] for row in rows)
    for row in rows:
        data = (path.parent / row["shard"]).read_bytes()[row["offset"] :][: row["bytes"]]
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert (row["tar_offset"], row["shard"]) == (row["offset"], f"../../{row['tar']}")
    assert set(part_schema(run.storage, "index.parquet").names) < set(rows[0])
    assert part_metadata(run.storage, run.manifest_path("moving"))["where"] == "motion_total > 0.1"


def test_an_empty_selection_is_written_and_says_so(run: RunFiles) -> None:
    selection = select(run, "motion_total > 1000", "none")
    assert (selection.clips, selection.of) == (0, 18)
    assert table_of(run, run.manifest_path("none")) == []


def test_the_same_selection_gives_the_same_bytes(run: RunFiles, tmp_path: Path) -> None:
    other = make_run(tmp_path / "elsewhere", units=3)
    manifests = []
    for each, _ in itertools.product((run, other), range(2)):
        select(each, "sharpness > 0.3", "same")
        manifests.append(each.storage.read(each.manifest_path("same")))
    assert len(set(manifests)) == 1
    assert select(run, "true", "all").without_caption == 3


# -- columns of scores ------------------------------------------------------------------------------------

SCORES = pa.schema(
    [
        column("clip_id", pa.string(), nullable=False),
        column("aesthetic", pa.float64()),
        column("aesthetic_model", pa.string()),
        column("embedding", pa.list_(pa.float16(), 4)),
    ]
)


def scored(tmp_path: Path, models: tuple[str | None, ...]) -> tuple[RunFiles, dict[str, dict]]:
    """Return a run whose clips have ratings by `models` in turn, and their rows of scores."""
    run = make_run(tmp_path / "run", units=2)
    rows: dict[str, list[dict]] = {}
    for number, clip in enumerate(table_of(run, build_index(run))):
        unit = clip["tar"].rpartition("/")[2].rpartition("-")[0]
        row = {"clip_id": clip["clip_id"], "aesthetic": float(number % 7), "embedding": None}
        row["aesthetic_model"] = models[number % len(models)]
        if number % 3:
            row["embedding"] = [0.5, -0.25, number / 1024, 1 / 3]
        rows.setdefault(unit, []).append(row)
    add_table(run, "scores", SCORES, rows)
    return run, {row["clip_id"]: row for listed in rows.values() for row in listed}


def test_float16_lists_go_through_index_condition_manifest_and_shards(tmp_path: Path) -> None:
    run, rows = scored(tmp_path, ("one",))
    index = read_table(run.storage, build_index(run))
    assert index.schema.field("embedding").type == pa.list_(pa.float16(), 4)
    near = "embedding[1] = 0.5 and embedding[4] < 0.3334"
    assert select(run, near, "near").clips == sum(row["embedding"] is not None for row in rows.values()) == 8
    select(run, f"{near} and caption is not null", "near")
    pack(run, "near", shard_bytes=1 << 20, shard_clips=100)
    manifest = read_table(run.storage, run.manifest_path("near"))
    assert manifest.schema.field("embedding").type == pa.list_(pa.float16(), 4)
    assert manifest.num_rows == 7
    for table in (index, manifest):
        for ident, embedding in zip(
            table["clip_id"].to_pylist(), table["embedding"].to_pylist(), strict=True
        ):
            wanted = rows[ident]["embedding"]
            assert embedding == (None if wanted is None else [float(np.float16(value)) for value in wanted])


@pytest.mark.parametrize(
    "where",
    ["aesthetic >= 4", "order by AESTHETIC limit 3", 'motion_total > 0 and clips."aesthetic" is not null',
     "aesthetic >= (select quantile_cont(aesthetic, 0.8) from clips)"],
)  # fmt: skip
def test_ratings_of_two_models_are_not_compared_unless_told(tmp_path: Path, where: str) -> None:
    run, _ = scored(tmp_path, ("photographic-1", "laion-x"))
    with pytest.raises(
        ConfigError, match=r"2 models \(laion-x, photographic-1\).*--mix-aesthetics"
    ) as caught:
        select(run, where, "mixed")
    assert "\n" not in str(caught.value)
    assert not run.storage.exists(run.manifest_path("mixed"))
    assert select(run, where, "mixed", mix_aesthetics=True).clips > 0


def test_ratings_may_be_told_apart_or_left_alone(tmp_path: Path) -> None:
    run, _ = scored(tmp_path, ("photographic-1", "laion-x"))
    laion, other = (f"aesthetic_model = '{model}' and aesthetic" for model in ("laion-x", "photographic-1"))
    apart = f"{laion} > 2 or {other} > 5"
    assert select(run, apart, "apart").clips > 0
    assert select(run, "motion_total > 0.1", "motion").clips > 0


def test_ratings_of_one_model_are_compared(tmp_path: Path) -> None:
    run, rows = scored(tmp_path, ("photographic-1",))
    assert select(run, "aesthetic >= 4", "good").clips == sum(row["aesthetic"] >= 4 for row in rows.values())


def test_a_rating_without_a_model_is_a_model_of_its_own(tmp_path: Path) -> None:
    run, _ = scored(tmp_path, ("photographic-1", None))
    with pytest.raises(ConfigError, match=r"2 models"):
        select(run, "aesthetic >= 4", "mixed")
