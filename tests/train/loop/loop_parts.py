"""A small run in memory: planned steps, clips by number, a model of two layers; for any number of ranks."""

from __future__ import annotations

import dataclasses
import os
import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # DDP and FSDP2 read it: once, in what forks processes
import torch.multiprocessing as mp
from torch import Tensor

from train.data import LoadedClip, LoadedPack
from train.dit import Transformer, TransformerConfig, build_transformer
from train.loop import Data, HeldOut, Outcome, Settings, World, joined, train
from train.loop.assemble import kernel_of
from train.plan import PlannedClip, PlannedPack, PlannedStep, View
from train.recipe import Optimizer, Recipe, Saving, Stage

__all__ = [
    "CONFIG",
    "Memory",
    "Numbers",
    "change",
    "child",
    "data",
    "deal",
    "processes",
    "recipe",
    "run",
    "tensors",
]

CONFIG = TransformerConfig(
    heads=2, head_dim=16, layers=2, in_channels=4, out_channels=4, text_dim=8, text_length=6, time_dim=16,
    positions="rope", sample_frames=9, sample_height=4, sample_width=6,
)  # fmt: skip
SIZES = ((1, 32, 32), (5, 32, 48), (9, 32, 32), (9, 48, 32))


def recipe(**changes: Any) -> Recipe:
    """Ten steps of four packs; `changes` by field, those of optimizer and saving under their names."""
    made = Recipe(
        name="small",
        model="tiny",
        diffusion="tiny",
        stages=(Stage(name="all", steps=10, tokens=96, packs=4, short_side=32, max_seconds=1.0),),
        optimizer=Optimizer(learning_rate=1e-3, warmup_steps=2, ema=0.99),
        saving=Saving(every=4, keep=2, validate_every=0),
    )
    return change(made, **changes)


def change(given: Recipe, **changes: Any) -> Recipe:
    for name in ("optimizer", "saving"):
        if name in changes:
            changes[name] = dataclasses.replace(getattr(given, name), **changes[name])
    if "steps" in changes:
        changes["stages"] = (dataclasses.replace(given.stages[0], steps=changes.pop("steps")),)
    return dataclasses.replace(given, **changes)


@dataclasses.dataclass
class Block:
    ended: int


