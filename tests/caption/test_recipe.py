"""Which pictures a template sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from caption.engine import Picture
from caption.recipe import choose
from caption.template import load_templates


@pytest.mark.parametrize(
    ("times_s", "head", "chosen"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0], "{sees: frame, every_s: 2}", [0.0, 2.0, 4.0]),
        # A grid of frames of 29.97 a second is not whole.
        ([0.0, 1.001, 1.968, 3.003, 3.97], "{sees: frame, every_s: 2}", [0.0, 1.968, 3.97]),
        ([0.4], "{sees: frame, every_s: 2}", [0.4]),
        ([0.0, 0.5, 1.0], "{sees: nothing}", []),
        ([0.0, 0.5, 1.0], "{sees: clip}", [0.0, 0.5, 1.0]),
        ([float(n) for n in range(11)], "{sees: clip, max_pictures: 3}", [0.0, 5.0, 10.0]),
        ([float(n) for n in range(11)], "{sees: clip, every_s: 5, max_pictures: 9}", [0.0, 5.0, 10.0]),
        ([0.0, 9.0], "{sees: clip, max_pictures: 1}", [0.0]),
    ],
)
def test_pictures_seen(tmp_path: Path, times_s: list[float], head: str, chosen: list[float]) -> None:
    (tmp_path / "x.md").write_text(f"---\n{head}\n---\n---\n")
    template = load_templates(["x"], tmp_path)["x"]
    pictures = [Picture(time_s, b"") for time_s in times_s]
    assert [picture.time_s for picture in choose(pictures, template)] == chosen
