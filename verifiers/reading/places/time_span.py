"""Time spans: reading them out of text, in seconds."""

from __future__ import annotations

import re

from verifiers.reading.places.coordinates import denied, final_statement

Span = tuple[float, float]
_CLOCK = r"(?:\d{1,3}:)?\d{1,3}:\d{2}(?:[.,]\d{1,6})?(?!\d)|\d{1,7}(?:\.\d{1,6})?"
_TIME_TAG = re.compile(
    rf"<time>\s*({_CLOCK})(?:[\s,\-–]+|\s+to\s+)({_CLOCK})\s*</time>", re.IGNORECASE | re.ASCII
)
_SPAN = re.compile(
    rf"(?<![\w.:\-−])({_CLOCK})\s*(-{{1,2}}>|→|⇒|[-–—~,]|\b(?:to|until|till|through|and)\b)\s*"
    rf"(?:(?:the\s)?seconds?\s|t\s?=\s?|at\s)?({_CLOCK})(?![\w:]|\.\d)",
    re.IGNORECASE | re.ASCII,
)
_START_END = re.compile(
    rf"\b(?:start|begin)[a-z_]{{0,10}}\b[^\d\-.]{{1,20}}({_CLOCK})[^\d\-]{{1,40}}?\b(?:end|stop|finish)[a-z_]{{0,10}}\b"
    rf"[^\d\-.]{{1,20}}({_CLOCK})(?![\w:]|\.\d)",
    re.IGNORECASE | re.ASCII,
)
_BARE = re.compile(rf"({_CLOCK})\s+({_CLOCK})", re.ASCII)
_UNIT = re.compile(r"(?<=\d)\s?(?:s|secs?|seconds?)\b", re.IGNORECASE)
_COMPOSED = re.compile(
    r"(?<![\w.:\-])(?:(\d{1,3})\s?(?:h|hrs?|hours?)[\s,]{0,2}(?:and\s)?)?"
    r"(\d{1,4})\s?(?:mins?|minutes?|m(?=\s?\d{1,2}(?:\.\d{1,6})?\s?s))\b[\s,]{0,2}(?:and\s)?"
    r"(?:(\d{1,3}(?:\.\d{1,6})?)\s?(?:s|secs?|seconds?)\b)?",
    re.IGNORECASE | re.ASCII,
)
_FRAMES = re.compile(r"\bframes?(?:\s(?:numbers?|indices|no\.))?\s*[:=]?\s*[\[(]?$", re.IGNORECASE)


def time_spans(text: str) -> list[Span]:
    """Spans of the final statement, in seconds, in order: `12.5 - 20`, `from 0:12 to 0:20`, `[12.5, 20]`,
    `12.5 20` alone, `{"start": 12.5, "end": 20}`, `starts at 1 min 4 s and ends at 1 min 20 s`,
    `<time>12.5 20</time>`. Frame numbers are no times.
    """
    return final_statement(text, _spans)


def _spans(text: str) -> list[Span]:
    flat = _UNIT.sub(
        "", _COMPOSED.sub(_composed_seconds, " ".join(text.split()).replace('"', "").replace("'", ""))
    )
    if tagged := _TIME_TAG.findall(flat):
        return [(_seconds(start), _seconds(end)) for start, end in tagged]
    found = [(_seconds(start), _seconds(end)) for start, end in _START_END.findall(flat)]
    named = set(found)
    rest = _START_END.sub(" ", flat) if found else flat
    for match in _SPAN.finditer(rest):
        span = (_seconds(match.group(1)), _seconds(match.group(3)))
        if span not in named and _is_span(rest, match):
            found.append(span)
    if not found and (bare := _BARE.fullmatch(flat.strip(" .:*`$[]()"))):
        return [(_seconds(bare.group(1)), _seconds(bare.group(2)))]
    return found


def _is_span(text: str, match: re.Match[str]) -> bool:
    """`12, 20` counts in brackets or alone, `12 and 20` behind `between`; frame numbers and denied spans never."""
    before = text[max(0, match.start() - 40) : match.start()]
    if _FRAMES.search(before) or denied(text, match.start()):
        return False
    if match.group(2) == ",":
        return before.rstrip().endswith(("[", "(")) or match.group() == text.strip(" .*")
    return match.group(2).lower() != "and" or "between" in before.lower()


def _composed_seconds(match: re.Match[str]) -> str:
    hours, minutes, seconds = match.groups(default="0")
    total = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return f"{total:.6f}".rstrip("0").rstrip(".") + " "


def _seconds(clock: str) -> float:
    total = 0.0
    for part in clock.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total
