"""Renders the corpus: files in two processes, then what is made of them, then the truth.

A file is written under a scratch name and renamed, so an interrupted rendering leaves no half file under a
real name. Cost: about a CPU minute and 25 MB for all of it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final, TypeAlias

import cv2

from curate.footage.corpus import CORPUS, Copy, Derived, Entry, Rendered, Sound
from curate.footage.encode import encode, encode_audio
from curate.footage.film import frames
from curate.footage.truth import FileTruth, shots_of, write_truth
from shards.errors import InputError

__all__ = ["Progress", "render_entry", "render_gold"]

Progress: TypeAlias = Callable[[int, int], None]
"""called with files done and files in all"""

IMAGES: Final = frozenset({".jpg", ".png", ".webp"})
CONTAINERS: Final = {
    ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".ts": "mpegts",
    ".jpg": "jpeg", ".png": "png", ".webp": "webp",
}  # fmt: skip
CODECS: Final = {
    "libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libvpx": "vp8", "libsvtav1": "av1",
    "mpeg4": "mpeg4",
}  # fmt: skip
AUDIO: Final = {"aac": "aac", "libopus": "opus", "libmp3lame": "mp3"}


def render_gold(
    directory: Path,
    *,
    progress: Progress | None = None,
    only: Sequence[str] | None = None,
    processes: int = 2,
) -> Path:
    """Render the gold corpus, or the files named in `only`, into `directory`; return its truth.csv.

    The same library versions write the same bytes. Raises `InputError` for a name that the corpus has not.
    """
    entries = _chosen(only)
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {entry.file for entry in entries} if only is None else set(only)
    truths: dict[str, FileTruth] = {}

    def done(truth: FileTruth) -> None:
        truths[truth.file] = truth
        if progress:
            progress(len(truths), len(entries))

    base = [entry for entry in entries if isinstance(entry, Rendered | Sound)]
    if processes > 1 and len(base) > 1:
        # Long ones first: the last file decides when the slower process ends.
        base.sort(key=_cost, reverse=True)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
            try:
                for future in as_completed([pool.submit(render_entry, directory, entry) for entry in base]):
                    done(future.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    else:
        _one_thread()
        for entry in base:
            done(render_entry(directory, entry))
    for made in entries:
        if isinstance(made, Copy | Derived):
            done(_derive(directory, made, truths[made.of]))
    for name in set(truths) - wanted:
        (directory / name).unlink()
    write_truth(directory, [truths[entry.file] for entry in entries if entry.file in wanted])
    return directory / "truth.csv"


def render_entry(directory: Path, entry: Rendered | Sound) -> FileTruth:
    """Write one file of the corpus into `directory` and return its truth."""
    path = directory / entry.file
    scratch = directory / f".{hashlib.sha256(entry.file.encode()).hexdigest()[:12]}{path.suffix}"
    if isinstance(entry, Sound):
        encode_audio(scratch, entry.duration_s)
        truth = FileTruth(
            entry.file,
            "format",
            entry.notes,
            "no video",
            CONTAINERS[path.suffix],
            audio="aac",
            duration_s=entry.duration_s,
        )
    elif path.suffix in IMAGES:
        (image,) = frames(entry.film)
        cv2.imwrite(str(scratch), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        truth = _truth(entry)
    else:
        film = entry.film
        encode(scratch, frames(film), film.size, film.ticks(), film.fps, entry.how)
        truth = _truth(entry)
    scratch.replace(path)
    return _sealed(truth, path)


def _truth(entry: Rendered) -> FileTruth:
    film, how, suffix = entry.film, entry.how, Path(entry.file).suffix
    shots, cuts, gradual = shots_of(film)
    image = suffix in IMAGES
    ticks = film.ticks()[-1]
    return FileTruth(
        file=entry.file,
        labels=entry.labels,
        notes=entry.notes,
        outcome=entry.outcome,
        container=CONTAINERS[suffix],
        codec=CONTAINERS[suffix] if image else CODECS[how.codec],
        pix=None if image else how.pix_fmt,
        width=film.size[0],
        height=film.size[1],
        fps=None if image else round(float(film.total() / (ticks / film.fps)), 4),
        frames=film.total(),
        duration_s=None if image else round(float(ticks / film.fps), 4),
        rotation=how.rotation,
        sar=f"{how.sar.numerator}:{how.sar.denominator}",
        audio=AUDIO[how.audio] if how.audio else None,
        start_s=float(how.start_s),
        cut_truth="partial" if "not scored" in entry.notes else "exact",
        hard_cuts=cuts,
        gradual=gradual,
        shots=shots,
        near_duplicate_of=entry.near_duplicate_of,
    )


def _derive(directory: Path, entry: Copy | Derived, of: FileTruth) -> FileTruth:
    source, path = directory / entry.of, directory / entry.file
    if isinstance(entry, Copy):
        shutil.copyfile(source, path)
        known = {name: getattr(of, name) for name in FileTruth.__slots__}
        return FileTruth(**{**known, "file": entry.file, "notes": entry.notes, "duplicate_of": entry.of})
    path.write_bytes(entry.how(source.read_bytes()))
    container = CONTAINERS[path.suffix]
    truth = FileTruth(entry.file, "corrupt", entry.notes, entry.outcome, container, cut_truth="partial")
    return _sealed(truth, path)


def _sealed(truth: FileTruth, path: Path) -> FileTruth:
    known = {name: getattr(truth, name) for name in FileTruth.__slots__}
    data = path.read_bytes()
    return FileTruth(**{**known, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})


def _chosen(only: Sequence[str] | None) -> list[Entry]:
    """Return the entries to render: those named, and those that they are made of."""
    if only is None:
        return list(CORPUS)
    by_name = {entry.file: entry for entry in CORPUS}
    if unknown := sorted(set(only) - set(by_name)):
        raise InputError(
            f"the gold corpus has no file {unknown[0]!r}; its files are in curate/footage/corpus.py"
        )
    names = set(only)
    names |= {entry.of for entry in CORPUS if entry.file in names and isinstance(entry, Copy | Derived)}
    return [entry for entry in CORPUS if entry.file in names]


def _cost(entry: Rendered | Sound) -> float:
    if isinstance(entry, Sound):
        return 0.0
    pixels = entry.film.size[0] * entry.film.size[1]
    return pixels * (entry.film.total() + 60.0 * len(entry.film.shots))


def _one_thread() -> None:
    cv2.setNumThreads(1)
