"""How far a training came: weights, their average, optimizer and history, saved after every epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from filters.videollama import VideoLlama

__all__ = ["Average", "Epoch", "Progress", "learned", "resumed", "save"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What came of an epoch."""

    epoch: int
    steps: int
    train_loss: float
    val_loss: float
    val_balanced_accuracy: Mapping[str, float]


@dataclass(slots=True)
class Progress:
    """What a resumed training must know besides weights and optimizer."""

    steps: int = 0
    best: int = -1
    best_loss: float = math.inf
    history: list[Epoch] = field(default_factory=list)


class Average:
    """An exponential moving average of the trained weights, which is what is judged and kept.

    It lies in a flatter place than the weights of any one step, and carries over to other footage better
    (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018). Of the
    first steps it forgets faster: their weights are worth little.
    """

    def __init__(self, network: VideoLlama, decay: float) -> None:
        self._decay = decay
        self.values = learned(network)

    def update(self, network: VideoLlama, step: int) -> None:
        """Take the weights after `step` updates in."""
        import torch

        keep = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in network.named_parameters():
                if name in self.values:
                    self.values[name].lerp_(value, 1 - keep)

    @contextmanager
    def inside(self, network: VideoLlama) -> Iterator[None]:
        """Put the average in the place of the network's weights for a while."""
        current = learned(network)
        network.load_state_dict(self.values, strict=False)
        try:
            yield
        finally:
            network.load_state_dict(current, strict=False)


def learned(network: VideoLlama) -> dict[str, torch.Tensor]:
    """Return a copy of what is trained, and of the signals' quantiles."""
    names = {name for name, value in network.named_parameters() if value.requires_grad}
    state = network.state_dict()
    kept = names | {name for name in state if name.startswith("signal_tokens.")}
    return {name: state[name].detach().clone() for name in sorted(kept)}


def save(
    path: Path,
    network: VideoLlama,
    optimizer: torch.optim.Optimizer,
    average: Average,
    progress: Progress,
    best: Any,
) -> None:
    """Write all of it to `path`, atomically."""
    import torch

    said = {
        "network": learned(network),
        "optimizer": optimizer.state_dict(),
        "average": average.values,
        "best": best,
        "progress": asdict(progress),
    }
    scratch = path.with_suffix(".part")
    torch.save(said, scratch)
    scratch.replace(path)


def resumed(
    path: Path,
    network: VideoLlama,
    optimizer: torch.optim.Optimizer,
    average: Average,
    device: torch.device,
) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Return how far the training in `path` came, and the best weights; begin where there is none.

    Raises ConfigError for a file that is no such state.
    """
    import torch

    if not path.exists():
        return Progress(), learned(network)
    try:
        said = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(said["network"], strict=False)
        optimizer.load_state_dict(said["optimizer"])
        average.values = said["average"]
        told = said["progress"]
        history = [Epoch(**one) for one in told.pop("history")]
        return Progress(**told, history=history), said["best"]
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"{path}: cannot be gone on from ({type(exc).__name__}); delete it") from exc
