"""What several test modules look at: rendered once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.footage import render_gold


@pytest.fixture(scope="session")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold corpus: 110 files, and their truth beside them."""
    return render_gold(tmp_path_factory.mktemp("gold"), processes=2).parent
