"""Noise schedule, v-prediction, guidance, DDIM and DPM++ sampling, as the released models have them."""

from train.diffusion.config import PRESETS, DiffusionConfig
from train.diffusion.guidance import Guidance, constant, dynamic, guided
from train.diffusion.loss import v_loss
from train.diffusion.samplers import Denoise, OnStep, Step, ddim, dpm, sample, spaced
from train.diffusion.schedule import Schedule

__all__ = [
    "PRESETS",
    "Denoise",
    "DiffusionConfig",
    "Guidance",
    "OnStep",
    "Schedule",
    "Step",
    "constant",
    "ddim",
    "dpm",
    "dynamic",
    "guided",
    "sample",
    "spaced",
    "v_loss",
]
