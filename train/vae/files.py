"""A VAE's folder, whichever of the two it holds: diffusers' causal network, or a linear codec."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch

from train.checkpoints import load_weights, read_config, save_folder
from train.vae.config import VaeConfig
from train.vae.linear import LinearConfig, LinearVae
from train.vae.model import Vae

__all__ = ["AnyVae", "load_vae", "save_vae"]

AnyVae: TypeAlias = Vae | LinearVae
"""what encodes videos and decodes latents"""


def load_vae(
    folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> AnyVae:
    """Return the VAE of a folder, frozen. Errors as of `load_weights` and of the configurations."""
    said, where = read_config(folder), f"{folder}/config.json"
    with torch.device("meta"):
        vae: AnyVae
        if said.get("_class_name") == LinearVae.__name__:
            vae = LinearVae(LinearConfig.from_record(said, where))
        else:
            vae = Vae(VaeConfig.from_diffusers(said, where))
    load_weights(vae, folder, device=device, dtype=dtype)
    vae.eval().requires_grad_(False)
    return vae


def save_vae(vae: AnyVae, folder: Path) -> None:
    """Write a VAE into a new folder; a causal network's is diffusers'. Errors as of `save_folder`."""
    config = vae.config.to_record() if isinstance(vae, LinearVae) else vae.config.to_diffusers()
    save_folder(vae, config, folder)
