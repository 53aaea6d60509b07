"""A pack: clips of different lengths, sizes, timesteps and texts as one sequence of tokens.

Each clip lies whole, its text before its video, one clip after another; then padding up to a fixed number of
tokens, where one is asked for. Made on the CPU by a loader, then moved. One clip is a pack of one.

Legend: S tokens, V video tokens, U text tokens, N slots for clips; P numbers of a patch, E width of a text
token; C channels, T latent frames, H, W latent rows and columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import torch
from torch import Tensor

from shards.errors import ConfigError
from train.dit.config import TransformerConfig
from train.dit.patches import grid_of, patchify, unpatchify
from train.dit.positions import Grid, clip_coordinates
from train.dit.segments import Segments

__all__ = ["RELEASED_OFS", "Clip", "Pack", "pack_clips"]

RELEASED_OFS: Final = 2.0
"""what the released 1.5 image-to-video always reads"""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip as the transformer reads it."""

    latents_CTHW: Tensor
    """noisy"""
    text_UE: Tensor
    """embeddings of its text, pad tokens among them where the model was trained with them; at least one"""
    timestep: float
    """0 to 999"""
    extra_CTHW: Tensor | None = None
    """what is read beside the latents, same frames and sides: an image's latents, masks, control"""
    ofs: float | None = None
    """only where the model has an `ofs` embedding: `RELEASED_OFS`"""


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Clips as one sequence. Made by `pack_clips`."""

    config: TransformerConfig
    patches_VP: Tensor
    text_UE: Tensor
    timesteps_N: Tensor
    """float32; 0 in unused slots"""
    ofs_N: Tensor | None
    coordinates_S3: Tensor
    """float32: frame, row, column; 0 of text and padding"""
    rows_S: Tensor
    """int64: twice the clip, and 1 more for text; padding reads row 0, and is read by none"""
    segments: Segments
    grids: tuple[Grid, ...]
    text_lengths: tuple[int, ...]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Pack:
        """Return the pack on a device; `dtype` is for patches and texts alone."""
        floats = {
            name: getattr(self, name).to(device, dtype, non_blocking=True)
            for name in ("patches_VP", "text_UE")
        }
        names = ("timesteps_N", "coordinates_S3", "rows_S")
        rest = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        ofs_N = None if self.ofs_N is None else self.ofs_N.to(device, non_blocking=True)
        return dataclasses.replace(self, **floats, **rest, ofs_N=ofs_N)

    @property
    def video_spans(self) -> tuple[tuple[int, int], ...]:
        """Where each clip's video begins and ends in the sequence of S tokens."""
        starts = zip(self.segments.spans, self.text_lengths, strict=True)
        return tuple((start + text, end) for (start, end), text in starts)

    @property
    def patch_spans(self) -> tuple[tuple[int, int], ...]:
        """Where each clip's patches begin and end among the V of the pack."""
        return tuple(pairwise(accumulate((t * h * w for t, h, w in self.grids), initial=0)))

    def latents(self, out_VP: Tensor) -> list[Tensor]:
        """Return the model's output clip by clip, as latents (C, T, H, W)."""
        spans = zip(self.patch_spans, self.grids, strict=True)
        return [unpatchify(out_VP[start:end], grid, self.config) for (start, end), grid in spans]


def pack_clips(
    clips: Sequence[Clip], config: TransformerConfig, *, tokens: int | None = None, slots: int | None = None
) -> Pack:
    """Lay clips into a pack.

    `tokens`: pad to so many, `slots`: make room for so many clips; with both, every pack has the same
    shapes in the blocks. Raises ConfigError where a clip does not fit the model, or the clips do not fit.
    """
    if not clips:
        raise ConfigError("a pack of no clips")
    parts = [_read(number, clip, config) for number, clip in enumerate(clips)]
    lengths = tuple(part.text + len(part.patches_VP) for part in parts)
    padding = (tokens or sum(lengths)) - sum(lengths)
    if padding < 0:
        raise ConfigError(
            f"clips of {list(lengths)} tokens, {sum(lengths)} together, do not fit a pack of {tokens}"
        )
    segments = Segments(lengths, padding, slots or 0)
    unused = [0.0] * max((slots or 0) - len(clips), 0)
    coordinates_S3 = torch.zeros(segments.tokens, 3)
    rows_S = torch.zeros(segments.tokens, dtype=torch.int64)
    for number, ((start, end), part) in enumerate(zip(segments.spans, parts, strict=True)):
        rows_S[start:end] = 2 * number
        rows_S[start : start + part.text] += 1
        coordinates_S3[start + part.text : end] = clip_coordinates(part.grid, config)
    return Pack(
        config=config,
        patches_VP=torch.cat([part.patches_VP for part in parts]),
        text_UE=torch.cat([clip.text_UE for clip in clips]),
        timesteps_N=torch.tensor([*(clip.timestep for clip in clips), *unused], dtype=torch.float32),
        ofs_N=None if config.ofs_dim is None else torch.tensor([*(part.ofs for part in parts), *unused]),
        coordinates_S3=coordinates_S3,
        rows_S=rows_S,
        segments=segments,
        grids=tuple(part.grid for part in parts),
        text_lengths=tuple(part.text for part in parts),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    patches_VP: Tensor
    grid: Grid
    text: int
    ofs: float


def _read(number: int, clip: Clip, config: TransformerConfig) -> _Part:
    """Check a clip against the model and cut it into patches. Errors name the clip by its place."""
    try:
        latents = clip.latents_CTHW
        if latents.ndim != 4:
            raise ConfigError(f"latents have the shape {tuple(latents.shape)}, not (C, T, H, W)")
        if clip.extra_CTHW is not None:
            if clip.extra_CTHW.shape[1:] != latents.shape[1:]:
                raise ConfigError(
                    f"its extra channels are {tuple(clip.extra_CTHW.shape[1:])}, "
                    f"the latents {tuple(latents.shape[1:])}"
                )
            latents = torch.cat([latents, clip.extra_CTHW.to(latents.dtype)])
        wanted = config.in_channels + config.extra_channels
        if len(latents) != wanted:
            raise ConfigError(f"{len(latents)} channels with the extra ones; the model reads {wanted}")
        if clip.text_UE.ndim != 2 or clip.text_UE.shape[1] != config.text_dim:
            raise ConfigError(
                f"text has the shape {tuple(clip.text_UE.shape)}, not (tokens, {config.text_dim})"
            )
        if not 1 <= len(clip.text_UE) <= config.text_length:
            raise ConfigError(f"{len(clip.text_UE)} text tokens; the model reads 1 to {config.text_length}")
        if (clip.ofs is None) != (config.ofs_dim is None):
            raise ConfigError(
                "ofs is given, and the model has none" if clip.ofs is not None else "the model needs ofs"
            )
        grid = grid_of(tuple(latents.shape[1:]), config)
        _check_learned(grid, config)
    except ConfigError as error:
        raise ConfigError(f"clip {number} of the pack: {error}") from None
    return _Part(patchify(latents, config), grid, len(clip.text_UE), clip.ofs or 0.0)


def _check_learned(grid: Grid, config: TransformerConfig) -> None:
    frames, rows, columns = config.learned_grid
    if config.positions == "rope+learned" and (grid[0] > frames or grid[1:] != (rows, columns)):
        raise ConfigError(
            f"{grid[0]} x {grid[1]} x {grid[2]} patches; the model's learned positions are for up to "
            f"{frames} x {rows} x {columns}"
        )
