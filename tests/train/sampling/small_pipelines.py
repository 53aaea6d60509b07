"""Whole pipelines of a few thousand random parameters, in all forms."""

from __future__ import annotations

import torch
from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

from train.diffusion import PRESETS as DIFFUSION
from train.dit import Transformer, TransformerConfig
from train.sampling import Pipeline
from train.text import T5Encoder, TextEncoder, WordEncoder
from train.vae import Vae, VaeConfig

__all__ = ["FORMS", "pipeline", "t5"]

LENGTH, WIDTH = 12, 32
_SMALL = {
    "heads": 2, "head_dim": 16, "layers": 2, "in_channels": 4, "out_channels": 4, "text_dim": WIDTH,
    "text_length": LENGTH, "time_dim": 16, "sample_frames": 9, "sample_height": 4, "sample_width": 6,
}  # fmt: skip
FORMS: dict[str, dict[str, object]] = {
    "cogvideox-2b": {},
    "cogvideox-5b": {"positions": "rope"},
    "cogvideox-5b-i2v": {"positions": "rope+learned", "in_channels": 8},
    "cogvideox-1.5-5b": {"positions": "rope", "patch_frames": 2},
    "cogvideox-1.5-5b-i2v": {"positions": "rope", "patch_frames": 2, "in_channels": 8, "ofs_dim": 16},
}


def _randomize(network: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            scale = value[0].numel() ** -0.5 if value.ndim > 1 else 0.3
            value.copy_(scale * noise + ("norm" in name and name.endswith("weight")))


def t5(length: int = LENGTH) -> T5Encoder:
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=384, d_model=WIDTH, d_kv=8, d_ff=48, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return T5Encoder(T5EncoderModel(config), ByT5Tokenizer(), length)


def pipeline(form: str, text: TextEncoder | None = None) -> Pipeline:
    """Return one of `FORMS`, with a word encoder unless another is given."""
    scale = 0.7 if "5b" in form else 1.15258426
    vae = Vae(
        VaeConfig(
            block_out_channels=(8, 8, 16, 16), latent_channels=4, layers_per_block=1, norm_num_groups=4,
            sample_height=32, sample_width=48, scaling_factor=scale, invert_scale_latents="1.5" in form,
        )
    ).eval()  # fmt: skip
    config = TransformerConfig(**{**_SMALL, **FORMS[form]})  # type: ignore[arg-type]
    transformer = Transformer(config).eval()
    for seed, network in enumerate((vae, transformer)):
        _randomize(network, seed)
        network.requires_grad_(False)
    return Pipeline(transformer, vae, DIFFUSION[form], text or WordEncoder(LENGTH, WIDTH))
