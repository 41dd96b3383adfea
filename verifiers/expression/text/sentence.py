"""What the last sentence of a text states: in bold, on lines of its own, behind its verb, or as its last number."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.expression.text.doubt.hedge import HEDGE, is_denied, is_taken_back
from verifiers.expression.text.number_words import PLURAL_PARTS, has_cardinal
from verifiers.expression.text.outer_mark import LINK, MAX_LINE, cleaned, content

PROSE = re.compile(
    r"(?<![\w\\])[^\W\d_]{4,}|(?:(?<![\w\\])[^\W\d_]{2,}\W+){2}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"
)
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d{1,2}[.)])\s+(?=\S)")
_ITEM = re.compile(r"[A-Za-z](?:_\{?\w{1,3}\}?)?\s*=\s*[^=]{1,80}|\([^()]{1,60}\)")
_BOLD = re.compile(
    r"\*\*(?=\S)([^*\n]{1,200}?)(?<=\S)\*\*|__(?=\S)([^_\n]{1,200}?)(?<=\S)__|`([^`\n]{1,200})`"
    r"|(?<![\w*)\]}\\])\*(?=[^\s*])([^*\n]{1,200}?)(?<=[^\s*])\*(?![\w*(\\])"
)
_SENTENCES = re.compile(r"(?<=[\w)\]}$*%][.!?。])\s+(?=[A-Z*$\\\u4e00-\u9fff])|(?<=[。！？])")
_REASON = re.compile(
    r",\s+(?:reached|attained|obtained|achieved|as|so|with)\b|,?\s+(?:because|since"
    r"|as (?:the|it|we|there|they|this|that)|so that|found by|where the|given that|when|due to|thanks to|based on"
    r"|according to|assuming|by (?:the(?! vector)|using|adding))\b",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"^\W{0,3}((?:\d+(?:\.\d+)?|\.\d+)\s?(?:\\?%|percent))\s+of\s+(?:the |all |our )?[a-z][^\d]*$",
    re.IGNORECASE,
)
# all x with -4 < x <= 2; moved by the vector (3, -1)
_AT_END = re.compile(
    r"\s(?:((?:[-−]?[\d./√π]{1,12}\s?(?:[<≤]|<=)\s?)?[a-z]\s?(?:[<>≤≥]|[<>]=)\s?[-−]?[\d./√π]{0,11}[\dπ]"
    r"(?:\s(?:or|and)\s[a-z]\s?(?:[<>≤≥]|[<>]=)\s?[-−]?[\d./√π]{0,11}[\dπ])?)"
    r"|(?:vector|point|pair|coordinates)\s(\([^()]{3,60}\)))\.?$"
)
# The value stands behind: is, equals, gives, 是; at and about stand between them
_VERB = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|becomes?|gives?|yields?|reads?|measures?|shows?|est|ist|es|è|é)\b|是|为|は)"
    r"(?:\s+(?:then|now|therefore|thus|simply|just|exactly|about|approximately|roughly|around|equal to|given by"
    r"|(?:located |centered |centred )?at|by|the point|the|represented by)(?![^\W\d_]))*\s*:?\s*",
    re.IGNORECASE,
)
_DIRECTION = re.compile(
    r"\s*(?:units?|degrees?|°)?\s*(?:(?:to the|in the)\s+)?(?:clockwise|counter-?clockwise|anti-?clockwise|left|right"
    r"|up(?:wards?)?"
    r"|down(?:wards?)?|north|south|east|west|profit|loss)\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?:\b(?:minus|negative)\s+|[负負]\s*)[$*(\\]*$", re.IGNORECASE)
# Step 5, Figure 3: a name, not a value
LABELLED = re.compile(
    r"\b(?:step|question|figure|fig\.|table|page|chapter|section|problem|part|exercise|example|item|line|option|choice"
    r"|version|equation|row|column|theorem|lemma|case)\s+$",
    re.IGNORECASE,
)
_NUMERAL = re.compile(
    r"(?<![.,])(?<![^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])[-−]?[$€£]?"
    r"(?>\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+|e[-+]?\d+)?"
    r"(?=(?:\s?%|\s?[a-zA-Z°€²³$]{1,3}(?![a-zA-Z\d])|[^\w]|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|$))\s?%?",
)
_SCALE_BEHIND = re.compile(
    rf"\s{{0,3}}(?:dozen|hundred|thousand|million|billion|trillion|lakh|crore|{'|'.join(PLURAL_PARTS)})(?![^\W\d_])",
    re.IGNORECASE,
)
# 180 miles: a number's unit is part of it
_UNIT_BEHIND = re.compile(
    r"\s{0,3}(?:(?:(?:kilo|centi|milli)?(?:met(?:er|re)|gram|lit(?:er|re))|mile|yard|pound|ounce|second|minute|hour"
    r"|day|week|month|year|degree|cent|dollar|euro|inche|square (?:met(?:er|re)|inche))s?|feet|foot|inch"
    r"|[ckm]m[²³]?|m[²³]|kg|mg|mL|km/h|mph|m/s²?|°[CF]?)(?![\w²³/])",
    re.IGNORECASE,
)
# $1:4$, since the sides are $1:2$: what follows is no answer
_BECAUSE = re.compile(
    r"(?<=[$)\]\d]),?\s+(?:because|since|given that|due to|based on|according to)\s[^,\n]{1,200}$",
    re.IGNORECASE,
)
_NO_VALUE = re.compile(  # Wrong guess: 12
    r"\b(?:wrong|incorrect|not|guess|hint|example|note|step|except|option|choice|previous|bound|attempt|initial"
    r"|at least|at most)"
    r"[^.:\n\d]{0,20}[:：]\s*$",
    re.IGNORECASE,
)
# 2 where x = 3; 2 with x = 3; 2 if x else 3: a value under a condition, and another one
_CONDITION = re.compile(
    r"[\d)}$]\s*,?\s(?:where|if|when|unless)\s[^.!?\n]{0,40}$|\b(?:else|otherwise)\W{0,3}$"
    r"|[\d)}$]\s*,?\s(?:with|given|assuming|for)\s(?:that\s)?(?:[A-Za-z]\w{0,11}\s*=\s*)?$",
    re.IGNORECASE,
)


def in_sentence(text: str) -> Iterator[str]:
    """What a sentence marks in bold, what it gives before its reason, and what stands behind its verb."""
    tail = text[-MAX_LINE:]
    sentence = _last_sentence(tail)
    if (bold := _emphasised(sentence)) is not None:
        yield bold
    plain = _BOLD.sub(content, sentence)
    if reason := _REASON.search(plain):
        if not HEDGE.search(plain[reason.start() :]):
            plain = plain[: reason.start()]
            yield cleaned(plain)
    if at_end := _AT_END.search(plain):
        yield content(at_end)
    if share := _SHARE.match(plain):
        yield share.group(1)
    verbs = list(_VERB.finditer(plain))
    for verb in reversed(verbs[-3:]):
        before = plain[: verb.end()]
        if not is_taken_back(before) and not _CONDITION.search(before):
            yield cleaned(plain[verb.end() :])


def _last_sentence(text: str) -> str:
    """The last sentence of the last line that is not blank."""
    line = " ".join(text.rstrip().rsplit("\n", 1)[-1].split())
    return _SENTENCES.split(line)[-1]


def _emphasised(sentence: str) -> str | None:
    """The last words in bold that are no label; several with `and` or a comma between them are one list."""
    found = [match for match in _BOLD.finditer(sentence) if not content(match).rstrip().endswith((":", "："))]
    if not found:
        return None
    while len(found) > 1 and is_denied(sentence[: found[-1].start()]):  # **18**, not **20**
        found.pop()
    parts = [content(found[-1]).strip()]
    start = found[-1].start()
    for earlier in reversed(found[:-1]):
        between = sentence[earlier.end() : start]
        if not LINK.fullmatch(between) and not HEDGE.search(between):
            break
        parts.append(content(earlier).strip())
        start = earlier.start()
    before, behind = sentence[:start], sentence[found[-1].end() :]
    if is_taken_back(before, behind):
        return None
    if HEDGE.search(behind) or (len(parts) > 1 and any(HEDGE.search(part) for part in parts)):
        return None
    if direction := _DIRECTION.match(behind):
        parts[0] += direction.group()
    elif scale := _SCALE_BEHIND.match(behind):
        parts[0] += scale.group()
    return cleaned(", ".join(reversed(parts)))


def is_prose(text: str) -> bool:
    """Whether words say more than a name: many of them, or a few with a number."""
    return text.count(" ") > 6 or (text.count(" ") > 2 and has_cardinal(text))


def without_reason(text: str) -> str:
    """`text` without a reason that ends its last sentence."""
    reason = _BECAUSE.search(text[-MAX_LINE:])
    if reason is None or HEDGE.search(reason.group()) or len(_SENTENCES.split(reason.group())) > 1:
        return text
    return text[: len(text) - len(reason.group())]


def listed(text: str) -> str | None:
    """Equations or points on lines of their own, with or without bullets, as one list."""
    lines = [_BULLET.sub("", line).strip().strip("$").strip() for line in text.strip().split("\n")]
    lines = [line.removeprefix("\\(").removesuffix("\\)").strip(" *,;") for line in lines if line]
    if not 2 <= len(lines) <= 8:
        return None
    for line in lines:
        if not _ITEM.fullmatch(line) or PROSE.search(re.sub(r"\\[a-zA-Z]+", "", line)):
            return None
    return ", ".join(lines)


def last_number(text: str) -> tuple[str | None, int]:
    """The last number and where it ends; none where `or`, `maybe` and the like stand before it."""
    skipped = max(0, len(text) - MAX_LINE)
    tail = text[skipped:]
    found = list(_NUMERAL.finditer(tail))
    if not found:
        return None, -1
    if len(found) > 1 and HEDGE.search(tail[found[-2].end() : found[-1].start()]):
        return None, -1
    before = tail[: found[-1].start()]
    if is_taken_back(before, tail[found[-1].end() :]):
        return None, -1
    if any(pattern.search(before) for pattern in (LABELLED, _NO_VALUE, _CONDITION)):
        return None, -1
    if re.match(r"['’]s\s|-(?:fold|ish|gon|sided|ary)\b", tail[found[-1].end() :]):
        return None, -1  # 12's complement
    if re.search(r"\w\([^()]{0,40}$", before):  # sys.exit(42)
        return None, -1
    number = found[-1].group().rstrip(",")
    if clock := re.search(r"(?<![\d:])\d{1,4}(?::\d{1,4})*:$", before):  # at 7:15, in the ratio 3:4
        return clock.group() + number, skipped + found[-1].end()
    if negative := _NEGATIVE.search(before):
        if re.search(r"[\d)]\s*$", before[: negative.start()]):
            return None, -1  # 7 minus 5
        number = f"-{number}"
    if re.fullmatch(r"\D*\d+,\d+\D*", number) and not re.search(r"\d,\d{3}(?!\d)", number):
        number = number.replace(",", ".")  # 2,74: a number on its own, not a list
    if behind := _SCALE_BEHIND.match(tail, found[-1].end()) or _UNIT_BEHIND.match(tail, found[-1].end()):
        number += behind.group()
        if re.match(r"\s+(?:not|never)\b", tail[found[-1].end() + len(behind.group()) :]):
            return None, -1  # 5 km not north
    return number, skipped + found[-1].end()
