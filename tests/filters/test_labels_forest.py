"""The trees that judge the signals beside the network: what they learn, and how much they have to say."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from filters.boosting import fit  # noqa: E402
from filters.labels.building import build  # noqa: E402
from filters.labels.config import recipe  # noqa: E402
from filters.labels.forest import Examples, SignalForest, Size, grow, share_of_trees  # noqa: E402
from filters.labels.probe import pooled, pooled_width  # noqa: E402
from filters.labels.questions import LABELS  # noqa: E402
from filters.labels.reader import Maps  # noqa: E402
from filters.videollama import Glances  # noqa: E402
from shards.errors import ConfigError  # noqa: E402

NOTHING = Size(2, 0)
"""of frame tokens that say nothing"""


def no_maps(clips: int, frames: int = 2) -> Maps:
    """Return maps of no place."""
    return Maps(torch.zeros(clips, frames, 0, 0, 0, dtype=torch.float16), torch.ones(clips, frames) > 0)


def grown(
    told: np.ndarray, yes: np.ndarray, sources: list[str], trees: int, drop_signal: float = 0.1
) -> SignalForest:
    """Return trees of numbers beside tokens that are all alike."""
    nothing = torch.zeros(len(told), pooled_width(NOTHING.width, 0))
    no_cues = np.zeros((len(told), 0), np.float32)
    examples = Examples(told, nothing, no_maps(len(told)), yes, no_cues, sources)
    return grow(examples, trees, NOTHING, drop_signal=drop_signal, reader_epochs=1, seed=0)


def asked(forest: SignalForest, told: np.ndarray) -> np.ndarray:
    """Return what trees say of numbers whose probes say nothing."""
    labels = len(forest.get_buffer("base"))
    probed = forest.probe(torch.zeros(len(told), pooled_width(NOTHING.width, 0)))
    assert probed.shape == (len(told), labels)
    return forest(torch.cat([torch.from_numpy(told), probed], dim=1)).numpy()


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
    forest = grown(signals[learn], yes[learn], sources, 60)
    odds = asked(forest, signals[judge])
    assert odds.dtype == np.float32
    assert (((odds > 0) == (yes[judge] == 1)).mean(0) > [0.8, 0.95]).all()
    again = grown(signals[learn], yes[learn], sources, 60)
    assert (asked(again, signals) == asked(forest, signals)).all()


def test_trees_say_yes_to_as_much_as_they_should_of_what_they_have_not_seen() -> None:
    """Few yes among much noise: what only was learned by heart makes them say no."""
    rng = np.random.default_rng(4)
    told = rng.normal(0, 1, (900, 30)).astype(np.float32)
    yes = (told[:, :1] + rng.normal(0, 0.7, (900, 1)) > 1.5).astype(np.float32)
    learn, judge = slice(0, 300), slice(300, 900)
    sources = [str(n) for n in range(300)]
    plain = grown(told[learn], yes[learn], ["one"] * 300, 60)
    put_right = grown(told[learn], yes[learn], sources, 60)
    recalls = []
    for forest in (plain, put_right):
        said = asked(forest, told[judge]) >= 0
        recalls.append((said[yes[judge] == 1].mean(), (~said[yes[judge] == 0]).mean()))
    assert abs(recalls[0][0] - recalls[0][1]) > 0.25
    assert abs(recalls[1][0] - recalls[1][1]) < 0.15
    assert sum(recalls[1]) > sum(recalls[0])


def test_they_say_what_the_trees_of_one_example_at_a_time_say() -> None:
    rng = np.random.default_rng(1)
    signals = rng.normal(0, 1, (80, 3)).astype(np.float32)
    yes = signals[:, 1] > 0.2
    one = fit(signals, yes, np.ones(80), trees=7, depth=4)
    forest = SignalForest(1, 7, NOTHING)
    forest.get_buffer("base")[0] = one.base
    for name, values in (
        ("feature", one.feature_TN),
        ("threshold", one.threshold_TN),
        ("leaf", one.leaf_TL),
    ):
        forest.get_buffer(name)[0] = torch.from_numpy(values)
    said = torch.sigmoid(forest(torch.from_numpy(signals))[:, 0]).numpy()
    np.testing.assert_allclose(said, [one.probability(told) for told in signals], atol=1e-5)


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
    model, size = recipe("nano").model, Size(8, 1, 4, 3)
    torch.manual_seed(0)
    network = build(model, 8).eval()
    tokens = torch.randn(2, 3, model.encoder.cells, 8)
    signals, present = torch.rand(2, len(model.signals)), torch.ones(2, 3) > 0
    glances = Glances(torch.rand(2, 4), torch.randn(2, 2, 3, 4, 5).half())
    alone = network(tokens, present, signals, glances)
    rng = np.random.default_rng(3)
    some = rng.random((60, len(model.signals) + 4)).astype(np.float32)
    seen = torch.from_numpy(rng.random((60, pooled_width(8, 1))).astype(np.float32))
    yes = (some[:, -len(LABELS) :] + seen[:, :6].numpy() > 1).astype(np.float32)
    maps = Maps(torch.randn(60, 2, 3, 4, 5).half(), torch.ones(60, 2) > 0)
    has = (rng.random((60, 3)) < 0.5).astype(np.float32)
    examples = Examples(some, seen, maps, yes, has, [str(n) for n in range(60)])
    network.forest = grow(examples, 5, size, drop_signal=0.0, reader_epochs=2, seed=0)
    network.forest.share.fill_(0.25)
    probed = network.forest.probe(pooled(tokens, present, 1))
    assert probed.shape == (2, len(LABELS))
    assert probed.any()
    read = network.forest.reader(Maps(glances.maps_BTCHW, present[:, 1:]))
    assert read.any()
    told = torch.cat([signals, glances.sights_BV, probed, read], dim=1)
    assert network.forest.get_buffer("feature").max() < told.shape[1]
    both = network(tokens, present, signals, glances)
    torch.testing.assert_close(both, 0.75 * alone + 0.25 * network.forest(told))


def test_trees_of_a_label_see_the_reader_where_it_tells_more_than_the_probe() -> None:
    """Of two labels, one is told by the maps alone, the other by the pooled numbers alone."""
    rng = np.random.default_rng(6)
    yes = (rng.random((150, 2)) < 0.5).astype(np.float32)
    maps = torch.from_numpy(rng.normal(0, 1, (150, 2, 2, 3, 3)).astype(np.float16))
    maps[:, :, 0] += 4 * torch.from_numpy(yes[:, :1, None, None]).half()
    pooled_NP = rng.normal(0, 1, (150, pooled_width(NOTHING.width, 0))).astype(np.float32)
    pooled_NP[:, :8] += 2 * yes[:, 1:]
    plain = rng.normal(0, 1, (150, 3)).astype(np.float32)
    there, no_cues = torch.ones(150, 2) > 0, np.zeros((150, 0), np.float32)
    sources = [str(n) for n in range(150)]
    examples = Examples(plain, torch.from_numpy(pooled_NP), Maps(maps, there), yes, no_cues, sources)
    size = Size(NOTHING.width, 0, 6, 2)
    forest = grow(examples, 10, size, drop_signal=0.0, reader_epochs=30, seed=0)
    most = forest.get_buffer("feature").flatten(1).amax(1).tolist()
    first_of_reader = 3 + 2
    assert most[0] >= first_of_reader > most[1]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model.signals=[]", "trees 200: there are no signals"),
        ("model.trees=0", "reader 48: it reads for trees"),
        ("model.encoder.model=ViT-B-32", "looks 1: efficientnet-lite0 alone takes close looks"),
        ("model.encoder={model: ViT-B-32}", "trees 200: they read numbers of pictures that"),
    ],
)
def test_trees_without_what_they_read_are_refused(setting: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        recipe("nano", [setting])
