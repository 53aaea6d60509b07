"""diffusers' transformer beside ours, random everywhere:

default initial values hide errors (norms of 1, gates of 0).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from diffusers import CogVideoXTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from torch import Tensor, nn

from train.dit import PRESETS, Clip, Transformer, TransformerConfig

SMALL = {"heads": 3, "head_dim": 32, "layers": 3, "text_dim": 24, "time_dim": 20}
LENGTH = 7


def small(name: str, **changes: object) -> TransformerConfig:
    """A preset made small, with sides that differ from each other."""
    sides = {"text_length": LENGTH, "sample_height": 12, "sample_width": 16, "sample_frames": 9}
    fields = {**SMALL, **sides, **changes}
    if PRESETS[name].patch_frames is not None:
        # diffusers slices its tables at these: a bound, as the released 300 is.
        fields |= {"sample_height": 24, "sample_width": 40}
    if PRESETS[name].ofs_dim is not None:
        fields["ofs_dim"] = fields["time_dim"]
    return dataclasses.replace(PRESETS[name], **fields)


def randomize(module: nn.Module, seed: int = 0) -> None:
    """Matrices that keep the variance, norms around 1, everything else around 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.ndim == 1:
                tensor.normal_(
                    1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.3, generator=generator
                )
            elif name.endswith("pos_embedding"):
                tensor.normal_(0, 1, generator=generator)
            else:
                bound = (3 / tensor[0].numel()) ** 0.5
                tensor.uniform_(-bound, bound, generator=generator)


def pair(config: TransformerConfig, seed: int = 0) -> tuple[Transformer, CogVideoXTransformer3DModel]:
    """Ours and diffusers', with the same random numbers (in the same memory).

    A fresh reference has its positional buffer in float64.
    """
    with torch.device("meta"):
        model = Transformer(config)
    reference = CogVideoXTransformer3DModel.from_config(config.to_diffusers()).eval().float()
    randomize(reference, seed)
    model.load_state_dict(reference.state_dict(), assign=True)
    return model, reference


def some_clip(
    config: TransformerConfig,
    frames: int,
    height: int,
    width: int,
    timestep: int,
    seed: int,
    text: int | None = None,
) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    channels = config.in_channels + config.extra_channels
    latents = torch.randn(channels, frames, height, width, generator=generator)
    return Clip(
        latents_CTHW=latents[: config.out_channels],
        extra_CTHW=latents[config.out_channels :] if channels > config.out_channels else None,
        text_UE=torch.randn(text or config.text_length, config.text_dim, generator=generator),
        timestep=timestep,
        ofs=None if config.ofs_dim is None else 2.0,
    )


def rope_of_diffusers(
    config: TransformerConfig, frames: int, height: int, width: int
) -> tuple[Tensor, Tensor] | None:
    """The tables as diffusers' pipelines make them."""
    if config.positions == "sincos":
        return None
    grid = (height // config.patch, width // config.patch)
    base = (config.sample_height // config.patch, config.sample_width // config.patch)
    if config.patch_frames is None:
        crop = get_resize_crop_region_for_grid(grid, base[1], base[0])
        return get_3d_rotary_pos_embed(config.head_dim, crop, grid, frames)
    frames = (frames + config.patch_frames - 1) // config.patch_frames
    return get_3d_rotary_pos_embed(config.head_dim, None, grid, frames, grid_type="slice", max_size=base)


def run_reference(
    model: CogVideoXTransformer3DModel, clips: Sequence[Clip], config: TransformerConfig
) -> Tensor:
    """diffusers' forward pass over alike clips as a batch: (B, C, T, H, W)."""
    latents = torch.stack(
        [torch.cat([x.latents_CTHW, *([] if x.extra_CTHW is None else [x.extra_CTHW])]) for x in clips]
    )
    _, _, frames, height, width = latents.shape
    (out,) = model(
        hidden_states=latents.transpose(1, 2),
        encoder_hidden_states=torch.stack([clip.text_UE for clip in clips]),
        timestep=torch.tensor([int(clip.timestep) for clip in clips]),
        ofs=None if config.ofs_dim is None else torch.tensor([2.0]),
        image_rotary_emb=rope_of_diffusers(config, frames, height, width),
        return_dict=False,
    )
    return out.transpose(1, 2)


def distance(x: Tensor, reference: Tensor) -> float:
    """Relative L2."""
    return float((x - reference).detach().norm() / reference.detach().norm())
