"""Colour names on rendered JPEGs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from caption.colors import Picture, decode_reduced, dominant_colors, is_gray, name_colors, without_margins

CSS = {
    "black": ["#000000", "#0a0a0a"],
    "dark gray": ["#404040", "#333638"],
    "gray": ["#808080", "#696969", "#708090"],
    "light gray": ["#c0c0c0", "#d3d3d3"],
    "white": ["#ffffff", "#f5f5f5", "#fffafa"],
    "red": ["#ff0000", "#dc143c", "#b22222"],
    "dark red": ["#8b0000", "#800000"],
    "orange": ["#ffa500", "#ff8c00", "#ff7f50", "#daa520"],
    "yellow": ["#ffff00", "#ffd700", "#f0e68c"],
    "olive green": ["#808000", "#556b2f", "#6b8e23"],
    "green": ["#008000", "#00ff00", "#228b22", "#2e8b57", "#32cd32"],
    "dark green": ["#004000", "#103818"],
    "light green": ["#90ee90", "#98fb98"],
    "teal": ["#008080", "#008b8b"],
    "turquoise": ["#40e0d0", "#00ced1", "#00ffff"],
    "blue": ["#0000ff", "#4169e1", "#1e90ff", "#4682b4"],
    "dark blue": ["#000080", "#191970"],
    "light blue": ["#87ceeb", "#add8e6", "#87cefa"],
    "purple": ["#800080", "#8a2be2", "#4b0082", "#9932cc"],
    "light purple": ["#dda0dd", "#ee82ee"],
    "magenta": ["#ff00ff"],
    "pink": ["#ffc0cb", "#ff69b4", "#ff1493"],
    "brown": ["#8b4513", "#a0522d", "#7b5b3a"],
    "beige": ["#f5f5dc", "#d2b48c", "#deb887", "#ffe4c4"],
}  # fmt: skip
COLORS = [(name, value) for name, values in CSS.items() for value in values]


def bgr(value: str) -> tuple[int, int, int]:
    red, green, blue = (int(value[i : i + 2], 16) for i in (1, 3, 5))
    return blue, green, red


def plain(value: str, size: int = 64) -> Picture:
    return np.full((size, size, 3), bgr(value), np.uint8)


def jpeg(picture: Picture) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return data.tobytes()


def seen(picture: Picture) -> Picture:
    decoded = decode_reduced(jpeg(picture))
    assert decoded is not None
    return decoded


@pytest.mark.parametrize(("name", "value"), COLORS)
def test_css_colours_have_their_names(name: str, value: str) -> None:
    (first, *_) = dominant_colors([seen(plain(value))])
    assert (first.name, first.share) == (name, pytest.approx(1, abs=0.02))


def test_shares_are_of_the_area() -> None:
    picture = plain("#0000ff", 160)
    picture[:40], picture[40:64] = bgr("#ffff00"), bgr("#ffffff")
    colors = {color.name: color.share for color in dominant_colors([seen(picture)])}
    assert list(colors)[:3] == ["blue", "yellow", "white"]
    assert colors["blue"] == pytest.approx(0.6, abs=0.03)
    assert colors["yellow"] == pytest.approx(0.25, abs=0.03)


def test_shades_of_a_family_are_one() -> None:
    picture = plain("#008000", 160)
    picture[:70] = bgr("#004000")
    assert [color.name for color in dominant_colors([picture])] == ["green"]
    picture[:140] = bgr("#004000")
    assert [color.name for color in dominant_colors([picture])] == ["dark green"]


def test_samples_count_alike() -> None:
    colors = dominant_colors([plain("#ff0000", 8), plain("#0000ff", 80)])
    assert {color.name: color.share for color in colors} == {"red": 0.5, "blue": 0.5}
    assert dominant_colors([]) == []


def test_black_and_white_is_told_from_a_little_colour() -> None:
    ramp = np.repeat(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    assert is_gray([seen(ramp)])
    tinted = ramp.copy()
    tinted[:40, :40] = bgr("#8b4513")
    assert not is_gray([seen(tinted)])


def test_every_pixel_has_a_name() -> None:
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(-1, 1, 3).astype(np.uint8)
    assert name_colors(cube).shape == (cube.shape[0],)


def test_black_margins_are_left_out() -> None:
    picture = plain("#00ff00", 60)
    picture[:10], picture[-10:] = 0, 0
    (inner,) = without_margins([picture])
    assert (inner.reshape(-1, 3) == bgr("#00ff00")).all()
    black = plain("#000000")
    assert without_margins([black])[0] is black


@pytest.mark.parametrize("data", [b"", b"not a picture", jpeg(plain("#ff0000"))[:40]])
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert decode_reduced(data) is None
