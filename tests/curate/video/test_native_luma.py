"""The full-size luma that a frame gives while it is pushed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from curate.footage.encode import Encoding, encode
from curate.footage.planes import to_frame
from curate.frames import NativeLuma, SmallFrame
from curate.video import open_video
from curate.video.geometry import Orientation
from curate.video.planes import Shrinker


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def levels(native: NativeLuma) -> np.ndarray:
    """Full-range levels."""
    return (native.samples_HW.astype(float) - native.black) * native.scale


@pytest.mark.parametrize("size", [(640, 360), (643, 361), (50, 50), (2, 2), (1, 1)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_it_is_the_picture_at_full_size(size: tuple[int, int], pix_fmt: str) -> None:
    image = noise(*size)
    native = Shrinker(Orientation()).small(to_frame(image, pix_fmt), 0, 0.0).native_luma()
    assert native is not None
    assert native.samples_HW.shape == (size[1], size[0])
    luma = image.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(levels(native) - luma).max() < 0.8


def test_gray_in_full_range_is_not_stretched() -> None:
    plane = noise(70, 50)[..., 0]
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), "gray")
    picture.color_range = 2  # JPEG
    native = Shrinker(Orientation()).small(picture, 0, 0.0).native_luma()
    assert native is not None
    assert (native.scale, native.black) == (1.0, 0.0)
    assert (native.samples_HW == plane).all()


def test_packed_colour_is_converted() -> None:
    image = noise(70, 50)
    native = Shrinker(Orientation()).small(av.VideoFrame.from_ndarray(image, "rgb24"), 0, 0.0).native_luma()
    assert native is not None
    assert np.abs(levels(native) - image.astype(float) @ [0.299, 0.587, 0.114]).max() < 3


def test_rows_are_those_that_were_stored() -> None:
    frame = Shrinker(Orientation(True, False, True)).small(to_frame(noise(64, 48), "yuv420p"), 0, 0.0)
    native = frame.native_luma()
    assert native is not None
    assert native.samples_HW.shape == (48, 64)
    assert frame.luma_HW.shape == (64, 48)


def test_a_kept_frame_does_not_keep_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [noise(64, 48, n) for n in range(4)], (64, 48), list(range(5)), Fraction(10), Encoding())
    with open_video(str(path)) as video:
        kept: list[SmallFrame] = []
        for frame in video:
            small = frame.small()
            assert small.native_luma() is not None
            for old in kept:
                with pytest.raises(RuntimeError, match="is gone"):
                    old.native_luma()
            kept.append(small)
    assert len(kept) == 4


def test_a_frame_of_small_planes_has_none() -> None:
    gray = np.full((2, 2), 128, np.uint8)
    assert SmallFrame(0, 0.0, gray, gray, gray).native_luma() is None
