import json
import math
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_manifests import recipe, simulated, stage, write_manifest

from shards.errors import ConfigError, InputError
from train.dit import grid_of
from train.plan import Block, Planner, deal, pack_cost, read_manifest, validation_steps
from train.recipe import ManifestSource, Recipe, Stage, Threshold
from train.vae import VaeConfig

PAPER = Stage(
    name="480px",
    steps=64,
    tokens=31344,
    max_tokens=20896,
    packs=16,
    short_side=480,
    max_seconds=6.0,
    fps=(8.0,),
)


def moving(**changes: object) -> Recipe:
    """Return two stages of which the first has thresholds that move."""
    ramp = Threshold(column="aesthetic", bound="min", kind="ramp", points=((4, 3.0), (20, 6.5)))
    steps = Threshold(column="aesthetic", bound="max", kind="step", points=((0, 7.0), (16, 9.0)))
    best = Threshold(column="aesthetic", bound="min", kind="quantile", value=0.8)
    return recipe(
        stage(steps=24, thresholds=(ramp, steps), packs=2),
        stage(name="last", steps=9, thresholds=(best,), short_side=32, packs=4),
        block_steps=4,
        **changes,
    )


@given(stop=st.integers(1, 32), seed=st.integers(0, 3))
@settings(max_examples=12)
def test_restored_anywhere_it_goes_on_identically(stop: int, seed: int) -> None:
    made = moving(seed=seed)
    manifest = simulated(500, seed)
    whole = Planner(made, manifest)
    first = Planner(made, manifest)
    before = [first.step(number) for number in range(stop)]
    second = Planner(made, manifest)
    second.restore(json.loads(json.dumps(first.state())))
    after = [second.step(number) for number in range(stop, second.steps)]
    assert [whole.step(number) for number in range(whole.steps)] == before + after
    assert whole.state() == second.state()
    assert whole.take_blocks() == first.take_blocks() + second.take_blocks()
    assert whole.take_blocks() == []


def test_exactly_the_clips_are_drawn_that_the_schedule_admits() -> None:
    made, manifest = moving(), simulated(700)
    planner = Planner(made, manifest)
    score = manifest.columns["aesthetic"]
    used: list[list[tuple[int, int]]] = [[] for _ in range(6 + 3)]
    for number in range(planner.steps):
        block = number // 4 if number < 24 else 6 + (number - 24) // 4
        used[block] += [(clip.row, clip.visit) for clip in planner.step(number).clips]
    blocks = planner.take_blocks()
    assert [block.first_step for block in blocks] == [0, 4, 8, 12, 16, 20, 24, 28, 32]
    best = np.sort(score)[-140]
    drawn: list[tuple[int, int]] = []
    waiting: set[tuple[int, int]] = set()
    for block, taken in zip(blocks, used, strict=True):
        step = block.first_step
        low = best if step >= 24 else 3.0 + 3.5 * np.clip((step - 4) / 16, 0, 1)
        high = np.inf if step >= 24 else 7.0 if step < 16 else 9.0
        logged = json.dumps(asdict(block))
        replayed = planner.replay(Block(**json.loads(logged)))
        assert replayed
        for row, _, reason in replayed:
            assert (reason == "kept") == (low <= score[row] <= high)
        admitted = {(row, visit) for row, visit, reason in replayed if reason == "kept"}
        assert block.kept == len(admitted)
        assert block.dropped == Counter(reason for *_, reason in replayed if reason != "kept")
        still = {pair for pair in waiting if low <= score[pair[0]] <= high}
        assert block.let_go == len(waiting) - len(still)
        assert len(set(taken)) == len(taken)
        assert set(taken) <= still | admitted
        waiting = (still | admitted) - set(taken)
        drawn += [(row, visit) for row, visit, _ in replayed]
    assert waiting == {tuple(pair) for pair in planner.state()["window"]}
    # Nothing comes twice before everything came once.
    assert [visit for _, visit in drawn] == sorted(visit for _, visit in drawn)
    assert len(set(drawn)) == len(drawn) > 2 * 700
    first = [row for row, visit in drawn if visit == 0]
    assert sorted(first) == list(range(700))
    assert planner.kept == sum(block.kept for block in blocks)


