"""Which clips make which step: admission, views, packs and timesteps, planned from manifests alone."""

from train.plan.block import Block
from train.plan.deal import deal, pack_cost
from train.plan.held_out import validation_steps
from train.plan.manifest import Manifest, read_manifest
from train.plan.planner import Planner
from train.plan.steps import PlannedClip, PlannedPack, PlannedStep, View
from train.plan.tokens import transformer_config

__all__ = [
    "Block",
    "Manifest",
    "PlannedClip",
    "PlannedPack",
    "PlannedStep",
    "Planner",
    "View",
    "deal",
    "pack_cost",
    "read_manifest",
    "transformer_config",
    "validation_steps",
]
