"""How fast the transformer runs on a GPU: every attention kernel, eager and compiled, next to diffusers'.

    python benchmarks/h200.py results.json [--preset cogvideox-2b --preset cogvideox-5b] [--size 49x480x720]

Forward passes, and forward-backward ones, of one clip of random numbers with a text of full length. Each
setting runs in a process of its own, so one that fails (no such kernel, too little memory, a fault
of the driver) costs its own line; the file is written anew after each. Shares of the machine (MFU) are of the
rate of a large bfloat16 matrix product, measured in the same run, by `train.dit.training_flops`.

On a machine without a GPU, to see that it runs: --preset tiny --size 17x64x64 --kernel sdpa --kernel cudnn
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from train.dit import (
    KERNELS,
    PRESETS,
    Clip,
    Pack,
    TransformerConfig,
    build_transformer,
    forward_flops,
    grid_of,
    pack_clips,
    preset,
    training_flops,
)

CHECKPOINT_ABOVE = 2_500_000_000
"""parameters: their activations do not fit beside them into 139 GiB at 17,776 tokens"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table."""

    preset: str
    model: str
    """ours, or diffusers"""
    kernel: str
    compiled: bool
    backward: bool


def settings(presets: list[str], kernels: list[str], compiled: list[bool], rival: bool) -> Iterator[Setting]:
    """All lines, forward passes before backward ones."""
    for name in presets:
        for backward in (False, True):
            for compile_blocks in compiled:
                for kernel in kernels:
                    yield Setting(name, "ours", kernel, compile_blocks, backward)
                if rival:
                    yield Setting(name, "diffusers", "sdpa", compile_blocks, backward)


