"""One video from a text, and an image where the model takes one; the released pipelines' arithmetic.

The same seed gives the video that diffusers' pipeline gives on the CPU: noise is drawn frame by frame, an
image's latents before it.

Legend: C latent channels, T latent frames, H, W latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shards.errors import ConfigError
from train.diffusion import Denoise, Guidance, OnStep, constant, dynamic, guided, sample
from train.dit import RELEASED_OFS, Clip, pack_clips
from train.sampling.pipeline import Pipeline
from train.vae import Tiling, Vae, draw

__all__ = ["Request", "generate"]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is to be made. Sizes in pixels; `image_HW3`: uint8 RGB of that size."""

    prompt: str
    frames: int
    height: int
    width: int
    negative: str = ""
    steps: int = 50
    guidance: float = 6.0
    dynamic: bool = False
    """guidance that changes with the timestep (`train.diffusion.dynamic`)"""
    seed: int = 0
    image_HW3: npt.NDArray[np.uint8] | None = None
    tiled: bool = False
    """decode in tiles: less memory, slower"""


def generate(
    pipeline: Pipeline, request: Request, on_step: OnStep | None = None
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield frames (T, height, width, 3) uint8 RGB, some at a time, in order.

    Raises ConfigError for an image that the model doesn't take or lacks, InputError for sizes that don't fit.
    """
    model, vae = pipeline.transformer, pipeline.vae
    if (request.image_HW3 is not None) != pipeline.takes_image:
        wanted = "needs an image" if pipeline.takes_image else "takes no image"
        raise ConfigError(f"this model {wanted}")
    count, rows, columns = vae.config.latent_shape(request.frames, request.height, request.width)
    added = -count % model.config.patch_depth
    device = model.proj_out.weight.device
    generator = torch.Generator().manual_seed(request.seed)
    image_CTHW = _image_latents(pipeline, request, count + added, generator)
    drawn_TCHW = torch.randn(count + added, vae.config.latent_channels, rows, columns, generator=generator)
    denoise = _denoiser(pipeline, request, image_CTHW)
    # Frame by frame on the way, too: some samplers draw more noise.
    made_TCHW = sample(pipeline.diffusion, denoise, drawn_TCHW.to(device), request.steps, generator, on_step)
    latents_CTHW = made_TCHW[added:].transpose(0, 1)
    # A linear codec decodes block by block as it is.
    tiling = Tiling.released(vae.config) if request.tiled and isinstance(vae, Vae) else None
    dtype = next(vae.parameters()).dtype
    scaled = (latents_CTHW / vae.config.scaling_factor).to(dtype)
    for chunk_BCTHW in vae.decode_chunks(scaled[None], tiling=tiling):
        levels = ((chunk_BCTHW[0].float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        yield levels.permute(1, 2, 3, 0).cpu().numpy()


def _image_latents(
    pipeline: Pipeline, request: Request, count: int, generator: torch.Generator
) -> Tensor | None:
    """Return (C, T, H, W): the image's latents, then nothing.

    Where 1.5 makes a frame more than was asked for, and drops the first, that first is the image's: as
    diffusers' pipeline has it.
    """
    picture = request.image_HW3
    if picture is None:
        return None
    if picture.shape != (request.height, request.width, 3):
        raise ConfigError(
            f"the image has the shape {picture.shape}; ({request.height}, {request.width}, 3) is wanted"
        )
    weight = next(pipeline.vae.parameters())
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
    posterior = pipeline.vae.encode(pixels.to(weight.device, weight.dtype))
    first_CTHW = draw(posterior, generator)[0].cpu() * pipeline.vae.config.image_scaling_factor
    nothing = first_CTHW.new_zeros(first_CTHW.shape[0], count - 1, *first_CTHW.shape[2:])
    return torch.cat([first_CTHW, nothing], dim=1)


def _denoiser(pipeline: Pipeline, request: Request, image_CTHW: Tensor | None) -> Denoise:
    """Return the guided prediction: both texts in one pack, which attend to nothing of each other."""
    model = pipeline.transformer
    weight = model.proj_out.weight
    texts_2LE = pipeline.text.encode([request.negative, request.prompt]).to("cpu", weight.dtype)
    extra = None if image_CTHW is None else image_CTHW.to(weight.dtype)
    ofs = None if model.config.ofs_dim is None else RELEASED_OFS

    def both(x_TCHW: Tensor, timestep: int) -> tuple[Tensor, Tensor]:
        noisy_CTHW = x_TCHW.transpose(0, 1).to("cpu", weight.dtype)
        clips = [Clip(noisy_CTHW, text_LE, timestep, extra, ofs) for text_LE in texts_2LE]
        pack = pack_clips(clips, model.config).to(weight.device)
        without, text = (velocity.transpose(0, 1) for velocity in pack.latents(model(pack)))
        return without, text

    scale: Guidance = constant(request.guidance)
    if request.dynamic:
        scale = dynamic(request.guidance, request.steps)
    return guided(both, scale)
