"""The shot detector on rendered footage: what it finds, what it passes over, how long it waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest

from curate.frames import Boundary, SmallFrame, gather
from filters.shots import ShotDetector, ShotOptions

Picture = tuple[np.ndarray, np.ndarray, np.ndarray]
HEIGHT, WIDTH = 180, 320


def world(seed: int) -> Picture:
    """A wide picture of soft shapes of all sizes, in colour."""
    rng = np.random.default_rng(seed)

    def plane(height: int, width: int, centre: float, spread: float) -> np.ndarray:
        layers = [cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), s) for s in (2, 6, 20)]
        mixed = sum(layer / layer.std() for layer in layers)
        return np.clip(centre + spread * mixed, 0, 255).astype(np.uint8)

    level = float(rng.uniform(80, 170))
    return (
        plane(300, 600, level, 25),
        plane(150, 300, rng.uniform(100, 156), 8),
        plane(150, 300, rng.uniform(100, 156), 8),
    )


def shot(seed: int, frames: int, speed: float = 1.0, start: float = 0.0) -> list[Picture]:
    """Pan over a world; `speed` in px a frame."""
    y, u, v = world(seed)
    out = []
    for i in range(frames):
        x = start + speed * i
        corner = np.array([[1, 0, x], [0, 1, 20 + 5 * np.sin(i / 9)]])
        half = corner * [[1, 1, 0.5]]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        big = cv2.warpAffine(y, corner, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)
        small = [
            cv2.warpAffine(c, half, (WIDTH // 2, HEIGHT // 2), flags=flags, borderMode=cv2.BORDER_REFLECT)
            for c in (u, v)
        ]
        out.append((big, *small))
    return out


def mix(a: Picture, b: Picture, share: float) -> Picture:
    y, u, v = (cv2.addWeighted(p, 1 - share, q, share, 0) for p, q in zip(a, b, strict=True))
    return y, u, v


def lit(picture: Picture, gain: float) -> Picture:
    return cv2.convertScaleAbs(picture[0], alpha=gain), picture[1], picture[2]


def dissolve(a: Sequence[Picture], b: Sequence[Picture]) -> list[Picture]:
    n = len(a)
    return [mix(x, y, (i + 1) / (n + 1)) for i, (x, y) in enumerate(zip(a, b, strict=True))]


BLACK: Picture = (
    np.zeros((HEIGHT, WIDTH), np.uint8),
    np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),
    np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),
)


def frames_of(pictures: Iterable[Picture], fps: float = 25.0) -> list[SmallFrame]:
    return [SmallFrame(i, i / fps, *picture) for i, picture in enumerate(pictures)]


def detect(
    pictures: Iterable[Picture], fps: float = 25.0, options: ShotOptions | None = None
) -> list[Boundary]:
    """Run the detector and check what it promises: order, no overlap, nothing before what was settled."""
    detector = ShotDetector(options or ShotOptions())
    out: list[Boundary] = []
    settled = 0
    for frame in frames_of(pictures, fps):
        new = detector.push([frame])
        assert all(b.end_frame >= settled for b in new)
        assert detector.settled >= settled
        settled = detector.settled
        assert frame.index - settled <= max(24, min(4 * fps, 240)) + 1
        out += new
    last = detector.finish()
    assert all(b.end_frame >= settled for b in last)
    out += last
    assert all(a.start_frame <= b.end_frame for a, b in pairwise(out))
    assert all(b.end_frame <= b.start_frame for b in out)
    return out


def hard(*frames: int) -> list[Boundary]:
    return [Boundary(f, f, "hard") for f in frames]


@pytest.mark.parametrize("fps", [10.0, 24.0, 60.0])
def test_finds_hard_cuts_at_any_frame_rate(fps: float) -> None:
    footage = shot(1, 70) + shot(2, 55, speed=3) + shot(3, 80, speed=-2)
    assert detect(footage, fps) == hard(70, 125)


def test_finds_a_jump_cut_before_a_still_camera() -> None:
    def talk(i: int) -> Picture:
        y, u, v = world(4)
        y = y[:HEIGHT, :WIDTH].copy()
        cv2.circle(y, (int(150 + 20 * np.sin(i / 12)), int(100 + 8 * np.cos(i / 7))), 45, 210, -1)
        return cv2.GaussianBlur(y, (0, 0), 1), u[:90, :160].copy(), v[:90, :160].copy()

    footage = [talk(i) for i in range(60)] + [talk(i) for i in range(98, 160)]
    assert detect(footage) == hard(60)


@pytest.mark.parametrize("length", [8, 15, 30])
def test_a_dissolve_lies_between_two_shots(length: int) -> None:
    a, b = shot(5, 60 + length, speed=0.3), shot(6, 60 + length, speed=0.3)
    footage = a[:60] + dissolve(a[60:], b[:length]) + b[length:]
    (found,) = detect(footage)
    assert found.kind == "dissolve"
    assert found.end_frame == pytest.approx(60, abs=max(3, length // 5))
    assert found.start_frame == pytest.approx(60 + length, abs=max(3, length // 5))


def test_a_dip_to_black_is_one_fade() -> None:
    a, b = shot(7, 72), shot(8, 72)
    dark = [mix(x, BLACK, (i + 1) / 12) for i, x in enumerate(a[60:])]
    footage = (
        a[:60] + dark + [BLACK] * 4 + [mix(BLACK, x, (i + 1) / 12) for i, x in enumerate(b[:12])] + b[12:]
    )
    (found,) = detect(footage)
    assert found.kind == "fade"
    assert found.end_frame == pytest.approx(60, abs=3)
    assert found.start_frame == pytest.approx(88, abs=3)


def test_fades_at_the_ends_reach_the_ends() -> None:
    a = shot(9, 120)
    footage = [BLACK] * 3 + [mix(BLACK, x, (i + 1) / 16) for i, x in enumerate(a[:15])] + a[15:100]
    footage += [mix(x, BLACK, (i + 1) / 16) for i, x in enumerate(a[100:115])] + [BLACK] * 3
    first, last = detect(footage)
    assert (first.kind, first.end_frame) == ("fade", 0)
    assert (last.kind, last.start_frame) == ("fade", len(footage))
    assert first.start_frame == pytest.approx(18, abs=3)
    assert last.end_frame == pytest.approx(103, abs=3)


def test_flashes_lamps_and_repeated_frames_are_no_cuts() -> None:
    flash = shot(10, 120, speed=0.7)
    flash[50] = lit(flash[50], 2.5)
    flash[51] = lit(flash[51], 1.6)
    assert detect(flash) == []
    lamp = [lit(p, 0.55) if i < 60 else p for i, p in enumerate(shot(11, 120, speed=0.3))]
    assert detect(lamp) == []
    judder = [p for i, p in enumerate(shot(12, 100, speed=2)) for _ in range(2 if i % 4 == 3 else 1)]
    assert detect(judder, 30.0) == []


def test_fast_and_slow_pans_are_one_shot() -> None:
    assert detect(shot(13, 120, speed=0.2)) == []
    swing = shot(14, 20, speed=0.5) + shot(14, 8, speed=12, start=10) + shot(14, 40, speed=0.5, start=106)
    assert detect(swing) == []


def test_half_the_resolution_gives_the_same_cuts() -> None:
    footage = shot(1, 70) + shot(2, 55, speed=3)
    halved = [
        tuple(cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in f) for f in footage
    ]
    assert detect(halved) == detect(footage) == hard(70)  # type: ignore[arg-type]


def test_a_change_of_resolution_in_the_stream_is_survived() -> None:
    small = [tuple(cv2.resize(p, (p.shape[1] // 2 + 3, p.shape[0] // 2)) for p in f) for f in shot(2, 50)]
    assert detect([*shot(1, 60), *small]) == hard(60)  # type: ignore[list-item]


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 9])
def test_very_short_sources(frames: int) -> None:
    assert detect(shot(1, frames)) == []


@pytest.mark.parametrize("size", [(2, 2), (16, 12), (50, 50), (1, 40)])
def test_very_small_pictures(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    stills = [rng.integers(0, 256, size, dtype=np.uint8) for _ in range(2)]
    chroma = np.full((max(1, size[0] // 2), max(1, size[1] // 2)), 128, np.uint8)
    detect([(stills[i // 30], chroma, chroma) for i in range(60)])


def test_memory_is_bounded_by_the_delay() -> None:
    detector = ShotDetector(ShotOptions())
    pictures = shot(1, 40)
    for i in range(3000):
        detector.push([SmallFrame(i, i / 30, *pictures[min(i % 80, 79 - i % 80)])])
        assert detector._history.end - detector._history.start <= 300


def test_frames_may_come_one_at_a_time_or_many() -> None:
    frames = frames_of(shot(1, 70) + shot(2, 55, speed=3) + shot(3, 300), fps=30.0)
    alone, together = ShotDetector(ShotOptions()), ShotDetector(ShotOptions())
    found = [boundary for frame in frames for boundary in alone.push([frame])]
    for start in range(0, len(frames), 64):
        seen = frames_of(shot(1, 70) + shot(2, 55, speed=3) + shot(3, 300), fps=30.0)[start : start + 64]
        gather(seen)
        found_together = together.push(seen)
        assert list(found_together) == found[: len(found_together)]
        del found[: len(found_together)]
        assert together.settled <= alone.settled
    assert not found
    assert together.settled == alone.settled
    assert together.finish() == alone.finish()


def test_thresholds_decide() -> None:
    footage = shot(1, 70) + shot(2, 55, speed=3)
    assert detect(footage, options=ShotOptions(hard_threshold=0.9999)) == []
