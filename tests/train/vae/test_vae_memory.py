"""Memory of a decode, measured in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

DECODE = """
import sys
from pathlib import Path
import torch
from train.vae import PRESETS, Vae

def kilobytes(key: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(key + ":")[1].split()[0])

torch.set_num_threads(1)
torch.manual_seed(0)
way, count = sys.argv[1], int(sys.argv[2])
vae = Vae(PRESETS["tiny"]).requires_grad_(False)
latents = torch.randn(1, 16, count, 8, 12)
for _ in vae.decode_chunks(latents[:, :, :3, :2, :2]):
    pass
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = kilobytes("VmRSS")
if way == "stream":
    frames = sum(chunk.shape[2] for chunk in vae.decode_chunks(latents))
else:
    frames = vae.decode(latents).shape[2]
assert frames == 4 * count - 3
print(kilobytes("VmHWM") - before)
"""


def peak_mb(way: str, count: int) -> float:
    """Return by how much a decode of `count` latents of 8 x 12 lifted the peak of a process."""
    # Freed tensors go back to the system at once: the peak is of what is held.
    env = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", DECODE, way, str(count)], env=env, check=True, capture_output=True, text=True
    )
    return int(run.stdout) * 1024 / 1e6


@pytest.mark.slow
def test_a_streamed_decode_needs_no_more_memory_for_twice_the_length() -> None:
    short, long = peak_mb("stream", 7), peak_mb("stream", 17)
    assert short > 20
    assert abs(long - short) < 2
    # The whole holds 65 frames of 64 x 96 px, 4.8 MB, beside the chunk in the making.
    assert peak_mb("whole", 17) > long + 2
