"""Principal components of videos' blocks: the weights of a linear codec, from a few hundred clips.

Blocks are summed into one matrix of products, so memory does not grow with the clips. Cost: 768² additions a
block, 5 s for 500 clips of 17 x 64 x 64 on one core.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shards.errors import InputError
from train.vae.linear import LinearConfig, LinearVae, Projection

__all__ = ["Fit"]


class _Products:
    """Count, sum and products of vectors, in float64."""

    def __init__(self, numbers: int) -> None:
        self.count = 0
        self.sum_D = torch.zeros(numbers, dtype=torch.float64)
        self.products_DD = torch.zeros(numbers, numbers, dtype=torch.float64)

    def add(self, blocks_ND: Tensor) -> None:
        self.count += len(blocks_ND)
        self.sum_D += blocks_ND.sum(dim=0, dtype=torch.float64)
        self.products_DD += (blocks_ND.T @ blocks_ND).double()

    def fill(self, projection: Projection) -> None:
        """Set the mean, the first components, and their standard deviations, none below a hundredth."""
        mean_D = self.sum_D / self.count
        covariance_DD = self.products_DD / self.count - torch.outer(mean_D, mean_D)
        variances, vectors = torch.linalg.eigh(covariance_DD)
        channels = len(projection.basis_ZD)
        basis_ZD = vectors.T.flip(0)[:channels]
        # An eigenvector's sign is the solver's whim: the largest entry is made positive.
        largest = basis_ZD.gather(1, basis_ZD.abs().argmax(dim=1, keepdim=True))
        kept = variances.flip(0)[:channels]
        # Of clips of one colour most components are rounding: those are not blown up.
        scale_Z = kept.clamp_min(max(1e-4 * float(kept[0]), 1e-12)).sqrt()
        values = {"mean_D": mean_D, "basis_ZD": basis_ZD * largest.sign(), "scale_Z": scale_Z}
        for name, value in values.items():
            getattr(projection, name).data.copy_(value)


class Fit:
    """Takes videos one after another, then gives the codec that keeps most of their variance."""

    def __init__(self, config: LinearConfig) -> None:
        self._vae = LinearVae(config)
        self._first = _Products(len(self._vae.first.mean_D))
        self._rest = _Products(len(self._vae.rest.mean_D))

    def add(self, video_CTHW: Tensor) -> None:
        """Take a video in -1 … 1, float32. Raises InputError for one that the codec cannot encode."""
        self._vae.config.latent_shape(*video_CTHW.shape[1:])
        for products, blocks in zip(
            (self._first, self._rest), self._vae.blocks(video_CTHW[None]), strict=True
        ):
            products.add(blocks.reshape(-1, blocks.shape[-1]))

    def codec(self) -> LinearVae:
        """Return the codec; over what was taken, each channel of its latents has a variance of 1.

        Raises InputError where there were fewer blocks than channels.
        """
        channels = self._vae.config.latent_channels
        for products, projection in ((self._first, self._vae.first), (self._rest, self._vae.rest)):
            if products.count <= channels:
                raise InputError(
                    f"linear codec: {products.count} blocks to fit {channels} channels with; give longer or "
                    "more clips"
                )
            products.fill(projection)
        return self._vae
