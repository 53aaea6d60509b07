"""Positions and patches, held against diffusers' tables and against each other."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers.models.embeddings import get_3d_sincos_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from dit_reference import rope_of_diffusers
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import ConfigError
from train.dit import PRESETS, grid_of, patchify, unpatchify
from train.dit.positions import clip_coordinates, crop_region, rotary_tables, sincos_embedding

SIDES = st.integers(1, 100)


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
def test_the_crop_region_is_that_of_diffusers(grid: tuple[int, int], base: tuple[int, int]) -> None:
    assert crop_region(grid, base) == get_resize_crop_region_for_grid(grid, base[1], base[0])


@pytest.mark.parametrize("name", ["cogvideox-5b", "cogvideox-1.5-5b", "tiny"])
@pytest.mark.parametrize("size", [(13, 60, 90), (6, 96, 170), (2, 170, 96), (4, 32, 32), (1, 2, 2)])
def test_rotary_tables_are_those_of_diffusers_to_the_bit(name: str, size: tuple[int, int, int]) -> None:
    config = PRESETS[name]
    size = (size[0] + size[0] % config.patch_depth, *size[1:])
    tables = rotary_tables(clip_coordinates(grid_of(size, config), config), config.head_dim)
    reference = rope_of_diffusers(config, *size)
    assert reference is not None
    for ours, theirs in zip(tables, reference, strict=True):
        assert torch.equal(ours.repeat_interleave(2, dim=1), theirs)


def test_text_is_not_rotated() -> None:
    cosines, sines = rotary_tables(torch.zeros(5, 3), 64)
    assert torch.equal(cosines, torch.ones(5, 32))
    assert torch.equal(sines, torch.zeros(5, 32))


@pytest.mark.parametrize("grid", [(13, 30, 45), (3, 7, 2), (1, 1, 1)])
def test_sinusoids_are_those_of_diffusers(grid: tuple[int, int, int]) -> None:
    config = dataclasses.replace(PRESETS["cogvideox-2b"], time_scale=1.5)
    frames, rows, columns = grid
    ours = sincos_embedding(clip_coordinates(grid, config), config.width)
    theirs = get_3d_sincos_pos_embed(config.width, (columns, rows), frames, 1.875, 1.5)
    assert torch.equal(ours, theirs.flatten(0, 1))


@pytest.mark.parametrize("name", ["cogvideox-5b", "cogvideox-1.5-5b"])
def test_patches_are_put_back(name: str) -> None:
    config = PRESETS[name]
    latents = torch.randn(16, 4, 6, 10)
    patches = patchify(latents, config)
    assert patches.shape == (latents.numel() // 16 // config.patch_values, 16 * config.patch_values)
    assert torch.equal(unpatchify(patches, grid_of((4, 6, 10), config), config), latents)
    with pytest.raises(ConfigError, match="latents of 6 x 9 do not divide into patches of 2"):
        patchify(latents[..., :9], config)
