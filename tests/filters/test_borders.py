"""Black frames and bars on numbers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from curate.frames import Plane, SmallFrame
from filters.borders import BordersSignal, bars_share, is_black, line_profile

GRAY = np.full((2, 2), 128, np.uint8)


def picture(n: int = 0, level: int = 120) -> Plane:
    """Noise that changes from frame to frame; 320 x 180."""
    rng = np.random.default_rng(n)
    plane: Plane = np.clip(rng.normal(level, 30, (180, 320)), 0, 255).astype(np.uint8)
    return plane


def boxed(plane: Plane, rows: int = 0, columns: int = 0) -> Plane:
    """Black out bars of `rows` at top and bottom and `columns` at left and right, with noise in them."""
    height, width = plane.shape
    result = np.random.default_rng(1).integers(0, 6, plane.shape, np.uint8)
    inner = np.s_[rows : height - rows, columns : width - columns]
    result[inner] = plane[inner]
    return result


def summary(planes: list[Plane]) -> dict[str, float | None]:
    signal = BordersSignal(BordersSignal.Options(every_s=0.1))
    for n, plane in enumerate(planes):
        signal.push([SmallFrame(n, n / 10, plane, GRAY, GRAY)])
    return dict(signal.summary(0, len(planes)))


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (22, 0), (0, 40), (10, 20), (60, 0), (3, 0)])
def test_bars_are_measured(rows: int, columns: int) -> None:
    row = summary([boxed(picture(n), rows, columns) for n in range(10)])
    assert row["letterbox_share"] == pytest.approx(2 * rows / 180, abs=0.012)
    assert row["pillarbox_share"] == pytest.approx(2 * columns / 320, abs=0.008)
    assert row["black_share"] == 0


def test_compressed_bars_are_measured() -> None:
    soft = []
    for n in range(5):
        smooth = cv2.GaussianBlur(picture(n), (0, 0), 4)
        done, data = cv2.imencode(".jpg", boxed(smooth, 22), [cv2.IMWRITE_JPEG_QUALITY, 40])
        assert done
        soft.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    assert summary(soft)["letterbox_share"] == pytest.approx(44 / 180, abs=0.03)


def test_a_dark_floor_is_no_bar() -> None:
    plane = picture()
    plane[120:] = 3
    assert summary([plane] * 3)["letterbox_share"] == 0


def test_a_light_in_the_dark_has_no_bars() -> None:
    plane = np.full((180, 320), 5, np.uint8)
    cv2.circle(plane, (160, 90), 40, 250, -1)
    row = summary([plane] * 3)
    assert row == {"black_share": 0, "letterbox_share": 0, "pillarbox_share": 0}


def test_bars_must_stay() -> None:
    """A picture that is dark at its edges only at first has no bars."""
    row = summary([boxed(picture(), 30), boxed(picture(1), 30), picture(2)])
    assert row["letterbox_share"] == 0


def test_black_frames() -> None:
    black = np.random.default_rng(0).integers(0, 8, (180, 320), np.uint8)
    assert summary([black] * 4) == {"black_share": 1, "letterbox_share": None, "pillarbox_share": None}
    row = summary([black, boxed(picture(), 22), black, boxed(picture(1), 22)])
    assert row["black_share"] == 0.5
    assert row["letterbox_share"] == pytest.approx(44 / 180, abs=0.01)


def test_black_but_for_a_speck() -> None:
    plane = np.zeros((180, 320), np.uint8)
    plane[5:10, 5:20] = 200
    assert is_black(plane)
    plane[5:60, 5:60] = 200
    assert not is_black(plane)


def test_subtitles_and_a_logo_may_stand_in_a_bar() -> None:
    planes = []
    for n in range(6):
        plane = boxed(picture(n), 25)
        plane[8:14, 10:40] = 240
        plane[162:170, 130:180:2] = 255
        planes.append(plane)
    assert summary(planes)["letterbox_share"] == pytest.approx(50 / 180, abs=0.012)


def test_profile_of_rows_and_columns() -> None:
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4) * 8
    assert line_profile(plane, 0).tolist() == [0, 255, 255]
    assert line_profile(plane, 1).tolist() == [170, 170, 170, 170]
    assert bars_share([line_profile(np.zeros((9, 9), np.uint8), 0)]) == 0


def test_summary_of_frames_none_of_which_was_measured_is_null() -> None:
    signal = BordersSignal(BordersSignal.Options(every_s=1))
    for n in range(5):
        signal.push([SmallFrame(n, n / 10, picture(n), GRAY, GRAY)])
    assert set(signal.summary(2, 4).values()) == {None}
    signal.forget(3)
    assert set(signal.summary(0, 2).values()) == {None}


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 2), (3, 50)])
@pytest.mark.parametrize("level", [0, 200])
def test_any_size_is_measured(shape: tuple[int, int], level: int) -> None:
    bars = 0 if level else None
    row = summary([np.full(shape, level, np.uint8)] * 2)
    assert row == {"black_share": float(not level), "letterbox_share": bars, "pillarbox_share": bars}


def test_a_change_of_size_has_no_bars() -> None:
    row = summary([boxed(picture(), 22), boxed(picture()[:, :200], 22)])
    assert (row["black_share"], row["letterbox_share"], row["pillarbox_share"]) == (0, None, None)
