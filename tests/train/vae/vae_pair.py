"""A VAE of ours and diffusers' with the same random weights, and how far two tensors lie apart."""

from __future__ import annotations

from functools import cache

import torch
from diffusers import AutoencoderKLCogVideoX
from torch import Tensor, nn

from train.vae import PRESETS, Vae, VaeConfig

PARITY = 1e-5
"""relative L2, float32"""

CONFIGS = {
    "tiny": PRESETS["tiny"],
    # Nothing at its released value
    "odd": VaeConfig(
        in_channels=2,
        out_channels=4,
        block_out_channels=(12, 8, 24),
        latent_channels=5,
        layers_per_block=2,
        norm_eps=1e-2,
        norm_num_groups=4,
        temporal_compression_ratio=2,
    ),
    "full-width": VaeConfig(layers_per_block=1),
}


def relative(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return ((ours - theirs).norm() / theirs.norm()).item()


def randomize(network: nn.Module, seed: int = 0) -> None:
    """Give every parameter a random value, those of norms too: ones and zeros would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim > 1:
                value.copy_(noise * (1.5 / value[0].numel()) ** 0.5)
            else:
                value.copy_(0.5 * noise + ("norm" in name and name.endswith("weight")))


@cache
def our_vae(name: str) -> Vae:
    vae = Vae(CONFIGS[name]).eval()
    randomize(vae)
    return vae.requires_grad_(False)


@cache
def pair(name: str) -> tuple[Vae, AutoencoderKLCogVideoX]:
    ours = our_vae(name)
    theirs = AutoencoderKLCogVideoX.from_config(ours.config.to_diffusers()).eval().requires_grad_(False)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def video(config: VaeConfig, frames: int, height: int, width: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, config.in_channels, frames, height, width, generator=generator) * 2 - 1


def latents(config: VaeConfig, frames: int, height: int, width: int, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, config.latent_channels, frames, height, width, generator=generator)
