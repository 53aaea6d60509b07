"""Templates: heads and fields are checked, what they read comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from caption.template import FIELDS, Template, load_templates
from shards.errors import ConfigError

PACKAGED = ("dense", "short", "frame", "summary", "camera", "changes")


def write(folder: Path, name: str, prompt: str, head: str = "", system: str = "Look.") -> None:
    (folder / f"{name}.md").write_text(f"---\n{head}\n---\n{system}\n---\n{prompt}\n")


def load(folder: Path, name: str = "x") -> dict[str, Template]:
    return load_templates([name], folder)


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_prompts_render(name: str) -> None:
    template = load_templates([name])[name]
    prompt = template.render({field: f"<{field}>" for field in (*FIELDS, *template.reads)})
    assert "{" not in prompt
    assert "{" not in template.system
    assert all(f"<{read}>" in prompt for read in template.reads)


def test_what_is_read_comes_first() -> None:
    assert list(load_templates(["summary", "dense"])) == ["short", "frame", "summary", "dense"]


def test_own_templates_go_before_packaged_ones(tmp_path: Path) -> None:
    write(tmp_path, "short", "In {duration_s} s?", "max_words: 3")
    templates = load_templates(["summary"], tmp_path)
    assert templates["short"].prompt == "In {duration_s} s?"
    assert templates["short"].options.max_words == 3
    assert templates["frame"].digest == load_templates(["frame"])["frame"].digest


def test_unknown_template_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'dense'"):
        load_templates(["dens"])
    with pytest.raises(ConfigError, match="no prompt"):
        load_templates(["../engine"])


@pytest.mark.parametrize(
    ("prompt", "head", "message"),
    [
        ("lasts {duration} seconds", "", r"unknown field \{duration\}; did you mean 'duration_s'"),
        ("{framee}", "", r"unknown field \{framee\}; did you mean 'frame'"),
        ("{", "", "prompt 'x'"),
        ("a } b", "", "prompt 'x'.*double"),
        ("{0}", "", "unknown field {0}"),
        ("at {time_s}", "", "see frames one by one"),
        ("", "sees: sound", "'x'.sees: Input should be"),
        ("", "see: clip", "unknown key 'see'; did you mean 'sees'"),
        ("", "sees: [", "head is not YAML"),
        ("", "show: 'the {speed}'", "both or neither"),
        ("", "{schema: {properties: {a: {}}}, show: '{b}'}", "no property 'b'"),
        ("", "{sees: nothing, video: true}", "sees no video"),
        ("{x}", "", "circle: x → x"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, prompt: str, head: str, message: str) -> None:
    write(tmp_path, "x", prompt, head)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path)


def test_a_longer_circle_and_a_file_without_parts(tmp_path: Path) -> None:
    write(tmp_path, "a", "{b}")
    write(tmp_path, "b", "{a}")
    with pytest.raises(ConfigError, match="circle: a → b → a"):
        load(tmp_path, "a")
    (tmp_path / "c.md").write_text("Describe it.")
    with pytest.raises(ConfigError, match="expected options, instructions and prompt"):
        load(tmp_path, "c")
    with pytest.raises(ConfigError, match="no folder"):
        load(tmp_path / "none")


def test_doubled_braces_are_braces(tmp_path: Path) -> None:
    write(tmp_path, "x", '{{"seconds": {duration_s}}}', system="As {it} stands.")
    template = load(tmp_path)["x"]
    assert template.render({"duration_s": "2.0"}) == '{"seconds": 2.0}'
    assert template.system == "As {it} stands."


def test_answers_by_schema_become_sentences() -> None:
    camera = load_templates(["camera"])["camera"]
    answer = '{"movement": "pans left", "speed": "slowly", "view": "from afar"}'
    assert camera.text_of(answer) == "The camera pans left (slowly), seeing its subject from afar."
    for malformed in ("{", "[]", "3", '{"movement": "pans left"}', "The camera pans."):
        assert camera.text_of(malformed) is None
