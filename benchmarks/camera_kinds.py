"""Kinds of camera movement against the truth: `python benchmarks/camera_kinds.py [SEED ...]`.

Renders photographs of eight scenes under nine moves, and eleven lively scenes under eight, for each seed, and
prints what was named what. A null is not right. Half a CPU second a scene.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from curate.footage.moves import (
    LIVELY,
    LIVELY_FPS,
    PHOTO_FPS,
    PHOTOGRAPHED,
    MovedShot,
    lively_shots,
    photograph_shots,
)
from curate.frames import SmallFrame
from filters.motion import MotionOptions, MotionSignal

KINDS = ("static", "pan", "tilt", "zoom", "roll", "handheld", "mixed", "null")
GRAY = np.full((2, 2), 128, np.uint8)


def kind(luma_THW: npt.NDArray[np.uint8], fps: Fraction) -> str:
    """Return what the signal says of the camera."""
    signal = MotionSignal(MotionOptions())
    for n, plane in enumerate(luma_THW):
        signal.push([SmallFrame(n, float(n / fps), plane, GRAY, GRAY)])
    return str(signal.summary(0, len(luma_THW))["camera"] or "null")


def show(title: str, named: list[tuple[str, str, str]]) -> None:
    """Print the confusion table of (scene, truth, name), and the scenes that have errors."""
    right = sum(truth == name for _, truth, name in named)
    nulls = sum(name == "null" for _, _, name in named)
    print(f"\n{title}: {right} of {len(named)} right ({right / len(named):.3f}), {nulls} null")
    print("truth     " + "".join(f"{name:>9}" for name in KINDS))
    counts = Counter((truth, name) for _, truth, name in named)
    for truth in KINDS[:-1]:
        if any(counts[truth, name] for name in KINDS):
            print(f"{truth:10}" + "".join(f"{counts[truth, name] or '·':>9}" for name in KINDS))
    wrong = Counter(f"{scene}: {truth} as {name}" for scene, truth, name in named if truth != name)
    for what, count in sorted(wrong.items()):
        print(f"  {what} ({count})")


def judged(
    scenes: tuple[str, ...], shots: Callable[[str, int], Iterator[MovedShot]], fps: Fraction, seeds: list[int]
) -> list[tuple[str, str, str]]:
    """Return (scene, truth, name) of every shot."""
    return [
        (scene, shot.kind, kind(shot.luma_THW, fps))
        for seed in seeds
        for scene in scenes
        for shot in shots(scene, seed)
    ]


def main() -> None:
    """Render, name, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[31, 32, 41])
    seeds: list[int] = parser.parse_args().seeds
    photographs = judged(PHOTOGRAPHED, photograph_shots, PHOTO_FPS, seeds)
    lively = judged(LIVELY, lively_shots, LIVELY_FPS, seeds)
    show("photographs", photographs)
    show("lively scenes", lively)
    show("all", photographs + lively)


if __name__ == "__main__":
    main()
