from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from media import write_video
from rich.console import Console

from curate.bench.decode import bench_decode, render_decode
from curate.plan import load_plan
from shards.errors import SourceError


def test_what_a_bare_decode_cannot_read_is_named_and_left_out(tmp_path: Path) -> None:
    write_video(tmp_path / "sound.mp4", [(90, 3.0)])
    (tmp_path / "noise.mp4").write_bytes(b"not a video at all" * 100)
    bench = bench_decode([str(tmp_path)], load_plan("default"), runs=1, scaling=False)
    assert bench.frames == 60
    assert bench.left_out == (str(tmp_path / "noise.mp4"),)
    assert bench.pairs[0].split_s > 0
    assert bench.pairs[0].decode_s > 0
    console = Console(width=120, record=True, file=StringIO())
    console.print(render_decode(bench))
    assert "noise.mp4" in console.export_text()


def test_nothing_to_decode_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(b"not a video at all" * 100)
    with pytest.raises(SourceError, match=r"none of 1 files can be decoded to its end: .*noise\.mp4"):
        bench_decode([str(tmp_path)], load_plan("default"), runs=1, scaling=False)
