"""Pairs out of a real run, and captioners compared over it."""

from __future__ import annotations

import json
import re
import shutil
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import pytest
from running import curate, rows

from caption.captioned import CaptionedRun
from caption.commands import eval as evaluating
from caption.commands import export_sft
from caption.exporting import ExportOptions
from curate.footage import render_shapes
from shards.errors import ConfigError, InputError
from shards.run import RunFiles
from shards.tables import read_parts

PIPELINES = Path(__file__).with_name("shapes.yaml")
COUNT = 16


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A run of rendered shapes, described by the engine `signals`, and the truth of them."""
    folder = tmp_path_factory.mktemp("shapes")
    render_shapes(folder / "set", COUNT, seed=7, size_px=84, frames=26, plain=True, processes=1)
    done = curate(
        "run", "shapes", "--pipelines", PIPELINES, "--input", folder / "set" / "*.tar",
        "--output", folder / "run", "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(folder / "run"), folder / "set" / "truth.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_dense_pairs_have_the_captions_and_pictures_of_their_clips(
    shapes: tuple[str, Path], tmp_path: Path
) -> None:
    run, _ = shapes
    exported = export_sft.run(run, tmp_path, ExportOptions(kinds=("dense",), val=0.2, test=0.2))
    assert sum(exported.pairs["dense"].values()) == COUNT
    assert exported.skipped == {}
    captions = {row["clip_id"]: row["caption"] for row in rows(Path(run), "captions")}
    clips = CaptionedRun(run).clips()
    for split in ("train", "val", "test"):
        for line in lines(tmp_path / "dense" / f"{split}.jsonl"):
            assert line["messages"][-1] == {"role": "assistant", "content": captions[line["clip_id"]]}
            samples = CaptionedRun(run).samples(clips[line["clip_id"]])
            assert [(tmp_path / name).read_bytes() for name in line["images"]] == [s.jpeg for s in samples]
            assert all(not Path(name).is_absolute() for name in line["images"])
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for name, file in manifest["files"].items():
        data = (tmp_path / name).read_bytes()
        assert (file["sha256"], file["pairs"]) == (sha256(data).hexdigest(), data.count(b"\n"))
    assert manifest["images"]["count"] == len(list((tmp_path / "images").rglob("*.jpg"))) == 4 * COUNT


def test_the_same_bytes_twice_and_only_into_a_folder_of_its_own(
    shapes: tuple[str, Path], tmp_path: Path
) -> None:
    run, _ = shapes
    options = ExportOptions(kinds=("dense",))
    export_sft.run(run, tmp_path / "a", options)
    before = {path: path.read_bytes() for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()}
    export_sft.run(run, tmp_path / "a", options)
    assert {
        path: path.read_bytes() for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()
    } == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        export_sft.run(run, tmp_path / "b", options)
    assert (tmp_path / "b" / "thesis.txt").exists()


def test_captions_of_a_file_take_the_place_of_the_runs(shapes: tuple[str, Path], tmp_path: Path) -> None:
    run, truth = shapes
    export_sft.run(run, tmp_path, ExportOptions(kinds=("dense",), truth=truth, val=0, test=0))
    told = {line["source_id"]: line["caption"] for line in lines(truth)}
    pairs = lines(tmp_path / "dense" / "train.jsonl")
    assert len(pairs) == COUNT
    assert all(pair["messages"][-1]["content"] == told[pair["source_id"]] for pair in pairs)


def test_where_picks_clips_and_a_run_without_summaries_has_no_pairs_of_them(
    shapes: tuple[str, Path], tmp_path: Path
) -> None:
    run, _ = shapes
    some = export_sft.run(
        run, tmp_path / "a", ExportOptions(kinds=("dense",), where="true order by clip_id limit 3")
    )
    assert sum(some.pairs["dense"].values()) == 3
    with pytest.raises(InputError, match=r"no pairs .summary: made of other answers"):
        export_sft.run(run, tmp_path / "b", ExportOptions(kinds=("summary",)))
    with pytest.raises(ConfigError, match="below 1"):
        export_sft.run(run, tmp_path / "c", ExportOptions(val=0.5, test=0.5))


def test_eval_against_the_truth_counts_what_is_exact(shapes: tuple[str, Path], tmp_path: Path) -> None:
    run, truth = shapes
    found = evaluating.run([run], truth=truth, by=("direction",), output=tmp_path)
    assert found.clips == COUNT
    assert found.near[run].exact == 0  # measured descriptions are no sentences of the template
    assert sum(clips for clips, _ in found.groups["direction"][run].values()) == COUNT
    # Made to say the truth, it is right everywhere.
    told = {row["clip_id"]: row["source_id"] for row in CaptionedRun(run).clips().values()}
    own = {row["clip_id"]: row["caption"] for row in rows(Path(run), "captions")}
    (tmp_path / "own.jsonl").write_text(
        "".join(json.dumps({"source_id": told[clip], "caption": text}) + "\n" for clip, text in own.items())
    )
    assert evaluating.run([run], truth=tmp_path / "own.jsonl").near[run].exact == 1
    page = (tmp_path / "index.html").read_text()
    assert page.count("<article>") == COUNT
    assert page.count("data:image/jpeg;base64,") == 4 * COUNT
    assert not re.search(r"(src|href)=.(?!data:)", page)  # nothing from elsewhere
    assert json.loads((tmp_path / "eval.json").read_text())["clips"] == COUNT


def test_eval_refuses_what_cannot_be_compared(shapes: tuple[str, Path], tmp_path: Path) -> None:
    run, truth = shapes
    with pytest.raises(ConfigError, match="with itself"):
        evaluating.run([run, run])
    with pytest.raises(InputError, match="no captions '00000000'; there are"):
        evaluating.run([f"{run}@00000000"])
    with pytest.raises(InputError, match="no captions of variant 'short'; there are dense"):
        evaluating.run([run], variants=["short"])
    with pytest.raises(ConfigError, match="--by size"):
        evaluating.run([run], truth=truth, by=("size",))
    with pytest.raises(InputError, match="no run at"):
        evaluating.run([str(tmp_path)])


def test_captions_of_before_are_compared_with_those_of_now(shapes: tuple[str, Path], tmp_path: Path) -> None:
    run = shutil.copytree(shapes[0], tmp_path / "run")
    (before,) = (path.name for path in (run / "tables/captions").iterdir())
    done = curate(
        "caption", run, "--pipeline", "shapes", "--pipelines", PIPELINES, "--workers", "1",
        "--set", "caption.variants=[short]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (now,) = {path.name for path in (run / "tables/captions").iterdir()} - {before}
    names = [f"{run}@{before}", f"{run}@{now}"]
    found = evaluating.run(names, variants=["dense", "short"], output=tmp_path / "page")
    assert found.clips == COUNT
    assert found.against == names[0]
    assert 0 < found.near[names[1]].chrf < 100
    page = (tmp_path / "page/index.html").read_text()
    for fingerprint, variant in ((before, "dense"), (now, "short")):
        told = read_parts(
            RunFiles.open(str(run)).storage,
            [str(p.relative_to(run)) for p in (run / "tables/captions" / fingerprint).iterdir()],
        ).to_pylist()
        assert {row["variant"] for row in told} == {variant}
        assert all(escape(row["caption"]) in page for row in told)
