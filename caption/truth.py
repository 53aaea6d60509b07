"""Captions from a file, by people or of rendered footage: JSON lines that name a clip or its source.

A line has `caption` and one of `clip_id`, `source_id` (hash of the source's content), `source` (its URI, or
the last part of it); what else it has is kept. Of a source, every clip has the caption.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from curate.records import Row
from shards.errors import InputError

__all__ = ["Truth"]

_KEYS: Final = ("clip_id", "source_id", "source")
"""the nearest to the clip first"""


class Truth:
    """Looks up what a file says of a clip."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises InputError where it is not there, or a line is not as it should be."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise InputError(f"{path}: cannot be read ({exc})") from exc
        self._told: dict[str, dict[str, Mapping[str, Any]]] = {key: {} for key in _KEYS}
        for number, line in enumerate(lines, 1):
            if line.strip():
                self._add(line, f"{path}, line {number}")

    def of(self, clip: Row) -> Mapping[str, Any] | None:
        """Return the line about a clip (a row of the clips table) or its source, if there is one."""
        uri = str(clip["source_uri"])
        found = (
            self._told["clip_id"].get(clip["clip_id"]),
            self._told["source_id"].get(clip["source_id"]),
            self._told["source"].get(uri),
            self._told["source"].get(uri.rpartition("/")[2]),
        )
        return next((line for line in found if line is not None), None)

    def _add(self, line: str, where: str) -> None:
        try:
            said = json.loads(line)
        except ValueError as exc:
            raise InputError(f"{where}: not JSON ({exc})") from exc
        if (
            not isinstance(said, dict)
            or not isinstance(said.get("caption"), str)
            or not said["caption"].strip()
        ):
            raise InputError(f"{where}: an object with a `caption` is wanted")
        named = [key for key in _KEYS if key in said]
        if not named:
            raise InputError(f"{where}: names no clip; give one of {', '.join(_KEYS)}")
        # A line that names both is of the source: the clips of a run need not be those of the list.
        key = "source_id" if "source_id" in named else named[0]
        known = self._told[key].setdefault(str(said[key]), said)
        if known["caption"] != said["caption"]:
            raise InputError(f"{where}: another caption for the same {key} {said[key]!r}")
