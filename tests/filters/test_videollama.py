"""The classifier's network: shapes, what reaches what, and that the language model is causal."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from filters.labels.building import build  # noqa: E402
from filters.labels.config import recipe  # noqa: E402
from filters.labels.nano_parts import SignalTokens, SmallLanguage, vocabulary  # noqa: E402
from filters.labels.questions import LABELS, QUESTIONS  # noqa: E402
from filters.videollama import QFormer, VideoLlama  # noqa: E402

MODEL = recipe("nano", ["model.frames=3"]).model
WIDTH = 40


@pytest.fixture
def network() -> VideoLlama:
    torch.manual_seed(0)
    made = build(MODEL, WIDTH)
    edges = torch.linspace(0, 1, MODEL.signal_bins + 1).expand(len(MODEL.signals), -1)
    assert made.signal_tokens is not None
    made.signal_tokens.get_buffer("edges").copy_(edges)
    return made.eval()


def inputs(clips: int = 2, frames: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randn(clips, frames, MODEL.encoder.cells, WIDTH, generator=rng)
    signals = torch.rand(clips, len(MODEL.signals), generator=rng)
    return tokens, torch.ones(clips, frames, dtype=torch.bool), signals


def test_one_log_odds_a_label(network: VideoLlama) -> None:
    odds = network(*inputs())
    assert odds.shape == (2, len(LABELS))
    assert odds.dtype == torch.float32
    assert network.video_tokens(*inputs()).shape == (2, MODEL.queries, MODEL.width)


def test_outputs_stand_in_the_order_of_the_labels_and_ask_different_questions(network: VideoLlama) -> None:
    odds = network(*inputs()).detach()
    video = network.video_tokens(*inputs())
    torch.testing.assert_close(odds, network.language.ask(video).detach())
    assert len({round(float(value), 6) for value in odds[0]}) == len(LABELS)


def test_training_sees_three_answers_of_which_the_first_is_the_models(network: VideoLlama) -> None:
    both, cues = network(*inputs(), shortcut=True)
    assert both.shape == (3, 2, len(LABELS))
    assert cues.shape == (2, 2, 0)
    torch.testing.assert_close(both[0], network(*inputs()))
    tokens, _, signals = inputs()
    none = torch.zeros(2, 3, dtype=torch.bool)
    blind, _ = network(tokens, none, signals, shortcut=True)
    # Without a frame the glimpse is that of nothing, and both clips alike.
    torch.testing.assert_close(blind[2, 0], blind[2, 1])
    assert blind.isfinite().all()


def test_training_asks_for_cues_beside_the_labels() -> None:
    torch.manual_seed(0)
    asked = build(MODEL, WIDTH, cues=5).eval()
    labels, cues = asked(*inputs(), shortcut=True)
    assert labels.shape == (3, 2, len(LABELS))
    assert cues.shape == (2, 2, 5)
    assert len({round(value, 6) for value in cues[0, 0].tolist()}) == 5


def test_the_questions_words_are_the_vocabulary() -> None:
    words = vocabulary(list(QUESTIONS.values()))
    assert words[:4] == ["<video>", "</video>", "yes", "no"]
    assert len(words) == len(set(words))
    assert {"stills", "lecture", "?"} & set(words) == {"stills", "?"}


def test_gradient_reaches_every_part(network: VideoLlama) -> None:
    tokens, present, signals = inputs()
    signals[0, ::2] = torch.nan
    network(tokens, present, signals, shortcut=True)[0].square().sum().backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


def test_a_later_token_never_changes_an_earlier_answer() -> None:
    torch.manual_seed(0)
    language = SmallLanguage(32, 2, 2, 4).eval()
    tokens = torch.randn(1, 9, 32)
    before = language.read(tokens)
    for place in range(9):
        changed = tokens.clone()
        changed[:, place] = torch.randn(32)
        after = language.read(changed)
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.allclose(before[:, place:], after[:, place:])


def test_a_frame_that_is_not_there_has_no_say(network: VideoLlama) -> None:
    tokens, present, signals = inputs()
    present[:, 2] = False
    odds = network(tokens, present, signals)
    tokens[:, 2] = 1 - tokens[:, 2]
    torch.testing.assert_close(network(tokens, present, signals), odds)
    torch.testing.assert_close(network(tokens[:, :2], present[:, :2], signals), odds)
    present[:, 1] = False
    assert not torch.allclose(network(tokens, present, signals), odds)


def test_the_order_of_frames_is_seen(network: VideoLlama) -> None:
    tokens, present, signals = inputs()
    assert not torch.allclose(network(tokens, present, signals), network(tokens.flip(1), present, signals))


def test_a_clip_gets_the_same_answer_in_any_company(network: VideoLlama) -> None:
    tokens, present, signals = inputs(4)
    together = network(tokens, present, signals)
    alone = [network(tokens[n : n + 1], present[n : n + 1], signals[n : n + 1]) for n in range(4)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_queries_attend_to_allowed_tokens_alone() -> None:
    torch.manual_seed(0)
    former = QFormer(16, 2, 2, 3).eval()
    memory = torch.randn(1, 5, 16)
    allowed = torch.tensor([[True, True, False, True, False]])
    found = former(memory, allowed)
    torch.testing.assert_close(former(memory[:, [0, 1, 3]], allowed[:, [0, 1, 3]]), found)


def test_a_signal_is_told_by_where_it_lies_among_the_quantiles() -> None:
    tokens = SignalTokens(1, 2, 4)
    tokens.get_buffer("edges").copy_(torch.tensor([[0.0, 1.0, 3.0]]))
    with torch.no_grad():
        told = {
            x: tokens(torch.tensor([[x]]))[0][0, 0] - tokens.bias[0] for x in (-5.0, 0.0, 0.5, 2.0, 3.0, 99.0)
        }
        first, second = tokens.weight[0]
        missing = tokens(torch.tensor([[torch.nan]]))[0][0, 0]
    zero = torch.zeros(4)
    both = first + second
    wanted = {-5.0: zero, 0.0: zero, 0.5: first / 2, 2.0: first + second / 2, 3.0: both, 99.0: both}
    for value, token in wanted.items():
        torch.testing.assert_close(told[value], token)
    torch.testing.assert_close(missing, tokens.missing[0])


def test_a_signal_that_is_the_same_for_nearly_all_still_tells_the_others_apart() -> None:
    tokens = SignalTokens(1, 2, 4)
    tokens.get_buffer("edges").copy_(torch.tensor([[0.0, 0.0, 0.0]]))
    with torch.no_grad():
        none, some = tokens(torch.tensor([[0.0]]))[0], tokens(torch.tensor([[0.3]]))[0]
    torch.testing.assert_close((some - none)[0, 0], tokens.weight[0].sum(0))
