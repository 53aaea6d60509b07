"""What several tests of the labels look at: made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run`, forty rendered clips, and `labels.csv`."""
    from labelled import make_run

    return make_run(tmp_path_factory.mktemp("labelled") / "made")