@pytest.mark.parametrize("images", [0.0, 0.3])
def test_packs_are_filled(images: float) -> None:
    planner = Planner(recipe(PAPER, model="cogvideox-2b"), simulated(20_000, images=images))
    steps = [planner.step(number) for number in range(40)]
    fills = [pack.tokens / PAPER.tokens for step in steps for pack in step.packs]
    longest = max(clip.tokens for step in steps for clip in step.clips)
    assert longest / PAPER.tokens > 0.66
    assert max(fills) <= 1
    assert np.mean(fills) >= 0.97
    assert np.quantile(fills, 0.01) >= 0.85
    for clip in (clip for step in steps for clip in step.clips):
        view = clip.view
        assert view.frames % 4 == 1
        assert view.frames >= PAPER.min_frames or view.frames == view.fps == 1
        assert clip.tokens == 226 + (view.frames // 4 + 1) * view.height * view.width // 256
        assert view.height % 16 == view.width % 16 == 0


def test_steps_do_not_depend_on_ranks_and_are_dealt_evenly() -> None:
    planner = Planner(recipe(PAPER, model="cogvideox-2b"), simulated(5_000, images=0.2))
    step = planner.step(0)
    cost = pack_cost(planner.config)
    costs = [cost(pack) for pack in step.packs]
    for ranks in (1, 2, 4, 8, 16):
        shares = deal(costs, ranks)
        assert sorted(pack for share in shares for pack in share) == list(range(16))
        assert {len(share) for share in shares} == {16 // ranks}
        sums = [sum(costs[pack] for pack in share) for share in shares]
        if ranks < 16:
            naive = [sum(costs[first::ranks]) for first in range(ranks)]
            assert max(sums) <= max(naive)
            assert max(sums) / np.mean(sums) < 1.06
    with pytest.raises(ConfigError, match="16 packs a step cannot be shared equally by 3 ranks"):
        deal(costs, 3)


def test_manifests_are_mixed_by_weight(tmp_path: Path) -> None:
    sources = [
        ManifestSource(path=write_manifest(tmp_path / "a.parquet", 200), weight=1.0),
        ManifestSource(path=write_manifest(tmp_path / "b.parquet", 400), weight=0.25),
    ]
    made = recipe(stage(steps=60))
    planner = Planner(made, read_manifest(sources, made))
    rows = [(clip.row, clip.visit) for number in range(60) for clip in planner.step(number).clips]
    first, second = planner.drawn
    assert abs(first - 2 * second) <= 2
    for low, high, count in ((0, 200, first), (200, 600, second)):
        mine = Counter(row for row, _ in rows if low <= row < high)
        assert max(mine.values()) <= count // (high - low) + 1


def test_held_out_clips_are_validated_with_and_never_trained_on(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path / "m.parquet", 300, source_id=[f"source-{number // 3}" for number in range(300)]
    )
    made = recipe(stage(steps=40), held_out=0.1)
    manifest = read_manifest([ManifestSource(path=path)], made)
    planner = Planner(made, manifest)
    held = set(np.flatnonzero(manifest.held_out_N).tolist())
    assert all({row // 3 * 3, row // 3 * 3 + 1, row // 3 * 3 + 2} <= held for row in held)
    assert 9 <= len(held) <= 60
    trained = {clip.row for number in range(40) for clip in planner.step(number).clips}
    assert not trained & held
    steps = validation_steps(planner, 0)
    assert steps == validation_steps(Planner(replace(made, text_dropout=1.0), manifest), 0)
    assert [step.number for step in steps] == [-1 - number for number in range(len(steps))]
    assert {clip.row for step in steps for clip in step.clips} == held
    assert {len(step.packs) for step in steps} == {4}
    other = read_manifest([ManifestSource(path=path)], replace(made, seed=5))
    assert np.array_equal(other.held_out_N, manifest.held_out_N)


def test_what_admits_nothing_is_refused_with_the_reasons() -> None:
    high = Threshold(column="aesthetic", bound="min", value=99.0)
    with pytest.raises(ConfigError, match=r"stages.0 \(only\).*aesthetic too low 50; aesthetic min 99"):
        Planner(recipe(stage(thresholds=(high,))), simulated(50))
    late = Threshold(column="aesthetic", bound="min", kind="ramp", points=((0, 0.0), (60, 99.0)))
    with pytest.raises(ConfigError, match="at its step 48 no clip of 50 is admitted"):
        Planner(recipe(stage(thresholds=(late,), steps=100)), simulated(50))
    with pytest.raises(ConfigError, match="66 tokens hold no clip of 9 frames beside 64 tokens"):
        Planner(recipe(stage(tokens=66)), simulated(50))


def test_a_state_of_another_manifest_is_refused_unless_allowed() -> None:
    made = moving()
    first = Planner(made, simulated(300))
    for number in range(5):
        first.step(number)
    other = Planner(made, replace(simulated(200, seed=3), digest="1" * 64))
    with pytest.raises(InputError, match="manifests of digest 000000000000, these have 111111111111"):
        other.restore(first.state())
    other.restore(first.state(), other_manifest=True)
    assert other.step(5).number == 5


@pytest.mark.parametrize("model", ["tiny", "cogvideox-1.5-5b"])
def test_tokens_are_those_that_the_transformer_reads(model: str) -> None:
    one = stage(tokens=40_000, max_tokens=20_000, short_side=160, max_seconds=5.0, fps=(8.0, 16.0))
    made = recipe(one, model=model, loss_weight="tokens", text_dropout=0.5)
    planner = Planner(made, simulated(400, images=0.2))
    vae, config = VaeConfig(), planner.config
    clips = [clip for number in range(8) for clip in planner.step(number).clips]
    for clip in clips:
        frames, rows, columns = vae.latent_shape(clip.view.frames, clip.view.height, clip.view.width)
        # The model's patches of two frames: a latent frame is put before an odd number of them.
        video = math.prod(grid_of((frames + -frames % config.patch_depth, rows, columns), config))
        assert clip.tokens == config.text_length + video
        assert clip.weight == video
    assert {clip.view.frames % 8 for clip in clips} == {1, 5}
    assert 0.3 < np.mean([clip.caption is None for clip in clips]) < 0.7
    assert {clip.caption for clip in clips} == {None, 0, 1}
