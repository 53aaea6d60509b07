"""Numbers of a clip's pictures: what they tell apart, and that nobody else's pictures change them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from filters.labels.sights import (  # noqa: E402
    _borders,
    _changing,
    _corners,
    _detail,
    _layout,
    _lines,
    _paint,
    _patches,
    _plain,
    _seams,
    _staying,
    _symmetry,
    sights,
)

HIGH, WIDE = 48, 80


def scene(seed: int = 0, pictures: int = 4) -> Tensor:
    """Return (1, T, H, W) of soft patches that drift."""
    rng = torch.Generator().manual_seed(seed)
    wide = torch.rand(1, 1, 12, 20 + pictures, generator=rng) * 255
    grown = torch.nn.functional.interpolate(wide, scale_factor=4, mode="bilinear")[0]
    return torch.stack([grown[:, :HIGH, 4 * n : 4 * n + WIDE] for n in range(pictures)], dim=1)


def there(pictures: int = 4) -> Tensor:
    return torch.ones(1, pictures)


def in_color(luma: Tensor) -> Tensor:
    return luma[:, :, None].expand(-1, -1, 3, -1, -1).to(torch.uint8)


def told_of(frames: Tensor, *present: list[bool]) -> Tensor:
    """Return the numbers of frames and of the first as a close look."""
    return sights(frames, torch.tensor(present), frames[:, :1])


def test_numbers_do_not_depend_on_company_or_on_pictures_that_are_missing() -> None:
    few, many = in_color(scene(1, 3)), in_color(scene(2, 5))
    alone = told_of(few, [True] * 3)
    padded = torch.cat([few, torch.full_like(many[:, 3:], 77)], dim=1)
    together = told_of(torch.cat([padded, many]), [True] * 3 + [False] * 2, [True] * 5)
    assert alone.isfinite().all()
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-4)


def test_of_one_picture_there_is_no_change_and_all_else() -> None:
    told = told_of(in_color(scene(0, 1)), [True])
    missing = int(told.isnan().sum())
    assert missing == len(_changing(scene(0, 1), there(1)))
    padded = told_of(in_color(scene(0, 2)), [True, False])
    assert int(padded.isnan().sum()) == missing


def test_flat_graphics_are_flat_and_strong_in_color() -> None:
    color = torch.zeros(1, 4, HIGH, WIDE)
    soft = _plain(scene(), color, there())
    drawn = _plain((scene() > 128) * 200.0, color + 200, there())
    assert drawn[0] > 0.6 > soft[0]
    assert drawn[5] == 1
    assert soft[5] == 0


def test_a_line_across_the_picture_is_found_and_is_there_in_every_one() -> None:
    split = scene()
    split[..., WIDE // 2 :] = 255 - split[..., WIDE // 2 :].flip(3)
    split[..., WIDE // 2] = 0
    plain, cut = _lines(scene(), there()), _lines(split, there())
    assert cut[4] > 0.7 > plain[4]
    assert cut[1] > 2 * plain[1]


def test_a_blurred_border_has_its_detail_in_the_middle() -> None:
    framed = torch.full((1, 4, HIGH, WIDE), 120.0)
    framed[..., 16:-16] = (torch.rand(1, 4, HIGH, WIDE - 32) > 0.5) * 200.0
    color = torch.zeros_like(framed)
    assert _layout(framed, color, there())[0] > 2 > abs(_layout(scene(), color, there())[0])


def test_a_mark_stays_while_the_scene_moves() -> None:
    moving = torch.stack([(torch.rand(1, HIGH, WIDE) > 0.93) * 200.0 for _ in range(4)], dim=1)
    marked = moving.clone()
    marked[..., 4:10, 4:20] = (torch.arange(16) % 2 * 250.0).expand(6, 16)
    assert _staying(marked, there())[2] > 0.3 > _staying(moving, there())[2]


def test_another_scene_is_the_largest_change_and_turns_the_tones() -> None:
    calm, cut = scene(), torch.cat([scene(1)[:, :2] / 3, 170 + scene(2)[:, 2:] / 3], dim=1)
    assert _changing(cut, there())[1] > 80 > _changing(calm, there())[1]
    assert _changing(cut, there())[9] > 1.5
    still = _changing(scene()[:, :1].expand(-1, 4, -1, -1), there())
    assert still[3] == 1
    assert still[1] == 0


def test_a_mirrored_film_is_its_own_mirror() -> None:
    half = scene()[..., : WIDE // 2]
    found = _symmetry(torch.cat([half, half.flip(3)], dim=3), there())
    assert found[0] > 0.95 > _symmetry(scene(), there())[0]
    assert _symmetry(torch.cat([half, half], dim=3), there())[2] > 0.95


def test_a_close_look_tells_blur_and_blocks() -> None:
    sharp = (torch.rand(1, HIGH, WIDE) > 0.5) * 200.0
    soft = torch.nn.functional.avg_pool2d(sharp, 7, 1, 3)
    blocks = torch.rand(1, HIGH // 8, WIDE // 8).repeat_interleave(8, 1).repeat_interleave(8, 2) * 200
    color = torch.zeros_like(sharp)
    assert _detail(sharp, color)[0] > 5 * _detail(soft, color)[0]
    assert _detail(blocks, color)[9] > 5 * _detail(sharp, color)[9]


def test_seams_are_straight_long_and_stay() -> None:
    """In pairs of (a usual picture's, all pictures') by length: upright ones first, then level ones."""
    film = 0.2 * scene(3)
    told = torch.stack(list(_seams(film, there())), dim=1)[0]
    film[:, :, 8:24, 40:] += 90
    short = torch.stack(list(_seams(film, there())), dim=1)[0]
    assert (short[:2] > told[:2] + 15).all(), "a quarter of the height"
    assert (short[4:6] < told[4:6] + 12).all(), "and not all of it"
    film[:, :, :, 40:] += 90
    long = torch.stack(list(_seams(film, there())), dim=1)[0]
    assert (long[:6] > 15).all()
    moving = 0.2 * scene(3)
    for number in range(4):
        moving[:, number, :, 20 + 9 * number :] += 90
    gone = torch.stack(list(_seams(moving, there())), dim=1)[0]
    assert (gone[[0, 2, 4]] > 15).all()
    assert (gone[[1, 3, 5]] < 10).all(), "it stays nowhere"


def test_a_soft_border_lies_on_both_sides() -> None:
    film = scene(4) + 40 * torch.rand(1, 4, HIGH, WIDE, generator=torch.Generator().manual_seed(4))
    plain = torch.stack(list(_borders(film, there())), dim=1)[0]
    one, both = film.clone(), film.clone()
    for some, sides in ((one, (slice(0, 16),)), (both, (slice(0, 16), slice(-16, None)))):
        for side in sides:
            some[..., side] = 100
    assert _borders(one, there())[0] > plain[0] - 0.3
    assert _borders(both, there())[0] < plain[0] - 1
    assert _borders(both, there())[1] > plain[1] - 0.6


def test_a_patch_of_strong_color_is_found_in_its_zone() -> None:
    film, color = scene(5), torch.zeros(1, 4, HIGH, WIDE)
    before = _patches(film, color, there())
    film[..., 12:24, 26:40], color[..., 12:24, 26:40] = 120, 200
    after = _patches(film, color, there())
    assert after[0] > before[0] + 0.5
    assert after[1] > before[1] + 0.5


def test_posters_have_few_tones_and_duotones_colors_that_follow_luma() -> None:
    film = scene(6)
    picture = film[:, :, None].repeat(1, 1, 3, 1, 1)
    natural = torch.stack(list(_paint(picture, film, there())), dim=1)[0]
    few = film // 64 * 64 + 32
    poster = torch.stack(list(_paint(few[:, :, None].repeat(1, 1, 3, 1, 1), few, there())), dim=1)[0]
    assert poster[0] < natural[0] - 0.5
    assert poster[1] > natural[1] + 0.2
    toned = picture.clone()
    toned[:, :, 0] = film * 1.3 - 30
    red = torch.stack(list(_paint(toned, film, there())), dim=1)[0]
    assert natural[2] < 0.05
    assert red[2] > 0.8
    assert red[3] > 0.2


def test_a_frame_in_the_picture_has_corners_and_a_line_has_none() -> None:
    film = 0.2 * scene(7)
    plain = _corners(film, there())
    lined, framed, once = film.clone(), film.clone(), film.clone()
    lined[..., 30:] += 90
    framed[..., 12:30, 30:60] += 90
    once[:, 1, 12:30, 30:60] += 90
    assert _corners(lined, there())[0] < plain[0] + 5
    assert _corners(framed, there())[0] > plain[0] + 12
    assert _corners(framed, there())[1] > plain[1] + 12
    assert _corners(once, there())[1] < plain[1] + 1
