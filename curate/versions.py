"""Which code runs here: package versions for run.json, and a digest to compare driver and workers by."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import curate

__all__ = ["CODE", "describe_code", "differences", "package_versions"]

_PACKAGES = ("cogcurate", "av", "opencv-python-headless", "numpy", "pyarrow", "duckdb", "pydantic")
_SIBLINGS = ("caption", "curate", "filters", "shards")
CODE = "code"
"""the name under which `describe_code` has the digest of this distribution's own files"""


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def describe_code() -> Mapping[str, str]:
    """Return the package versions and, as `code`, a digest of the source files that run here."""
    home = Path(curate.__file__).parents[1]
    digest = hashlib.sha256()
    for package in _SIBLINGS:
        for path in sorted((home / package).rglob("*.py")):
            digest.update(f"{path.relative_to(home)}\0".encode() + path.read_bytes())
    return {**package_versions(), CODE: digest.hexdigest()[:12]}


def differences(mine: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Return "av 18.1.0 here, 17.0.0 there" for each entry in which the two differ."""
    return [
        f"{name} {mine.get(name, 'missing')} here, {theirs.get(name, 'missing')} there"
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    ]
