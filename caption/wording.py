"""What a caption's wording gives away: that it speaks of the medium, of its own making, or is a refusal.

A caption conditions a generator, so it is to say what is seen and not that it is seen in a video. Many of
the telling words are also the names of things ("a picture on the wall", "a window frame", "she films a video
on her phone"), so hardly one is forbidden by itself: a word counts where it stands for the medium, as the
subject of a verb of showing ("the picture shows"), or after a preposition or verb that places something
within it ("in the frame", "enters the frame"), and not where a thing's context follows ("on the wall").
Text in quotation marks is what is written in the picture, and not looked at.

The rules were drawn with the sentences in tests/caption/captions.py at hand; they are English.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["find_wording", "without_quotes"]


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in patterns)


# The medium by its names. "shot" and "scene" are the language of film, and right beyond the opening.
_MEDIUM: Final = (
    r"(?:videos?|(?:video )?(?:clip|footage|frame|sequence|segment)s?|images?|pictures?|photos?|photographs?"
    r"|snapshots?|screenshots?)"
)
_OPENING_MEDIUM: Final = rf"(?:{_MEDIUM}|scenes?|shots?)"
# A few words before a noun: none that would begin another noun.
_ADJECTIVES: Final = r"(?:(?!(?:an?|the|his|her|its|their|some|of|to|mirror)\b)[\w-]+,? ){0,4}?"
_SHOWING: Final = (
    r"(?:shows?|showing|showed|shown|depict(?:s|ed|ing)?|captur(?:es?|ed|ing)|features?|featuring|displays?"
    r"|presents?|portrays?|illustrates?|highlights?|showcas(?:es?|ing)|contains?|includes?|focus(?:es)?"
    r"|describ(?:es?|ing)|begins?|starts?|opens?|ends?|concludes?|continues?|transitions?"
    r"|cuts?|fades?|zooms?|shifts|switches"
    r"|appears?|reveals?|follows|conveys?|provides?|offers?|gives?|is|are|was|has|have)"
)

# After these words the medium's name is a thing's: it hangs, is held, belongs to something.
_THING_AFTER: Final = (
    r"(?! (?:on|above|over|hang\w*|hung|mounted|leans?|leaning|beside|behind|frames?|books?|windows?|rails?"
    r"|albums?|booths?|shop|wall|of (?:a|an|the|his|her|their) (?:house|window|door|bed|bicycle|bike|mirror"
    r"|building|barn|car|tent)))"
)
_OPENINGS: Final = _compiled(
    rf"^\W*(?:the|this|that|these|each|our|your) {_ADJECTIVES}{_OPENING_MEDIUM}"
    rf"(?:,| (?:\w+ly |also )?{_SHOWING}\b)",
    rf"^\W*an? {_ADJECTIVES}(?:video|clip|image|picture|photo|photograph|snapshot|screenshot|still)"
    r"(?: clip| sequence)? (?:of|showing|depicting|capturing|featuring|in which)\b",
    rf"^\W*an? {_ADJECTIVES}(?:still|clip|frame|image|photo|excerpt) from\b",
    rf"^\W*the (?:sequence|series|set) of {_MEDIUM}\b",
    rf"^\W*{_MEDIUM} (?:of|showing|depicting|shows|depicts)\b",
    rf"^\W*in (?:the|this|these) {_ADJECTIVES}{_OPENING_MEDIUM}\b{_THING_AFTER}",
    rf"^\W*this is (?:an? |the ){_ADJECTIVES}{_OPENING_MEDIUM}\b",
    r"^\W*(?:we|you|one) (?:can |could |first |now |then )?(?:see|observe|watch|notice)\b",
    r"^\W*(?:shown|seen|depicted|pictured|featured) (?:here|in|is|are|on)\b",
    r"^\W*the (?:viewer|audience|observer) (?:sees?|is|can|watches)\b",
    r"^\W*(?:overall|in summary|to summari[sz]e|in conclusion)\b",
)

_WITHIN: Final = r"(?:in|into|within|inside|throughout|across|outside|of|from|during|beyond|off|to)"
_MOVING: Final = (
    r"(?:fills?|filling|enters?|entering|leav(?:es?|ing)|exits?|exiting|cross(?:es|ing)?|dominat(?:es?|ing)"
    r"|occup(?:ies|ying))"
)
_SCREENED: Final = (
    r"(?! (?:games?|gaming|calls?|cameras?|walls?|screens?|conferenc\w+|chats?|projectors?|monitors?|arcade"
    r"|editor|editing|store|shop|tapes?|cassettes?|feed"
    r"|on (?:a|an|the|his|her|their|its|two|several|large|small|many)"
    r" [\w -]{0,40}?(?:phones?|laptops?|tablets?|screens?|monitors?|televisions?|tvs?|computers?)))"
)
_MADE: Final = (
    r"(?:watch(?:es|ing)?|mak(?:es?|ing)"
    r"|(?:film|record|edit|shoot|play|display|air|review|stream)(?:s|ing)?)"
)

_FORBIDDEN: Final = _compiled(
    # "frame 3", "out of frame", "frame by frame", "off-frame"
    r"\bframes? \d+\b|\b(?:in|into|out of|left of|right of|off)[ -]frame\b(?! house| saw)"
    r"|\bframe (?:by|to) frame\b",
    rf"\b(?:the|this|these|each|next|first|second|last|final|previous|following|initial) (?:{_MEDIUM}) "
    rf"(?:\w+ly |also |then )?{_SHOWING}\b",
    rf"\b{_WITHIN} (?:the |this |these |each |every )(?:\w+ )?(?:{_MEDIUM})\b{_THING_AFTER}{_SCREENED}",
    rf"\b{_MOVING} the (?:frame|shot|picture|image)\b",
    r"\b(?:the|this)(?: \w+)? (?:video|footage|clip|image|picture|photo|photograph|frame)(?:'s|’s)"
    r" (?:left|right|center|centre|edges?|background|foreground|focus|end|start|beginning|subject|overall)\b",
    rf"\bvideos?\b{_SCREENED}",
    rf"\bfootage\b{_SCREENED}",
    r"\b(?:foreground|background|cent(?:er|re)|edges?|corner|side|top|bottom|left|right|half|middle|part) of"
    rf" the (?:frame|image|picture|photo|photograph|video|shot|clip)\b{_THING_AFTER}",
    r"\b(?:the|a|any|each) viewer(?:'s|’s)?\b"
    r"|\b(?:inviting|allowing|giving|drawing|leading|showing|offering|immersing|leaving|letting|captivating"
    r"|transporting|engaging) (?:the )?(?:viewers?|audiences?)\b",
    r"\bscreenshots?\b",
)
_VIDEO_THINGS: Final = re.compile(
    rf"\b{_MADE} (?:(?:an?|the|his|her|their|its|some|old|home|short|surveillance|security|live|music) )"
    r"{0,3}(?:videos?|footage)\b|\bmusic video\b|\ba screenshot\b(?= on)|\bvideo[- ](?:game|call|camera)s?\b",
    re.IGNORECASE,
)

_META: Final = _compiled(
    r"\bas an ai\b|\b(?:large )?language model\b|\b(?:ai|vision) (?:assistant|model)\b",
    r"^\W*(?:here(?:'s|’s| is| are) (?:an?|the|your|my|some)\b"
    r"|(?:sure|certainly|of course|okay|absolutely)[,!.])",
    r"^\W*(?:dense |short |video |frame |final |detailed |revised )?"
    r"(?:caption|description|summary|answer|output|response|title|prompt|rewritten|assistant|user)s?"
    r"(?: \d+)?\W*:",
    r"\b(?:provided|given|supplied|above|following|input|these) (?:frame |video |image |dense |short )?"
    r"(?:captions?|descriptions?|images?|frames?|prompts?|instructions?|information|details)\b",
    r"\b(?:based on|according to|judging by|from|per) (?:the|these|this|your) (?:\w+ )?"
    r"(?:captions?|descriptions?|frames?|images?|prompts?|instructions?|request)\b",
    r"\b(?:this|my|your) (?:caption|prompt|instruction|description|summary|response)s?\b",
    r"\bthe (?:caption|prompt|instruction|description|summary|response)s? (?:\w+ly |also |then )?"
    r"(?:asks?|says?|describes?|mentions?|states?|requests?|requires?|does|do|should|must|is|are)\b",
    r"\bword (?:count|limit)\b|\b(?:under|within|at most|fewer than|less than|exactly) \d+ words\b"
    r"|\(\d+ words\)",
    r"\b(?:i|we) (?:can|could|will|would|have|see|notice|think|believe|am|was|don't|don’t|do|need|should)\b"
    r"|\bi(?:'m|’m|'ve|’ve|'ll|’ll)\b",
    r"^\W*note\W*:|\[note\b|\(note\b|\blet me know\b|\bplease (?:note|provide|let|specify)\b"
    r"|\bhope this helps\b",
    r"\b(?:no|not) (?:explicitly |directly )?(?:mention(?:ed)?|specified|described|provided)\b",
    # Markdown, lists, tags, markers of a chat, JSON.
    r"\*\*|__|```|^\s*#{1,6} |^\s*[-*•] |^\s*\(?\d{1,2}[.)] |\|\s*-{3,}",
    r"</?[a-z_]+>|<\|[^|]*\|>|\[/?inst\]|^\s*[\[{]\s*[\"{]",
)

_REFUSED: Final = _compiled(
    r"\b(?:i'm|i’m|i am|we are|we're) (?:very |so |really )?(?:sorry|afraid|unable|not able|not allowed)\b"
    r"|^\W*sorry\b|^\W*(?:my )?apolog",
    r"\bi (?:cannot|can't|can’t|can not|could not|couldn't|won't|won’t|will not|do not|don't|don’t) (?:\w+ )?"
    r"(?:assist|help|provide|describe|see|view|identify|comply|generate|create|caption|fulfil|fulfill|access|process"
    r"|determine|have|watch|discuss)\b",
    r"^\W*unable to (?:provide|describe|assist|view|process|generate|see)\b",
    r"^\W*(?:cannot|can't|can’t) (?:assist|help|provide|describe|comply|process)\b",
    r"\bno (?:image|video|picture|frame|content|description)s? (?:was|were|is|are|has been|have been) "
    r"(?:provided|given|attached|visible|available|shown|uploaded)\b",
    r"\b(?:violates?|against) (?:\w+ )?(?:policy|policies|guidelines)\b",
)

_QUOTED: Final = re.compile(r'"[^"\n]*"|“[^”\n]*”|«[^»\n]*»')


def without_quotes(text: str) -> str:
    """Return `text` with what stands in quotation marks left out, the marks kept."""
    return _QUOTED.sub('""', text)


def find_wording(text: str) -> list[str]:
    """Return the codes of what is wrong with the wording, sorted: forbidden_word, meta, opening, refused."""
    text = text.strip()
    found = set()
    if _QUOTED.fullmatch(text.rstrip(".")):
        found.add("meta")  # an answer to somebody, in quotation marks as a whole
        text = text.rstrip(".")[1:-1]
    plain = without_quotes(text)
    looked_at = {
        "opening": (_OPENINGS, plain.replace("\n", " ")),
        "forbidden_word": (_FORBIDDEN, _VIDEO_THINGS.sub("thing", plain)),
        "meta": (_META, plain),
        "refused": (_REFUSED, plain),
    }
    for code, (patterns, where) in looked_at.items():
        if any(pattern.search(where) for pattern in patterns):
            found.add(code)
    return sorted(found)
