"""Whether a model fits into memory, said before a byte of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from shards.errors import ConfigError

__all__ = ["free_bytes", "require_memory", "tensor_bytes"]

_GB: Final = 10**9
_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup")


def tensor_bytes(tensors: Iterable[Tensor], dtype: torch.dtype | None = None) -> int:
    """Return the bytes of tensors, also of ones on the meta device; floating ones as `dtype`, where given."""
    return sum(
        x.numel() * (dtype if dtype is not None and x.is_floating_point() else x.dtype).itemsize
        for x in tensors
    )


def free_bytes(device: torch.device, meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Return the memory that can still be taken on a device; None where the system doesn't say.

    On the CPU: what Linux calls available, and no more than the control group (a container) still allows.
    """
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    if not meminfo.is_file():
        return None
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    return min(available, *_allowed(cgroup))


def _allowed(cgroup: Path) -> list[int]:
    limit, used = cgroup / "memory.max", cgroup / "memory.current"
    if not limit.is_file() or not used.is_file() or limit.read_text().strip() == "max":
        return [2**63]
    stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    # Pages of files that nobody has read for a while are given up first.
    return [int(limit.read_text()) - int(used.read_text()) + int(stat.get("inactive_file", 0))]


def require_memory(
    needed: int, device: torch.device, what: str, free: Callable[[torch.device], int | None] = free_bytes
) -> None:
    """Raise ConfigError where a device has less than `needed` bytes left."""
    left = free(device)
    if left is not None and needed > left:
        raise ConfigError(
            f"{what} needs {needed / _GB:.1f} GB on {device}, where {left / _GB:.1f} GB are free: "
            "choose a smaller preset or dtype, or another device"
        )
