"""Linear probes of frame tokens: what they learn, and that they do not say what they learned by heart."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from filters.labels.probe import fit_probe, pooled, pooled_width, unseen  # noqa: E402


def examples(count: int, numbers: int = 300) -> tuple[torch.Tensor, np.ndarray]:
    """Return numbers of which the first two tell the first label, and answers by chance to the second."""
    rng = np.random.default_rng(count)
    told = rng.normal(3, 2, (count, numbers)).astype(np.float32)
    first = told[:, 0] + told[:, 1] + rng.normal(0, 1, count) > 6
    yes = np.stack([first, rng.random(count) < 0.3], axis=1).astype(np.float32)
    yes[::9, 0] = np.nan
    return torch.from_numpy(told), yes


def test_a_probe_finds_what_tells_a_label_and_nothing_where_nothing_does() -> None:
    told, yes = examples(2000)
    probe = fit_probe(told, yes)
    other, wanted = examples(400)
    said = probe(other).numpy()
    known = ~np.isnan(wanted[:, 0])
    assert ((said[known, 0] > 0) == (wanted[known, 0] == 1)).mean() > 0.8
    assert np.abs(probe.get_buffer("weight")[0].numpy()).argsort()[-2:].tolist() in ([0, 1], [1, 0])
    assert abs(((said[:, 1] > 0) == (wanted[:, 1] == 1)).mean() - 0.5) < 0.15


def test_what_a_probe_has_not_seen_it_says_less_of() -> None:
    told, yes = examples(150)
    alone = fit_probe(told, yes)(told).numpy()[:, 1]
    fold = np.arange(150) % 3
    others = unseen(told, yes, fold)[:, 1]
    right = [((odds > 0) == (yes[:, 1] == 1)).mean() for odds in (alone, others)]
    assert right[0] > 0.9
    assert right[1] < 0.75
    assert not unseen(told, yes, np.zeros(150, np.intp)).any()


def test_a_number_that_is_the_same_for_all_and_a_label_of_one_class_say_nothing() -> None:
    told, yes = examples(60, 5)
    told[:, 3] = 7.0
    yes[:, 1] = 1
    probe = fit_probe(told, yes)
    assert not probe.get_buffer("weight")[:, 3].any()
    assert not probe(told)[:, 1].any()
    assert probe(told)[:, 0].any()


def test_pooled_numbers_do_not_depend_on_frames_that_are_missing() -> None:
    tokens = torch.randn(1, 5, 6, 8, generator=torch.Generator().manual_seed(1))
    found = pooled(tokens, torch.ones(1, 5, dtype=torch.bool), 1)
    assert found.shape == (1, pooled_width(8, 1))
    longer = torch.cat([tokens, torch.full((1, 2, 6, 8), 50.0)], dim=1)
    present = torch.tensor([[True] * 5 + [False] * 2])
    torch.testing.assert_close(pooled(longer, present, 1), found)
    # The mean over frames and cells, and of the close look.
    torch.testing.assert_close(found[0, :8], tokens[0, 1:, :4].mean((0, 1)))
    torch.testing.assert_close(found[0, -24:-16], tokens[0, 0, :4].mean(0))
    still = tokens[:, 1:2].expand(-1, 5, -1, -1)
    calm = pooled(still, torch.ones(1, 5, dtype=torch.bool), 0)[0]
    assert calm[32:80].abs().max() < 1e-3
    # One cell changes: the usual spread is a small part of the greatest.
    moving = still.clone()
    moving[:, ::2, 3] += 2
    changed = pooled(moving, torch.ones(1, 5, dtype=torch.bool), 0)[0]
    torch.testing.assert_close(changed[64:72], changed[72:80] / 4)
    assert changed[72:80].min() > 0.9
