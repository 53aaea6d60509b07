"""A whole training step on a GPU, next to diffusers' model in the same kind of step.

    python benchmarks/h200_step.py results.json [--preset cogvideox-2b --preset cogvideox-5b]

A step reads one clip's latents from the cache on disk (the next one's while the device works), draws them,
adds noise, goes forward and backward, clips the gradient and moves AdamW over float32 parameters, the
arithmetic in bfloat16. Ours is made of the trainer's own parts and keeps the average of its parameters, which
diffusers' does not; `--no-average` leaves it out. Below 2.5 billion parameters nothing is computed again,
above it every block is (activation checkpointing). Each setting runs in a process of its own; the file is
written anew after each.

On a machine without a GPU, to see that it runs: --preset tiny --size 17x64x64
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from h200 import (
    checkpointed,
    diffusers_inputs,
    diffusers_model,
    in_a_process,
    machine,
    matmul_rate,
    one_clip,
    randomized,
    seconds,
)

from train.data import LatentCache, LoadedClip, LoadedPack, Space, entry_key
from train.diffusion import Schedule, v_loss
from train.dit import PRESETS, Clip, preset, training_flops
from train.loop import World, joined
from train.loop.assemble import kernel_of, make_model
from train.loop.export import diffusion_of
from train.loop.noise import draw_latents
from train.loop.optimizer import Average, build_optimizer, clip_gradients, gradient_norm, learned
from train.loop.packs import PackMaker, ReadyPack
from train.loop.parallel import precision, spread
from train.loop.step import gather_losses, pass_over
from train.plan import PlannedClip, PlannedPack, PlannedStep, View
from train.recipe import Optimizer, Recipe, Stage

CLIPS = 8
"""in the cache, read in turn"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table."""

    preset: str
    model: str
    """ours, or diffusers"""
    kernel: str
    compiled: bool
    parallel: str
    """ddp: autocast over float32 parameters; fsdp: FSDP2's own casts, on one GPU, too"""
    average: bool


def settings(
    presets: list[str], kernels: list[str], parallel: list[str], *, average: bool
) -> Iterator[Setting]:
    """All lines: ours and diffusers', eager, then compiled."""
    for name in presets:
        for compiled in (False, True):
            yield Setting(name, "diffusers", "sdpa", compiled, "ddp", average=False)
            for spreading in parallel:
                for kernel in kernels:
                    yield Setting(name, "ours", kernel, compiled, spreading, average)


def recipe_of(setting: Setting, size: tuple[int, int, int], tokens: int, cuda: bool) -> Recipe:
    """Return a recipe of one clip a step. Checkpointing is set where the model is known."""
    frames, height, _ = size
    return Recipe(
        name="step",
        model=setting.preset,
        diffusion=setting.preset,
        stages=(
            Stage(
                name="all", steps=1000, tokens=tokens, packs=1, short_side=height, max_seconds=frames / 8 + 1
            ),
        ),
        precision="bfloat16" if cuda else "float32",
        parallel="fsdp" if setting.parallel == "fsdp" else "ddp",
        compile=setting.compiled,
        attention=setting.kernel,
        optimizer=Optimizer(ema=0.9999 if setting.average else None),
    )


class Latents:
    """Random latents in a cache on disk, and a text: what a step reads. Loads one clip ahead; a context."""

    def __init__(self, folder: Path, name: str, size: tuple[int, int, int]) -> None:
        config = preset(name)
        self.view = View(0.0, 8.0, *size)
        made = one_clip(config, size, torch.Generator().manual_seed(0))
        self.text_UE = made.text_UE.to(torch.bfloat16)
        space = Space("random", {}, "bfloat16", 0)
        with contextlib.closing(LatentCache(folder, space)) as cache:
            for number in range(CLIPS):
                latents = one_clip(config, size, torch.Generator().manual_seed(number)).latents_CTHW
                moments = (latents.to(torch.bfloat16), torch.full_like(latents, -6.0, dtype=torch.bfloat16))
                cache.put(entry_key(str(number), self.view), moments)
        self.cache = LatentCache(folder, space)
        self._pool = ThreadPoolExecutor(1)
        self._next = self._pool.submit(self._read, 0)
        self._number = 0

    def __enter__(self) -> Latents:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self.cache.close()

    def take(self) -> LoadedClip:
        """Return the next clip, and begin to read the one after it."""
        clip = self._next.result()
        self._number += 1
        self._next = self._pool.submit(self._read, self._number)
        return clip

    def _read(self, number: int) -> LoadedClip:
        found = self.cache.get(entry_key(str(number % CLIPS), self.view))
        assert found is not None
        return LoadedClip(str(number % CLIPS), *found, self.text_UE)


Made = tuple[Callable[[], None], bool]
"""a step, and whether activations are computed again in it"""


