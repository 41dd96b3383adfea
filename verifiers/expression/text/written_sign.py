"""What stands for a sign of mathematics and is none yet: words (`negative 7`), a lone dollar, minutes of arc, ohms,
other scripts' separators, dates."""

from __future__ import annotations

import re

_ARABIC = str.maketrans({"٫": ".", "٬": "", "،": ","})
_TIGHT = re.compile(r"(?<=\d)\s*(?:\\!\s*)?\{?,\}?\s*(?:\\!\s*)?(?=\d{3}(?!\d))")
_NEGATIVE = re.compile(
    r"(?:(?<![\w)}\]$%])|(?<=\$)|(?<=\{))(?:negative|minus)\s+(?=[\d.$\\(])", re.IGNORECASE
)
_CHINESE_NEGATIVE = re.compile(r"(?<![\w)}])[负負]\s*(?=[\d.$\\(])")
_LONE_DOLLAR = re.compile(r"(?<!\\)\$(?=\s?[\d.])")
_ARC = re.compile(
    r"(?<![\w.])(\d{1,3})\s*(?:°|\^\s*\{?\s*\\circ\s*\}?)\s*(\d{1,2}(?:\.\d{1,6})?)\s*(?:'|′|’|\^\s*\{?\\prime\}?)"
    r"(?:\s*(\d{1,2}(?:\.\d{1,6})?)\s*(?:''|″|\"|”|\^\s*\{?\\prime\\prime\}?))?(?!['\w])"
)
_INCHES = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?)\s*(''|″|\"|”|'|′|’)")
_OHM = re.compile(
    r"(?<=[\d}])(?:\s|\\[,;: ]|~)*(?:\\(?:text|mathrm)\s*\{\s*([kMGm]?)\s*\}|([kMGm]?))"
    r"\s*(?:\\Omega|Ω|Ω)\s*(?=$|\$|\\\)|[.,;])"
)
_MICRO = re.compile(
    r"(?<=[\d}])(?:\s|\\[,;: ]|~)*(?:\\mu|[µμ])\s*(?:\\(?:text|mathrm)\s*\{\s*([mgsAFLVWCJN])\s*\}"
    r"|([mgsAFLVWCJN])(?![\w^]))"
)
_ABOUT = re.compile(
    r"(?:\\(?:text|mathrm)\s*\{\s*)?\(\s*(?:about|approximately|approx\.?|roughly|≈|\\approx)\s*\}?\s*[^()]{1,40}\)\s*\}?\s*$"
)
_SQUARE_METRES = re.compile(r"(?<=\d\.\d)(\d{0,9})(m)(?=(?:\^\s*\{?\s*[23]\s*\}?|[²³])\s*$)")
_MONTHS = {
    name: number
    for number, names in enumerate(
        "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sep sept|october oct"
        "|november nov|december dec".split("|"),
        start=1,
    )
    for name in names.split()
}
_YEAR = re.compile(r"\d{4}")
_ISO_DATE = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
_SHORT_DATE = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_DAY_FIRST = re.compile(r"(?:the )?(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]{3,9})\.?,? (\d{4})")
_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")
_CHINESE_DATE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})[日号]")


def with_signs(text: str) -> str:
    """`text` with signs for what only stands for them. Linear; what it does not know stays."""
    if not text.isascii():
        text = text.translate(_ARABIC)
        text = _CHINESE_NEGATIVE.sub("-", text)
    if "!" in text:
        text = _TIGHT.sub(",", text) if "\\!" in text else text
    if "eg" in text or "inus" in text or "INUS" in text:
        text = _NEGATIVE.sub("-", text)
    if text.count("$") - text.count("\\$") == 1:
        text = _LONE_DOLLAR.sub(r"\\$", text)
    if "'" in text or "′" in text or "’" in text or "prime" in text:
        text = _ARC.sub(_degrees, text)
    if text.rstrip()[-1:] in ("'", '"', "′", "″", "’", "”") and (inches := _INCHES.fullmatch(text.strip())):
        text = f"{inches.group(1)} \\text{{{'ft' if inches.group(2) in ('′', chr(39), '’') else 'in'}}}"
    if "Omega" in text or "Ω" in text or "Ω" in text:
        text = _OHM.sub(lambda match: f" \\text{{{match.group(1) or match.group(2) or ''}ohm}}", text)
    if "\\mu" in text or "µ" in text or "μ" in text:
        text = _MICRO.sub(lambda match: f" \\text{{u{match.group(1) or match.group(2)}}}", text)
    return _SQUARE_METRES.sub(r"\1 \\text{m}", text) if "m" in text else text


def without_approximation(text: str) -> str:
    """`36\\pi` of `36\\pi (about 113.1)`."""
    return _ABOUT.sub("", text) if "(" in text else text


def _degrees(match: re.Match[str]) -> str:
    whole, minutes, seconds = match.groups()
    return f"({whole}+\\frac{{{minutes}}}{{60}}+\\frac{{{seconds or 0}}}{{3600}})^{{\\circ}}"


def date_words(text: str) -> str | None:
    """One form of a date (`date 2020-3-5`), so that nobody subtracts its parts; `5/3/2020` keeps its order, unread."""
    if not _YEAR.search(text):
        return None
    plain = " ".join(text.strip(" .").split()).casefold()
    if match := _ISO_DATE.fullmatch(plain):
        year, month, day = match.group(1), match.group(3), match.group(4)
    elif match := _CHINESE_DATE.fullmatch(plain):
        year, month, day = match.groups()
    elif (match := _DAY_FIRST.fullmatch(plain)) and match.group(2) in _MONTHS:
        day, month, year = match.group(1), str(_MONTHS[match.group(2)]), match.group(3)
    elif (match := _MONTH_FIRST.fullmatch(plain)) and match.group(1) in _MONTHS:
        month, day, year = str(_MONTHS[match.group(1)]), match.group(2), match.group(3)
    elif match := _SHORT_DATE.fullmatch(plain):
        return f"date {int(match.group(1))}/{int(match.group(3))}/{match.group(4)}"
    else:
        return None
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    return f"date {year}-{int(month)}-{int(day)}"
