"""The signals engine from columns and JPEGs to a result."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

import cv2
import numpy as np
import pytest

from caption.engine import Answer, Picture, Request
from caption.signals import SignalsEngine, without_bars
from curate.records import Value
from shards.errors import ConfigError

ROW: dict[str, Value] = {
    "frames": 180,
    "duration_s": 6.0,
    "width": 1280,
    "height": 720,
    "motion_total": 0.2,
    "frozen_share": 0.0,
    "black_share": 0.0,
    "letterbox_share": 0.0,
    "pillarbox_share": 0.0,
    "exposure": 0.3,
    "contrast": 0.2,
}


def sample(bgr: tuple[int, int, int], bars: int = 0) -> Picture:
    picture = np.full((448, 796, 3), bgr, np.uint8)
    if bars:
        picture[:bars], picture[-bars:] = 0, 0
    done, data = cv2.imencode(".jpg", picture)
    assert done
    return Picture(0.0, data.tobytes())


def caption(row: Mapping[str, Value], samples: tuple[Picture, ...], template: str = "dense") -> Answer:
    engine = SignalsEngine(SignalsEngine.Options())
    assert set(row) == engine.needs - {"samples"}
    request = Request("c1/x/1", "c1", template, "", "", samples, False, 0, 99, 0.0, measured=row)
    return asyncio.run(engine.generate(request))


def test_says_what_was_measured() -> None:
    result = caption(ROW, (sample((200, 60, 20)), sample((200, 60, 20)), sample((0, 140, 255))))
    assert result.text == "A dim scene, mostly blue with some orange, moves fast for 6 seconds."
    assert (result.id, result.status, result.model) == ("c1/x/1", "ok", "signals-1")
    assert (result.tokens, result.prompt_tokens) == (None, None)


def test_bars_are_no_part_of_light_and_colour() -> None:
    row = ROW | {"letterbox_share": 0.4, "exposure": 0.3, "contrast": 0.27}
    result = caption(row, (sample((60, 180, 60), bars=90),))
    assert result.text.startswith("A scene, mostly green, moves")
    assert result.text.endswith("Black bars frame the picture.")


def test_missing_measurements_are_not_mentioned() -> None:
    missing = [name for name in ROW if name not in ("frames", "duration_s", "width", "height")]
    result = caption(ROW | dict.fromkeys(missing), (sample((0, 0, 255)),))
    assert result.text == "A scene, mostly red, lasts 6 seconds."


def test_short_is_one_sentence() -> None:
    row = ROW | {"letterbox_share": 0.4}
    assert caption(row, (sample((60, 180, 60), bars=90),), "short").text.count(".") == 1


@pytest.mark.parametrize(
    ("samples", "message"),
    [((), "no samples"), ((sample((1, 2, 3)), Picture(1.0, b"junk")), "sample 1 cannot be decoded")],
)
def test_without_pictures_there_is_no_caption(samples: tuple[Picture, ...], message: str) -> None:
    result = caption(ROW, samples)
    assert (result.status, result.text, result.message) == ("error", "", message)


def test_another_template_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dense, short.*'camera'"):
        caption(ROW, (sample((1, 2, 3)),), "camera")


def test_light_between_bars_is_computed_from_the_whole() -> None:
    inner = np.random.default_rng(0).uniform(0.2, 0.9, 6000)
    whole = np.concatenate([inner, np.zeros(4000)])
    exposure, contrast = without_bars(float(whole.mean()), float(whole.std()), 0.6)
    assert exposure == pytest.approx(inner.mean())
    assert contrast == pytest.approx(inner.std())
    assert without_bars(0.0, 0.0, 0.0) == (None, None)
    assert without_bars(None, 0.1, 1.0) == (None, None)
    assert without_bars(0.4, None, 0.8) == (0.5, None)
    assert without_bars(0.5, 0.1, 1.0) == (0.5, pytest.approx(0.1))
    assert not math.isnan(without_bars(0.5, 0.0, 0.99)[1] or 0.0)
