"""The trees that judge the signals beside the network: what they learn, and how much they have to say."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from filters.labels.building import build  # noqa: E402
from filters.labels.config import recipe  # noqa: E402
from filters.labels.forest import Examples, SignalForest, Size, grow  # noqa: E402
from filters.labels.mixing import share_of_trees  # noqa: E402
from filters.labels.probe import pooled, pooled_width  # noqa: E402
from filters.labels.questions import LABELS  # noqa: E402
from filters.labels.reader import Maps  # noqa: E402
from filters.labels.trees import boost, check_lightgbm  # noqa: E402
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
    labels = len(forest.get_buffer("offset"))
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
    assert abs(recalls[0][0] - recalls[0][1]) > 0.2
    assert abs(recalls[1][0] - recalls[1][1]) < 0.15
    assert sum(recalls[1]) > sum(recalls[0])


def test_they_say_what_lightgbm_says_of_the_same_numbers() -> None:
    """Some are thresholds, or next to one, as float32 has them."""
    import lightgbm

    rng = np.random.default_rng(1)
    numbers = rng.normal(0, 1, (600, 3)).astype(np.float32).round(1)
    yes = np.stack([numbers[:, 1] * numbers[:, 0] > 0.2, numbers[:, 2] > 0.3], 1)
    weight = rng.uniform(0.5, 1.5, 600)
    boosters: list[lightgbm.Booster] = []
    train = lightgbm.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "train", lambda *a, **k: boosters.append(train(*a, **k)) or boosters[-1])
        each = [boost(numbers, answers, weight, trees=25, seed=0) for answers in yes.T]
    forest = SignalForest(2, 25, NOTHING)
    for label, trees in enumerate(each):
        forest.put(label, trees)
    edges = np.unique(np.concatenate([one.number_TN.ravel() for one in each]))
    asked = rng.choice(np.concatenate([edges, np.nextafter(edges, np.float32(9))]), (500, 3))
    said = forest(torch.from_numpy(asked))
    wanted = np.stack([one.predict(asked, raw_score=True) for one in boosters], 1)
    np.testing.assert_allclose(said, wanted, atol=1e-5)
    assert np.unique(said.numpy().round(4)).size > 100


def test_the_number_of_threads_changes_no_tree() -> None:
    rng = np.random.default_rng(7)
    numbers = rng.normal(0, 1, (3000, 20)).astype(np.float32)
    yes, weight = numbers[:, 0] * numbers[:, 1] > rng.normal(0, 0.5, 3000), rng.uniform(0.5, 1.5, 3000)
    one, two = (boost(numbers, yes, weight, trees=40, seed=0, threads=threads) for threads in (1, 2))
    for name in ("feature_TN", "child_TN2", "number_TN"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    other = boost(numbers, yes, weight, trees=40, seed=1)
    assert (other.feature_TN != one.feature_TN).any()


def test_without_lightgbm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_lightgbm()
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigError, match=r"pip install 'cogcurate\[labels-train\]'") as caught:
        check_lightgbm()
    assert "\n" not in str(caught.value)


def test_the_trees_have_the_share_at_which_both_are_best() -> None:
    rng = np.random.default_rng(2)
    yes = (rng.random((200, 2)) < 0.4).astype(np.float32)
    good = (2 * yes - 1) * 2 + rng.normal(0, 1, yes.shape)
    poor = rng.normal(0, 4, yes.shape)
    assert share_of_trees(yes, poor, good).tolist() == [1, 1]
    assert share_of_trees(yes, good, poor).tolist() == [0, 0]
    mixed = np.stack([poor[:, 0], good[:, 1]], 1), np.stack([good[:, 0], poor[:, 1]], 1)
    assert share_of_trees(yes, *mixed).tolist() == [1, 0]
    other = (2 * yes - 1) * 2 + rng.normal(0, 1, yes.shape)
    shares = share_of_trees(yes, good, other)
    assert ((shares > 0.2) & (shares < 0.8)).all()
    one_class = np.where(np.arange(2) == 1, 1.0, yes).astype(np.float32)
    assert share_of_trees(one_class, good, other).tolist() == [shares[0], 1]


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
    seen_by = [reader(Maps(glances.maps_BTCHW, present[:, 1:])) for reader in network.forest.readers]
    assert len(seen_by) == 3
    assert not torch.equal(seen_by[0], seen_by[1])
    read = sum(seen_by) / 3
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
        ("model.signals=[]", "trees 400: there are no signals"),
        ("model.trees=0", "reader 48: it reads for trees"),
        ("model.encoder.model=ViT-B-32", "looks 1: efficientnet-lite0 alone takes close looks"),
        ("model.encoder={model: ViT-B-32}", "trees 400: they read numbers of pictures that"),
    ],
)
def test_trees_without_what_they_read_are_refused(setting: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        recipe("nano", [setting])
