"""From YAML to a plan: what is refused and in which words, what a fingerprint covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.plan import Plan, load_plan, plan_tree
from shards.errors import ConfigError

BASE = """
small:
  passes:
    split:
      stages:
        split:
          min_s: 1.5
          sample_every_s: 0.5
          detector: {"parts:JumpDetector": {}}
          signals: {"parts:MeanLuma": {}}
    score:
      where: mean_luma > 10
      stages: {"parts:SampleCount": {}}
    extra:
      stages: {"parts:Picky": {}}
"""


def plan(tmp_path: Path, text: str = BASE, *settings: str) -> Plan:
    path = tmp_path / "pipelines.yaml"
    path.write_text(text)
    return load_plan("small", path, settings)


def prints(made: Plan) -> dict[str, str]:
    return {p.name: p.fingerprint for p in made.passes}


def test_the_packaged_pipelines_are_plans() -> None:
    assert load_plan("default").names == ["split", "score", "dedup", "label", "caption"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("min_s: 1.5", "min_x: 1.5", r"split.*unknown key 'min_x'; did you mean 'min_s'\?"),
        ("min_s: 1.5", "min_s: soon", r"split\.min_s: .*number.*'soon'"),
        ("sample_every_s: 0.5", "sample_every_s: 1.0", "fewer than three samples"),
        ("where: mean_luma > 10", "were: mean_luma > 10", r"passes\.score\.were: unknown key.*'where'"),
        ("where: mean_luma > 10", "where: mean_lum > 10", "did you mean 'mean_luma'"),
        ("where: mean_luma > 10", "where: mean_luma > 10; drop table clips", "one condition"),
        ("parts:SampleCount", "parts:SampleCont", "has no 'SampleCont'"),
        ("parts:SampleCount", "sample_count", "unknown stage 'sample_count'"),
        (
            "parts:SampleCount",
            "parts:NeedsNothingThere",
            "needs 'motion_totl', which nothing before it provides",
        ),
        ('{"parts:SampleCount": {}}', '{"parts:SampleCount": {}, split: {}}', "'split' must be alone"),
        ("parts:Picky", "parts:SampleCount", "column 'sample_count' is already written by score"),
        ("passes:", "pases:", r"small\.pases: unknown key"),
        ("small:", "smal:", "no pipeline 'small'; did you mean 'smal'"),
        ("  passes:", "\tpasses:", r"pipelines\.yaml:3:1"),
        ("parts:JumpDetector", "shotz", "unknown detector 'shotz'; did you mean 'shots'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in BASE
    with pytest.raises(ConfigError, match=words) as caught:
        plan(tmp_path, BASE.replace(old, new))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_value_can_be_overridden_by_its_short_or_whole_path(tmp_path: Path) -> None:
    whole = plan(tmp_path, BASE, "passes.split.stages.split.max_s=9")
    assert plan(tmp_path, BASE, "split.max_s=9").resolved == whole.resolved
    assert plan(tmp_path, BASE, "score.where=mean_luma < 3").pass_named("score").where == "mean_luma < 3"
    assert plan(tmp_path, BASE, "unit_bytes=1 MiB").unit_bytes == 2**20
    assert plan(tmp_path, BASE, "score.add=2").pass_named("score").stages[0].options.add == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("splt.max_s=9", "did you mean 'split'"),
        ("split.max=9", "unknown key 'max'"),
        ("split.max_s", "key=value"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(tmp_path, BASE, setting)


def test_a_fingerprint_covers_what_decides_the_results_and_nothing_else(tmp_path: Path) -> None:
    base = prints(plan(tmp_path))
    same = prints(plan(tmp_path, BASE, "score.where=true", "split.resources.workers=1", "unit_sources=3"))
    assert same == base
    default_named = prints(plan(tmp_path, BASE, "split.max_s=20"))
    assert default_named == base
    option = prints(plan(tmp_path, BASE, "score.add=1"))
    assert option["split"] == base["split"]
    assert option["score"] != base["score"]
    assert option["extra"] == base["extra"]
    split = prints(plan(tmp_path, BASE, "split.max_s=9"))
    assert all(split[name] != base[name] for name in base)


def test_what_a_run_records_is_the_same_plan_again(tmp_path: Path) -> None:
    """With what decides no result and has no default, too: where a server answers."""
    served = """
    caption:
      stages:
        caption: { engine: { openai: { base_url: "http://127.0.0.1:9/v1", model: m } }, concurrency: 3 }
"""
    made = plan(tmp_path, BASE + served.lstrip("\n"))
    stage = made.resolved["passes"]["caption"]["stages"]["caption"]
    assert stage["engine"]["openai"]["base_url"] == "http://127.0.0.1:9/v1"
    assert stage["concurrency"] == 3
    tree = {key: value for key, value in made.resolved.items() if key != "name"}
    assert prints(plan_tree("small", tree, tmp_path, None)) == prints(made)


def test_a_selection_may_name_a_preset(tmp_path: Path) -> None:
    presets = "selections:\n  bright: {where: mean_luma > 99}\n"
    base = BASE.rstrip() + "\n"
    named = plan(tmp_path, presets + base, "select={preset: bright}").select
    assert named is not None
    assert named.where == "mean_luma > 99"
    with pytest.raises(ConfigError, match="no preset 'brigt' in selections; did you mean 'bright'"):
        plan(tmp_path, presets + base, "select={preset: brigt}")
    with pytest.raises(ConfigError, match="give `where` or `preset`, not both"):
        plan(tmp_path, presets + base, "select={preset: bright, where: 'true'}")
    with pytest.raises(
        ConfigError, match=r"selections\.bright\.were: unknown key 'were'; did you mean 'where'"
    ):
        plan(tmp_path, presets.replace("where", "were") + base, "select={preset: bright}")
    with pytest.raises(ConfigError, match="no column 'mean_lume'"):
        plan(tmp_path, presets.replace("mean_luma", "mean_lume") + base, "select={preset: bright}")
