"""Captions of a file find their clips; pairs ask what the recipe asks, to the byte."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from caption.checks import Checked
from caption.engine import Answer, Picture, Request, Status
from caption.pairs import asked, chat, split_of, trainable
from caption.recipe import Recipe, Reply, Shot
from caption.template import Template, load_templates
from caption.truth import Truth
from shards.errors import ConfigError, InputError

SHOT = Shot("c1", "s1", 5.0, tuple(Picture(float(n), b"jpeg %d" % n) for n in range(5)), {"camera": "pan"})
FINE = Checked(0, None, 0.0, None, (), True)


def asked_for_real() -> tuple[dict[str, Request], list[dict[str, Any]]]:
    """Run the whole recipe; return template → last request, and the parts as the table has them."""
    templates = load_templates(["summary"])
    requests: dict[str, Request] = {}

    async def ask(request: Request, template: Template) -> Answer:
        requests[template.name] = request
        status: Status = "empty" if request.id.endswith("frame.1/1") else "ok"
        return Answer(request.id, status, "" if status == "empty" else f"what {request.id} shows", "m")

    recipe = Recipe(templates, seed=3, judge=lambda _template, _status, _text: FINE)
    replies: dict[str, list[Reply]] = asyncio.run(recipe.run(SHOT, ask))
    parts = [
        {"template": part.template, "time_s": part.time_s, "text": part.text, "status": part.status}
        for name in ("short", "frame")
        for part in replies[name]
    ]
    return requests, parts


def test_a_summary_is_asked_for_from_the_parts_as_it_was_asked_for_in_the_pass() -> None:
    requests, parts = asked_for_real()
    assert len(parts) == 4
    again = asked(SHOT, "summary", load_templates(["summary"]), parts)
    assert again is not None
    was = requests["summary"]
    assert (again.system, again.prompt, again.pictures) == (was.system, was.prompt, was.pictures)
    assert "frame.0/1 shows" in again.prompt
    assert "frame.1/1" not in again.prompt


def test_parts_of_other_frames_give_no_pair() -> None:
    _, parts = asked_for_real()
    templates = load_templates(["summary"])
    assert asked(SHOT, "summary", templates, [part for part in parts if part["template"] != "short"]) is None
    assert asked(SHOT, "summary", templates, parts[:-1]) is None
    moved = [part | {"time_s": part["time_s"] + 0.5} if part["time_s"] else part for part in parts]
    assert asked(SHOT, "summary", templates, moved) is None


def test_pictures_stand_before_the_question_in_the_order_of_their_times() -> None:
    request = asked(SHOT, "dense", load_templates(["dense"]))
    assert request is not None
    assert request.pictures == SHOT.pictures
    line = chat(request, "A dog.", ["a.jpg", "b.jpg"])
    assert [message["role"] for message in line["messages"]] == ["system", "user", "assistant"]
    assert line["messages"][1]["content"] == request.prompt
    assert "0.0, 1.0, 2.0, 3.0, 4.0" in request.prompt
    assert line["images"] == ["a.jpg", "b.jpg"]


def test_templates_whose_answers_are_no_captions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        trainable(load_templates(["camera"]), "camera")
    (tmp_path / "shown.md").write_text("---\nvideo: true\n---\nSay it.\n---\nWhat?\n")
    with pytest.raises(ConfigError, match="video"):
        trainable(load_templates(["shown"], tmp_path), "shown")


def test_sources_stay_in_their_split_when_others_are_added() -> None:
    splits = {f"{n:032x}": split_of(f"{n:032x}", 0.1, 0.2) for n in range(4000)}
    shares = {split: sum(s == split for s in splits.values()) / 4000 for split in ("train", "val", "test")}
    assert shares == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.02)
    # A larger share for validation takes from the training set alone.
    wider = {source: split_of(source, 0.2, 0.2) for source in splits}
    assert all(wider[source] == split for source, split in splits.items() if split != "train")


def test_a_line_is_found_by_clip_source_or_name(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    lines = [
        {"clip_id": "c1", "caption": "of the clip"},
        {"source_id": "s1", "clip_id": "other", "caption": "of the source"},
        {"source": "b.mp4", "caption": "of the file", "color": "red"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    truth = Truth(path)

    def told(clip: str, source: str, uri: str) -> Any:
        found = truth.of({"clip_id": clip, "source_id": source, "source_uri": uri})
        return found and found["caption"]

    assert told("c1", "s1", "x") == "of the clip"
    assert told("c2", "s1", "x") == "of the source"
    assert told("c2", "s2", "s3://bucket/a/b.mp4") == "of the file"
    assert told("c2", "s2", "s3://bucket/a/c.mp4") is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "line 1: not JSON"),
        ('{"clip_id": "c"}', "`caption`"),
        ('{"caption": "x"}', "names no clip"),
        ('{"clip_id": "c", "caption": "x"}\n{"clip_id": "c", "caption": "y"}', "line 2: another caption"),
    ],
)
def test_files_that_are_wrong_are_refused_with_the_line(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(InputError, match=match):
        Truth(tmp_path / "t.jsonl")
