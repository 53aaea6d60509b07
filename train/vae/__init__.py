"""CogVideoX's 3D causal VAE: videos ↔ latents, in chunks of time and, where asked, tiles of space.

And a linear codec that stands in for it where there are no weights.
"""

from train.vae.chunks import RELEASED, ChunkRule
from train.vae.config import PRESETS, VaeConfig
from train.vae.files import AnyVae, load_vae, save_vae
from train.vae.fitting import Fit
from train.vae.linear import LinearConfig, LinearVae
from train.vae.model import Vae
from train.vae.posterior import Posterior, draw
from train.vae.tiling import Tiling

__all__ = [
    "PRESETS",
    "RELEASED",
    "AnyVae",
    "ChunkRule",
    "Fit",
    "LinearConfig",
    "LinearVae",
    "Posterior",
    "Tiling",
    "Vae",
    "VaeConfig",
    "draw",
    "load_vae",
    "save_vae",
]
