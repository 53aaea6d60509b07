"""The training loop: packs to gradients over any number of processes, checkpoints, and what is seen of it."""

from train.loop.export import export
from train.loop.parallel import World, joined
from train.loop.samples import Sampler
from train.loop.saving import Record, checkpoints, latest, read_record
from train.loop.settings import Data, Outcome, Planned, Settings
from train.loop.trainer import train
from train.loop.validation import Deal, HeldOut
from train.loop.watch import HANG_EXIT, STOP_EXIT

__all__ = [
    "HANG_EXIT",
    "STOP_EXIT",
    "Data",
    "Deal",
    "HeldOut",
    "Outcome",
    "Planned",
    "Record",
    "Sampler",
    "Settings",
    "World",
    "checkpoints",
    "export",
    "joined",
    "latest",
    "read_record",
    "train",
]
