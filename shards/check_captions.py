"""Whether a caption can be the one of its clip: what its row says, against what the clip's row says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["caption_faults"]

Row = Mapping[str, Any]
_SAME_S: Final = 1e-6


def caption_faults(caption: Row, clip: Row) -> Iterator[str]:
    """Yield what is wrong with a caption, in words.

    Args:
        caption: columns of the captions table, or what a manifest has of them.
        clip: of the clips table: `clip_id`, `samples_sha256`, `start_s` and, of clips that have samples,
            `sample_times_s`.
    """
    name = f"the caption {caption['variant']!r}"
    if caption["samples_digest"] != clip["samples_sha256"]:
        yield f"{name} was made of other samples"
    request = caption.get("request_id")
    if request is not None and not request.startswith(f"{clip['clip_id']}/"):
        yield f"{name} is the answer to the request {request!r}, which is not about this clip"
    times_s = [time_s - clip["start_s"] for time_s in clip.get("sample_times_s") or ()]
    for part in caption.get("parts") or ():
        at_s = part["time_s"]
        if at_s is not None and not any(abs(at_s - time_s) <= _SAME_S for time_s in times_s):
            yield f"{name} has a part {part['template']!r} at {at_s:g} s, where the clip has no sample"
    yield from _consistent(name, caption)


def _consistent(name: str, caption: Row) -> Iterator[str]:
    text, problems = caption["caption"], caption.get("problems")
    if caption["caption_ok"]:
        if caption["status"] != "ok":
            yield f"{name} is said to be ok, but its status is {caption['status']!r}"
        if not text:
            yield f"{name} is said to be ok, but has no text"
        if problems:
            yield f"{name} is said to be ok, but to have problems: {', '.join(problems)}"
    elif caption["status"] == "ok" and problems == []:
        yield f"{name} is said not to be ok, but its status is, and it has no problems"
    if problems is not None and problems != sorted(set(problems)):
        yield f"{name} has its problems twice, or not in order"
    if caption["words"] is not None and caption["words"] != len((text or "").split()):
        yield f"{name} has {len((text or '').split())} words, not {caption['words']}"
