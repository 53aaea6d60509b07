"""A page of captions side by side with the pictures that they are of: one file that needs no other."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Shown", "render_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --bad: #c0392b; --good: #2e8b57; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0 2rem; }
td, th { padding: .2rem 1.2rem .2rem 0; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid var(--line); }
article { border-top: 1px solid var(--line); padding: 1rem 0; }
.pictures { display: flex; gap: 4px; overflow-x: auto; }
.pictures img { height: 128px; border-radius: 3px; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
.sides { gap: 1rem; margin-top: .5rem; }
.side { background: var(--soft); border-radius: 4px; padding: .5rem .8rem; }
.side h4 { margin: 0; font-size: 12px; font-weight: 600; opacity: .75; }
.side p { margin: .2rem 0 0; }
.exact h4::after { content: " = truth"; color: var(--good); }
.bad { color: var(--bad); font-size: 12px; }
small { opacity: .65; }
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip, and what was said of it."""

    clip_id: str
    source_uri: str
    pictures: Sequence[tuple[float, bytes]]
    """seconds from the clip's start, JPEG"""
    said: Sequence[tuple[str, Mapping[str, Any] | None]]
    """name of the captioner and its row of captions, if it has one"""
    truth: str | None


def render_page(title: str, figures: Sequence[Sequence[str]], shown: Sequence[Shown]) -> str:
    """Return the page: a table (its first row is the head) and the clips."""
    head, *rows = figures
    table = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    clips = "".join(_article(clip) for clip in shown)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><table><tr>{table}</tr>{body}</table>{clips}</html>\n"
    )


def _article(clip: Shown) -> str:
    pictures = "".join(_picture(time_s, jpeg) for time_s, jpeg in clip.pictures)
    truth = f"<div class=side><h4>truth</h4><p>{html.escape(clip.truth)}</p></div>" if clip.truth else ""
    sides = "".join(_side(name, row, clip.truth) for name, row in clip.said)
    return (
        f"<article><div class=pictures>{pictures}</div><div class=sides>{truth}{sides}</div>"
        f"<small>{html.escape(clip.clip_id)} · {html.escape(clip.source_uri)}</small></article>"
    )


def _picture(time_s: float, jpeg: bytes) -> str:
    data = b64encode(jpeg).decode()
    return f"<img alt='at {time_s:.1f} s' title='{time_s:.1f} s' src='data:image/jpeg;base64,{data}'>"


def _side(name: str, row: Mapping[str, Any] | None, truth: str | None) -> str:
    if row is None:
        return f"<div class=side><h4>{html.escape(name)}</h4><p><em>no caption</em></p></div>"
    text = (row["caption"] or "").strip()
    kind = "side exact" if truth and text == truth.strip() else "side"
    wrong = ", ".join(row.get("problems") or ()) or ("" if row["caption_ok"] else str(row["status"]))
    note = f"<div class=bad>{html.escape(wrong)}</div>" if wrong else ""
    label = f"{name} · {row['caption_model']} · {len(text.split())} words"
    return f"<div class='{kind}'><h4>{html.escape(label)}</h4><p>{html.escape(text)}</p>{note}</div>"
