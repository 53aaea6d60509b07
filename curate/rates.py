"""The file of measured rates: what `curate bench rates` writes and `curate run --dry-run` reads.

One file for all pipelines measured on a machine, an entry a pipeline. A pass's rates are found by its
fingerprint, in whichever pipeline they were measured; failing that by its name, and then whoever prints a
figure made with them has to say so (`Found.exact`).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from curate.plan import PassPlan
from curate.records import Options
from shards.errors import ConfigError

__all__ = [
    "Found",
    "Made",
    "Measurement",
    "PassRates",
    "Rate",
    "RatesFile",
    "Selected",
    "find_rates",
    "load_rates",
    "rates_path",
    "save_rates",
]


class Rate(Options):
    """A quantity as a line in the work: so much a unit, a source and a gigabyte (1e9 bytes) of sources."""

    per_unit: float = 0.0
    per_source: float = 0.0
    per_gb: float = 0.0


class Selected(Options):
    """What the pipeline's selection took of the clips."""

    where: str
    clips: float
    """share of the clips"""
    bytes: float
    """share of their bytes, as packed: with captions and columns"""


class Made(Options):
    """What the first pass makes of the sources."""

    clips: Rate
    media_bytes: Rate
    samples_bytes: Rate
    selected: Selected | None = None


class PassRates(Options):
    """What one pass takes."""

    fingerprint: str
    sources: int
    """measured over so many"""
    images: int
    """of these"""
    cpu_s: Rate
    """of the worker and its decoder"""
    gpu_s: Rate | None
    """GPUs reserved × seconds in the stages; null: the pass asks for a GPU and the machine has none"""
    worker_s: Rate
    """wall seconds of reading, computing and storing, one unit at a time"""
    made: Made | None = None
    """of the first pass"""


class Measurement(Options):
    """One run of `curate bench rates`."""

    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    sources: int
    images: int
    bytes: int
    failed: int
    """sources that gave nothing, or not all they have"""
    passes: Mapping[str, PassRates]


class RatesFile(Options):
    """Pipeline → the last measurement."""

    pipelines: Mapping[str, Measurement] = {}


@dataclass(frozen=True, slots=True)
class Found:
    """Rates for a pass, and where they are from."""

    rates: PassRates
    origin: str
    """one phrase: "rates of 2026-11-21, AMD EPYC 7B13" """
    exact: bool
    """measured with the very options that will run"""


def rates_path() -> Path:
    """Return where the rates are: $CURATE_RATES, or the user's cache folder."""
    if named := os.environ.get("CURATE_RATES"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path in it is to be ignored.
    cache = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return cache / "cogcurate" / "rates.json"


def load_rates(path: Path) -> RatesFile:
    """Return what the file holds; nothing where there is none. Raises ConfigError for a damaged one."""
    try:
        return RatesFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return RatesFile()
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}); set CURATE_RATES to another") from exc
    except ValidationError as exc:
        error = exc.errors()[0]
        place = ".".join(map(str, error["loc"]))
        raise ConfigError(
            f"{path}: not a file of rates ({place + ': ' if place else ''}{error['msg']}); "
            "delete it, `curate bench rates INPUT` writes it anew"
        ) from exc


def save_rates(path: Path, pipeline: str, measured: Measurement) -> None:
    """Put a measurement in the place of the pipeline's last one, atomically; the others stay."""
    known = load_rates(path)
    file = RatesFile(pipelines={**known.pipelines, pipeline: measured})
    text = json.dumps(file.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written ({exc.strerror}); name another with --output") from exc


def find_rates(file: RatesFile, pipeline: str, pass_: PassPlan) -> Found | None:
    """Return the best rates for a pass: of its fingerprint, else of its name, the own pipeline's first."""
    candidates = sorted(
        _named(file, pass_.name),
        key=lambda item: (item[2].fingerprint == pass_.fingerprint, item[0] == pipeline, item[1].date),
    )
    if not candidates:
        return None
    name, measured, rates = candidates[-1]
    exact = rates.fingerprint == pass_.fingerprint
    machine = measured.machine.get("cpu", "an unknown machine")
    origin = f"measured {measured.date[:10]} on {machine}"
    if name != pipeline:
        origin += f", pipeline {name!r}"
    return Found(rates, origin, exact)


def _named(file: RatesFile, pass_name: str) -> Iterator[tuple[str, Measurement, PassRates]]:
    for name, measured in file.pipelines.items():
        if pass_name in measured.passes:
            yield name, measured, measured.passes[pass_name]
