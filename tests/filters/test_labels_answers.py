"""Labels files: what is refused, how they find a run's clips, and how sources are divided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.labels.answers import join, read_labels
from filters.labels.data import check_classes, cues_of
from filters.labels.questions import LABELS
from filters.labels.splits import SPLITS, members, split_of
from shards.errors import InputError

HEAD = "clip,label,answer,annotator"


def clip(ident: str, source: str, uri: str) -> dict[str, object]:
    return {"clip_id": ident, "source_id": source, "source_uri": uri}


def labels_file(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "no answers"),
        (("a,sport,yes,me",), "unknown label 'sport'"),
        (("a,text,perhaps,me",), "answer 'perhaps'; expected yes, no or unsure"),
        (("a,text,yes,me", "a,text,no,you"), ":3: a, text: 'no' here and 'yes' further up"),
        (("nobody,text,yes,me",), "the run has no clip 'nobody'"),
        (("nobody,text,yes,me", "else,text,no,me"), "the run has no clip 'nobody' and 1 more"),
    ],
)
def test_bad_lines_are_refused_in_one_line(tmp_path: Path, lines: Sequence[str], says: str) -> None:
    with pytest.raises(InputError) as caught:
        join(labels_file(tmp_path, *lines), [clip("a", "s", "a.mp4")])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "a,text,yes", head="clip,label,answer")
    with pytest.raises(InputError, match="column 'annotator' is missing"):
        read_labels(path)


def test_annotators_who_agree_are_one_answer(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "a,text,yes,me", "a,text,yes,you")
    assert join(path, [clip("a", "s", "a.mp4")]).yes_NL[0, LABELS.index("text")] == 1


def test_clips_are_found_by_id_path_and_name(tmp_path: Path) -> None:
    inside = str((tmp_path / "in" / "b.mp4").resolve())
    clips = [
        clip("a", "s1", "/elsewhere/a.mp4"),
        clip("b", "s2", inside),
        clip("b2", "s3", "/elsewhere/b.mp4"),
        clip("c1", "s4", "s3://bucket/c%20d.mp4"),
        clip("c2", "s4", "s3://bucket/c%20d.mp4"),
        clip("d", "s5", "/d.mp4"),
    ]
    path = labels_file(
        tmp_path, "a,text,yes,me", "in/b.mp4,text,no,me", "c d.mp4,text,unsure,me", "d.mp4,static,yes,me"
    )
    found = join(path, clips)
    assert found.clips == ("a", "b", "c1", "c2", "d")
    assert found.sources == ("s1", "s2", "s4", "s4", "s5")
    text = found.yes_NL[:, LABELS.index("text")]
    assert text[:2].tolist() == [1, 0]
    assert np.isnan(text[2:]).all()
    assert found.yes_NL[4, LABELS.index("static")] == 1


def test_a_name_that_two_files_have_is_not_guessed(tmp_path: Path) -> None:
    clips = [clip("a", "s1", "/one/x.mp4"), clip("b", "s2", "/two/x.mp4")]
    with pytest.raises(InputError, match=r"no clip 'x\.mp4'"):
        join(labels_file(tmp_path, "x.mp4,text,yes,me"), clips)


def test_a_file_that_gave_no_clip_is_passed_over(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "a.mp4,text,yes,me", "short.mp4,text,no,me")
    found = join(path, [clip("a", "s", "/x/a.mp4")], ["/x/a.mp4", "/x/short.mp4"])
    assert found.clips == ("a",)


def test_an_answer_by_id_and_another_by_file_do_not_agree(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "a,text,yes,me", "x.mp4,text,no,me")
    with pytest.raises(InputError, match="text of clip a has two answers"):
        join(path, [clip("a", "s1", "/one/x.mp4")])


def test_the_source_may_be_named(tmp_path: Path) -> None:
    """Variants of one film are files of their own, with source ids of their own."""
    path = labels_file(
        tmp_path, "a,text,yes,me,film", "b,text,no,me,film", "c,text,no,me,", head=f"{HEAD},source"
    )
    found = join(path, [clip(name, f"of {name}", f"{name}.mp4") for name in "abc"])
    assert found.sources == ("film", "film", "of c")


def test_kinds_are_cues_where_enough_clips_have_them(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    lines = [
        "clip,label,answer,annotator,kind",
        "a,text,yes,me,page+blocks",
        "b,text,no,me,",
        "c,text,no,me,page",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said, _ = read_labels(path)
    assert {name: line.kind for name, line in said.items()} == {"a": "page+blocks", "b": "", "c": "page"}
    cues, has = cues_of(["page+blocks", "", "page"], 2)
    assert cues == ("page",)
    assert has.tolist() == [[1], [0], [1]]
    cues, has = cues_of(["", ""], 1)
    assert cues == ()
    assert has.shape == (2, 0)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    yes = np.zeros((3, len(LABELS)), np.float32)
    yes[0] = 1
    check_classes(tmp_path, yes, "it")
    yes[0, LABELS.index("lecture")] = np.nan
    with pytest.raises(InputError, match="lecture: no clip in it is answered 'yes'"):
        check_classes(tmp_path, yes, "it")
    with pytest.raises(InputError, match=r"in the split 'val' .* another seed"):
        check_classes(tmp_path, yes, "the split 'val'")


@given(st.lists(st.text(max_size=8), max_size=60), st.integers(0, 5))
def test_a_source_lies_on_one_side(sources: list[str], seed: int) -> None:
    sides = {split: set(members(sources, seed, split).tolist()) for split in SPLITS}
    assert sum(map(len, sides.values())) == len(sources)
    of = {split: {sources[n] for n in numbers} for split, numbers in sides.items()}
    assert not (of["train"] & of["val"] | of["train"] & of["test"] | of["val"] & of["test"])


def test_eighty_ten_ten_and_another_seed_divides_otherwise() -> None:
    names = [str(n) for n in range(3000)]
    shares = [len(members(names, 0, split)) / 3000 for split in SPLITS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert [split_of(name, 0) for name in names] != [split_of(name, 1) for name in names]
