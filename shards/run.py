"""The layout of a run directory: what each file is called, and what `run.json` says.

`run.json` names the current fingerprint of each pass; readers use only the tables of these. A pass's
last-named table is its commit: parts of its other tables count for the units whose commit part is there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from shards.errors import ConfigError, InputError, IntegrityError
from shards.storage import Entry, Storage, open_storage
from shards.tables import table_path

__all__ = [
    "INDEX",
    "NO_CLIP",
    "PURGED",
    "RUN_JSON",
    "Part",
    "PassInfo",
    "Purged",
    "RunFiles",
    "RunInfo",
    "SpikeLimits",
    "safe_name",
]

RUN_JSON: Final = "run.json"
INDEX: Final = "index.parquet"
PURGED: Final = "purged"
"""what `error` says in the row of a purged source"""
NO_CLIP: Final = "no clip"
"""how `error` begins in the row of a source that was read whole and has no shot that is long enough"""
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class SpikeLimits:
    """When so many of a run's captions are equal that it fails."""

    share: float
    """of the captions of a variant and model, 0 to 1, beyond which equal ones are a spike"""
    least: int
    """captions of a variant and model below which nothing is a spike"""


@dataclass(frozen=True, slots=True)
class PassInfo:
    """What readers must know of a pass: which fingerprint is current, and which tables it writes."""

    fingerprint: str
    tables: tuple[str, ...]
    """in the order written; the last one is the commit"""
    reads: tuple[str, ...] = ()
    """names of the passes whose tables it reads"""
    where: str | None = None
    """the condition under which it admits a clip; not part of the fingerprint"""
    spikes: SpikeLimits | None = None
    """how many of its captions may be equal; None: any number, or it writes none; nor part of it"""

    @property
    def fp8(self) -> str:
        """What the pass's folders are called."""
        return self.fingerprint[:8]


@dataclass(frozen=True, slots=True)
class Purged:
    """A source that was taken out of the run and must not come back."""

    source_id: str | None
    """null when it was never read whole enough to have one"""
    source_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What `run.json` holds."""

    passes: Mapping[str, PassInfo]
    """in the order in which they run"""
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    """the resolved pipeline, as it would stand in YAML"""
    units: tuple[str, ...] | None = None
    """ids of the units that the input is divided into now; None: every unit that has parts"""
    versions: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str] = field(default_factory=dict)
    purged: tuple[Purged, ...] = ()

    def to_json(self) -> bytes:
        """Return the one text that stands for this record; it carries its own digest, for `curate verify`."""
        plain = asdict(self)
        digest = hashlib.sha256(json.dumps(plain).encode()).hexdigest()
        return (json.dumps(plain | {"sha256": digest}, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> RunInfo:
        """Return the record in `data`; raises `ValueError`, `KeyError` or `TypeError` when it is none."""
        raw = json.loads(data)
        return cls(
            passes={
                name: PassInfo(
                    item["fingerprint"],
                    tuple(item["tables"]),
                    tuple(item["reads"]),
                    item["where"],
                    None if item["spikes"] is None else SpikeLimits(**item["spikes"]),
                )
                for name, item in raw["passes"].items()
            },
            pipeline=raw["pipeline"],
            units=None if raw["units"] is None else tuple(raw["units"]),
            versions=raw["versions"],
            host=raw["host"],
            purged=tuple(Purged(item["source_id"], tuple(item["source_uris"])) for item in raw["purged"]),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table: what one unit wrote of it."""

    table: str
    unit: str
    path: str
    entry: Entry


