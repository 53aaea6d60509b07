"""A decoder's arithmetic stays on its one thread."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import pytest

from curate.processes import Child


def _multiply(connection: Connection) -> None:
    import numpy as np

    large = np.ones((700, 700))
    total = float((large @ large).sum())
    connection.send((total, len(os.listdir("/proc/self/task")), os.environ["OPENBLAS_NUM_THREADS"]))
    connection.recv()


@pytest.mark.parametrize("asked", [None, "2"])
def test_a_leaf_multiplies_on_one_thread_unless_told_otherwise(
    asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", asked)
    child = Child(_multiply, name="multiplies", leaf=True)
    try:
        total, threads, told = child.connection.recv()
    finally:
        child.close()
    assert total == 700.0**3
    assert told == (asked or "1")
    assert asked or threads == 1
    assert os.environ.get("OPENBLAS_NUM_THREADS") == asked
