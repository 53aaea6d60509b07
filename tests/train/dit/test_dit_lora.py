"""LoRA starts as the parent, trains alone, and diffusers reads its file and computes the same with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.loaders import CogVideoXLoraLoaderMixin
from dit_reference import distance, pair, run_reference, small, some_clip
from safetensors.torch import load_file, save_file
from torch import Tensor

from shards.errors import ConfigError, InputError
from train.dit import Transformer, add_lora, load_lora, merge_lora, pack_clips, save_lora, save_transformer
from train.dit.lora import LORA_FILE

CONFIG = small("cogvideox-5b")
CLIP = some_clip(CONFIG, 3, 12, 16, 321, 0)


def output(model: Transformer) -> Tensor:
    pack = pack_clips([CLIP], CONFIG)
    with torch.no_grad():
        return pack.latents(model(pack))[0]


def trained(rank: int = 4, alpha: float | None = 8.0) -> Transformer:
    """A LoRA that is not 0."""
    model, _ = pair(CONFIG)
    add_lora(model, rank, torch.Generator().manual_seed(0), alpha)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1, generator=generator)
    return model


class Pipeline(CogVideoXLoraLoaderMixin):
    """What of diffusers' pipeline `load_lora_weights` needs."""

    def __init__(self, transformer: torch.nn.Module) -> None:
        self.transformer = transformer
        self.components = {"transformer": transformer}
        self.hf_device_map = None


@pytest.mark.parametrize(("rank", "alpha"), [(4, None), (4, 8.0), (3, 1.0)])
def test_diffusers_reads_it_and_computes_the_same(rank: int, alpha: float | None, tmp_path: Path) -> None:
    model = trained(rank, alpha)
    save_lora(model, tmp_path)
    parent, reference = pair(CONFIG)
    Pipeline(reference).load_lora_weights(str(tmp_path))
    with torch.no_grad():
        expected = run_reference(reference, [CLIP], CONFIG)[0]
    assert distance(output(model), expected) < 1e-5
    assert distance(output(parent), expected) > 0.005


def test_it_starts_as_the_parent_and_trains_alone() -> None:
    model, _ = pair(CONFIG)
    before = output(model)
    names = set(model.state_dict())
    add_lora(model, 4, torch.Generator().manual_seed(0))
    assert torch.equal(output(model), before)
    assert names < set(model.state_dict())
    model(pack_clips([CLIP], CONFIG)).square().sum().backward()
    learned = {name for name, x in model.named_parameters() if x.grad is not None and bool(x.grad.any())}
    # A's gradient is 0 as long as B is.
    assert learned == {name for name, _ in model.named_parameters() if "lora_B" in name}
    assert len(learned) == 4 * CONFIG.layers
    with pytest.raises(ConfigError, match="has a LoRA already"):
        add_lora(model, 4, torch.Generator())


def test_it_is_read_back_and_merged(tmp_path: Path) -> None:
    model = trained()
    file = save_lora(model, tmp_path / "lora")
    assert file == tmp_path / "lora" / LORA_FILE
    again, _ = pair(CONFIG)
    load_lora(again, tmp_path / "lora")
    assert distance(output(again), output(model)) < 1e-5
    with pytest.raises(ConfigError, match="has a LoRA: save it with save_lora"):
        save_transformer(model, tmp_path / "transformer")
    expected = output(model)
    merge_lora(model)
    assert distance(output(model), expected) < 1e-5
    assert set(model.state_dict()) == set(pair(CONFIG)[0].state_dict())
    assert all(x.requires_grad for x in model.parameters())
    save_transformer(model, tmp_path / "transformer")


def test_what_is_no_lora_of_the_model_is_refused(tmp_path: Path) -> None:
    model, _ = pair(CONFIG)
    with pytest.raises(InputError, match="no such file"):
        load_lora(model, tmp_path)
    path = save_lora(trained(), tmp_path)
    tensors = load_file(path)
    first = "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight"
    save_file({key: x for key, x in tensors.items() if key != first}, path)
    with pytest.raises(InputError, match=f"{first} and 0 more"):
        load_lora(model, tmp_path)
    save_file({**tensors, first: torch.zeros(4, 5)}, path)
    with pytest.raises(InputError, match=r"to_q has the shapes \[\(4, 5\), .* of another model"):
        load_lora(model, tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cut short"):
        load_lora(model, tmp_path)
    with pytest.raises(ConfigError, match="no LoRA to save"):
        save_lora(model, tmp_path)
    with pytest.raises(ConfigError, match="LoRA of rank 0: want 1 or more"):
        add_lora(model, 0, torch.Generator())
