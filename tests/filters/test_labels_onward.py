"""Learning on from a checkpoint: what is kept of it, what other clips put right, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from labelled import SMALL  # noqa: E402
from rich.console import Console  # noqa: E402
from running import curate  # noqa: E402

from filters.commands.showing import Bars  # noqa: E402
from filters.commands.train import run as run_train  # noqa: E402
from filters.labels.checkpoint import load_model, read_checkpoint  # noqa: E402
from filters.labels.config import recipe  # noqa: E402
from filters.labels.forest import Examples, SignalForest, Size, grow  # noqa: E402
from filters.labels.probe import pooled_width  # noqa: E402
from filters.labels.reader import Maps  # noqa: E402
from shards.errors import ConfigError  # noqa: E402

SIZE = Size(2, 0, 6, 2)
CPU = torch.device("cpu")


def clips(seed: int, count: int, turned: bool) -> Examples:
    """Label 0: two numbers of unlike sign or, `turned`, a third that is high. Label 1: by the maps."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(0, 1, (count, 4)).astype(np.float32)
    one = plain[:, 0] * plain[:, 1] < 0
    if turned:
        one |= plain[:, 2] > 0.5
    two = rng.random(count) < 0.5
    maps = torch.from_numpy(rng.normal(0, 1, (count, 2, 2, 3, 3)).astype(np.float16))
    maps[:, :, 0] += 3 * torch.from_numpy(two)[:, None, None, None].half()
    pooled = torch.from_numpy(rng.normal(0, 1, (count, pooled_width(SIZE.width, 0))).astype(np.float32))
    yes = np.stack([one, two], 1).astype(np.float32)
    there, no_cues = torch.ones(count, 2) > 0, np.zeros((count, 0), np.float32)
    return Examples(plain, pooled, Maps(maps, there), yes, no_cues, [str(n // 2) for n in range(count)])


def learned(examples: Examples, trees: int, before: SignalForest | None = None) -> SignalForest:
    return grow(examples, trees, SIZE, drop_signal=0.1, reader_epochs=6, seed=0, before=before)


def said(forest: SignalForest, examples: Examples) -> np.ndarray:
    read_by = torch.stack([reader(examples.maps) for reader in forest.readers]).mean(0)
    told = [torch.from_numpy(examples.plain_NX), forest.probe(examples.pooled_NP), read_by]
    return forest(torch.cat(told, dim=1)).detach().numpy()


def right(forest: SignalForest, examples: Examples) -> np.ndarray:
    """Return the balanced accuracy of each label."""
    odds, yes = said(forest, examples), examples.yes_NL == 1
    each = [((odds[yes[:, n], n] > 0).mean() + (odds[~yes[:, n], n] <= 0).mean()) / 2 for n in range(2)]
    return np.array(each)


@pytest.fixture(scope="module")
def before() -> SignalForest:
    return learned(clips(0, 500, turned=False), 60)


def test_a_forest_that_begins_with_another_says_the_same(before: SignalForest) -> None:
    assert not torch.equal(before.get_buffer("scale"), torch.ones(2))
    after = SignalForest(2, 70, SIZE)
    after.probe, after.readers = before.probe, before.readers
    after.begin_with(before)
    examples = clips(1, 50, turned=False)
    np.testing.assert_allclose(said(after, examples), said(before, examples), rtol=1e-5, atol=1e-5)


def test_what_changed_is_learned_and_what_did_not_is_kept(before: SignalForest) -> None:
    """A hundred clips put the first label right, which they could not teach by themselves."""
    few, judge = clips(2, 100, turned=True), clips(3, 1000, turned=True)
    after, alone = learned(few, 60, before), learned(few, 60)
    assert after.trees == 120
    assert right(after, judge)[0] > max(right(before, judge)[0], right(alone, judge)[0]) + 0.03
    assert right(after, judge)[1] > 0.9


def test_what_was_there_before_is_left_as_it_was(before: SignalForest) -> None:
    state = {name: value.clone() for name, value in before.state_dict().items()}
    learned(clips(4, 60, turned=True), 5, before)
    assert all(torch.equal(value, state[name]) for name, value in before.state_dict().items())


def test_a_label_of_one_class_keeps_its_trees(before: SignalForest) -> None:
    """Nothing is to be learned of it, and nothing is forgotten."""
    examples = clips(5, 60, turned=True)
    examples.yes_NL[:, 0] = 1
    after = learned(examples, 5, before)
    after.readers = before.readers
    judge = clips(6, 50, turned=False)
    np.testing.assert_allclose(said(after, judge)[:, 0], said(before, judge)[:, 0], rtol=1e-4, atol=1e-4)


def test_probe_and_readers_stay(before: SignalForest) -> None:
    """A few hundred clips teach them less than they have forgotten by then."""
    after = learned(clips(7, 60, turned=True), 5, before)
    for name, value in before.state_dict().items():
        if name.startswith(("probe.", "readers.")):
            assert torch.equal(after.state_dict()[name], value), name


# -- the command ------------------------------------------------------------------------------------------


def with_kinds(labels: Path, path: Path) -> Path:
    """Copy a labels file without cues to one that says which scene each clip shows."""
    head, *lines = labels.read_text().splitlines()
    told = (f"{line},{'page' if 'page' in line else 'street'}" for line in lines)
    path.write_text("\n".join([f"{head},kind", *told]) + "\n")
    return path


@pytest.mark.slow
def test_training_learns_on_from_a_checkpoint(labelled: Path, tmp_path: Path) -> None:
    labels, run, quiet = labelled / "labels.csv", str(labelled / "run"), Bars(Console(quiet=True))
    run_train(labels, run, tmp_path / "one", recipe("nano", SMALL), quiet)
    first = read_checkpoint(tmp_path / "one")
    two = tmp_path / "two"
    result = curate(
        *("filters", "train", with_kinds(labels, tmp_path / "kinds.csv"), "--clips", run),
        *("--start", tmp_path / "one", "--output", two),
        *("--set", "epochs=1", "--set", "more_trees=7", "--set", "device=cpu"),
    )
    assert result.returncode == 0, result.stderr
    second = read_checkpoint(two)
    assert second.start == first.name
    assert second.model.trees == first.model.trees + 7
    assert f"--start {first.name} --output DIR --set epochs=1" in (two / "README.md").read_text()
    was, now = load_model(first, CPU), load_model(second, CPU)
    for name in ("token_mean", "signal_tokens.edges"):
        assert torch.equal(was.state_dict()[name], now.state_dict()[name]), name
    assert not torch.equal(was.into_qformer.weight, now.into_qformer.weight)
    test = json.loads((two / "report.json").read_text())["test"]["labels"]
    assert min(test[label]["scores"]["balanced_accuracy"] for label in test) == 1.0
    with pytest.raises(ConfigError, match="begun with another recipe, start"):
        run_train(labels, run, two, recipe("nano", ["epochs=1"], first.model), quiet, start=second)


def test_another_model_than_the_checkpoint_s_is_refused(tmp_path: Path) -> None:
    model = recipe("nano").model
    assert recipe("nano", ["epochs=2"], model).more_trees > 0
    with pytest.raises(ConfigError, match="with --start the model stays"):
        recipe("nano", ["model.queries=4"], model)
    result = curate("filters", "train", tmp_path / "l.csv", "--clips", tmp_path, "--start", tmp_path / "no",
                    "--output", tmp_path / "out")  # fmt: skip
    assert result.returncode == 2
    assert "no config.json there" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
