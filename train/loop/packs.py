"""Loaded clips → packs to compute with: latents drawn, noise added, targets beside them.

A pack of which no clip could be read, and a rank's turn without a pack, become a *filler*: one smallest clip
of zeros that no loss counts. Every rank then makes as many passes, in each of which there are collectives.

Legend: C channels, T latent frames, H, W latent rows and columns; V patches, P numbers of a patch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from train.data import LoadedClip, LoadedPack
from train.diffusion import Schedule
from train.dit import RELEASED_OFS, Clip, Pack, TransformerConfig, even_frames, pack_clips, patchify
from train.loop.noise import draw_image, draw_latents, is_dropped, normals
from train.plan import PlannedStep

__all__ = ["PackMaker", "ReadyPack"]

_LEAST_SLOTS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class ReadyPack:
    """One pack, noisy, and what the model shall say of it."""

    pack: Pack
    velocity_VP: Tensor
    """float32"""
    places: tuple[int, ...]
    """of its clips among those of the step; none for a filler"""
    weights: tuple[float, ...]
    clip_ids: tuple[str, ...]

    def pinned(self) -> ReadyPack:
        """Return it in memory that a GPU copies from by itself."""
        names = ("patches_VP", "text_UE", "timesteps_N", "coordinates_S3", "rows_S")
        moved = {name: getattr(self.pack, name).pin_memory() for name in names}
        pack = dataclasses.replace(self.pack, **moved)
        return dataclasses.replace(self, pack=pack, velocity_VP=self.velocity_VP.pin_memory())

    def to(self, device: torch.device, dtype: torch.dtype | None) -> tuple[Pack, Tensor]:
        """Return pack and target on a device; `dtype` is for patches and texts alone."""
        if device.type == "cpu":
            return self.pack.to(device, dtype), self.velocity_VP
        return self.pack.to(device, dtype), self.velocity_VP.to(device, non_blocking=True)


@dataclass(frozen=True, slots=True, eq=False)
class PackMaker:
    """Makes packs for a model. `fixed`: all of one shape in the blocks, as compiled ones want it.

    `image_dropout`: share of the clips of which an image-to-video model is not shown the first frame;
    held-out clips always come with it.
    """

    config: TransformerConfig
    schedule: Schedule
    seed: int
    fixed: bool
    image_dropout: float = 0.0

    def make(
        self, step: PlannedStep, places: Sequence[int], loaded: Sequence[LoadedPack], tokens: int, passes: int
    ) -> list[ReadyPack]:
        """Return as many packs as passes: those loaded, of these places in the step, then fillers.

        `tokens`: the stage's budget.
        """
        starts = [0]
        for planned in step.packs:
            starts.append(starts[-1] + len(planned.clips))
        made = [
            self._pack(step, starts[place], pack, tokens) for place, pack in zip(places, loaded, strict=True)
        ]
        return made + [self._filler(tokens) for _ in range(passes - len(made))]

    def _pack(self, step: PlannedStep, start: int, loaded: LoadedPack, tokens: int) -> ReadyPack:
        clips, velocities, places, weights, names = [], [], [], [], []
        for place, (planned, clip) in enumerate(zip(loaded.plan.clips, loaded.clips, strict=True), start):
            if clip is None:
                continue
            key = {"seed": self.seed, "step": step.number, "visit": planned.visit}
            # Before noise is added, so that a frame put in front has noise of its own.
            x0, _ = even_frames(draw_latents(clip, **key), self.config)
            noise = normals(x0.shape, "noise", clip_id=clip.clip_id, **key)
            time = torch.tensor([planned.timestep])
            noisy_CTHW = self.schedule.add_noise(x0[None], noise[None], time)[0]
            velocity_CTHW = self.schedule.velocity(x0[None], noise[None], time)[0]
            image_CTHW = self._first_frame(clip, x0, **key)
            clips.append(Clip(noisy_CTHW, clip.text_UE.float(), planned.timestep, image_CTHW, self._ofs))
            velocities.append(patchify(velocity_CTHW, self.config))
            places.append(place)
            weights.append(planned.weight)
            names.append(clip.clip_id)
        if not clips:
            return self._filler(tokens)
        pack = self._laid(clips, tokens)
        return ReadyPack(pack, torch.cat(velocities), tuple(places), tuple(weights), tuple(names))

    def _first_frame(
        self, clip: LoadedClip, x0_CTHW: Tensor, *, seed: int, step: int, visit: int
    ) -> Tensor | None:
        """Return what is read beside the latents: those of the first frame, then nothing; all of it dropped
        where it is this clip's turn. A frame that 1.5 has in front is the image's, as in sampling."""
        if clip.image is None:
            return None
        key = {"seed": seed, "step": step, "visit": visit}
        shown_CTHW = torch.zeros_like(x0_CTHW)
        if step < 0 or not is_dropped(self.image_dropout, clip.clip_id, **key):
            shown_CTHW[:, :1] = draw_image(clip.image, clip.clip_id, **key)
        return shown_CTHW

    @property
    def _ofs(self) -> float | None:
        return None if self.config.ofs_dim is None else RELEASED_OFS

    def _filler(self, tokens: int) -> ReadyPack:
        config = self.config
        rows, columns = config.patch, config.patch
        if config.positions == "rope+learned":
            rows, columns = config.sample_height, config.sample_width
        channels = config.in_channels + config.extra_channels
        latents = torch.zeros(channels, config.patch_depth, rows, columns)
        pack = self._laid([Clip(latents, torch.zeros(1, config.text_dim), 0, ofs=self._ofs)], tokens)
        outputs = config.out_channels * config.patch_values
        return ReadyPack(pack, torch.zeros(len(pack.patches_VP), outputs), (), (), ())

    def _laid(self, clips: Sequence[Clip], tokens: int) -> Pack:
        if not self.fixed:
            # Padding is computed with: only a compiled block has use for it.
            return pack_clips(clips, self.config)
        # Powers of two: few shapes, and little work for slots that are empty.
        slots = max(_LEAST_SLOTS, 1 << (len(clips) - 1).bit_length())
        return pack_clips(clips, self.config, tokens=tokens, slots=slots)
