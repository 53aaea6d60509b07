"""The trees that judge the signals beside the network: what they learn, and how much they have to say."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from filters.boosting import fit  # noqa: E402
from filters.labels.building import build  # noqa: E402
from filters.labels.config import recipe  # noqa: E402
from filters.labels.forest import SignalForest, grow, share_of_trees  # noqa: E402
from filters.labels.questions import LABELS  # noqa: E402
from filters.labels.sights import sights  # noqa: E402
from shards.errors import ConfigError  # noqa: E402


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, np.ndarray]:
    """Two labels: one of two signals that must differ in sign, one of a signal that is missing."""
    rng = np.random.default_rng(0)
    signals = rng.normal(0, 1, (400, 5)).astype(np.float32)
    signals[rng.random(400) < 0.3, 4] = np.nan
    yes = np.stack([signals[:, 0] * signals[:, 1] < 0, np.isnan(signals[:, 4])], 1).astype(np.float32)
    yes[:20] = np.nan
    return signals, yes


def test_trees_learn_what_no_line_divides(examples: tuple[np.ndarray, np.ndarray]) -> None:
    signals, yes = examples
    learn, judge = slice(0, 300), slice(300, 400)
    sources = [str(n // 3) for n in range(300)]
    forest = grow(signals[learn], yes[learn], sources, 60, drop_signal=0.1, seed=0)
    odds = forest(torch.from_numpy(signals[judge])).numpy()
    assert odds.dtype == np.float32
    assert (((odds > 0) == (yes[judge] == 1)).mean(0) > [0.8, 0.95]).all()
    again = grow(signals[learn], yes[learn], sources, 60, drop_signal=0.1, seed=0)
    assert torch.equal(again(torch.from_numpy(signals)), forest(torch.from_numpy(signals)))


def test_trees_say_yes_to_as_much_as_they_should_of_what_they_have_not_seen() -> None:
    """Few yes among much noise: what only was learned by heart makes them say no."""
    rng = np.random.default_rng(4)
    told = rng.normal(0, 1, (900, 30)).astype(np.float32)
    yes = (told[:, :1] + rng.normal(0, 0.7, (900, 1)) > 1.5).astype(np.float32)
    learn, judge = slice(0, 300), slice(300, 900)
    sources = [str(n) for n in range(300)]
    plain = grow(told[learn], yes[learn], ["one"] * 300, 60, drop_signal=0.1, seed=0)
    put_right = grow(told[learn], yes[learn], sources, 60, drop_signal=0.1, seed=0)
    recalls = []
    for forest in (plain, put_right):
        said = forest(torch.from_numpy(told[judge])).numpy() >= 0
        recalls.append((said[yes[judge] == 1].mean(), (~said[yes[judge] == 0]).mean()))
    assert abs(recalls[0][0] - recalls[0][1]) > 0.25
    assert abs(recalls[1][0] - recalls[1][1]) < 0.15
    assert sum(recalls[1]) > sum(recalls[0])


def test_they_say_what_the_trees_of_one_example_at_a_time_say() -> None:
    rng = np.random.default_rng(1)
    signals = rng.normal(0, 1, (80, 3)).astype(np.float32)
    yes = signals[:, 1] > 0.2
    grown = fit(signals, yes, np.ones(80), trees=7, depth=4)
    forest = SignalForest(1, 7)
    forest.get_buffer("base")[0] = grown.base
    for name, values in (
        ("feature", grown.feature_TN),
        ("threshold", grown.threshold_TN),
        ("leaf", grown.leaf_TL),
    ):
        forest.get_buffer(name)[0] = torch.from_numpy(values)
    said = torch.sigmoid(forest(torch.from_numpy(signals))[:, 0]).numpy()
    np.testing.assert_allclose(said, [grown.probability(one) for one in signals], atol=1e-5)


def test_the_trees_have_the_share_at_which_both_are_best() -> None:
    rng = np.random.default_rng(2)
    yes = (rng.random((200, 2)) < 0.4).astype(np.float32)
    good = (2 * yes - 1) * 2 + rng.normal(0, 1, yes.shape)
    poor = rng.normal(0, 4, yes.shape)
    assert share_of_trees(yes, poor, good) == 1
    assert share_of_trees(yes, good, poor) == 0
    other = (2 * yes - 1) * 2 + rng.normal(0, 1, yes.shape)
    assert 0.2 < share_of_trees(yes, good, other) < 0.8


def test_a_network_with_trees_says_the_weighted_mean_of_both() -> None:
    model = recipe("nano", ["model.picture_px=[32, 64]"]).model
    torch.manual_seed(0)
    network = build(model, None).eval()
    pictures = torch.randint(0, 256, (2, 3, 3, 32, 64), dtype=torch.uint8)
    signals, present = torch.rand(2, len(model.signals)), torch.ones(2, 3, dtype=torch.bool)
    alone = network(pictures, present, signals)
    told = torch.cat([signals, sights(pictures, present, model.looks)], dim=1)
    rng = np.random.default_rng(3)
    some = rng.random((60, told.shape[1])).astype(np.float32)
    yes = (some[:, -len(LABELS) :] > 0.5).astype(np.float32)
    network.forest = grow(some, yes, ["one"] * 60, 5, drop_signal=0.0, seed=0, looks=model.looks)
    network.forest.share.fill_(0.25)
    both = network(pictures, present, signals)
    torch.testing.assert_close(both, 0.75 * alone + 0.25 * network.forest(told))


def test_trees_without_signals_are_refused() -> None:
    with pytest.raises(ConfigError, match="trees 200: there are no signals"):
        recipe("nano", ["model.signals=[]"])
