"""Train the judges of the shot detector: `python benchmarks/train_shots.py TRUTH.csv CLIPS_DIR`.

Takes a folder of clips and a table of their true boundaries (columns file, labels, hard_cuts, cut_truth,
gradual; rows whose cut_truth is `exact`). Learns from the candidates in the clips themselves and in edits
that `shot_synthesis` makes of their single shots, and writes the weights. With `--half 0` or `1` it learns
from one half of the sources, as `curate bench split` divides them, and scores the candidates of the other.

Negatives of real clips that a judge trained on the synthetic edits alone is very sure of are left out and
listed: most are cuts that the truth lacks. Deterministic; about five minutes and 6 GB for 80 clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from shot_examples import Examples, Marks, examples_of
from shot_synthesis import Shot, edit

from curate.bench.scoring import Truth, half_of, read_truth
from curate.frames import SmallFrame
from curate.video import open_video
from filters.boosting import fit
from filters.shots import gradual, hard
from filters.shots.planes import shrink
from filters.shots.trees import Forest, Judge

_SETTINGS = {"trees": 300, "depth": 5, "rate": 0.05}
_GLANCE_SETTINGS = {"trees": 40, "depth": 3}
_GLANCE_LOSS = 0.01
"""share of the positives that a glance may dismiss"""
_REAL_WEIGHT = 3.0
_SURE_OF_ERROR = 0.97
_SHORTEST_SHOT = 12
_GLANCES = {"hard": len(hard.GLANCE), "gradual": len(gradual.GLANCE)}


_SHOTS: list[Shot] = []
"""of the worker processes"""


@dataclass(frozen=True, slots=True)
class Video:
    """The candidates of one video, by kind of judge; edits have no file."""

    file: str | None
    candidates: dict[str, Examples]


def _read(path: Path) -> list[SmallFrame]:
    with open_video(str(path)) as reader:
        frames = []
        for frame in reader:
            frames.append(frame.small())
            reader.release(frame.pts)
        return frames


def _shots(truth: Truth, frames: Sequence[SmallFrame]) -> Iterator[Shot]:
    """Yield the single shots between the marked boundaries."""
    fps = (len(frames) - 1) / (frames[-1].time_s - frames[0].time_s)
    breaks = sorted([(cut, cut) for cut in truth.hard] + [(a - 3, b + 4) for a, b in truth.gradual])
    start = 0
    for end, after in [*breaks, (len(frames), len(frames))]:
        inside = frames[start : max(start, end)]
        start = after
        if len(inside) >= _SHORTEST_SHOT:
            planes = (np.stack([getattr(f, name) for f in inside]) for name in ("luma_HW", "u_hw", "v_hw"))
            yield Shot(truth.file, *planes, fps)


def _videos(truths: Iterable[Truth], clips: Path, edits: int, jobs: int) -> list[Video]:
    """Return the candidates of the clips and of so many edits of their shots."""
    videos, shots = [], []
    for truth in truths:
        frames = _read(clips / truth.file)
        marks = Marks(truth.hard, [(a, b + 1) for a, b in truth.gradual])
        videos.append(Video(truth.file, _candidates(frames, marks)))
        if len(frames) > 1:
            shots += _shots(truth, frames)
    # Forked workers share the shots, which are too many to send.
    with ProcessPoolExecutor(jobs, get_context("fork"), _SHOTS.extend, (shots,)) as pool:
        videos += pool.map(_edited, range(edits), chunksize=4)
    return videos


def _edited(number: int) -> Video:
    """Return the candidates of the edit with this number."""
    made = edit(np.random.default_rng(number), _SHOTS, 8)
    marks = Marks(made.hard, [(a, b) for a, b, _ in made.gradual], made.unsure)
    return Video(None, _candidates(made.small_frames(), marks))


def _candidates(frames: Sequence[SmallFrame], marks: Marks) -> dict[str, Examples]:
    cuts, transitions = examples_of(shrink(frames, None), marks)
    return {"hard": cuts, "gradual": transitions}


def _gather(
    videos: Iterable[Video], kind: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    x, y, weight = [], [], []
    for video in videos:
        examples = video.candidates[kind]
        known = examples.y_N >= 0
        x.append(examples.x_NF[known])
        y.append(examples.y_N[known] == 1)
        weight.append(np.full(int(known.sum()), 1.0 if video.file is None else _REAL_WEIGHT))
    return np.concatenate(x), np.concatenate(y), np.concatenate(weight)


def _probabilities(forest: Forest, x_NF: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.array([forest.probability(x) for x in x_NF])


def _cleaned(videos: Sequence[Video], kind: str) -> list[Video]:
    """Return the videos without real negatives that look like errors of the truth."""
    forest = fit(*_gather([v for v in videos if v.file is None], kind), **_SETTINGS)
    out = []
    for video in videos:
        examples = video.candidates[kind]
        if video.file is not None:
            sure = (_probabilities(forest, examples.x_NF) > _SURE_OF_ERROR) & (examples.y_N == 0)
            for place in examples.place_N[sure]:
                print(f"left out, {kind}: {video.file} frame {place}: is the truth right?")
            examples = Examples(
                examples.place_N, examples.x_NF, np.where(sure, -1, examples.y_N).astype(np.int8)
            )
        out.append(Video(video.file, {kind: examples}))
    return out


def train(videos: Sequence[Video], kind: str) -> Judge:
    """Return the judge of one kind of candidates."""
    x, y, weight = _gather(_cleaned(videos, kind), kind)
    glances = x[:, : _GLANCES[kind]]
    glance = fit(glances, y, weight, **_GLANCE_SETTINGS)
    floor = float(np.quantile(_probabilities(glance, glances[y]), _GLANCE_LOSS))
    return Judge(glance, floor, fit(x, y, weight, **_SETTINGS))


def _report(judge: Judge, videos: Sequence[Video], kind: str, name: str) -> None:
    for label, chosen in (
        ("real", [v for v in videos if v.file]),
        ("edits", [v for v in videos if not v.file]),
    ):
        x, y, _ = _gather(chosen, kind)
        p = _probabilities(judge.whole, x)
        scores = "  ".join(
            f"p>{t}: {(p[y] <= t).sum()}/{(p[~y] > t).sum()}" for t in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
        )
        print(f"{name}, {kind}, {label}: {y.sum()} true, {(~y).sum()} not; missed/false {scores}")


def save(path: Path, judges: dict[str, Judge]) -> None:
    """Write the judges as `filters.shots.trees.load_judge` reads them."""
    arrays: dict[str, npt.ArrayLike] = {}
    for kind, judge in judges.items():
        arrays[f"{kind}_floor"] = np.float64(judge.floor)
        for part, forest in (("glance", judge.glance), ("whole", judge.whole)):
            name = f"{kind}_{part}"
            arrays[f"{name}_base"] = np.float64(forest.base)
            arrays[f"{name}_feature"] = forest.feature_TN
            arrays[f"{name}_threshold"] = forest.threshold_TN
            arrays[f"{name}_leaf"] = forest.leaf_TL
    np.savez_compressed(path, allow_pickle=False, **arrays)


def main() -> None:
    """Read the arguments, train, report, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), help="learn from this half of the sources alone")
    parser.add_argument("--edits", type=int, default=1000, help="synthetic edits")
    parser.add_argument("--jobs", type=int, default=2, help="processes that make edits")
    parser.add_argument("--output", type=Path, default=Path("filters/shots/weights.npz"))
    arguments = parser.parse_args()
    truths = [t for t in read_truth(arguments.truth) if (arguments.clips / t.file).exists()]
    seen = [t for t in truths if arguments.half in {None, half_of(t.file)}]
    unseen = [t for t in truths if t not in seen]
    videos = _videos(seen, arguments.clips, arguments.edits, arguments.jobs)
    judges = {kind: train(videos, kind) for kind in _GLANCES}
    others = _videos(unseen, arguments.clips, arguments.edits // 10, arguments.jobs) if unseen else []
    for kind, judge in judges.items():
        _report(judge, videos, kind, "learnt")
        if others:
            _report(judge, others, kind, "unseen")
    save(arguments.output, judges)


if __name__ == "__main__":
    main()
