"""What end-to-end tests have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test here fail once: they kill Ray's daemons, storage servers and drivers at random moments.

    A busy machine lets such a daemon miss its own deadlines. What ran again stands in pytest's last lines;
    a fault of ours fails twice, or has a test of its own in the suites beside this one.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
