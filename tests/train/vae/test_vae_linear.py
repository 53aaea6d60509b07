"""The linear codec: the VAE's shapes, the best that 16 numbers can say, and files in and out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from shards.errors import ConfigError, InputError
from train.vae import ChunkRule, Fit, LinearConfig, LinearVae, Tiling, load_vae, save_vae


def low_rank(count: int, rank: int, frames: int = 9) -> list[Tensor]:
    """Return videos (3, T, 32, 40) each of whose blocks is a mix of `rank` given ones."""
    generator = torch.Generator().manual_seed(rank)
    vae = LinearVae(LinearConfig())
    groups = (frames - 1) // 4
    videos = []
    first_RD = torch.randn(rank, 192, generator=generator)
    rest_RD = torch.randn(rank, 768, generator=generator)
    for _ in range(count):
        mixed = []
        for part, (basis, depth) in enumerate(((first_RD, 1), (rest_RD, groups))):
            numbers = torch.randn(1, depth, 4, 5, rank, generator=generator)
            projection = vae.rest if part else vae.first
            projection.mean_D.zero_()
            projection.scale_Z.fill_(1.0)
            projection.basis_ZD[:] = 0
            projection.basis_ZD[:rank] = basis
            mixed.append(torch.nn.functional.pad(numbers, (0, 16 - rank)))
        latents = torch.cat(mixed, dim=1).permute(0, 4, 1, 2, 3)
        videos.append(0.1 * vae.decode(latents)[0] + 0.2)
    return videos


@pytest.fixture(scope="module")
def fitted() -> LinearVae:
    fit = Fit(LinearConfig())
    for video in low_rank(12, 16):
        fit.add(video)
    return fit.codec()


def test_what_16_numbers_can_say_comes_back(fitted: LinearVae) -> None:
    for video in low_rank(3, 16, frames=13):
        posterior = fitted.encode(video[None])
        assert posterior.mean.shape == posterior.logvar.shape == (1, 16, 4, 4, 5)
        assert torch.allclose(fitted.decode(posterior.mean)[0], video, atol=1e-4)
        assert float(posterior.logvar.max()) <= -30  # nothing is drawn


def test_latents_have_a_variance_of_one_and_come_by_importance(fitted: LinearVae) -> None:
    latents = torch.cat([fitted.encode(video[None]).mean for video in low_rank(12, 16)])
    for part in (latents[:, :, :1], latents[:, :, 1:]):
        variances = part.var(dim=(0, 2, 3, 4))
        assert variances.tolist() == pytest.approx([1.0] * 16, abs=0.02)
    for projection in (fitted.first, fitted.rest):
        identity = projection.basis_ZD @ projection.basis_ZD.T
        assert torch.allclose(identity, torch.eye(16), atol=1e-4)
        assert torch.all(projection.scale_Z.diff() <= 0)


def test_what_never_changes_is_not_blown_up() -> None:
    fit = Fit(LinearConfig())
    for level in (-0.5, 0.0, 0.5):
        fit.add(torch.full((3, 5, 32, 32), level))
    codec = fit.codec()
    noise = torch.randn(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0)) / 255
    assert float(codec.encode(noise).mean.abs().max()) < 1


def test_no_other_16_numbers_say_more_of_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    colours = torch.linspace(0.2, 1.0, 3)[:, None, None, None]
    videos = [colours * torch.randn(3, 5, 32, 32, generator=generator) for _ in range(40)]
    fit = Fit(LinearConfig())
    for video in videos:
        fit.add(video)
    codec = fit.codec()
    best = sum(float((codec.decode(codec.encode(v[None]).mean)[0] - v).square().sum()) for v in videos)
    with torch.no_grad():
        for projection in (codec.first, codec.rest):
            other = torch.linalg.qr(torch.randn(len(projection.mean_D), 16, generator=generator))[0].T
            projection.basis_ZD.copy_(other)
    worse = sum(float((codec.decode(codec.encode(v[None]).mean)[0] - v).square().sum()) for v in videos)
    assert best < worse


@pytest.mark.parametrize("latents", [1, 2, 3, 8])
def test_chunks_and_tiles_change_nothing(fitted: LinearVae, latents: int) -> None:
    z = torch.randn(2, 16, 5, 4, 5, generator=torch.Generator().manual_seed(1))
    whole = fitted.decode(z)
    assert whole.shape == (2, 3, 17, 32, 40)
    chunks = list(fitted.decode_chunks(z, rule=ChunkRule(4 * latents, latents), tiling=Tiling(2, 2, 1, 1)))
    assert len(chunks) == {1: 5, 2: 2, 3: 1, 8: 1}[latents]
    assert torch.allclose(torch.cat(chunks, dim=2), whole, atol=1e-6)


def test_an_image_is_a_video_of_one_frame(fitted: LinearVae) -> None:
    video = low_rank(1, 16)[0]
    first = fitted.encode(video[None, :, :1]).mean
    assert torch.equal(first, fitted.encode(video[None]).mean[:, :, :1])
    assert fitted.decode(first).shape == (1, 3, 1, 32, 40)


def test_a_folder_holds_it(fitted: LinearVae, tmp_path: Path) -> None:
    save_vae(fitted, tmp_path / "vae")
    loaded = load_vae(tmp_path / "vae")
    assert isinstance(loaded, LinearVae)
    video = low_rank(1, 16)[0][None]
    assert torch.equal(loaded.encode(video).mean, fitted.encode(video).mean)
    config = tmp_path / "vae" / "config.json"
    config.write_text(config.read_text().replace("latent_channels", "latent_chanels"))
    with pytest.raises(ConfigError, match=r"config.json: .*latent_chanels"):
        load_vae(tmp_path / "vae")


def test_what_it_cannot_encode_or_fit_is_refused(fitted: LinearVae) -> None:
    with pytest.raises(InputError, match="4k\\+1"):
        fitted.encode(torch.zeros(1, 3, 8, 32, 32))
    with pytest.raises(InputError, match="multiples of 8"):
        fitted.encode(torch.zeros(1, 3, 5, 32, 36))
    with pytest.raises(InputError, match="floats of shape"):
        fitted.encode(torch.zeros(1, 3, 5, 32, 32, dtype=torch.uint8))
    with pytest.raises(InputError, match="floats of shape"):
        fitted.decode(torch.zeros(1, 8, 5, 4, 4))
    few = Fit(LinearConfig())
    few.add(torch.zeros(3, 5, 16, 16))
    with pytest.raises(InputError, match="4 blocks"):
        few.codec()
    with pytest.raises(ConfigError, match="latent_channels"):
        LinearConfig(latent_channels=193)