class Numbers:
    """`Planned`: steps drawn one after another from a state, as a planner with a carried window is."""

    def __init__(self, packs: int = 4, seed: int = 0) -> None:
        self.kept, self.dropped = 3, 1
        self.packs, self.drawn, self.cursor = packs, random.Random(seed).randrange(10**6), 0

    def step(self, number: int) -> PlannedStep:
        assert number == self.cursor, "steps are asked for one after another"
        self.cursor += 1
        packs = []
        for _ in range(self.packs):
            clips = []
            for _ in range(2):
                self.drawn = (self.drawn * 1103515245 + 12345) % 2**31
                row = self.drawn % 997
                frames, height, width = SIZES[row % len(SIZES)]
                tokens = CONFIG.text_length + ((frames - 1) // 4 + 1) * (height // 16) * (width // 16)
                view = View(0.0, 8.0, frames, height, width)
                clips.append(PlannedClip(row, 0, view, 0, tokens, 1.0, self.drawn // 7 % 1000))
            packs.append(PlannedPack(tuple(clips)))
        return PlannedStep(number, 0, tuple(packs))

    def state(self) -> Mapping[str, Any]:
        return {"drawn": self.drawn, "cursor": self.cursor}

    def restore(self, state: Mapping[str, Any], *, other_manifest: bool = False) -> None:  # noqa: ARG002
        self.drawn, self.cursor = state["drawn"], state["cursor"]

    def take_blocks(self) -> list[Block]:
        return [Block(self.cursor)] if self.cursor % 5 == 0 else []


class Memory:
    """`Batches` of random latents by row. `missing`: clips, by (step, pack, place), that cannot be read;
    `spoiled`: what is done with the latents of a step, by step."""

    def __init__(
        self,
        missing: frozenset[tuple[int, int, int]] = frozenset(),
        spoiled: Mapping[int, Callable[[Tensor], Tensor]] | None = None,
        after: Callable[[int], None] | None = None,
    ) -> None:
        self.missing, self.spoiled, self.after = missing, spoiled or {}, after

    def load(self, step: PlannedStep, packs: Sequence[int]) -> list[LoadedPack]:
        if self.after is not None:
            self.after(step.number)
        return [LoadedPack(step.packs[at], tuple(self._clips(step, at))) for at in packs]

    def _clips(self, step: PlannedStep, at: int) -> Iterator[LoadedClip | None]:
        for place, clip in enumerate(step.packs[at].clips):
            if (step.number, at, place) in self.missing:
                yield None
                continue
            generator = torch.Generator().manual_seed(clip.row)
            shape = (4, (clip.view.frames - 1) // 4 + 1, clip.view.height // 8, clip.view.width // 8)
            mean, logvar = (torch.randn(shape, generator=generator) for _ in range(2))
            text = torch.randn(CONFIG.text_length, CONFIG.text_dim, generator=generator)
            if step.number in self.spoiled and at == 0 and place == 0:
                mean = self.spoiled[step.number](mean)
            yield LoadedClip(f"clip-{clip.row}", mean, logvar - 3, text)

    def close(self) -> None:
        pass


def deal(step: PlannedStep, ranks: int) -> list[list[int]]:
    """Packs in turn: uneven where they don't divide."""
    return [list(range(rank, len(step.packs), ranks)) for rank in range(ranks)]


def data(memory: Memory | None = None, packs: int = 4, held_out: bool = False) -> Data:
    held = HeldOut(((Numbers(2, seed=9).step(0),),), Memory()) if held_out else None
    return Data(
        planner=Numbers(packs), batches=memory or Memory(), deal=deal, digest="0123abcd" * 8, held_out=held
    )


def run(
    output: Path,
    given: Recipe | None = None,
    memory: Memory | None = None,
    config: TransformerConfig = CONFIG,
    packs: int = 4,
    **settings: Any,
) -> tuple[Transformer, Outcome]:
    """Train in this process alone."""
    with joined("cpu") as world:
        return run_in(world, output, given, memory, config, packs, **settings)


def run_in(
    world: World,
    output: Path,
    given: Recipe | None = None,
    memory: Memory | None = None,
    config: TransformerConfig = CONFIG,
    packs: int = 4,
    held_out: bool = False,
    **settings: Any,
) -> tuple[Transformer, Outcome]:
    given = given or recipe()
    model = build_transformer(config, seed=0, attention=kernel_of(given, world.device))
    settings = {"hang_s": 0, **settings}
    outcome = train(model, given, data(memory, packs, held_out), Settings(output=output, **settings), world)
    return model, outcome


def tensors(model: Transformer) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _process(rank: int, size: int, port: int, failures: Any, work: Callable[..., None], args: Any) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    try:
        with joined("cpu") as world:
            work(world, *args)
    except BaseException:
        failures.put(traceback.format_exc())
        raise


def _server() -> Any:
    """Return what starts processes: torch is imported once for all of them."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def processes(size: int, work: Callable[..., None], *args: Any) -> None:
    """Run `work(world, *args)` in so many processes of one group; raises what one of them raised."""
    context = _server()
    failures = context.SimpleQueue()
    given = (size, _free_port(), failures, work, args)
    started = [context.Process(target=_process, args=(rank, *given)) for rank in range(size)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    if not failures.empty():
        raise AssertionError(failures.get())
    assert [process.exitcode for process in started] == [0] * size


def _alone(said: Path, work: Callable[..., None], args: Any) -> None:
    torch.set_num_threads(1)
    with said.open("w") as file:
        os.dup2(file.fileno(), 2)
    work(*args)


def child(said: Path, work: Callable[..., None], *args: Any) -> int:
    """Run `work(*args)` in a process, its standard error in a file; return its exit code."""
    process = _server().Process(target=_alone, args=(said, work, args))
    process.start()
    process.join()
    code: int = process.exitcode
    return code


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
