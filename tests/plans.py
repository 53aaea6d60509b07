"""Plans that tests make, without a run."""

from __future__ import annotations

from pathlib import Path

from curate.plan import Plan, load_plan

__all__ = ["TWO_PASSES", "two_passes"]

TWO_PASSES = Path(__file__).with_name("two_passes.yaml")


def two_passes(*assignments: str) -> Plan:
    """Return the plan of tests/two_passes.yaml, with values set as by `--set`."""
    return load_plan("two", TWO_PASSES, assignments)
