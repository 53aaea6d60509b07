"""Videos from text, or from text and an image, by a checkpoint."""

from train.sampling.generate import Request, generate
from train.sampling.pictures import contact_sheet, read_image, write_png, write_video
from train.sampling.pipeline import Pipeline, load_pipeline, save_pipeline

__all__ = [
    "Pipeline",
    "Request",
    "contact_sheet",
    "generate",
    "load_pipeline",
    "read_image",
    "save_pipeline",
    "write_png",
    "write_video",
]