class RunFiles:
    """The files of one run, by name."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @classmethod
    def open(cls, root: str) -> RunFiles:
        """Return the run at `root`; raises `InputError` when there is none."""
        run = cls(open_storage(root))
        if not run.storage.exists(RUN_JSON):
            raise InputError(f"no run at {str(root)!r}: it holds no {RUN_JSON}; `curate run` makes one")
        return run

    @classmethod
    def create(cls, root: str) -> RunFiles:
        """Return the run at `root`, whose folder is made if need be and checked for writing."""
        return cls(open_storage(root).create())

    # -- run.json -----------------------------------------------------------------------------------------

    def info(self) -> RunInfo:
        """Return what `run.json` says now."""
        try:
            return RunInfo.from_json(self.storage.read(RUN_JSON))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise IntegrityError(
                f"{self.storage.address(RUN_JSON)}: not a run description ({type(exc).__name__}: {exc}); "
                "`curate run` writes it anew"
            ) from exc

    def write_info(self, info: RunInfo) -> None:
        """Replace `run.json`, unless it says the same already."""
        data = info.to_json()
        if not self.storage.exists(RUN_JSON) or self.storage.read(RUN_JSON) != data:
            self.storage.write(RUN_JSON, data)

    # -- names --------------------------------------------------------------------------------------------

    @staticmethod
    def clip_tar(fp8: str, unit: str, n: int) -> str:
        """Return the path of the `n`-th clip tar of a unit."""
        return f"clips/{fp8}/{unit}-{n}.tar"

    @staticmethod
    def samples_tar(fp8: str, unit: str) -> str:
        """Return the path of the samples tar of a unit."""
        return f"samples/{fp8}/{unit}.tar"

    @staticmethod
    def failures_path(fp8: str, pass_name: str, unit: str) -> str:
        """Return the path of the failures that a pass had in a unit."""
        return f"tables/failures/{fp8}/{pass_name}-{unit}.parquet"

    @staticmethod
    def metrics_path(pass_name: str, unit: str) -> str:
        """Return the path of what a pass measured of itself in a unit."""
        return f"metrics/{pass_name}/{unit}.json"

    @staticmethod
    def selection_folder(name: str) -> str:
        """Return the folder of the selection `name`."""
        return f"shards/{safe_name(name)}"

    @classmethod
    def manifest_path(cls, name: str) -> str:
        """Return the path of the manifest of the selection `name`."""
        return f"{cls.selection_folder(name)}/manifest.parquet"

    # -- parts --------------------------------------------------------------------------------------------

    def committed(self, info: RunInfo, pass_name: str) -> dict[str, Part]:
        """Return unit → commit part of the units that a pass has finished, sorted by unit. One listing."""
        current = info.passes[pass_name]
        return self._listed(info, current.tables[-1], current.fp8)

    def parts(self, info: RunInfo, table: str) -> list[Part]:
        """Return the current parts of `table`, of committed units only, sorted by unit.

        Raises `InputError` when no pass writes `table`.
        """
        for pass_name, current in info.passes.items():
            if table in current.tables:
                committed = self.committed(info, pass_name)
                if table == current.tables[-1]:
                    return list(committed.values())
                listed = self._listed(info, table, current.fp8)
                return [part for unit, part in listed.items() if unit in committed]
        raise InputError(f"no pass of {self.storage.root} writes the table {table!r}")

    def failures(self, info: RunInfo, pass_name: str) -> list[Part]:
        """Return the current failure parts of a pass, of committed units only, sorted by unit."""
        fp8 = info.passes[pass_name].fp8
        committed = self.committed(info, pass_name)
        prefix = f"{pass_name}-"
        found = []
        for unit, part in self._listed(None, "failures", fp8).items():
            if unit.startswith(prefix) and (name := unit.removeprefix(prefix)) in committed:
                found.append(Part("failures", name, part.path, part.entry))
        return found

    def selections(self) -> list[str]:
        """Return the names of the selections, sorted."""
        names = {
            entry.path.split("/")[1] for entry in self.storage.list("shards") if entry.path.count("/") > 1
        }
        return sorted(name for name in names if self.storage.exists(f"shards/{name}/manifest.parquet"))

    def _listed(self, info: RunInfo | None, table: str, fp8: str) -> dict[str, Part]:
        units = None if info is None or info.units is None else frozenset(info.units)
        found = {}
        for entry in self.storage.list(f"tables/{table}/{fp8}"):
            unit = entry.path.rpartition("/")[2].removesuffix(".parquet")
            if entry.path == table_path(table, fp8, unit) and (units is None or unit in units):
                found[unit] = Part(table, unit, entry.path, entry)
        return found


def safe_name(name: str) -> str:
    """Return `name` if it can be a folder's name; raises `ConfigError` otherwise."""
    if not _SAFE_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a selection: use up to 100 letters, digits, '_', '-' and '.', "
            "not beginning with '-' or '.'"
        )
    return name
