"""PySceneDetect's detectors behind the protocol."""

from __future__ import annotations

import numpy as np
import pytest

from curate.frames import Boundary, Detector, SmallFrame
from filters.pyscenedetect import AdaptiveDetector, AdaptiveOptions, ContentDetector, ContentOptions

pytest.importorskip("scenedetect")


def footage() -> list[SmallFrame]:
    """Forty frames of one noise picture, forty of another, darker one."""
    rng = np.random.default_rng(0)
    stills = [rng.integers(low, low + 60, (90, 160), dtype=np.uint8) for low in (150, 20)]
    frames = []
    for i in range(80):
        luma = np.clip(stills[i // 40].astype(np.int16) + rng.integers(-2, 3, (90, 160)), 0, 255).astype(
            np.uint8
        )
        frames.append(
            SmallFrame(i, i / 30, luma, np.full((45, 80), 110, np.uint8), np.full((45, 80), 140, np.uint8))
        )
    return frames


def run(detector: Detector) -> list[Boundary]:
    out: list[Boundary] = []
    for frame in footage():
        settled = detector.settled
        new = detector.push([frame])
        assert all(b.end_frame >= settled for b in new)
        out += new
    return out + list(detector.finish())


def test_both_find_a_plain_cut() -> None:
    expected = [Boundary(40, 40, "hard")]
    assert run(AdaptiveDetector(AdaptiveOptions())) == expected
    assert run(ContentDetector(ContentOptions())) == expected


def test_options_reach_the_package() -> None:
    assert run(AdaptiveDetector(AdaptiveOptions(min_content=250))) == []
    assert run(ContentDetector(ContentOptions(threshold=250))) == []
    assert run(ContentDetector(ContentOptions(min_scene_frames=60))) == []
