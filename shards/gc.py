"""Removing from a run what nothing refers to any more.

That is: folders of fingerprints that `run.json` does not name, parts and media of units that the input is
no longer divided into, tars that no commit lists, and scratch of dead processes. A unit to which an
unpacked selection still points stays whole until the selection is packed or made again. Units of the current
division that are not committed are left alone: somebody may be writing them.
"""

from __future__ import annotations

import json
import re
from typing import Final

from shards.errors import IntegrityError
from shards.run import Part, RunFiles, RunInfo
from shards.tables import iter_batches, part_metadata

__all__ = ["gc", "pointed_tars"]

_NUMBER: Final = re.compile(r"-\d+$")


def gc(run: RunFiles) -> list[str]:
    """Remove what nothing refers to; return the paths of the removed files and scratch folders, sorted."""
    info = run.info()
    wanted = _Wanted(run, info)
    removed = []
    for top in ("clips", "samples", "tables", "metrics"):
        for entry in run.storage.list(top):
            if not wanted.has(entry.path):
                run.storage.delete(entry.path)
                removed.append(entry.path)
        run.storage.prune(top)
    return sorted([*removed, *run.storage.sweep()])


def pointed_tars(run: RunFiles) -> set[str]:
    """Return the clip tars to which unpacked selections point."""
    tars: set[str] = set()
    for name in run.selections():
        manifest = run.manifest_path(name)
        try:
            if "selection" not in part_metadata(run.storage, manifest):
                for batch in iter_batches(run.storage, manifest, ["tar"]):
                    tars.update(batch.column(0).unique().to_pylist())
        except IntegrityError:
            continue  # a damaged manifest protects nothing: its rows cannot be read
    return tars


class _Wanted:
    """Which files of a run something refers to. Holds the names of units and tars."""

    def __init__(self, run: RunFiles, info: RunInfo) -> None:
        self._info = info
        self._folders = {(table, p.fp8) for p in info.passes.values() for table in p.tables}
        self._folders |= {("failures", p.fp8) for p in info.passes.values()}
        self._media = {p.fp8 for p in info.passes.values() if "clips" in p.tables}
        self._tars = pointed_tars(run)
        self._pointed = {_fp8_and_unit(path, info) for path in self._tars}
        self._listed: dict[str, set[str]] = {}
        for name, current in info.passes.items():
            if "clips" in current.tables:
                self._listed |= {unit: _tars(run, part) for unit, part in run.committed(info, name).items()}

    def has(self, path: str) -> bool:
        """Say whether something refers to the file at `path`."""
        top, *folders, _ = path.split("/")
        fp8, unit = _fp8_and_unit(path, self._info)
        current_unit = self._info.units is None or unit in self._info.units
        if top == "metrics":
            return bool(folders) and folders[0] in self._info.passes and current_unit
        if top == "tables":
            current = len(folders) == 2 and (folders[0], fp8) in self._folders and current_unit
            return current or (fp8, unit) in self._pointed
        if fp8 in self._media and unit in self._listed:
            return path in self._listed[unit] or path in self._tars
        return (fp8, unit) in self._pointed or (fp8 in self._media and current_unit)


def _fp8_and_unit(path: str, info: RunInfo) -> tuple[str, str]:
    """Return the fingerprint's folder and the unit that a file belongs to, by its path."""
    top, *folders, name = path.split("/")
    unit = name.partition(".")[0]
    if top == "tables" and folders[:1] == ["failures"]:
        prefixes = [f"{name}-" for name in info.passes if unit.startswith(f"{name}-")]
        unit = unit.removeprefix(max(prefixes, key=len, default=""))
    elif top in ("clips", "samples"):
        unit = _NUMBER.sub("", unit)
    return folders[-1] if folders else "", unit


def _tars(run: RunFiles, part: Part) -> set[str]:
    return set(json.loads(part_metadata(run.storage, part.path).get("files", "{}")))
