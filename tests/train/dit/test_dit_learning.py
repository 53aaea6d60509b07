"""An untrained model learns: nothing that must move is stuck at 0."""

from __future__ import annotations

import torch
from dit_reference import small, some_clip

from train.dit import build_transformer, pack_clips


def test_an_untrained_model_learns_a_pack_by_heart() -> None:
    config = small("tiny", heads=2, layers=2, time_dim=32)
    model = build_transformer(config, seed=0)
    clips = [some_clip(config, 2, 4, 4, 900, 0, text=3), some_clip(config, 1, 4, 8, 100, 1)]
    pack = pack_clips(clips, config, tokens=40)
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(pack.patches_VP.shape, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = {name: x.detach().clone() for name, x in model.named_parameters()}
    losses = []
    for _ in range(60):
        loss = (model(pack) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.9
    assert losses[-1] < 0.2
    assert [name for name, x in model.named_parameters() if torch.equal(x, before[name])] == []