def ours(setting: Setting, latents: Latents, recipe: Recipe, world: World) -> Made:
    """Return a step by the trainer's parts, in the trainer's order."""
    device = world.device
    model = make_model(recipe, None, device)
    randomized(model)
    recipe = dataclasses.replace(recipe, activation_checkpointing=checkpointed(model))
    kernel_of(recipe, device)
    called = spread(model, recipe, world)
    values = learned(model)
    optimizer = build_optimizer(model, recipe.optimizer)
    average = Average(values, 0.9999) if setting.average else None
    maker = PackMaker(model.config, Schedule.of(diffusion_of(recipe.diffusion)), 0, fixed=recipe.compile)
    tokens = recipe.stages[0].tokens
    planned = PlannedPack((PlannedClip(0, 0, latents.view, 0, tokens, 1.0, 500),))

    def made(number: int) -> list[ReadyPack]:
        step = PlannedStep(number, 0, (planned,))
        packs = maker.make(step, [0], [LoadedPack(planned, (latents.take(),))], tokens, 1)
        return [pack.pinned() if device.type == "cuda" else pack for pack in packs]

    waiting, number = made(0), 0

    def step() -> None:
        nonlocal waiting, number
        packs = waiting
        losses = pass_over(called, packs, 1.0, world, recipe)
        number += 1
        waiting = made(number)
        gather_losses(packs, losses, [1.0], world)
        parameters = list(values.values())
        clip_gradients(parameters, recipe.optimizer.clip_norm, gradient_norm(parameters))
        optimizer.step()
        if average is not None:
            average.update(values)
        optimizer.zero_grad()

    return step, recipe.activation_checkpointing


def theirs(setting: Setting, latents: Latents, recipe: Recipe, world: World) -> Made:
    """Return a step of diffusers' transformer: what a training script around it does."""
    device, config = world.device, preset(setting.preset)
    model = diffusers_model(config, device, torch.float32)
    if checkpointed(model):
        model.enable_gradient_checkpointing()
    if setting.compiled:
        for block in model.transformer_blocks:
            block.compile()
    optimizer = build_optimizer(model, recipe.optimizer)
    schedule = Schedule.of(diffusion_of(recipe.diffusion))
    context, _ = precision(recipe, device)
    extra = config.in_channels > config.out_channels
    number = 0

    def step() -> None:
        nonlocal number
        clip = latents.take()
        time = torch.tensor([500], device=device)
        x0 = draw_latents(clip, seed=0, step=number, visit=0).to(device)[None]
        noise = torch.randn_like(x0)
        noisy = schedule.add_noise(x0, noise, time)[0]
        wanted = schedule.velocity(x0, noise, time)[0].transpose(0, 1)[None]
        number += 1
        shown = Clip(noisy, clip.text_UE.float(), 500, torch.zeros_like(noisy) if extra else None)
        with context:
            out = model(**diffusers_inputs(shown, config, device))[0]
        loss = v_loss(out.float(), wanted).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    return step, checkpointed(model)


def measure(
    setting: Setting, size: tuple[int, int, int], device: str, repeats: int, folder: Path
) -> dict[str, object]:
    """Run one setting in this process."""
    config = preset(setting.preset)
    frames, height, width = size
    grid = ((frames - 1) // 4 + 1, height // 8 // config.patch, width // 8 // config.patch)
    tokens = config.text_length + grid[0] * grid[1] * grid[2]
    with joined(device) as world, Latents(folder, setting.preset, size) as latents:
        recipe = recipe_of(setting, size, tokens, world.device.type == "cuda")
        step, recomputed = (ours if setting.model == "ours" else theirs)(setting, latents, recipe, world)
        taken = seconds(step, world.device, repeats)
        half = torch.bfloat16 if world.device.type == "cuda" else torch.float32
        rate = matmul_rate(world.device, half)
        cuda = world.device.type == "cuda"
        flops = training_flops(config, [(config.text_length, grid)])
        return {
            "seconds": taken,
            "tokens": tokens,
            "recomputed": recomputed,
            "share_of_matmul": flops / taken / rate,
            "matmul_teraflops_a_second": rate / 1e12,
            "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if cuda else None,
        }


def main() -> None:
    """Measure all settings; write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--preset", action="append", choices=list(PRESETS), help="default: 2B and 5B")
    parser.add_argument("--size", default="49x480x720", help="frames x height x width, in pixels")
    parser.add_argument("--kernel", action="append", help="of our attention; default: auto")
    parser.add_argument("--parallel", action="append", choices=("ddp", "fsdp"), help="default: ddp")
    parser.add_argument("--no-average", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--timeout-s", type=float, default=900, help="of one setting")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    told = parser.parse_args()
    frames, height, width = map(int, told.size.split("x"))
    if told.one:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(
                Setting(**json.loads(told.one)), (frames, height, width), told.device, told.repeats,
                Path(folder),
            )  # fmt: skip
        print(json.dumps(found))
        return
    presets = told.preset or ["cogvideox-2b", "cogvideox-5b"]
    kernels, parallel = told.kernel or ["auto"], told.parallel or ["ddp"]
    results: list[dict[str, object]] = []
    for setting in settings(presets, kernels, parallel, average=not told.no_average):
        command = [__file__, str(told.output), "--one", json.dumps(dataclasses.asdict(setting))]
        command += ["--size", told.size, "--device", told.device, "--repeats", str(told.repeats)]
        results.append({**dataclasses.asdict(setting), **in_a_process(command, told.timeout_s)})
        print(json.dumps(results[-1]), flush=True)
        content = {"size": told.size, **machine(torch.device(told.device)), "results": results}
        told.output.parent.mkdir(parents=True, exist_ok=True)
        told.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
