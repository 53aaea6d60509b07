"""Samples as small pictures, and close looks at them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sampled_clips import scene

from filters.labels.pictures import PictureError, close_look, jpeg_size, small_picture


def jpeg(picture: object, quality: int = 90) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


@pytest.mark.parametrize("size", [(640, 360), (796, 448), (448, 796), (150, 80), (1600, 900)])
def test_a_picture_decoded_small_is_the_whole_one_shrunk(size: tuple[int, int]) -> None:
    data = jpeg(scene("street", size=size))
    assert jpeg_size(data) == (size[1], size[0])
    small = small_picture(data, (96, 160))
    whole = cv2.resize(
        cv2.imdecode(np.frombuffer(data, np.uint8), 1), (160, 96), interpolation=cv2.INTER_AREA
    )
    assert small.shape == (96, 160, 3)
    assert np.abs(small.astype(int) - whole[..., ::-1]).mean() < 8


def test_red_is_first() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 2] = 200
    assert small_picture(jpeg(red), (32, 32))[0, 0].argmax() == 0


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"no picture at all", jpeg(np.zeros((64, 64, 3)))[:40]])
def test_what_is_no_jpeg_is_an_error(data: bytes) -> None:
    with pytest.raises(PictureError):
        small_picture(data, (32, 32))


def test_a_close_look_is_where_the_detail_is_and_is_not_scaled() -> None:
    picture = np.full((448, 796, 3), 90, np.uint8)
    rng = np.random.default_rng(0)
    picture[352:, 636:] = rng.integers(0, 2, (96, 160, 1), np.uint8) * 200
    look = close_look(jpeg(picture, 98), (96, 160))
    assert look.shape == (96, 160, 3)
    assert np.abs(look.astype(int) - picture[352:, 636:]).mean() < 12
    soft = cv2.GaussianBlur(picture, (0, 0), 4)
    assert np.abs(np.diff(close_look(jpeg(soft), (96, 160)).astype(int), axis=1)).mean() < 8


@pytest.mark.parametrize("size", [(80, 60), (160, 96), (64, 300)])
def test_a_small_sample_is_grown_to_a_close_look(size: tuple[int, int]) -> None:
    assert close_look(jpeg(scene("street", size=size)), (96, 160)).shape == (96, 160, 3)
    with pytest.raises(PictureError):
        close_look(b"", (96, 160))
