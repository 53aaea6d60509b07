"""What several test modules look at: rendered once a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from curate.footage import render_gold

# The session's processes have a core each: two teams of threads on the same cores wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test fails for being slow on a busy machine. Where CI is set, Hypothesis has such a profile by itself.
if "CI" not in os.environ:
    settings.register_profile("here", deadline=None)
    settings.load_profile("here")


@pytest.fixture(scope="session")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold corpus: 110 files, and their truth beside them. The session's processes share one."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "gold"
    with FileLock(shared.with_suffix(".lock")):
        if not (shared / "truth.csv").exists():
            render_gold(shared, processes=2)
    return shared


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `vlm`, a small Qwen2.5-VL, and `lm`, a small Qwen2."""
    from tiny_models import make_lm, make_vlm

    folder = tmp_path_factory.mktemp("models")
    make_vlm(folder / "vlm")
    make_lm(folder / "lm")
    return folder


@pytest.fixture(scope="session")
def vllm_server(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """vLLM's server over the small Qwen2.5-VL: a `vllm_server.Server`."""
    from vllm_server import serve

    log = tmp_path_factory.mktemp("server") / "log"
    with serve(tiny_folder / "vlm", log, "--limit-mm-per-prompt", '{"image":16,"video":1}') as server:
        yield server
