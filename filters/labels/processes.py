"""The processes that `torchrun` starts, seen from one of them; alone without it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

    from filters.videollama import VideoLlama

__all__ = ["Group"]


class Group:
    """This process among those of `torchrun`; alone without it."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self._dist: Any = dist if self.size > 1 else None

    def __enter__(self) -> Group:
        if self._dist is not None:
            import torch

            self._dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return self

    def __exit__(self, *_: object) -> None:
        if self._dist is not None:
            self._dist.destroy_process_group()

    def wait(self) -> None:
        """Wait for the others."""
        if self._dist is not None:
            self._dist.barrier()

    def gathered(self, mine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the rows of all processes; each has every `size`-th of them, from its rank on."""
        if self._dist is None:
            return mine
        parts: list[Any] = [None] * self.size
        self._dist.all_gather_object(parts, mine)
        whole = np.empty((sum(map(len, parts)), mine.shape[1]))
        for rank, part in enumerate(parts):
            whole[rank :: self.size] = part
        return whole

    def wrapped(self, network: VideoLlama, device: torch.device) -> Any:
        """Return the network with gradients averaged over all processes."""
        if self._dist is None:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
