"""What a clip's pictures tell in numbers: what the trees read beside the signals.

Graphics are flat, straight and strong in colour; a border is blurred where the middle is sharp; what is laid
over a film stays while the rest moves; a mirrored film is its own mirror. The network may learn all this from
pictures, and from two thousand clips it does not; trees learn it from these numbers.

Pictures that are missing count for nothing. Numbers of changes are not numbers where no two pictures follow
one another. Cost: 9 CPU ms a clip of 6 pictures.

Shape letters: B clips, T pictures, H, W their size, C colours, V numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["sights"]

_LUMA: Final = (0.299, 0.587, 0.114)
_ZONES: Final = (3, 5)
_Mean: TypeAlias = Callable[[Tensor], Tensor]


def sights(frames_BTCHW: Tensor, present_BT: Tensor, looks_BNCHW: Tensor) -> Tensor:
    """Return numbers (B, V), float32, of RGB pictures, 0 to 255, at least one, and of close looks at them.

    Sides are at least 32 px.
    """
    pictures, present = frames_BTCHW.float(), present_BT.float()
    luma, color = _luma(pictures), _color(pictures)
    found = [*_plain(luma, color, present), *_lines(luma, present), *_layout(luma, color, present)]
    found += [*_staying(luma, present), *_changing(luma, present), *_symmetry(luma, present)]
    found += [*_seams(luma, present), *_corners(luma, present), *_borders(luma, present)]
    found += [*_patches(luma, color, present), *_paint(pictures, luma, present)]
    for look_BCHW in looks_BNCHW.float().unbind(1):
        found += _detail(_luma(look_BCHW), _color(look_BCHW))
    return torch.stack(found, dim=1)


def _luma(pictures: Tensor) -> Tensor:
    """Return the luma (…, H, W) of RGB pictures (…, C, H, W)."""
    made: Tensor = torch.einsum("...chw,c->...hw", pictures, pictures.new_tensor(_LUMA))
    return made


def _color(pictures: Tensor) -> Tensor:
    """Return how far the strongest channel is above the weakest (…, H, W)."""
    return pictures.amax(-3) - pictures.amin(-3)


def _over(present_BT: Tensor) -> _Mean:
    """Return what averages (B, T) over the pictures that are there; not a number where none is."""

    def mean(values_BT: Tensor) -> Tensor:
        made: Tensor = (values_BT * present_BT).sum(1) / present_BT.sum(1)
        return made

    return mean


def _steps(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much each pixel differs from the one to its right, and from the one below."""
    return (luma[..., 1:] - luma[..., :-1]).abs(), (luma[..., 1:, :] - luma[..., :-1, :]).abs()


def _edges(luma: Tensor) -> Tensor:
    right, below = _steps(luma)
    return right[..., :-1, :] + below[..., :, :-1]


def _share(held: Tensor) -> Tensor:
    return held.float().mean((-2, -1))


