"""A block is one graph, and the same one for every pack of a budget."""

from __future__ import annotations

import pytest
import torch
from dit_reference import distance, pair, small, some_clip
from torch._dynamo.testing import CompileCounterWithBackend

from train.dit import Clip, TransformerConfig, pack_clips

BUDGET = 512

# The compiler's own looks at what it traces.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def packs_of(config: TransformerConfig) -> list[list[Clip]]:
    """Three packs that differ in everything but the budget."""
    sizes = [[(4, 12, 16, 7), (2, 6, 20, 1)], [(2, 20, 6, 5)], [(2, 4, 4, 7), (2, 4, 8, 2), (2, 8, 4, 3)]]
    return [
        [some_clip(config, t, h, w, 100 * t, text=text, seed=h) for t, h, w, text in clips] for clips in sizes
    ]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["cogvideox-2b", "cogvideox-5b"])
def test_blocks_compile_to_one_graph_for_all_packs(name: str) -> None:
    config = small(name, layers=2)
    model, _ = pair(config)
    model.attention = "cudnn"
    eager, _ = pair(config)
    counter = CompileCounterWithBackend("aot_eager")
    for block in model.transformer_blocks:
        block.compile(fullgraph=True, backend=counter)
    for clips in packs_of(config):
        pack = pack_clips(clips, config, tokens=BUDGET, slots=4)
        out = model(pack)
        assert distance(out, eager(pack)) < 1e-5
        model.zero_grad()
        eager.zero_grad()
        out.square().sum().backward()
        eager(pack).square().sum().backward()
        gradients = zip(model.parameters(), eager.parameters(), strict=True)
        total = torch.stack([(x.grad - y.grad).norm() / (y.grad.norm() + 1e-3) for x, y in gradients])
        assert float(total.max()) < 1e-4
    # All blocks share their code: one graph in all.
    assert counter.frame_count == 1


@pytest.mark.parametrize(("kernel", "graphs"), [("sdpa", 3), ("flex", 1)])
def test_the_other_kernels_are_in_the_blocks_graph(kernel: str, graphs: int) -> None:
    """The loop of SDPA is another graph for each combination of lengths."""
    config = small("cogvideox-5b", layers=1)
    model, eager = pair(config)[0], pair(config)[0]
    model.attention = kernel
    counter = CompileCounterWithBackend("eager")
    for block in model.transformer_blocks:
        block.compile(fullgraph=True, backend=counter)
    with torch.no_grad():
        for clips in packs_of(config):
            pack = pack_clips(clips, config, tokens=BUDGET, slots=4)
            assert distance(model(pack), eager(pack)) < 1e-5
    assert counter.frame_count == graphs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_compiled_by_the_default_backend_it_gives_the_same() -> None:
    config = small("cogvideox-5b", layers=1)
    model, _ = pair(config)
    model.attention = "cudnn"
    pack = pack_clips(packs_of(config)[0], config, tokens=BUDGET, slots=4)
    expected = model(pack).detach()
    for block in model.transformer_blocks:
        block.compile(fullgraph=True)
    out = model(pack)
    assert distance(out, expected) < 1e-5
    out.sum().backward()
    assert all(bool(x.grad.isfinite().all()) for x in model.parameters())
