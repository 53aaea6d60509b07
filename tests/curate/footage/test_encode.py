"""An encoder leaves the process that runs it as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from curate.footage.encode import Encoding, encode


@pytest.mark.skipif(sys.platform != "linux", reason="schedulers are Linux's")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root's threads are changed")
def test_av1_makes_no_real_time_process(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    images = [np.full((64, 96, 3), shade, np.uint8) for shade in (40, 90, 140)]
    path = tmp_path / "film.mp4"
    encode(
        path, images, (96, 64), [0, 1, 2, 3], Fraction(25), Encoding("libsvtav1", options=(("preset", "12"),))
    )
    assert os.sched_getscheduler(0) == before
    child = "import os; print(os.sched_getscheduler(0))"
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert int(done.stdout) == before
    with av.open(str(path)) as film:
        assert film.streams.video[0].codec_context.name == "libdav1d"
        assert sum(1 for _ in film.decode(video=0)) == len(images)