def _plain(luma: Tensor, color: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Shares of the picture that are flat, hard-edged, strong in colour, gray, white and black."""
    edges, mean = _edges(luma), _over(present)
    shares = [edges < 1.5, edges < 4, edges > 60, edges > 120]
    shares += [color > 120, color > 180, color < 12, luma > 235, luma < 20]
    return [mean(_share(one)) for one in shares]


def _lines(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Straight lines across the picture: the strongest column and row, how many, and those that stay."""
    mean = _over(present)
    found = []
    for steps, across in zip(_steps(luma), (2, 3), strict=True):
        amount, strong = steps.mean(across), (steps > 12).float().mean(across)
        sharp = amount / (amount.mean(2, keepdim=True) + 0.5)
        quarter = sharp.shape[2] // 4
        always = torch.where(present[..., None] > 0, strong, 1.0).amin(1)
        found += [mean(sharp.amax(2)), mean(sharp[..., quarter:-quarter].amax(2))]
        found += [mean(strong.amax(2)), mean((strong > 0.6).float().sum(2)), always.amax(1)]
    return found


def _layout(luma: Tensor, color: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Where detail and colour are: the middle against sides, top and bottom; the richest zone."""
    mean = _over(present)
    zone = functional.adaptive_avg_pool2d(_edges(luma), _ZONES).clamp(min=0.3).log()
    paint = functional.adaptive_avg_pool2d(color, _ZONES)
    middle, bands = zone[:, :, 1, 2], zone.mean(3)
    return [
        mean(middle - zone[..., [0, 4]].mean((2, 3))),
        mean(middle - zone[:, :, [0, 2]].mean((2, 3))),
        mean(bands[..., 2] - bands[..., 1]),
        mean(bands[..., 0] - bands[..., 1]),
        mean(zone.amax((2, 3)) - zone.amin((2, 3))),
        mean(paint.amax((2, 3)) - paint.mean((2, 3))),
    ]


def _staying(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Edges that are in every picture: their share of the picture and of all edges, their densest place."""
    edges = (_edges(luma) > 25).float()
    there = present[..., None, None]
    always, ever = torch.where(there > 0, edges, 1.0).amin(1), (edges * there).amax(1)
    dense = functional.adaptive_avg_pool2d(always[:, None], (4, 6)).amax((1, 2, 3))
    return [always.mean((1, 2)), always.sum((1, 2)) / (ever.sum((1, 2)) + 20), dense]


def _changing(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Changes from picture to picture: mean, largest, smallest, how much of it, where, and of tones."""
    both = present[:, 1:] * present[:, :-1]
    mean = _over(both)
    none = both.sum(1) == 0
    change = (luma[:, 1:] - luma[:, :-1]).abs()
    amount, much = change.mean((2, 3)), _share(change > 40)
    zone = (
        functional.adaptive_avg_pool2d(change, _ZONES)
        if change.shape[1]
        else change.new_zeros(*both.shape, 3, 5)
    )
    tones = _tones(luma, 16)
    turned = (tones[:, 1:] - tones[:, :-1]).abs().sum(2)

    def largest(values_BT: Tensor) -> Tensor:
        padded = functional.pad(values_BT * both, (0, 1))
        return padded.amax(1).masked_fill(none, torch.nan)

    smallest = functional.pad(amount + (1 - both) * 1e3, (0, 1), value=1e3).amin(1)
    return [
        mean(amount),
        largest(amount),
        smallest.masked_fill(none, torch.nan),
        mean(_share(change < 2)),
        mean(much),
        largest(much),
        mean(zone.amax((2, 3)) / (zone.mean((2, 3)) + 1)),
        mean(zone[:, :, 2].mean(2) / (zone[:, :, 1].mean(2) + 1)),
        mean(turned),
        largest(turned),
    ]


def _symmetry(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """How like its mirrors a picture is, its left half its right, and its upper half its lower."""
    mean = _over(present)
    rest = luma - luma.mean((2, 3), keepdim=True)
    spread = (rest * rest).mean((2, 3)) + 20
    high, wide = luma.shape[2] // 2, luma.shape[3] // 2
    pairs = [
        (rest, rest.flip(3)),
        (rest, rest.flip(2)),
        (rest[..., :wide], rest[..., -wide:]),
        (rest[..., :high, :], rest[..., -high:, :]),
    ]
    return [mean((one * two).mean((2, 3)) / spread) for one, two in pairs]


def _seams(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Straight seams of a quarter, a half and nearly all of the picture's height or width.

    The strongest in a usual picture, and the strongest that stays in all of them. What moves, noise, and what
    is soft on both sides of a line make none.
    """
    mean, found = _over(present), []
    for steps, axis in zip(_steps(luma), (2, 3), strict=True):
        sharp = (steps - _beside(steps, axis)).clamp(0, 30)
        stays = torch.where(present[..., None, None] > 0, sharp, 30.0).amin(1, keepdim=True)
        for share in (4, 2, 1):
            long = round(0.9 * luma.shape[axis]) if share == 1 else luma.shape[axis] // share
            found.append(mean(_means(sharp, axis, long).amax((2, 3))))
            found.append(_means(stays, axis, long).amax((1, 2, 3)))
    return found


def _means(values: Tensor, axis: int, long: int) -> Tensor:
    """Return the means of so many values in a row along `axis`."""
    sums = functional.pad(values.cumsum(axis), (1, 0) if axis == 3 else (0, 0, 1, 0))
    count = sums.shape[axis] - long
    made: Tensor = (sums.narrow(axis, long, count) - sums.narrow(axis, 0, count)) / long
    return made


def _tones(luma: Tensor, width: int) -> Tensor:
    """Return the share of each picture's pixels in each tone of so many levels, (B, T, tones)."""
    count = 256 // width
    tone = (luma * (1 / width)).clamp(0, count - 1).long().flatten(2)
    shares = torch.zeros(*tone.shape[:2], count, dtype=luma.dtype, device=luma.device)
    return shares.scatter_add_(2, tone, torch.full_like(tone, 1, dtype=luma.dtype)) / tone.shape[2]


def _beside(steps: Tensor, axis: int) -> Tensor:
    """Return the mean of what lies two pixels to both sides across a line that runs along `axis`."""
    across = 5 - axis
    around = functional.pad(steps, (2, 2, 0, 0) if across == 3 else (0, 0, 2, 2), mode="replicate")
    size = steps.shape[across]
    made: Tensor = (around.narrow(across, 0, size) + around.narrow(across, 4, size)) / 2
    return made


def _borders(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Detail of the outer sixths at both sides, and above and below, against the middle's: the larger one."""
    mean, edges = _over(present), _edges(luma)
    high, wide = edges.shape[2] // 6, edges.shape[3] // 6

    def detail(part: Tensor) -> Tensor:
        return part.mean((2, 3)).clamp(min=0.3).log()

    middle = detail(edges[:, :, 2 * high : -2 * high, 2 * wide : -2 * wide])
    sides = torch.maximum(detail(edges[..., :wide]), detail(edges[..., -wide:]))
    bands = torch.maximum(detail(edges[:, :, :high]), detail(edges[:, :, -high:]))
    return [mean(sides - middle), mean(bands - middle)]


def _patches(luma: Tensor, color: Tensor, present: Tensor) -> Sequence[Tensor]:
    """Flat areas of strong colour or white, and the hardest edges: how much in the zone with most of it."""
    mean, edges = _over(present), _edges(luma)
    flat = edges < 4
    within = color[..., :-1, :-1], luma[..., :-1, :-1]
    found = []
    for held in (flat & (within[0] > 100), flat & (within[1] > 225), edges > 90):
        zones = functional.adaptive_avg_pool2d(held.float(), (4, 6)).flatten(2)
        found += [mean(zones.amax(2)), mean(zones.amax(2) - zones.median(2).values)]
        least = torch.where(present[..., None] > 0, zones, 1.0).amin(1)
        found.append(least.amax(1) - least.median(1).values)
    return found


def _corners(luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """The sharpest right angle of two straight seams, a fifth of the height long each: frames and plates.

    In a usual picture, and of what stays in all pictures.
    """
    mean, long = _over(present), luma.shape[2] // 5
    upright, level = (
        (steps - _beside(steps, axis)).clamp(0, 30) for steps, axis in zip(_steps(luma), (2, 3), strict=True)
    )
    there = present[..., None, None] > 0
    found = []
    for one, two, average in (
        (upright, level, mean),
        (
            torch.where(there, upright, 30.0).amin(1, keepdim=True),
            torch.where(there, level, 30.0).amin(1, keepdim=True),
            lambda values_B1: values_B1[:, 0],
        ),
    ):
        down, right = _means(one, 2, long), _means(two, 3, long)
        rows, columns = one.shape[2] - 2 * long, two.shape[3] - 2 * long
        best = torch.zeros_like(down[:, :, 0, 0])
        for below in (0, long):
            for beside in (0, long):
                arm = down[:, :, below : below + rows, long : long + columns]
                other = right[:, :, long : long + rows, beside : beside + columns]
                best = torch.maximum(best, torch.minimum(arm, other).amax((2, 3)))
        found.append(average(best))
    return found


def _paint(pictures: Tensor, luma: Tensor, present: Tensor) -> Sequence[Tensor]:
    """How few tones a picture has, and how far its colours follow from its luma: posters, duotones, sepia."""
    mean = _over(present)
    share = _tones(luma, 8)
    found = [mean(-(share * (share + 1e-6).log()).sum(2)), mean(share.topk(4, dim=2).values.sum(2))]
    rest = luma - luma.mean((2, 3), keepdim=True)
    spread = (rest * rest).mean((2, 3)) + 4
    for channel in (0, 2):
        chroma = pictures[:, :, channel] - luma
        off = chroma - chroma.mean((2, 3), keepdim=True)
        both = (off * rest).mean((2, 3))
        found.append(mean(both * both / (spread * ((off * off).mean((2, 3)) + 4))))
        found.append(mean(both / spread))
    return found


def _detail(luma_BHW: Tensor, color_BHW: Tensor) -> Sequence[Tensor]:
    """Blur, noise, blocks and rings of a close look, by what differs from the four pixels around it."""
    right, below = _steps(luma_BHW)
    around = luma_BHW[:, :-2, 1:-1] + luma_BHW[:, 2:, 1:-1] + luma_BHW[:, 1:-1, :-2] + luma_BHW[:, 1:-1, 2:]
    fine = (luma_BHW[:, 1:-1, 1:-1] - around / 4).abs()
    some = _quantiles(fine, 0.25, 0.5, 0.95, 0.995)
    (steep,), (wide,) = (_quantiles(one, 0.98) for one in (right, _two_apart(luma_BHW)))
    mean = fine.mean((1, 2))
    return [
        mean,
        *some,
        mean / (right.mean((1, 2)) + 0.5),
        steep,
        steep / (wide + 1),
        _share(right < 1),
        _period(right.mean(1)),
        _period(below.mean(2)),
        color_BHW.mean((1, 2)),
        color_BHW.flatten(1).std(1),
    ]


def _quantiles(values_BHW: Tensor, *shares: float) -> Sequence[Tensor]:
    """Return so many quantiles (B,); by NumPy, whose sorting takes a tenth of the time."""
    ordered = torch.from_numpy(np.sort(values_BHW.flatten(1).cpu().numpy(), axis=1)).to(values_BHW.device)
    last = ordered.shape[1] - 1
    found = []
    for share in shares:
        low = int(share * last)
        found.append(torch.lerp(ordered[:, low], ordered[:, min(low + 1, last)], share * last - low))
    return found


def _two_apart(luma_BHW: Tensor) -> Tensor:
    made: Tensor = (luma_BHW[..., 2:] - luma_BHW[..., :-2]).abs()
    return made


def _period(profile_BN: Tensor) -> Tensor:
    """Return how much the strongest of eight phases is above the usual one: blocks of eight pixels."""
    phases = torch.stack([profile_BN[:, phase::8].mean(1) for phase in range(8)], dim=1)
    made: Tensor = phases.amax(1) / (phases.median(1).values + 0.3)
    return made
