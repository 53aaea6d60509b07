"""What is seen of a clip: frame rate, start, length, size and caption, keyed by (seed, clip, visit).

Whole arrays of clips at once. What a clip allows (`allowed`) is arithmetic on its numbers; what is drawn of
it (`views`) depends on the key besides, and on nothing else: not on ranks, loaders or what was drawn before.

Legend: N clips, K frame rates of the stage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shards.errors import ConfigError
from train.dit.config import TransformerConfig
from train.plan.keyed import key_of, uniforms
from train.plan.manifest import Manifest
from train.plan.tokens import SIDE_PX, patch_frames
from train.recipe import Stage

__all__ = ["Allowed", "Ints", "Views", "allowed", "views"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_RATE_SLACK = 0.99
"""a source of 7.99 frames a second is one of 8"""
_FRAME_SLACK = 1e-3
"""of a frame: what rounding may have added to a duration"""
_RATE, _START, _CAPTION, _DROPOUT = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """What clips allow in a stage."""

    frames_NK: Ints
    """4k + 1 at each of the stage's frame rates; 0: not at this rate"""
    rows_N: Ints
    """of patches"""
    columns_N: Ints
    least_N: Ints
    """frames that must be shown: the stage's `min_frames`; 1 of images"""
    slow_N: Bools
    """clips of fewer frames a second than any rate of the stage"""

    @property
    def short_N(self) -> Bools:
        """Clips that are fast enough but show too few frames."""
        return ~self.slow_N & ~self.frames_NK.any(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """One view a clip, as long as the clip and the stage allow."""

    start_s_N: Floats
    fps_N: Floats
    frames_N: Ints
    least_N: Ints
    rows_N: Ints
    columns_N: Ints
    captions_N: Ints
    """-1: dropped"""


def allowed(manifest: Manifest, rows_N: Ints, stage: Stage, config: TransformerConfig) -> Allowed:
    """Return what the clips of these rows allow. Raises ConfigError where the budget holds no clip at all."""
    most = (stage.max_tokens or stage.tokens) - config.text_length
    image_N = manifest.frames_N[rows_N] == 1
    least_N = np.where(image_N, 1, stage.min_frames)
    frames_area_N = most // np.where(image_N, 1, patch_frames(stage.min_frames, config))
    if most < patch_frames(stage.min_frames, config):
        raise ConfigError(
            f"stage {stage.name}: {most + config.text_length} tokens hold no clip of {stage.min_frames} "
            f"frames beside {config.text_length} tokens of text"
        )
    grid_rows_N, grid_columns_N = _sides(
        manifest.height_N[rows_N], manifest.width_N[rows_N], stage.short_side // SIDE_PX, frames_area_N
    )
    # Frames that the budget holds: whole patches, the last one full.
    patches_N = most // (grid_rows_N * grid_columns_N)
    most_frames_N = 4 * (patches_N * config.patch_depth - 1) + 1
    rates_K = np.asarray(stage.fps, np.float64)
    fast_NK = manifest.fps_N[rows_N, None] >= rates_K * _RATE_SLACK
    shown_NK = np.floor(manifest.duration_s_N[rows_N, None] * rates_K - _FRAME_SLACK) + 1
    wanted_K = np.floor(stage.max_seconds * rates_K + _FRAME_SLACK) + 1
    limit_NK = np.minimum(np.minimum(shown_NK, wanted_K), most_frames_N[:, None]).astype(np.int64)
    frames_NK = np.where(fast_NK, (limit_NK - 1) // 4 * 4 + 1, 0)
    frames_NK[image_N] = 1
    frames_NK[frames_NK < least_N[:, None]] = 0
    return Allowed(frames_NK, grid_rows_N, grid_columns_N, least_N, ~fast_NK.any(axis=1) & ~image_N)


def _sides(height_N: Floats, width_N: Floats, short: int, area_N: Ints) -> tuple[Ints, Ints]:
    """Return rows and columns of patches: `short` of the shorter side, the aspect kept, `area_N` at most."""
    height_N, width_N = np.maximum(height_N, 1), np.maximum(width_N, 1)
    scale_N = short / np.minimum(height_N, width_N)
    shrunk_N = np.sqrt(np.minimum(1.0, area_N / (scale_N**2 * height_N * width_N)))
    fits_N = np.rint(height_N * scale_N) * np.rint(width_N * scale_N) <= area_N
    sides = []
    for side_N in (height_N, width_N):
        whole_N, smaller_N = np.rint(side_N * scale_N), np.floor(side_N * scale_N * shrunk_N)
        sides.append(np.maximum(1, np.where(fits_N, whole_N, smaller_N)).astype(np.int64))
    rows_N, columns_N = sides
    return np.minimum(rows_N, area_N), np.minimum(columns_N, np.maximum(1, area_N // rows_N))


def views(
    manifest: Manifest,
    rows_N: Ints,
    visits_N: Ints,
    stage: Stage,
    may: Allowed,
    *,
    seed: int,
    text_dropout: float,
) -> Views:
    """Return a view of each clip; those that allow none get one of 0 frames.

    The frame rate is drawn among those allowed, the start among the source's frames, the caption among the
    clip's, or is dropped.
    """
    drawn_NF = uniforms(key_of("view", seed), manifest.keys_N[rows_N], visits_N, 4)
    choice_N = _pick(may.frames_NK > 0, drawn_NF[:, _RATE])
    at = np.arange(len(rows_N))
    frames_N = may.frames_NK[at, np.maximum(choice_N, 0)]
    image_N = manifest.frames_N[rows_N] == 1
    fps_N = np.where(image_N, 1.0, np.asarray(stage.fps, np.float64)[np.maximum(choice_N, 0)])
    # The last start is such that the last frame is still shown; starts lie on the source's frames.
    own_fps_N = np.maximum(manifest.fps_N[rows_N], 1e-6)
    room_s_N = manifest.duration_s_N[rows_N] - (np.maximum(frames_N, 1) - 1) / fps_N
    starts_N = np.maximum(1, np.ceil(room_s_N * own_fps_N - _FRAME_SLACK))
    start_s_N = np.floor(drawn_NF[:, _START] * starts_N) / own_fps_N
    start_s_N[image_N] = 0.0
    bits_N64 = (manifest.captions_N[rows_N, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    captions_N = _pick(bits_N64.astype(bool), drawn_NF[:, _CAPTION])
    captions_N[drawn_NF[:, _DROPOUT] < text_dropout] = -1
    return Views(start_s_N.round(6), fps_N, frames_N, may.least_N, may.rows_N, may.columns_N, captions_N)


def _pick(choices_NC: Bools, drawn_N: Floats) -> Ints:
    """Return one of each row's choices by a number in [0, 1); -1 where there is none."""
    counts_N = choices_NC.sum(axis=1)
    wanted_N = np.floor(drawn_N * counts_N)
    picked_N = (np.cumsum(choices_NC, axis=1) > wanted_N[:, None]).argmax(axis=1)
    return np.where(counts_N > 0, picked_N, -1)
