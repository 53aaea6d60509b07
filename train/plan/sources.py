"""How a manifest to train on is named on a command line."""

from __future__ import annotations

import math

from shards.errors import ConfigError
from train.recipe import ManifestSource

__all__ = ["manifest_source"]


def manifest_source(text: str) -> ManifestSource:
    """Return the manifest that `PATH` or `PATH@WEIGHT` names.

    Raises ConfigError for a weight that is not above 0.
    """
    path, at, weight = text.rpartition("@")
    try:
        number = float(weight)
    except ValueError:
        return ManifestSource(path=text)
    if not at or not path:
        return ManifestSource(path=text)
    if not 0 < number < math.inf:
        raise ConfigError(f"--data {text}: the weight is {weight}; more than 0 is wanted")
    return ManifestSource(path=path, weight=number)
