"""The columns of every table of a run, typed, with units in the field metadata.

The names and meanings are the contract between the passes, and with everyone who reads a run with other
tools: a column may be added, none changes its meaning. Columns that a stage computes (signals, scores,
labels) are declared by the stage (`provides`); here stand those that the run itself writes.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = [
    "CAPTIONS",
    "CAPTION_DETAILS",
    "CAPTION_PART",
    "CAPTION_STRUCT",
    "CLIPS",
    "FAILURES",
    "LOCATION",
    "SHOTS",
    "SOURCES",
    "column",
]


def column(
    name: str, type_: pa.DataType, unit: str = "", doc: str = "", *, nullable: bool = True
) -> pa.Field:
    """Return a field whose metadata carries `unit` and `doc`."""
    metadata = {key: value for key, value in (("unit", unit), ("doc", doc)) if value}
    return pa.field(name, type_, nullable=nullable, metadata=metadata or None)


SOURCES = pa.schema(
    [
        column("source_uri", pa.string(), doc="where the source was read", nullable=False),
        column(
            "source_id", pa.string(), doc="SHA-256 of the content, first 32 hex digits; null if unreadable"
        ),
        column("bytes", pa.int64(), "byte"),
        column("container", pa.string(), doc="demuxer's name"),
        column("codec", pa.string()),
        column("width", pa.int32(), "px", "display width: after rotation and pixel aspect"),
        column("height", pa.int32(), "px", "display height"),
        column("fps", pa.float64(), "1/s", "mean; null for images"),
        column("frames", pa.int64(), doc="frames that decoded"),
        column("duration_s", pa.float64(), "s"),
        column("error", pa.string(), doc="null when the source was read whole"),
        column("duplicate_of", pa.string(), doc="URI of the source with the same content that was cut"),
    ]
)

SHOTS = pa.schema(
    [
        column("source_id", pa.string(), nullable=False),
        column("shot", pa.int32(), nullable=False),
        column("start_frame", pa.int64(), doc="in display order over the decodable frames", nullable=False),
        column("end_frame", pa.int64(), doc="exclusive", nullable=False),
        column("start_s", pa.float64(), "s", nullable=False),
        column("end_s", pa.float64(), "s", nullable=False),
        column("transition_in", pa.string(), doc="start, hard, dissolve, fade, wipe, split", nullable=False),
        column("transition_out", pa.string(), doc="end, hard, dissolve, fade, wipe, split", nullable=False),
    ]
)

CLIPS = pa.schema(
    [
        column("clip_id", pa.string(), doc="hash of source_id, stream index and PTS span", nullable=False),
        column("source_id", pa.string(), nullable=False),
        column("source_uri", pa.string(), nullable=False),
        column("stream", pa.int32(), doc="index of the video stream in the source", nullable=False),
        column("shot", pa.int32(), nullable=False),
        column("start_frame", pa.int64(), nullable=False),
        column("end_frame", pa.int64(), doc="exclusive", nullable=False),
        column("start_pts", pa.int64(), "time_base", nullable=False),
        column("end_pts", pa.int64(), "time_base", "exclusive", nullable=False),
        column("time_base", pa.string(), "s", "rational, e.g. 1/90000", nullable=False),
        column("start_s", pa.float64(), "s", "on the source's clock", nullable=False),
        column("duration_s", pa.float64(), "s", nullable=False),
        column("frames", pa.int64(), nullable=False),
        column("fps", pa.float64(), "1/s", "mean", nullable=False),
        column("width", pa.int32(), "px", "display width", nullable=False),
        column("height", pa.int32(), "px", "display height", nullable=False),
        column("cut", pa.string(), doc="copy or transcode", nullable=False),
        column("cut_reason", pa.string(), doc="why it was transcoded; null for a copy"),
        column("preroll_frames", pa.int32(), doc="stored before the first frame, hidden by an edit list"),
        column("postroll_frames", pa.int32(), doc="stored after the last frame, hidden likewise"),
        column("tar", pa.string(), doc="path within the run", nullable=False),
        column("offset", pa.int64(), "byte", "of the video's first byte in the tar", nullable=False),
        column("bytes", pa.int64(), "byte", nullable=False),
        column("sha256", pa.string(), doc="of the video's bytes, hex", nullable=False),
        column("samples_tar", pa.string(), doc="path within the run", nullable=False),
        column("sample_times_s", pa.list_(pa.float64()), "s", "on the source's clock", nullable=False),
        column("sample_offsets", pa.list_(pa.int64()), "byte", nullable=False),
        column("sample_bytes", pa.list_(pa.int64()), "byte", nullable=False),
        column(
            "samples_sha256", pa.string(), doc="of the samples' bytes one after another, hex", nullable=False
        ),
    ]
)

CAPTION_PART = pa.struct(
    [
        column("template", pa.string(), nullable=False),
        column("time_s", pa.float64(), "s", "of the frame, from the clip's start; null: of the whole clip"),
        column("text", pa.string()),
        column("status", pa.string(), nullable=False),
    ]
)
CAPTIONS = pa.schema(
    [
        column("clip_id", pa.string(), nullable=False),
        column("variant", pa.string(), doc="dense, short, …", nullable=False),
        column("caption", pa.string()),
        column("status", pa.string(), doc="ok, truncated, empty, refused, error", nullable=False),
        column("caption_ok", pa.bool_(), doc="status is ok, and there are no problems", nullable=False),
        column("caption_model", pa.string(), nullable=False),
        column("words", pa.int32()),
        column("tokens", pa.int32(), doc="of the T5 tokenizer, the end token too; null without one"),
        column("repetition", pa.float64(), "1", "share of four-word phrases that came before: seq-rep-4"),
        column("language", pa.string(), doc="ISO 639-1; null where the text does not tell"),
        column("alignment", pa.float64(), "1", "cosine of the CLIP vectors of caption and samples, -1 to 1"),
        column("problems", pa.list_(pa.string()), doc="codes of what the checks found, sorted"),
        column("request_id", pa.string(), doc="of the answer that became the caption"),
        column("asked", pa.int32(), doc="times that it was asked for"),
        column("prompt_tokens", pa.int32(), doc="of that request; null where the engine has no tokens"),
        column("generated_tokens", pa.int32(), doc="likewise"),
        column("parts", pa.list_(CAPTION_PART), doc="other answers that the caption was made of"),
        column("samples_digest", pa.string(), doc="SHA-256 of the samples captioned, hex", nullable=False),
    ]
)

# What the index and manifests leave out: those who train captioners read it from the table itself.
CAPTION_DETAILS = frozenset({"parts"})
# A clip's captions there, as a list, in order of variant.
CAPTION_STRUCT = pa.struct([field for field in CAPTIONS if field.name not in {"clip_id", *CAPTION_DETAILS}])

FAILURES = pa.schema(
    [
        column("pass", pa.string(), nullable=False),
        column("unit", pa.string(), nullable=False),
        column("stage", pa.string(), nullable=False),
        column("source_uri", pa.string()),
        column("clip_id", pa.string(), doc="null when the source failed before it had clips"),
        column("error", pa.string(), doc="class of the error", nullable=False),
        column("message", pa.string(), nullable=False),
        column("attempts", pa.int32(), nullable=False),
    ]
)

# Where a manifest row's bytes lie.
LOCATION = pa.schema(
    [
        column("shard", pa.string(), doc="URI, or path relative to the manifest's folder", nullable=False),
        column("offset", pa.int64(), "byte", nullable=False),
        column("bytes", pa.int64(), "byte", nullable=False),
        column("sha256", pa.string(), nullable=False),
    ]
)