def one_clip(config: TransformerConfig, size: tuple[int, int, int], generator: torch.Generator) -> Clip:
    """Random latents of a video of (frames, height, width) pixels, with a text of full length."""
    frames, height, width = size
    latent = (frames - 1) // config.frame_compression + 1
    latent += -latent % config.patch_depth
    channels = torch.randn(config.in_channels, latent, height // 8, width // 8, generator=generator)
    return Clip(
        latents_CTHW=channels[: config.out_channels],
        extra_CTHW=channels[config.out_channels :] if config.in_channels > config.out_channels else None,
        text_UE=torch.randn(config.text_length, config.text_dim, generator=generator),
        timestep=500,
        ofs=None if config.ofs_dim is None else 2.0,
    )


def randomized(model: nn.Module) -> nn.Module:
    """No zeros: a GPU multiplies them at a higher clock."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(0, 0.02)
    return model


def ours(setting: Setting, pack: Pack, device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Return a forward pass of our transformer."""
    model = build_transformer(pack.config, seed=0, device=device, dtype=dtype, attention=setting.kernel)
    randomized(model)
    for number, block in enumerate(model.transformer_blocks):
        if setting.compiled:
            block.compile(fullgraph=True)
        if setting.backward and checkpointed(model):
            model.transformer_blocks[number] = checkpoint_wrapper(block)
    return lambda: model(pack)


def checkpointed(model: nn.Module) -> bool:
    """Whether the activations are recomputed in the backward pass."""
    return sum(x.numel() for x in model.parameters()) > CHECKPOINT_ABOVE


def diffusers_model(config: TransformerConfig, device: torch.device, dtype: torch.dtype) -> Any:
    """Return diffusers' transformer with the weights that ours begins with."""
    from diffusers import CogVideoXTransformer3DModel

    with torch.device("meta"):
        model = CogVideoXTransformer3DModel.from_config(config.to_diffusers())
    model.to(dtype).to_empty(device=device)
    model.load_state_dict(
        randomized(build_transformer(config, seed=0, device=device, dtype=dtype)).state_dict()
    )
    if config.positions == "sincos":
        # It is no part of the state, and not computed on the meta device.
        embed = model.patch_embed
        made = embed._get_positional_embeddings(embed.sample_height, embed.sample_width, embed.sample_frames)
        embed.pos_embedding = made.to(device, dtype)
    return model


def diffusers_inputs(clip: Clip, config: TransformerConfig, device: torch.device) -> dict[str, Any]:
    """Return what diffusers' transformer reads of a clip."""
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    latents = (
        clip.latents_CTHW if clip.extra_CTHW is None else torch.cat([clip.latents_CTHW, clip.extra_CTHW])
    )
    frames, rows, columns = grid_of(tuple(latents.shape[1:]), config)
    rope = None
    if config.positions != "sincos":
        # The time depends on the shape of the tables alone.
        grid = (rows, columns)
        rope = get_3d_rotary_pos_embed(config.head_dim, ((0, 0), grid), grid, frames, device=device)
    return {
        "hidden_states": latents.transpose(0, 1)[None].to(device),
        "encoder_hidden_states": clip.text_UE[None].to(device),
        "timestep": torch.tensor([int(clip.timestep)], device=device),
        "ofs": None if clip.ofs is None else torch.tensor([clip.ofs], device=device),
        "image_rotary_emb": rope,
        "return_dict": False,
    }


def diffusers(
    setting: Setting, clip: Clip, config: TransformerConfig, device: torch.device, dtype: torch.dtype
) -> Callable[[], Tensor]:
    """Return a forward pass of diffusers' transformer over the same clip."""
    model = diffusers_model(config, device, dtype)
    if setting.backward and checkpointed(model):
        model.enable_gradient_checkpointing()
    if setting.compiled:
        for block in model.transformer_blocks:
            block.compile()
    inputs = diffusers_inputs(clip, config, device)
    for name in ("hidden_states", "encoder_hidden_states"):
        inputs[name] = inputs[name].to(dtype)
    return lambda: model(**inputs)[0]


def seconds(step: Callable[[], None], device: torch.device, repeats: int) -> float:
    """Median time of a step, after two that are not counted (the first compiles)."""
    times = []
    for number in range(repeats + 2):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product: 8,192³ on a GPU, 512³ elsewhere."""
    side = 8192 if device.type == "cuda" else 512
    x, y = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def products() -> None:
        for _ in range(20):
            torch.mm(x, y)

    return 20 * 2 * side**3 / seconds(products, device, 5)


def measure(
    setting: Setting, size: tuple[int, int, int], device: torch.device, repeats: int
) -> dict[str, object]:
    """Run one setting in this process."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = preset(setting.preset)
    clip = one_clip(config, size, torch.Generator().manual_seed(0))
    pack = pack_clips([clip], config)
    if setting.model == "ours":
        forward = ours(setting, pack.to(device, dtype), device, dtype)
    else:
        forward = diffusers(setting, clip, config, device, dtype)

    def step() -> None:
        with torch.set_grad_enabled(setting.backward):
            out = forward()
            if setting.backward:
                out.float().square().mean().backward()

    taken = seconds(step, device, repeats)
    clips = list(zip(pack.text_lengths, pack.grids, strict=True))
    flops = (training_flops if setting.backward else forward_flops)(config, clips)
    rate = matmul_rate(device, dtype)
    return {
        "seconds": taken,
        "tokens": pack.segments.tokens,
        "teraflops": flops / 1e12,
        "share_of_matmul": flops / taken / rate,
        "matmul_teraflops_a_second": rate / 1e12,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None,
    }


def in_a_process(command: Sequence[str], timeout_s: float) -> dict[str, object]:
    """Run one setting in a process of its own; what it ends with, whatever that is, becomes a line."""
    try:
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"more than {timeout_s} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {"error": (said[-1] if said else f"exit {done.returncode}")[:500]}
    result: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def machine(device: torch.device) -> dict[str, object]:
    """What it ran on."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else platform.processor() or platform.machine()
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


def main() -> None:
    """Measure all settings; write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--preset", action="append", choices=list(PRESETS), help="default: 2B and 5B")
    parser.add_argument("--size", default="49x480x720", help="frames x height x width, in pixels")
    parser.add_argument("--kernel", action="append", choices=KERNELS, help="default: all")
    parser.add_argument("--compile", choices=("off", "on", "both"), default="both")
    parser.add_argument("--no-diffusers", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timeout-s", type=float, default=900, help="of one setting")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    told = parser.parse_args()
    frames, height, width = map(int, told.size.split("x"))
    device = torch.device(told.device)
    if told.one:
        print(
            json.dumps(
                measure(Setting(**json.loads(told.one)), (frames, height, width), device, told.repeats)
            )
        )
        return
    compiled = {"off": [False], "on": [True], "both": [False, True]}[told.compile]
    presets = told.preset or ["cogvideox-2b", "cogvideox-5b"]
    results: list[dict[str, object]] = []
    for setting in settings(presets, told.kernel or list(KERNELS), compiled, not told.no_diffusers):
        line = json.dumps(dataclasses.asdict(setting))
        command = [__file__, str(told.output), "--one", line, "--size", told.size]
        command += ["--device", told.device, "--repeats", str(told.repeats)]
        results.append({**dataclasses.asdict(setting), **in_a_process(command, told.timeout_s)})
        print(json.dumps(results[-1]), flush=True)
        content = {"size": told.size, **machine(device), "results": results}
        told.output.parent.mkdir(parents=True, exist_ok=True)
        told.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
