"""Where the five packages are: beside this file, whatever lies in the working directory.

Ray puts the working directory of a job first on the path of its driver and workers. A `train.py` that happens
to lie there would hide a package of this distribution: `settle_path` moves such folders behind it. What they
hold besides (stages of one's own) is still found.
"""

from __future__ import annotations

import os
import sys

__all__ = ["HOME", "main", "settle_path"]

PACKAGES = ("caption", "curate", "filters", "shards", "train")
HOME = os.path.dirname(os.path.realpath(__file__))


def settle_path() -> None:
    """Move the entries of `sys.path` that hide one of the packages behind the folder of this file."""
    hiding = [entry for entry in sys.path if _hides(entry)]
    others = [entry for entry in sys.path if entry not in hiding]
    at = next((n for n, entry in enumerate(others) if _folder(entry) == HOME), None)
    if at is None:
        others.append(HOME)
        at = len(others) - 1
    sys.path[:] = [*others[: at + 1], *hiding, *others[at + 1 :]]


def _folder(entry: str) -> str:
    return os.path.realpath(entry or os.getcwd())


def _hides(entry: str) -> bool:
    folder = _folder(entry)
    return folder != HOME and any(
        os.path.exists(os.path.join(folder, file))
        for name in PACKAGES
        for file in (f"{name}.py", os.path.join(name, "__init__.py"))
    )


def main() -> None:
    """Run the command line."""
    settle_path()
    from curate.cli import main as run

    run()
