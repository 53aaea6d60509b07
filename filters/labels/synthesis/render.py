"""Renders the whole set: base films, their variants, the files and labels.csv.

A source is a function of (seed, its number), so the same seed and count give the same pixels and the same
labels however many processes work, and however often they were interrupted. Cost and memory: see
docs/labels.md.
"""

from __future__ import annotations

import csv
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np

from curate.footage.encode import Encoding, encode
from filters.labels.questions import LABELS
from filters.labels.synthesis.base import Base, draw_format, render_base
from filters.labels.synthesis.journal import File, begin, finished, note
from filters.labels.synthesis.lettering import check_fonts
from filters.labels.synthesis.nuisances import delivery
from filters.labels.synthesis.pieces import Piece, find_pieces, read_base
from filters.labels.synthesis.recipe import variants
from filters.labels.synthesis.takes import Made, Random

__all__ = ["ANNOTATOR", "COLUMNS", "Progress", "render_labels", "render_source"]

ANNOTATOR: Final = "synthesis-4"
COLUMNS: Final = ("clip", "label", "answer", "annotator", "source", "kind")
_PRESETS: Final = ("ultrafast", "superfast", "superfast")
Progress: TypeAlias = Callable[[int, int], None]
"""called with sources done and sources in all"""


def render_labels(
    directory: Path,
    sources: int,
    *,
    seed: int = 0,
    footage: Path | None = None,
    processes: int = 2,
    progress: Progress | None = None,
) -> Sequence[File]:
    """Render `sources` base films and their variants into `directory`/clips; write labels.csv last.

    Sources that an earlier call finished there are kept, and it goes on behind them.

    With `footage`, the base films are single-shot pieces of the videos in that folder, which must be clean:
    none of the six labels holds for them. Raises InputError where that folder has none, or `directory`
    cannot be written or holds other films; ConfigError without fonts.
    """
    check_fonts()
    pieces = find_pieces(footage, sources) if footage is not None else ()
    begin(directory, seed, rendered=footage is None)
    jobs = [
        (directory, seed, number, pieces[number] if pieces else None)
        for number in range(min(sources, len(pieces) or sources))
    ]
    files: list[File] = []
    for done, made in enumerate(_each(jobs, processes), 1):
        files += made
        if progress:
            progress(done, len(jobs))
    _write(directory / "labels.csv", files)
    return files


_Job: TypeAlias = tuple[Path, int, int, Piece | None]


def _each(jobs: Sequence[_Job], processes: int) -> Iterator[Sequence[File]]:
    if processes < 2 or len(jobs) < 2:
        _one_thread()
        yield from map(render_source, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_worker) as pool:
        try:
            yield from pool.map(render_source, jobs)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _worker() -> None:
    _one_thread()
    # Ctrl-C reaches all processes: a worker finishes its source, which is then not lost.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def render_source(job: _Job) -> Sequence[File]:
    """Write the files of one source, unless they are there, and return them."""
    directory, seed, number, piece = job
    source = f"synthetic-{seed}-{number:05d}" if piece is None else piece.name
    of = source if piece is None else f"{source} from frame {piece.start_frame}"
    there = finished(directory, number, of)
    if there is not None:
        return there
    rng = np.random.default_rng([seed, number])
    base = read_base(piece, rng) if piece is not None else render_base(rng, draw_format(rng))
    files = []
    for index, made in enumerate(variants(base, [seed, number])):
        name = f"clips/{number:05d}-{index:02d}.mp4"
        frames = _encode(directory / name, made, np.random.default_rng([seed, number, 1 << 20, index]))
        said = [made.answers.get(label, "no") for label in LABELS]
        files.append(File(name, source, made.kind, said, frames))
    note(directory, number, of, files)
    return files


def _encode(path: Path, made: Made, rng: Random) -> int:
    """Write a file and return how many frames it has.

    It is renamed from a scratch name: an interrupted rendering leaves no half file.
    """
    poor = made.answers.get("low_quality") == "yes" and rng.random() < 0.4
    crf = int(rng.integers(30, 40) if poor else rng.integers(16, 30))
    options = (("preset", str(rng.choice(_PRESETS))), ("crf", str(crf)))
    how = Encoding(options=options, gop=int(rng.integers(24, 120)))
    take = made.take
    sent = delivery(len(take.frames), take.size, rng)
    scratch = path.with_name(f".{path.name}")
    images = (sent.frame(take.frames[index]) for index in sent.shown)
    encode(scratch.with_suffix(".mp4"), images, sent.size, list(sent.ticks), take.fps, how)
    scratch.replace(path)
    return len(sent.shown)


def _write(path: Path, files: Sequence[File]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(COLUMNS)
        for file in files:
            for label, answer in zip(LABELS, file.answers, strict=True):
                table.writerow((file.name, label, answer, ANNOTATOR, file.source, file.kind))


def base_of(seed: int, number: int) -> Base:
    """Return a rendered base, as the source of that number has it."""
    rng = np.random.default_rng([seed, number])
    return render_base(rng, draw_format(rng))
