"""What the VAE refuses, in one line."""

from __future__ import annotations

import pytest
import torch
from vae_pair import our_vae

from shards.errors import ConfigError, InputError
from train.vae import PRESETS, ChunkRule, Tiling, VaeConfig


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 3, 50, 16, 16), r"50 frames: the VAE takes 4k\+1 of them; next to it are 49 and 53"),
        ((1, 3, 48, 16, 16), "next to it are 45 and 49"),
        ((1, 3, 2, 16, 16), "next to it are 1 and 5"),
        ((1, 3, 0, 16, 16), "0 frames"),
        ((1, 3, 5, 20, 16), "20 x 16 px: sides must be multiples of 8"),
        ((1, 3, 5, 16, 36), "16 x 36 px: sides must be multiples of 8"),
        ((1, 3, 5, 0, 16), "0 x 16 px"),
        ((1, 4, 5, 16, 16), r"shape \(1, 4, 5, 16, 16\)"),
        ((3, 5, 16, 16), r"shape \(3, 5, 16, 16\)"),
    ],
)
def test_a_video_that_does_not_fit_is_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        our_vae("tiny").encode(torch.zeros(shape))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_what_fits_has_latents_of_a_known_shape() -> None:
    config = PRESETS["cogvideox-2b"]
    assert config.latent_shape(49, 480, 720) == (13, 60, 90)
    assert config.latent_shape(1, 8, 16) == (1, 1, 2)
    assert VaeConfig(temporal_compression_ratio=2).latent_shape(3, 768, 1360) == (2, 96, 170)


def test_bytes_are_not_a_video() -> None:
    with pytest.raises(InputError, match=r"torch.uint8: wanted are floats"):
        our_vae("tiny").encode(torch.zeros(1, 3, 5, 16, 16, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(1, 15, 3, 2, 2), (16, 3, 2, 2), (1, 16, 0, 2, 2), (1, 16, 3, 0, 2)])
def test_latents_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    vae = our_vae("tiny")
    with pytest.raises(InputError, match="latents of shape"):
        vae.decode(torch.zeros(shape))
    # Said when it is called, not when the first chunk is asked for
    with pytest.raises(InputError, match="latents of shape"):
        vae.decode_chunks(torch.zeros(shape))


def test_a_rule_that_does_not_fit_the_compression_is_refused() -> None:
    with pytest.raises(ConfigError, match="6 frames are not a multiple of the temporal compression 4"):
        our_vae("tiny").encode(torch.zeros(1, 3, 9, 8, 8), rule=ChunkRule(6, 2))


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ((0, 4, 0, 1), "height: 0"),
        ((4, 4, 4, 1), "overlap_height 4 leaves nothing of height 4"),
        ((4, 4, 1, -1), "overlap_width: -1"),
        ((4, 3.5, 1, 1), "width: 3.5"),
    ],
)
def test_a_tiling_without_progress_is_refused(sides: tuple[int, int, int, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Tiling(*sides)
