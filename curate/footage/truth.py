"""What is known of every rendered file: one CSV row for tools that score cuts, one JSON record for the rest.

Frame numbers count decoded frames from 0. `hard_cuts` are the first frames of new shots; `gradual` ranges
`a-b` are half-open, from the first frame that the transition touches to the first it leaves alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from curate.footage.camera import mean_speed
from curate.footage.faults import Blur, Fault, Noise
from curate.footage.film import Film, Join, spans
from curate.footage.transitions import KINDS

__all__ = ["COLUMNS", "FileTruth", "Outcome", "ShotTruth", "shots_of", "write_truth"]

Outcome: TypeAlias = Literal["clips", "failure", "partial", "no video"]
"""whole clips; nothing; clips of what could be read and a failure; a file without pictures"""

STILL_LIFE: Final = frozenset({"hills"})
"""scenes in which nothing moves by itself but clouds"""
COLUMNS: Final = (
    "file", "labels", "hard_cuts", "cut_truth", "gradual", "notes", "frames", "duration_s", "size", "fps",
    "container", "codec", "pix", "rotation", "sar", "audio", "outcome", "duplicate_of", "near_duplicate_of",
    "bytes", "sha256",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShotTruth:
    """One shot as it was made."""

    start_frame: int
    end_frame: int
    transition_in: str
    transition_out: str
    scene: str
    seed: int
    light: str
    weather: str
    camera: str
    camera_speed: float
    """frame diagonals a second at depth 1, mean over the shot"""
    object_motion: bool
    moved_still: bool
    frozen_share: float
    blur_px: float
    """sigma at 270 lines"""
    noise_sigma: float
    shake: float
    """swing in frame heights"""
    gain: float
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileTruth:
    """One file as it was written. What a broken file does not have is None."""

    file: str
    labels: str
    notes: str
    outcome: Outcome
    container: str
    codec: str | None = None
    pix: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frames: int | None = None
    duration_s: float | None = None
    rotation: int = 0
    sar: str = "1:1"
    audio: str | None = None
    start_s: float = 0.0
    cut_truth: Literal["exact", "partial"] = "exact"
    hard_cuts: tuple[int, ...] = ()
    gradual: tuple[tuple[int, int], ...] = ()
    shots: tuple[ShotTruth, ...] = ()
    duplicate_of: str | None = None
    near_duplicate_of: str | None = None
    bytes: int = 0
    sha256: str = ""


def shots_of(film: Film) -> tuple[tuple[ShotTruth, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Return the shots, the hard cuts and the gradual ranges of a film."""
    layout = spans(film)
    shots = []
    for span in layout:
        shot = span.shot
        seconds = float(shot.frames * sum(film.rhythm) / len(film.rhythm) / film.fps)
        held = max(0, min(shot.hold[1], shot.frames) - shot.hold[0] - 1) if shot.hold else 0
        shots.append(
            ShotTruth(
                start_frame=span.start_frame,
                end_frame=span.end_frame,
                transition_in=_name(span.before, "start"),
                transition_out=_name(span.after, "end"),
                scene=shot.scene,
                seed=shot.seed,
                light=shot.light,
                weather=shot.weather,
                camera=shot.camera.kind,
                camera_speed=round(mean_speed(shot.camera, film.size, seconds), 4) if seconds > 0.1 else 0.0,
                object_motion=not shot.still and (shot.scene not in STILL_LIFE or bool(shot.weather)),
                moved_still=shot.still and shot.camera.kind != "static",
                frozen_share=round(held / max(shot.frames - 1, 1), 4),
                blur_px=max(
                    (fault.sigma_px for fault in shot.faults if isinstance(fault, Blur)), default=0.0
                ),
                noise_sigma=max(
                    (fault.sigma for fault in shot.faults if isinstance(fault, Noise)), default=0.0
                ),
                shake=shot.camera.rate if shot.camera.kind in ("shake", "handheld") else 0.0,
                gain=shot.look.gain,
                faults=_names((*shot.faults, *film.post)),
            )
        )
    joins = [(span.end_frame, span.after) for span in layout if span.after is not None]
    cuts = tuple(at for at, join in joins if join.kind == "cut")
    gradual = [(at, at + join.frames) for at, join in joins if join.frames]
    if film.opening.frames:
        gradual.insert(0, (0, film.opening.frames))
    return tuple(shots), cuts, tuple(gradual)


def write_truth(directory: Path, files: Sequence[FileTruth]) -> None:
    """Write truth.csv and truth.json into `directory`, in the order given."""
    with (directory / "truth.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(_row(file) for file in files)
    text = json.dumps([_record(file) for file in files], indent=1, ensure_ascii=False)
    (directory / "truth.json").write_text(text + "\n", encoding="utf-8")


def _name(join: Join | None, end: str) -> str:
    return KINDS[join.kind] if join else end


def _names(faults: Sequence[Fault]) -> tuple[str, ...]:
    return tuple(type(fault).__name__.lower() for fault in faults)


def _record(file: FileTruth) -> Mapping[str, Any]:
    return asdict(file)


def _row(file: FileTruth) -> Mapping[str, str]:
    known = {field.name: getattr(file, field.name) for field in fields(file)}
    known["hard_cuts"] = " ".join(map(str, file.hard_cuts))
    known["gradual"] = " ".join(f"{a}-{b}" for a, b in file.gradual)
    known["size"] = f"{file.width}x{file.height}" if file.width else None
    known["rotation"] = f"r{file.rotation}" if file.rotation else None
    return {name: "" if known[name] is None else str(known[name]) for name in COLUMNS}
