"""The cache of latents: shared, killed, damaged."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import StorageError
from train.data import LatentCache, Space, entry_key, latents
from train.data.segments import Moments
from train.plan import View

SPACE = Space("0" * 16, {"frames": 8}, "bfloat16", 1)


def moments(seed: int, *, variance: bool = True, dtype: torch.dtype = torch.bfloat16) -> Moments:
    generator = torch.Generator().manual_seed(seed)
    mean, logvar = (torch.randn(4, 3, 2, 2 + seed % 3, generator=generator).to(dtype) for _ in range(2))
    return mean, logvar if variance else None


def same(found: Moments | None, wanted: Moments) -> bool:
    if found is None or (found[1] is None) != (wanted[1] is None):
        return False
    pairs = [(a, b) for a, b in zip(found, wanted, strict=True) if a is not None and b is not None]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


@settings(max_examples=15)
@given(
    kinds=st.lists(st.tuples(st.booleans(), st.sampled_from([torch.bfloat16, torch.float32])), max_size=12),
    segment_bytes=st.sampled_from([1, 500, 10**6]),
)
def test_what_is_put_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[bool, torch.dtype]], segment_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    made = {f"clip-{n}": moments(n, variance=v, dtype=d) for n, (v, d) in enumerate(kinds)}
    cache = LatentCache(folder, SPACE, segment_bytes=segment_bytes)
    for key, value in made.items():
        assert cache.get(key) is None
        cache.put(key, value)
    assert all(same(cache.get(key), value) for key, value in made.items())
    cache.close()
    again = LatentCache(folder, SPACE)
    assert len(again) == len(made)
    assert all(same(again.get(key), value) for key, value in made.items())
    again.close()


def test_many_entries_are_few_files(tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, SPACE, segment_bytes=50 * 96 * 2)
    for n in range(200):
        cache.put(f"clip-{n}", moments(0))
    cache.close()
    assert 2 <= len(list(cache.folder.glob("*.safetensors"))) <= 8


def test_another_space_is_another_folder(tmp_path: Path) -> None:
    one = LatentCache(tmp_path, SPACE)
    one.put("clip-0", moments(0))
    one.close()
    for other in (
        Space("1" * 16, {"frames": 8}, "bfloat16", 1),
        Space("0" * 16, {"frames": 16}, "bfloat16", 1),
        Space("0" * 16, {"frames": 8}, "float32", 1),
        Space("0" * 16, {"frames": 8}, "bfloat16", 2),
    ):
        assert LatentCache(tmp_path, other).get("clip-0") is None
    assert json.loads((one.folder / "space.json").read_text()) == SPACE.record()
    assert entry_key("c", View(0, 8, 9, 64, 64)) != entry_key("c", View(0, 16, 9, 64, 64))


@pytest.mark.parametrize("damage", ["flipped", "short", "header", "empty"])
def test_damage_counts_as_absence_and_is_mended(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = LatentCache(tmp_path, SPACE)
    made = {f"clip-{n}": moments(n) for n in range(3)}
    for key, value in made.items():
        cache.put(key, value)
    cache.close()
    (path,) = cache.folder.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[-1] ^= 1
    if damage == "header":
        data[12] ^= 0xFF
    path.write_bytes({"short": data[:-20], "empty": b""}.get(damage, bytes(data)))
    with caplog.at_level(logging.WARNING):
        again = LatentCache(tmp_path, SPACE)
        lost = [key for key in made if again.get(key) is None]
    assert len(lost) == (1 if damage == "flipped" else 3)
    assert str(path) in caplog.text
    assert "made anew" in caplog.text
    for key in lost:
        again.put(key, made[key])
    again.close()
    mended = LatentCache(tmp_path, SPACE)
    assert all(same(mended.get(key), value) for key, value in made.items())


_WRITER = textwrap.dedent(
    """
    import sys, torch
    from pathlib import Path
    from train.data.latents import LatentCache, Space
    space = Space("0" * 16, {"frames": 8}, "bfloat16", 1)
    cache = LatentCache(Path(sys.argv[1]), space, segment_bytes=100_000)
    for n in range(100_000):
        cache.put(f"{sys.argv[2]}-{n}", (torch.full((4, 3, 8, 8), n % 200, dtype=torch.bfloat16), None))
        if n % 100 == 0:
            print(n, flush=True)
    """
)


def test_killed_writers_leave_whole_entries(tmp_path: Path) -> None:
    """Two processes share a folder and are killed in the middle: what they left is right."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), name],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for name in ("a", "b")
    ]
    for process in processes:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 800:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    cache = LatentCache(tmp_path, SPACE)
    found = [f"{name}-{n}" for name in "ab" for n in range(5000) if f"{name}-{n}" in cache]
    assert {key[0] for key in found} == {"a", "b"}
    for key in found[:: len(found) // 200]:
        mean, logvar = cache.get(key) or (None, None)
        assert logvar is None
        assert mean is not None
        assert (mean == int(key[2:]) % 200).all()
    cache.put("a-99999999", moments(0))
    cache.close()


def test_others_entries_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = LatentCache(tmp_path, SPACE), LatentCache(tmp_path, SPACE)
    there.put("clip-0", moments(0))
    there.flush()
    assert here.get("clip-0") is None  # it looked a moment ago
    monkeypatch.setattr(latents, "_LOOK_AGAIN_S", 0.0)
    assert same(here.get("clip-0"), moments(0))


def test_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that write and read at once, with fewer open files than segments."""
    monkeypatch.setattr(latents, "_OPEN_FILES", 2)
    cache = LatentCache(tmp_path, SPACE, segment_bytes=1000)
    wrong: list[str] = []

    def work(first: int) -> None:
        for n in range(first, first + 60):
            cache.put(f"clip-{n}", moments(n))
            for m in range(first, n + 1, 7):
                if not same(cache.get(f"clip-{m}"), moments(m)):
                    wrong.append(f"clip-{m}")

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 60, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(cache) == 180
    cache.close()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="no cache can be kept here"):
        LatentCache(tmp_path / "file", SPACE)
