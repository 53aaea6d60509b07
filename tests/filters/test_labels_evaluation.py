"""An evaluation's tables and pages, and the average of weights that is judged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tiny_clip import jpeg, picture

from filters.labels import LABELS
from filters.labels.evaluation import evaluate, figures, summary
from filters.labels.page import contact_sheet, render_page

CLIPS = [{"clip_id": f"c{n}", "source_uri": f"in/<{n // 2}>.mp4"} for n in range(8)]
SOURCES = [f"film {n // 2}" for n in range(8)]


def found(p: list[float]) -> object:
    yes = np.full((8, len(LABELS)), np.nan, np.float32)
    yes[:, LABELS.index("text")] = [1, 1, 1, 1, 0, 0, 0, 0]
    yes[:4, LABELS.index("lecture")] = [1, 0, 1, 0]
    return evaluate(
        "nano@1234", CLIPS, SOURCES, yes, np.tile(np.array(p)[:, None], len(LABELS)), resamples=50
    )


P = [0.9, 0.8, 0.2, 0.7, 0.1, 0.95, 0.4, 0.3]


def test_labels_nobody_answered_are_left_open() -> None:
    result = found(P)
    assert result.labels["editing"] is None  # type: ignore[attr-defined]
    text = result.labels["text"]  # type: ignore[attr-defined]
    assert (text.counts.tp, text.counts.fp, text.counts.tn, text.counts.fn) == (3, 1, 3, 1)
    assert (text.clips, text.sources) == (8, 4)
    lecture = result.labels["lecture"]  # type: ignore[attr-defined]
    assert (lecture.clips, lecture.sources) == (4, 2)


def test_every_source_has_its_line_the_worst_first() -> None:
    rows = found(P).labels["text"].by_source  # type: ignore[attr-defined]
    assert [(row.source, row.clips, row.wrong) for row in rows] == [
        ("film 1", 2, 1), ("film 2", 2, 1), ("film 0", 2, 0), ("film 3", 2, 0),
    ]  # fmt: skip
    assert rows[0].mean_probability == pytest.approx(0.45)


def test_the_worst_mistake_comes_first() -> None:
    mistakes = found(P).mistakes  # type: ignore[attr-defined]
    told = [(m.clip_id, m.label, m.answer) for m in mistakes]
    assert told[0] == ("c5", "text", "no")
    assert {("c1", "lecture", "no"), ("c2", "lecture", "yes"), ("c2", "text", "yes")} <= set(told)
    assert len(told) == 5


def test_tables_have_a_row_a_figure_and_a_row_a_label() -> None:
    result = found(P)
    whole, short = figures(result), summary(result)  # type: ignore[arg-type]
    assert {len(row) for row in whole} == {1 + len(LABELS)}
    assert [row[0] for row in short[1:]] == list(LABELS)
    assert {len(row) for row in short} == {len(short[0])}
    assert short[1][1:] == ["—"] * (len(short[0]) - 1)
    assert short[1 + LABELS.index("text")][1:7] == ["3", "1", "3", "1", "0.75/0.75", "0.75/0.75"]


def test_the_page_shows_mistakes_and_escapes_names() -> None:
    result = found(P)
    pictures = {f"c{n}": [jpeg(picture(n, (160, 90)))] * 3 for n in range(8)}
    page = render_page(result, pictures)  # type: ignore[arg-type]
    assert page.count("<article>") == 5
    assert "in/<2>.mp4" not in page
    assert "in/&lt;2&gt;.mp4" in page
    sheet = cv2.imdecode(np.frombuffer(contact_sheet(result, pictures), np.uint8), 1)  # type: ignore[arg-type]
    assert sheet.shape == (5 * (96 + 20), 5 * 170, 3)


def test_a_flawless_classifier_has_an_empty_sheet() -> None:
    result = found([0.9, 0.2, 0.9, 0.2, 0.1, 0.1, 0.1, 0.1])
    assert {m.label for m in result.mistakes} == {"text"}  # type: ignore[attr-defined]
    yes = np.full((8, len(LABELS)), np.nan, np.float32)
    nothing = evaluate("n", CLIPS, SOURCES, yes, np.full((8, len(LABELS)), 0.5), resamples=5)
    assert cv2.imdecode(np.frombuffer(contact_sheet(nothing, {}), np.uint8), 1).shape == (20, 5 * 170, 3)


def test_the_average_stands_in_for_the_weights_for_a_while() -> None:
    torch = pytest.importorskip("torch")
    from filters.labels.progress import Average

    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
        average = Average(network, 0.75)
        network.weight.fill_(1.0)
        average.update(network, 1000)
        average.update(network, 1001)
    with average.inside(network):
        # 1 - 0.75², as two steps of four taken in leave.
        assert float(network.weight.detach()) == pytest.approx(1 - 0.75**2)
    assert float(network.weight.detach()) == 1.0
