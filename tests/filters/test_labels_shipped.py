"""The classifier that is shipped, and the rule that makes labels of the real clips' truth."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from running import ROOT
from sampled_clips import clip, scene

from curate.records import Clip
from filters.labels import LABELS
from filters.labels.checkpoint import SHIPPED, read_checkpoint
from filters.labels.config import SIGNALS
from filters.labels.stage import LabelOptions, Labels

pytest.importorskip("torch")


def test_it_is_small_and_says_what_it_was_trained_on() -> None:
    files = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert set(files) == {"model.safetensors", "config.json", "README.md"}
    assert sum(files.values()) < 5_000_000
    checkpoint = read_checkpoint(SHIPPED)
    assert checkpoint.model.signals == SIGNALS
    assert checkpoint.labels_sha256 in (SHIPPED / "README.md").read_text(encoding="utf-8")


def test_a_page_is_text_and_a_street_is_not() -> None:
    """With what the stage `text` measures of them; the other signals are missing."""
    written = {"text_area": 0.45, "text_center_area": 0.5, "text_count": 20.0, "text_persistence": 0.9}
    nothing = {"text_area": 0.0, "text_center_area": 0.0, "text_count": 0.0}
    clips = []
    for name, measured in (("page", written), ("street", nothing)):
        made = clip(*(scene(name, time_s) for time_s in (0.0, 1.0, 2.0)), name=name)
        clips.append(Clip({**made.row, **measured}, made.samples, made.media))
    stage = Labels(LabelOptions(device="cpu"))
    stage.setup()
    page, street = stage.process(clips)
    stage.close()
    assert isinstance(page, dict)
    assert isinstance(street, dict)
    assert page["label_text"] > 0.5 > street["label_text"]
    assert all(0 < page[f"label_{label}"] < 1 for label in LABELS)


# -- benchmarks/real_labels.py ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rule() -> Any:
    spec = importlib.util.spec_from_file_location("real_labels", ROOT / "benchmarks" / "real_labels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("labels", "more", "wanted"),
    [
        ("clean", {}, {}),
        ("clean(trap)", {}, {}),
        ("lecture low_quality", {}, {"lecture": "yes", "low_quality": "yes"}),
        ("low_quality?(trap)", {}, {"low_quality": "unsure"}),
        ("static(surveillance)", {}, {"static": "unsure"}),
        ("static?/clean", {}, {"static": "unsure"}),
        ("lecture?/low_quality", {}, {"lecture": "unsure", "low_quality": "yes"}),
        ("editing", {"hard_cuts": "30 180"}, {}),
        ("editing", {"gradual": "10-22"}, {}),
        ("editing", {"hard_cuts": "30", "cut_truth": "partial"}, {"editing": "unsure"}),
        ("editing", {}, {"editing": "unsure"}),
        ("editing text", {"hard_cuts": "99", "notes": "burnt-in text"}, {"editing": "yes", "text": "yes"}),
        ("editing static(slideshow)", {"notes": "stills + logo card"}, {"editing": "yes", "static": "yes"}),
    ],
)
def test_answers_follow_from_the_truth(
    rule: Any, labels: str, more: dict[str, str], wanted: dict[str, str]
) -> None:
    row = {"labels": labels, "hard_cuts": "", "gradual": "", "cut_truth": "exact", "notes": "", **more}
    assert rule.answers(row) == dict.fromkeys(LABELS, "no") | wanted


@pytest.mark.parametrize("labels", ["corrupt", "format"])
def test_a_file_about_its_container_says_nothing(rule: Any, labels: str) -> None:
    assert rule.answers({"labels": labels}) == {}


def test_the_card_has_what_the_weights_reach_on_sources_held_out() -> None:
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert "| balanced accuracy |" in card
    assert json.loads((SHIPPED / "config.json").read_text())["weights_sha256"] in card
    assert Path(SHIPPED).name == "nano"
