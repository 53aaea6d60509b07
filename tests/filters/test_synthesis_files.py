"""`curate filters synth`: the files and labels.csv, whoever renders them."""

from __future__ import annotations

import csv
import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import write_video

from curate.video.reader import open_video
from filters.commands.synth import synth
from filters.labels.questions import LABELS
from filters.labels.synthesis import base, journal, lettering, pieces, render
from filters.labels.synthesis.base import Format
from shards.errors import ConfigError, InputError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make base films small and short."""
    monkeypatch.setattr(render, "draw_format", lambda _rng: Format((96, 64), Fraction(6), 8))


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.usefixtures("small")
def test_the_same_seed_gives_the_same_files_and_labels_in_any_order(tmp_path: Path) -> None:
    files = render.render_labels(tmp_path / "one", 2, seed=3, processes=1)
    # The other way round: as when another process takes the second source first.
    journal.begin(tmp_path / "two", 3, rendered=True)
    back = [render.render_source((tmp_path / "two", 3, number, None)) for number in (1, 0)]
    assert [*back[1], *back[0]] == list(files)
    one, two = _digests(tmp_path / "one"), _digests(tmp_path / "two")
    assert one.pop("labels.csv")
    assert one == two
    other = render.render_labels(tmp_path / "three", 1, seed=4, processes=1)
    assert [file.kind for file in other] != [file.kind for file in files[: len(other)]]


@pytest.mark.usefixtures("small")
def test_a_rendering_goes_on_where_it_stopped_and_may_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, _of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    drawn: list[Format] = []
    real = render.render_base
    monkeypatch.setattr(render, "render_base", lambda rng, form: (drawn.append(form), real(rng, form))[1])
    whole = render.render_labels(tmp_path / "whole", 3, seed=5, processes=1)
    drawn.clear()
    with pytest.raises(KeyboardInterrupt):
        render.render_labels(tmp_path / "parts", 3, seed=5, processes=1, progress=stop)
    assert len(drawn) == 2
    assert not (tmp_path / "parts" / "labels.csv").exists()
    (tmp_path / "parts" / whole[0].name).unlink()
    parts = render.render_labels(tmp_path / "parts", 3, seed=5, processes=1)
    assert len(drawn) == 4, "the third, and the first, which had lost a file"
    assert list(parts) == list(whole)
    assert _digests(tmp_path / "parts") == _digests(tmp_path / "whole")
    render.render_labels(tmp_path / "parts", 4, seed=5, processes=1)
    assert len(drawn) == 5


@pytest.mark.usefixtures("small")
def test_films_of_another_kind_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    render.render_labels(out, 1, seed=5, processes=1)
    with pytest.raises(InputError, match="holds films of seed 5; take another folder"):
        render.render_labels(out, 1, seed=6, processes=1)
    write_video(mine / "long.mp4", [(60, 4.5)])
    with pytest.raises(InputError, match="other base films"):
        render.render_labels(out, 1, seed=5, footage=mine, processes=1)
    with monkeypatch.context() as later:
        later.setattr(journal, "recipe_digest", lambda: "other")
        with pytest.raises(InputError, match="another version of this command"):
            render.render_labels(out, 1, seed=5, processes=1)
    render.render_labels(tmp_path / "own", 1, footage=mine, processes=1)
    (mine / "long.mp4").rename(mine / "other.mp4")
    with pytest.raises(InputError, match=r"source 0 is of long\.mp4 from frame .* there, not of other\.mp4"):
        render.render_labels(tmp_path / "own", 1, footage=mine, processes=1)


@pytest.mark.usefixtures("small")
def test_labels_csv_answers_all_labels_of_every_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    files = render.render_labels(tmp_path, 1, processes=1, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 1)]
    with (tmp_path / "labels.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(files) * len(LABELS)
    for row in rows:
        assert (tmp_path / row["clip"]).is_file()
        assert row["answer"] in ("yes", "no", "unsure")
        assert row["source"] == "synthetic-0-00000"
        assert row["annotator"] == render.ANNOTATOR
        assert row["kind"]
    assert [row["label"] for row in rows[: len(LABELS)]] == list(LABELS)
    clean = [row["answer"] for row in rows if row["kind"] == "clean"]
    assert clean
    assert set(clean) == {"no"}
    assert not list(tmp_path.rglob(".*"))
    with open_video(str(tmp_path / rows[0]["clip"])) as reader:
        assert sum(1 for _ in reader) == files[0].frames


def test_films_are_long_enough_for_a_clip() -> None:
    for seed in range(40):
        form = base.draw_format(np.random.default_rng(seed))
        assert 3.2 <= form.frames / form.fps < 5.1
        assert not form.size[0] % 2
        assert not form.size[1] % 2


def test_footage_of_ones_own_is_cut_into_pieces_of_single_shots(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_video(folder / "long.mp4", [(60, 4.5), (180, 5.0), (90, 1.0)])
    write_video(folder / "short.mp4", [(60, 1.0)])
    (folder / "broken.mp4").write_bytes(b"nothing")
    found = pieces.find_pieces(folder, 9)
    assert [piece.name for piece in found] == ["long.mp4", "long.mp4"]
    first, second = (piece.start_frame for piece in found)
    assert first < 10
    assert 90 < second < 100
    own = pieces.read_base(found[1], np.random.default_rng(1)).one
    assert own.size == (160, 96)
    assert own.duration_s == pytest.approx(pieces.LASTS_S, abs=0.1)
    assert 150 < float(np.mean(own.frames[0])) < 210, "the bright shot"
    files = render.render_labels(tmp_path / "out", 1, footage=folder, processes=1)
    assert {file.source for file in files} == {"long.mp4"}


def test_a_folder_without_long_shots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        pieces.find_pieces(tmp_path / "none", 1)
    write_video(tmp_path / "short.mp4", [(60, 1.0)])
    with pytest.raises(InputError, match="no video has a shot"):
        pieces.find_pieces(tmp_path, 1)


def test_missing_fonts_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "find_spec", lambda _name: None)
    lettering._folder.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"cogcurate\[synth\]"):
            lettering.check_fonts()
    finally:
        lettering._folder.cache_clear()


@pytest.mark.usefixtures("small")
def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert synth(tmp_path, sources=1, seed=2, processes=1) == 0
    said = capsys.readouterr().out.splitlines()
    paths = list((tmp_path / "clips").iterdir())
    files, frames = len(paths), sum(len(list(open_video(str(path)))) for path in paths)
    assert said[0] == f"{files} files, {frames} frames: {tmp_path / 'labels.csv'}"
    for label, line in zip(LABELS, said[1:], strict=True):
        assert line.split()[0] == label
        assert sum(int(word) for word in line.split() if word.isdigit()) == files
