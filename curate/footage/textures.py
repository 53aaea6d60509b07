"""Materials painted from seeded noise: what gives the rendered corpus the statistics of photographs.

Everything is a pure function of a shape and a seed, float32 in 0..1, and is made once a scene; a frame only
warps what is here. Cost: about 5 ms a megapixel and octave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "Color",
    "Floats",
    "Image",
    "asphalt",
    "bark",
    "bricks",
    "brushed_metal",
    "fabric",
    "foliage",
    "fractal",
    "paper",
    "plaster",
    "profile",
    "ramp",
    "relief",
    "rgb",
    "stone",
    "tile",
    "to_image",
    "wood",
]

Image: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]
Color: TypeAlias = tuple[float, float, float]


def rgb(color: Sequence[float]) -> Floats:
    """Return a colour as an array (3,) that scales or mixes pictures (H, W, 3)."""
    return np.asarray(color, np.float32)


def fractal(
    shape: tuple[int, int],
    seed: int,
    *,
    cell: float = 64.0,
    octaves: int = 5,
    gain: float = 0.55,
    stretch: float = 1.0,
) -> Floats:
    """Return value noise (H, W) in 0..1, mean 0.5: octaves of random grids, each half the cell of the last.

    `cell` is the largest grain in px, `stretch` how much wider than tall the grains are, `gain` the
    amplitude of an octave relative to the one before (0.5 gives a spectrum near 1/f, as photographs have).
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    steps = [cell / 2**octave for octave in range(octaves) if octave == 0 or cell / 2**octave >= 0.5]
    total = np.zeros(shape, np.float32)
    # Coarse octaves are smooth: summed on a quarter of the rows and columns and grown once.
    coarse = np.zeros((height // 4 + 2, width // 4 + 2), np.float32)
    for octave, step in enumerate(steps):
        if step >= 16:
            coarse += gain**octave * _octave((coarse.shape[0], coarse.shape[1]), rng, step / 4, stretch)
        else:
            total += gain**octave * _octave(shape, rng, max(step, 1.0), stretch)
    if steps[0] >= 16:
        grown = cv2.resize(coarse, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        total += grown[4 : 4 + height, 4 : 4 + width]
    energy = sum(gain ** (2 * octave) for octave in range(len(steps)))
    # Cubic interpolation of unit grids has a variance near 0.45. A sigmoid, not a clip: no flat plateaus.
    made: Floats = (0.5 + 0.5 * np.tanh(total / (2.0 * np.sqrt(0.45 * energy)))).astype(np.float32)
    return made


def _octave(shape: tuple[int, int], rng: np.random.Generator, step: float, stretch: float) -> Floats:
    """Return one octave: a unit normal grid of cells `step` px high, interpolated to `shape`."""
    height, width = shape
    across = max(step * stretch, 1.0)
    grid = rng.standard_normal(
        (int(np.ceil(height / step)) + 3, int(np.ceil(width / across)) + 3), np.float32
    )
    full = (max(width, round(grid.shape[1] * across)), max(height, round(grid.shape[0] * step)))
    grown: Floats = cv2.resize(grid, full, interpolation=cv2.INTER_CUBIC)
    top, left = (full[1] - height) // 2, (full[0] - width) // 2
    return grown[top : top + height, left : left + width]


def tile(side: int, seed: int, *, cell: int, octaves: int = 4, gain: float = 0.55) -> Floats:
    """Return value noise (side, side) in 0..1 that wraps around; `side` is a multiple of `cell`."""
    rng = np.random.default_rng(seed)
    total = np.zeros((side, side), np.float32)
    energy, amplitude = 0.0, 1.0
    for _ in range(octaves):
        grid = np.pad(rng.standard_normal((side // cell,) * 2).astype(np.float32), 2, mode="wrap")
        grown = cv2.resize(grid, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        total += amplitude * grown[2 * cell : 2 * cell + side, 2 * cell : 2 * cell + side]
        energy += amplitude * amplitude
        amplitude *= gain
        if cell % 2:
            break
        cell //= 2
    made: Floats = (0.5 + 0.5 * np.tanh(total / (2.0 * np.sqrt(0.45 * energy)))).astype(np.float32)
    return made


def profile(length: int, seed: int, *, cell: float, octaves: int = 6, gain: float = 0.5) -> Floats:
    """Return one line (length,) of fractal noise in 0..1: ridges, skylines, shores."""
    rough = fractal((4, length), seed, cell=cell, octaves=octaves, gain=gain, stretch=1.0)
    made: Floats = rough[0]
    return made


def ramp(values_HW: Floats, stops: Sequence[tuple[float, Color]]) -> Floats:
    """Return (H, W, 3): `values_HW` in 0..1 coloured by linear interpolation between `stops`."""
    places = [place for place, _ in stops]
    grid = np.linspace(0.0, 1.0, 256)
    lut = np.stack([np.interp(grid, places, [color[i] for _, color in stops]) for i in range(3)], axis=1)
    index = np.clip(values_HW * 255.0, 0, 255).astype(np.uint8)
    made: Floats = lut.astype(np.float32)[index]
    return made


def relief(height_HW: Floats, *, strength: float = 4.0, angle: float = -2.2) -> Floats:
    """Return the shading (H, W) around 1.0 of a height field lit from `angle` (radians, y down)."""
    gx = cv2.Sobel(height_HW, cv2.CV_32F, 1, 0, ksize=3)
    gy = cv2.Sobel(height_HW, cv2.CV_32F, 0, 1, ksize=3)
    slope = gx * np.float32(np.cos(angle)) + gy * np.float32(np.sin(angle))
    made: Floats = np.clip(1.0 - strength * slope, 0.25, 1.8, dtype=np.float32)
    return made


def to_image(values: Floats) -> Image:
    """Return `values` in 0..1 as uint8."""
    made: Image = np.clip(values * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return made


def wood(shape: tuple[int, int], seed: int, *, tint: Color = (0.72, 0.5, 0.31)) -> Floats:
    """Return planks (H, W, 3) with rings, pores and seams, grain along x."""
    height = shape[0]
    bend = fractal(shape, seed, cell=height / 2, octaves=3, stretch=6.0)
    rings = 0.5 + 0.5 * np.sin((bend * 26.0 + np.linspace(0, 9, height, dtype=np.float32)[:, None]) * 2.4)
    pores = fractal(shape, seed + 1, cell=5, octaves=3, stretch=14.0)
    plank = max(24, height // 5)
    rows = np.arange(height)
    shade = np.random.default_rng(seed + 2).uniform(0.82, 1.12, height // plank + 2)[rows // plank]
    seam = np.where(rows % plank < 2, 0.45, 1.0)
    tone = (0.72 + 0.18 * rings + 0.3 * (pores - 0.5)) * (shade * seam)[:, None]
    made: Floats = (tone[..., None] * rgb(tint)).astype(np.float32)
    return made


def stone(shape: tuple[int, int], seed: int, *, color: Color = (0.55, 0.53, 0.5)) -> Floats:
    """Return weathered rock (H, W, 3): cracks and stains under a low light."""
    height = fractal(shape, seed, cell=shape[0] / 4, octaves=7, gain=0.62)
    stains = fractal(shape, seed + 1, cell=shape[0] / 3, octaves=4)
    tone = relief(height, strength=3.0) * (0.7 + 0.6 * stains)
    return (tone[..., None] * rgb(color)).astype(np.float32)


def plaster(shape: tuple[int, int], seed: int, *, color: Color) -> Floats:
    """Return a painted wall (H, W, 3): faint bumps, stains that run down."""
    bumps = relief(fractal(shape, seed, cell=6, octaves=3), strength=0.1)
    runs = fractal(shape, seed + 1, cell=shape[0] / 2, octaves=5, stretch=0.25)
    return ((bumps * (0.78 + 0.36 * runs))[..., None] * rgb(color)).astype(np.float32)


def bricks(shape: tuple[int, int], seed: int, *, color: Color, row_px: int = 7) -> Floats:
    """Return a brick wall (H, W, 3), every brick of its own tone."""
    height, width = shape
    rows = np.arange(height)[:, None] // row_px
    cols = (np.arange(width)[None, :] + (rows % 2) * row_px) // (2 * row_px)
    tones = np.random.default_rng(seed).uniform(0.7, 1.1, (height // row_px + 2, width // row_px + 3))
    tone = tones[rows, cols].astype(np.float32)
    joint = (np.arange(height)[:, None] % row_px == 0) | (
        (np.arange(width)[None, :] + (rows % 2) * row_px) % (2 * row_px) == 0
    )
    rough = 0.8 + 0.4 * fractal(shape, seed + 1, cell=40, octaves=6)
    painted = tone[..., None] * rgb(color)
    painted[joint] = rgb((0.58, 0.55, 0.52))
    made: Floats = (painted * rough[..., None]).astype(np.float32)
    return made


def asphalt(shape: tuple[int, int], seed: int) -> Floats:
    """Return a road surface (H, W, 3): grit, patches, a few dark streaks along x."""
    grit = np.random.default_rng(seed).normal(0.0, 0.05, shape).astype(np.float32)
    patches = fractal(shape, seed + 1, cell=shape[0] / 2, octaves=4, stretch=3.0)
    tone = 0.27 + 0.16 * patches + cv2.GaussianBlur(grit, (0, 0), 0.7)
    made: Floats = (tone[..., None] * rgb((1.0, 0.99, 0.97))).astype(np.float32)
    return made


def bark(shape: tuple[int, int], seed: int, *, color: Color = (0.36, 0.27, 0.2)) -> Floats:
    """Return bark (H, W, 3): furrows along y, lit from the left, with moss."""
    furrows = fractal(shape, seed, cell=28, octaves=5, gain=0.7, stretch=0.22)
    moss = 0.6 * np.clip(fractal(shape, seed + 1, cell=90, octaves=4) * 3.0 - 1.7, 0, 1)
    tone = relief(furrows, strength=2.5, angle=-2.8) * (0.55 + 0.7 * furrows) * (1 - moss)
    green = (0.3, 0.36, 0.14)
    return np.stack([tone * color[band] + moss * green[band] for band in range(3)], axis=2).astype(np.float32)


def foliage(shape: tuple[int, int], seed: int, stops: Sequence[tuple[float, Color]]) -> Floats:
    """Return leaves (H, W, 3): clumps of light and shade down to single leaves."""
    clumps = fractal(shape, seed, cell=shape[0] / 5, octaves=7, gain=0.72)
    shade = relief(clumps, strength=1.6, angle=-1.9)
    return (ramp(clumps, stops) * shade[..., None]).astype(np.float32)


def fabric(shape: tuple[int, int], seed: int, *, color: Color, second: Color, stripe_px: int) -> Floats:
    """Return woven cloth (H, W, 3) with stripes both ways."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    across = (np.sin(x * (2 * np.pi / stripe_px)) > 0.3).astype(np.float32)
    along = (np.sin(y * (2 * np.pi / stripe_px)) > 0.3).astype(np.float32)
    mix = (0.5 * across + 0.5 * along)[..., None]
    threads = 1.0 + 0.07 * np.sin(x * 2.1) * np.sin(y * 2.1) + rng.normal(0, 0.03, shape)
    worn = 0.85 + 0.3 * fractal(shape, seed, cell=shape[0] / 2, octaves=4)
    painted = rgb(color) * (1 - mix) + rgb(second) * mix
    made: Floats = (painted * (threads * worn)[..., None]).astype(np.float32)
    return made


def brushed_metal(shape: tuple[int, int], seed: int, *, color: Color = (0.62, 0.6, 0.57)) -> Floats:
    """Return brushed steel (H, W, 3) with scratches along x and a soft sheen."""
    scratches = fractal(shape, seed, cell=3, octaves=2, stretch=60.0)
    sheen = fractal(shape, seed + 1, cell=shape[0], octaves=2, stretch=2.0)
    return ((0.6 + 0.35 * scratches + 0.4 * sheen)[..., None] * rgb(color)).astype(np.float32)


def paper(shape: tuple[int, int], seed: int, *, color: Color = (0.95, 0.93, 0.88)) -> Floats:
    """Return a sheet (H, W, 3): fibres, a soft shadow towards one corner."""
    fibres = 0.97 + 0.06 * fractal(shape, seed, cell=4, octaves=2)
    height, width = shape
    fall = np.linspace(1.0, 0.86, height)[:, None] * np.linspace(1.0, 0.93, width)[None, :]
    return ((fibres * fall)[..., None] * rgb(color)).astype(np.float32)
