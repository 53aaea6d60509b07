"""Folders of weights: every form is read, what is written diffusers reads, each fault is one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shards.errors import ConfigError, CurateError, InputError, IntegrityError, StorageError
from train.checkpoints import (
    Joined,
    free_bytes,
    load_weights,
    read_config,
    require_memory,
    save_folder,
    tensor_bytes,
)
from train.checkpoints.folder import weights_name

CPU = torch.device("cpu")


class Inner(nn.Module):
    """Three matrices, norms, and a buffer that is saved."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Linear(6, 4)
        self.k = nn.Linear(6, 4)
        self.norm = nn.GroupNorm(2, 4)
        self.register_buffer("steps", torch.arange(5))


class Fused(nn.Module):
    """The same with one matrix for both, and the norm's weight in two pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.qk = nn.Linear(6, 8)
        self.low = nn.Parameter(torch.randn(1))
        self.high = nn.Parameter(torch.randn(3))
        self.shift = nn.Parameter(torch.randn(4))
        self.register_buffer("steps", torch.zeros(5, dtype=torch.int64))


FUSED = (
    Joined(("qk.weight",), ("q.weight", "k.weight")),
    Joined(("qk.bias",), ("q.bias", "k.bias")),
    Joined(("low", "high"), ("norm.weight",)),
    Joined(("shift",), ("norm.bias",)),
)


def same(x: nn.Module, y: nn.Module) -> bool:
    ours, theirs = x.state_dict(), y.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def inner(seed: int = 0) -> Inner:
    module = Inner()
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_folder(inner(), {"_class_name": "Inner"}, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    save_folder(inner(), {"_class_name": "Inner"}, tmp_path / "model", max_shard_bytes=150)
    return tmp_path / "model"


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("most", [1, 150, 10**9])
def test_what_is_written_is_read_back(tmp_path: Path, most: int, variant: str | None) -> None:
    module = inner()
    save_folder(module, {"width": 4}, tmp_path / "model", max_shard_bytes=most, variant=variant)
    assert read_config(tmp_path / "model") == {"width": 4}
    files = sorted(tmp_path.glob("model/*.safetensors"))
    assert len(files) == {1: 7, 150: 3, 10**9: 1}[most]
    assert all(
        path.name.startswith(f"diffusion_pytorch_model.{variant}") == (variant is not None) for path in files
    )
    for asked in {variant, None}:
        read = inner(1)
        load_weights(read, tmp_path / "model", variant=asked)
        assert same(read, module)


def test_an_index_says_where_and_how_much(sharded: Path) -> None:
    index = json.loads((sharded / "diffusion_pytorch_model.safetensors.index.json").read_text())
    assert (
        index["metadata"]["total_size"]
        == tensor_bytes(inner().state_dict().values())
        == 4 * (48 + 8 + 8) + 8 * 5
    )
    for key, name in index["weight_map"].items():
        assert key in load_file(sharded / name)
    assert (
        max(sum(x.nbytes for x in load_file(path).values()) for path in sharded.glob("*.safetensors")) <= 150
    )


def test_a_module_on_the_meta_device_is_made(saved: Path) -> None:
    with torch.device("meta"):
        module = Inner()
    module.q.weight.requires_grad_(False)
    load_weights(module, saved, dtype=torch.bfloat16)
    assert module.k.weight.dtype == torch.bfloat16
    assert module.steps.dtype == torch.int64
    assert isinstance(module.k.weight, nn.Parameter)
    assert [x.requires_grad for x in (module.q.weight, module.k.weight)] == [False, True]
    assert torch.equal(module.k.weight, inner().k.weight.bfloat16())
    assert not any(x.is_meta for x in [*module.parameters(), *module.buffers()])


def test_precision_on_the_way_out(tmp_path: Path) -> None:
    save_folder(inner(), {}, tmp_path / "half", dtype=torch.float16)
    tensors = load_file(tmp_path / "half" / weights_name())
    assert {key: x.dtype for key, x in tensors.items() if key != "steps"} == dict.fromkeys(
        ("q.weight", "q.bias", "k.weight", "k.bias", "norm.weight", "norm.bias"), torch.float16
    )
    assert tensors["steps"].dtype == torch.int64


def test_fused_and_merged_tensors_are_cut_on_the_way_out_and_joined_on_the_way_in(
    saved: Path, tmp_path: Path
) -> None:
    fused = Fused()
    load_weights(fused, saved, rules=FUSED)
    assert torch.equal(fused.qk.weight, torch.cat([inner().q.weight, inner().k.weight]))
    assert torch.equal(torch.cat([fused.low, fused.high]), inner().norm.weight)
    save_folder(fused, {}, tmp_path / "back", rules=FUSED, max_shard_bytes=100)
    read = inner(1)
    load_weights(read, tmp_path / "back")
    assert same(read, inner())
    with torch.device("meta"):
        made = Fused()
    load_weights(made, saved, rules=FUSED)
    assert same(made, fused)


def test_rules_that_name_nothing_are_a_fault_of_the_program(saved: Path) -> None:
    with pytest.raises(ValueError, match="the module has not"):
        load_weights(inner(), saved, rules=[Joined(("qkv",), ("q",))])
    with pytest.raises(ValueError, match="single"):
        Joined(("a", "b"), ("c", "d"))


def change(path: Path, **changes: Tensor | None) -> None:
    """Rewrite a file with tensors changed, or left out."""
    tensors = load_file(path)
    for key, tensor in changes.items():
        name = key.replace("__", ".")
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    save_file(tensors, path)


def refused(
    folder: Path, kind: type[CurateError], said: str, module: nn.Module | None = None, **options: str
) -> None:
    """The error is of a kind, one line, and nothing has been changed."""
    module = inner(1) if module is None else module
    with pytest.raises(kind, match=said) as caught:
        load_weights(module, folder, **options)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    if isinstance(module, Inner):
        assert same(module, inner(1))


def test_keys_that_are_missing_or_unexpected_are_named(saved: Path) -> None:
    change(saved / weights_name(), q__bias=None, other=torch.zeros(2))
    refused(saved, InputError, r"1 missing keys: q\.bias; 1 unexpected keys: other$")
    other = nn.Sequential(*[nn.Linear(2, 2) for _ in range(3)])
    refused(
        saved,
        InputError,
        r"6 missing keys: 0\.bias, 0\.weight, 1\.bias, 1\.weight, 2\.bias and 1 more; 7 unexp",
        other,
    )


def test_wrong_shapes_are_named(saved: Path) -> None:
    change(saved / weights_name(), q__weight=torch.zeros(6, 4), norm__bias=torch.zeros(4, 1))
    refused(
        saved,
        InputError,
        r"2 tensors of another size: q\.weight is \(6, 4\), the model's \(4, 6\), norm\.bias is",
    )
    refused(
        saved,
        InputError,
        r"q\.weight \+ k\.weight is \(6, 4\) \+ \(4, 6\), the model's \(8, 6\)",
        Fused(),
        rules=FUSED,
    )


def test_missing_shards_are_named(sharded: Path) -> None:
    (sharded / weights_name(shard="-00002-of-00003")).unlink()
    refused(
        sharded, InputError, r"1 of 3 shards are missing: diffusion_pytorch_model-00002-of-00003\.safetensors"
    )


def test_a_shard_that_was_cut_short_is_said_so(sharded: Path) -> None:
    path = sharded / weights_name(shard="-00002-of-00003")
    path.write_bytes(path.read_bytes()[:-10])
    refused(sharded, IntegrityError, "00002-of-00003.*cut short")


def test_an_index_that_does_not_agree_is_said_so(sharded: Path) -> None:
    change(sharded / weights_name(shard="-00001-of-00003"), q__weight=None)
    refused(sharded, IntegrityError, r"index does not agree with the shards on q\.weight")
    change(
        sharded / weights_name(shard="-00001-of-00003"), q__weight=torch.zeros(4, 6), k__weight=torch.zeros(1)
    )
    refused(sharded, IntegrityError, r"k\.weight is in .*00001.* and in .*00002")


def test_an_index_cannot_lead_out_of_its_folder(sharded: Path) -> None:
    path = sharded / "diffusion_pytorch_model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"q.weight": "../other.safetensors"}}))
    refused(sharded, InputError, "names files outside its folder")
    path.write_text(json.dumps({"weight_map": [1]}))
    refused(sharded, InputError, "no weight_map")
    path.write_text("{")
    refused(sharded, InputError, "not JSON")


def test_folders_that_hold_no_weights(tmp_path: Path, saved: Path) -> None:
    refused(tmp_path / "none", InputError, "no such folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", InputError, "no diffusion_pytorch_model.safetensors and no")
    (tmp_path / "empty" / "diffusion_pytorch_model.bin").touch()
    refused(tmp_path / "empty", InputError, "pickled weights alone")
    refused(saved, InputError, "no diffusion_pytorch_model.fp16.safetensors", variant="fp16")
    (saved / weights_name()).rename(saved / weights_name("fp16"))
    (saved / weights_name("ema")).touch()
    refused(saved, InputError, "no plain weights; there are the variants ema, fp16")
    refused(
        saved, InputError, "no weights of variant 'bf16'; there are the variants ema, fp16", variant="bf16"
    )


def test_configs_that_cannot_be_read(tmp_path: Path) -> None:
    for name, said in (("none", "no such folder"), (".", "no config.json; is it")):
        with pytest.raises(InputError, match=said):
            read_config(tmp_path / name)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(InputError, match="a whole pipeline; name the folder of one model"):
        read_config(tmp_path)
    for content, said in (("[1]", "not a JSON object"), ("{", "not JSON")):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(InputError, match=said):
            read_config(tmp_path)


def test_a_folder_is_never_written_over(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(InputError, match="exists already"):
        save_folder(inner(1), {}, saved)
    assert before == {path.name: path.read_bytes() for path in saved.iterdir()}


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        save_folder(inner(), {}, tmp_path / "file" / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_too_little_memory_is_said_before_anything_is_read(saved: Path) -> None:
    with torch.device("meta"):
        module = Inner()
    with pytest.raises(
        ConfigError, match=r"needs 0.0 GB on cpu, where 0.0 GB are free: choose a smaller preset"
    ):
        load_weights(module, saved, free=lambda _: tensor_bytes(module.state_dict().values()) - 1)
    assert all(x.is_meta for x in module.parameters())
    load_weights(module, saved, free=lambda _: tensor_bytes(module.state_dict().values()))
    require_memory(10**30, CPU, "x", free=lambda _: None)


def test_free_memory_is_the_least_of_machine_and_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16000 kB\nMemAvailable:    9000 kB\n")
    assert free_bytes(CPU, meminfo, tmp_path) == 9000 * 1024
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 700000\n")
    assert free_bytes(CPU, meminfo, tmp_path) == 3_700_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(CPU, meminfo, tmp_path) == 9000 * 1024
    assert free_bytes(CPU, tmp_path / "none") is None
    here = free_bytes(CPU)
    assert here is None or 10**6 < here < 10**14


def test_any_module_goes_through(tmp_path: Path) -> None:
    """The VAE of diffusers, with its buffers and convolutions, written here and read there, and back."""
    config = {
        "block_out_channels": (8, 8),
        "norm_num_groups": 2,
        "down_block_types": ("CogVideoXDownBlock3D",) * 2,
        "up_block_types": ("CogVideoXUpBlock3D",) * 2,
        "layers_per_block": 1,
        "latent_channels": 4,
    }
    vae = AutoencoderKLCogVideoX(**config)
    save_folder(vae, dict(vae.config), tmp_path / "vae", max_shard_bytes=20_000)
    assert same(AutoencoderKLCogVideoX.from_pretrained(tmp_path / "vae"), vae)
    vae.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    read = AutoencoderKLCogVideoX(**config)
    load_weights(read, tmp_path / "theirs")
    assert same(read, vae)
