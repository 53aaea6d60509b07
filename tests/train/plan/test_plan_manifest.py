from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from object_store import ObjectStore
from plan_manifests import recipe, stage, write_manifest

from shards.errors import ConfigError, InputError, IntegrityError
from train.plan import Manifest, Planner, read_manifest
from train.plan.sources import manifest_source
from train.recipe import ManifestSource, Recipe, Stage, Threshold


def read(path: str, made: Recipe | None = None, **options: bool) -> Manifest:
    return read_manifest([ManifestSource(path=path)], made or recipe(), **options)


def bounded(column: str, **changes: object) -> Stage:
    return stage(thresholds=(Threshold(column=column, bound="min", value=0.5),), **changes)


def test_columns_conditions_and_captions_are_read(tmp_path: Path) -> None:
    names = ("caption", "caption_ok", "alignment")
    given = [
        [("a", True, 0.3), ("b", False, 0.1)],
        [("c", False, 0.9), ("d", True, 0.8), ("e", True, 0.7)],
        [],
        None,
        [("f", True, None)],
    ]
    captions = [of and [dict(zip(names, one, strict=True)) for one in of] for of in given]
    path = write_manifest(
        tmp_path / "m.parquet",
        5,
        captions=captions,
        motion=[1.0, None, 3.0, 4.0, 5.0],
        kept=[True, False] * 2 + [True],
    )
    other = write_manifest(tmp_path / "n.parquet", 2, width=640)
    bounds = [
        ("motion", "min"),
        ("kept", "max"),
        ("captions.alignment", "min"),
        ("captions.alignment", "max"),
    ]
    thresholds = tuple(Threshold(column=name, bound=bound, value=0.0) for name, bound in bounds)
    made = recipe(stage(thresholds=thresholds, where="motion >= 3 or width > 600"), stage(name="all"))
    manifest = read_manifest([ManifestSource(path=path), ManifestSource(path=other)], made)
    assert len(manifest) == 7
    assert manifest.captions_N.tolist() == [0b1, 0b110, 0, 0, 0b1, 0b1, 0b1]
    nan = np.nan
    np.testing.assert_equal(manifest.columns["motion"], [1, nan, 3, 4, 5, nan, nan])
    np.testing.assert_equal(manifest.columns["kept"], [1, 0, 1, 0, 1, nan, nan])
    np.testing.assert_equal(manifest.columns["captions.alignment min"], [0.3, 0.7, nan, nan, nan, nan, nan])
    np.testing.assert_equal(manifest.columns["captions.alignment max"], [0.3, 0.8, nan, nan, nan, nan, nan])
    assert manifest.admitted[0].tolist() == [False, False, True, True, True, True, True]
    assert manifest.admitted[1].all()
    assert [manifest.locate(row) for row in (0, 4, 5, 6)] == [(0, 0), (0, 4), (1, 0), (1, 1)]
    assert manifest.clip_id(5) == "n-0"


def test_the_digest_names_bytes_weights_and_order(tmp_path: Path) -> None:
    paths = [
        write_manifest(tmp_path / f"{name}.parquet", 3, width=width) for name, width in (("a", 64), ("b", 96))
    ]
    first, second = (ManifestSource(path=path) for path in paths)
    sources = [[first, second], [second, first], [first], [first, replace(second, weight=0.5)]]
    digests = {read_manifest(these, recipe()).digest for these in sources}
    assert len(digests) == 4
    assert read_manifest(sources[0], recipe()).digest in digests


def test_a_threshold_on_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "m.parquet", 3, aesthetic=[1.0, 2.0, 3.0], camera="still")
    with pytest.raises(
        ConfigError, match=r"stages.0.thresholds.0.column: 'aestetic' is not .* 'aesthetic'\?"
    ):
        read(path, recipe(bounded("aestetic")))
    with pytest.raises(ConfigError, match="'camera' holds no numbers"):
        read(path, recipe(bounded("camera")))
    with pytest.raises(ConfigError, match="no column 'motoin'"):
        read(path, recipe(stage(where="motoin > 1")))


def test_mixed_aesthetic_models_are_refused_where_they_are_compared(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path / "m.parquet",
        4,
        aesthetic=[1.0, 2.0, 3.0, None],
        aesthetic_model=["laion", "own", "own", "third"],
    )
    read(path, recipe(stage()))
    for compared in (bounded("aesthetic"), stage(where="aesthetic > 1")):
        with pytest.raises(ConfigError, match=r"2 models \(laion, own\).*--mix-aesthetics"):
            read(path, recipe(compared))
        read(path, recipe(compared), mix_aesthetics=True)
    chosen = read(path, recipe(bounded("aesthetic", where="aesthetic_model = 'own'")))
    assert chosen.admitted[0].tolist() == [False, True, True, False]


def test_what_is_no_manifest_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest at .*nothing.parquet"):
        read(str(tmp_path / "nothing.parquet"))
    with pytest.raises(InputError, match="has no clips"):
        read(write_manifest(tmp_path / "empty.parquet", 0))
    whole = Path(write_manifest(tmp_path / "whole.parquet", 3))
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match=r"cut\.parquet: not a readable table"):
        read(str(tmp_path / "cut.parquet"))
    table = pq.read_table(whole)
    pq.write_table(
        table.rename_columns([n.replace("duration_s", "duration") for n in table.column_names]), whole
    )
    with pytest.raises(InputError, match="has no column 'duration_s'; did you mean 'duration'"):
        read(str(whole))


def test_clips_without_a_caption_are_dropped_unless_no_text_is_used(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path / "m.parquet", 4, captions=[[{"caption": "a"}], [{"caption": None}], [], None]
    )
    made = recipe(stage())
    counts = Planner(made, read(path)).viewer.count(0, 0)
    assert (counts["kept"], counts["no caption"]) == (1, 3)
    counts = Planner(replace(made, text_dropout=1.0), read(path)).viewer.count(0, 0)
    assert counts["kept"] == 4


def test_a_source_is_named_with_its_weight() -> None:
    assert manifest_source("a/b.parquet@0.3") == ManifestSource(path="a/b.parquet", weight=0.3)
    assert manifest_source("s3://me@host/b.parquet") == ManifestSource(path="s3://me@host/b.parquet")
    with pytest.raises(ConfigError, match="the weight is 0"):
        manifest_source("b.parquet@0")


def test_a_manifest_in_an_object_store_is_read_as_a_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    path = write_manifest(tmp_path / "set" / "m.parquet", 9, width=list(range(60, 69)))
    made = recipe(stage(where="width > 64"))
    with ObjectStore() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        remote = read(f"{store.upload(tmp_path / 'set', 'set')}/m.parquet", made)
    local = read(path, made)
    assert remote.digest == local.digest
    assert remote.admitted[0].tolist() == local.admitted[0].tolist() == [False] * 5 + [True] * 4
