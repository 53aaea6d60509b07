"""Dealing a step's packs to ranks so that none waits long for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shards.errors import ConfigError
from train.dit.config import TransformerConfig
from train.plan.steps import PlannedPack

__all__ = ["deal", "pack_cost"]


def pack_cost(config: TransformerConfig) -> Callable[[PlannedPack], float]:
    """Return what a pack costs to compute: a·tokens + b·Σ tokens², in operations of a forward pass.

    a = 24·L·D² of linear maps, b = 4·L·D of attention, which is within each clip.
    """
    linear, square = 24 * config.layers * config.width**2, 4 * config.layers * config.width
    return lambda pack: float(linear * pack.tokens + square * sum(clip.tokens**2 for clip in pack.clips))


def deal(costs: Sequence[float], ranks: int) -> list[list[int]]:
    """Return the packs of each rank, in the order in which it computes them.

    Packs are sorted by cost and go out in rounds of one a rank: ranks that meet after every pack (FSDP) find
    equal ones there. Within a round the dearest goes to the rank with the least so far, so the sums are
    near as well. Raises ConfigError where the packs cannot be shared equally.
    """
    if ranks < 1 or len(costs) % ranks:
        raise ConfigError(
            f"{len(costs)} packs a step cannot be shared equally by {ranks} ranks: "
            "change `packs` of the stage, or the number of ranks"
        )
    order = sorted(range(len(costs)), key=lambda pack: (-costs[pack], pack))
    shares: list[list[int]] = [[] for _ in range(ranks)]
    sums = [0.0] * ranks
    for first in range(0, len(order), ranks):
        lightest = sorted(range(ranks), key=lambda rank: (sums[rank], rank))
        for rank, pack in zip(lightest, order[first : first + ranks], strict=True):
            shares[rank].append(pack)
            sums[rank] += costs[pack]
    return shares
