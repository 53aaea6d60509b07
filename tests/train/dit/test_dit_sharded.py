"""Sharded by FSDP2 with mixed precision the model gives the same, and casts of what must stay exact are
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from dit_reference import distance, pair, small, some_clip
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from shards.errors import ConfigError
from train.dit import Pack, Transformer, pack_clips

CONFIG = small("cogvideox-5b")


@pytest.fixture
def _one_process(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def sharded(*, cast: bool, dtype: torch.dtype | None) -> Transformer:
    model, _ = pair(CONFIG)
    mesh = init_device_mesh("cpu", (1,))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=cast)
    for block in model.transformer_blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model


def mixed() -> Pack:
    clips = [some_clip(CONFIG, 3, 12, 16, 999, 0), some_clip(CONFIG, 2, 8, 6, 100, 1, text=3)]
    return pack_clips(clips, CONFIG, tokens=256, slots=3)


@pytest.mark.usefixtures("_one_process")
@pytest.mark.parametrize(("dtype", "most"), [(None, 1e-6), (torch.bfloat16, 0.05)])
def test_a_sharded_model_gives_the_same(dtype: torch.dtype | None, most: float) -> None:
    plain, _ = pair(CONFIG)
    model = sharded(cast=False, dtype=dtype)
    out, expected = model(mixed().to("cpu", dtype)), plain(mixed())
    assert distance(out.float(), expected) < most
    out.float().square().mean().backward()
    expected.square().mean().backward()
    gradients = torch.cat([x.grad.full_tensor().flatten() for x in model.parameters()])
    assert distance(gradients, torch.cat([x.grad.flatten() for x in plain.parameters()])) < 2 * most


@pytest.mark.usefixtures("_one_process")
def test_sharding_that_casts_positions_is_refused() -> None:
    model = sharded(cast=True, dtype=torch.bfloat16)
    with pytest.raises(ConfigError, match="shard with cast_forward_inputs=False"):
        model(mixed().to("cpu", torch.bfloat16))
    # The blocks look, too, where only they are sharded so.
    context = model._context(mixed())
    with pytest.raises(ConfigError, match="not in float32"):
        model.transformer_blocks[0](torch.zeros(256, CONFIG.width), torch.zeros(3, 20), context)
