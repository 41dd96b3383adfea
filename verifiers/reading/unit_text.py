"""Is what stands behind a numeral its unit or the noun that is counted, or does it change the value?"""

from __future__ import annotations

import re

MAX_UNIT_CHARS = 80
_MAX_WORDS = 9
CURRENCIES = "$€£¥₹₽₩₺฿元円"
# Letters that are a unit where they stand alone; x, y, z, n, k, i, e and their like are variables.
_LETTERS = set("mghsljwvacfkutΩ")
_LETTERS_UPPER = set("ACFGHJKLNRTVW")
_WORD = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*\.?")
# 5 squared, 5 less than ten, 5 choose 2: the value goes on in words.
_CHANGES_FIRST = set(
    "squared cubed factorial plus minus over divided mod modulo choose less more fewer below above under short off out "
    "to through till until versus vs by or and not but if except than is are was were isn't does doesn't equals "
    "equal hundred thousand million mil billion trillion dozen percent percentage st nd rd th something odd ish too "
    "per quadrat hoch fois moins mal menos meno по".split()
)
_CHANGES = set(
    "negative minus plus or either neither not never isn't aren't wasn't wrong incorrect false impossible maybe "
    "perhaps possibly factorial debt deficit oder ou или half one two three four five six seven eight nine ten "
    "eleven twelve twenty thirty forty fifty hundred several another".split()
)
_UNIT_BEFORE_POWER = re.compile(r"[^\W\d_]{1,14}\s+(?:squared|cubed)\b", re.IGNORECASE)
_DENIES = re.compile(
    r"不|或|または|もしくは|또는|혹은|以上|以下|以内|左右|多|ではありません|じゃない|아니|نہیں|नहीं|ليس"
)
_MARK = re.compile(r"(?:\^?\{?\\?circ\}?|°|º|˚)\s*[CF]?|[′'″\"’”]{1,2}|℃|℉")
_SYMBOLIC = re.compile(
    r"[A-Za-zµμΩ°Å%$€£¥]{1,12}(?:\s*\^\s*\{?\s*[-−]?\d\s*\}?|[²³])?"
    r"(?:\s*[/·⋅*]\s*[A-Za-zµμΩ°]{1,12}(?:\s*\^\s*\{?\s*[-−]?\d\s*\}?|[²³])?){0,4}"
)


def is_unit(text: str) -> bool:
    """True for `km/h`, `cm^2`, `degrees`, `red apples`, `people in the room`, `(in thousands)`, `个苹果`, `€`.

    False for what changes the value or takes it back: a power, a factorial, a variable, `less than ten`.
    """
    text = re.sub(r"^\s*\([^()\d]{1,40}\)|\([^()\d]{1,40}\)\s*$", "", text)
    text = " ".join(text.split()).strip(" .,")
    if not text or _MARK.fullmatch(text):
        return True
    if (
        len(text) > MAX_UNIT_CHARS
        or text.startswith(("'s ", "’s "))
        or re.search(r"[=<>≈~;:|\\!?+√π]", text)
        or _DENIES.search(text)
    ):
        return False
    if text[0] in CURRENCIES or text[-1] in CURRENCIES:
        return text.strip(CURRENCIES + " ") == "" or is_unit(text.strip(CURRENCIES + " "))
    if _SYMBOLIC.fullmatch(text):
        return _symbolic(text)
    return _phrase(text)


def _symbolic(text: str) -> bool:
    """`m/s^2`, `kWh`, `dogs`; a first part of one letter must be one that stands for a unit."""
    name = re.split(r"[\s^/·⋅*²³]", text, maxsplit=1)[0].strip("%$€£¥")
    if len(name) <= 1:
        return not name or name in _LETTERS or name in _LETTERS_UPPER
    return len(name) > 1 and name.casefold() not in _CHANGES_FIRST | _CHANGES and _not_letters(name)


def _not_letters(name: str) -> bool:
    """False for a product of variables: `xy`, `ab`, `pi`."""
    return name not in (
        "pi",
        "xy",
        "yx",
        "xyz",
        "ab",
        "bc",
        "abc",
        "ac",
        "xx",
        "yy",
        "nx",
        "ny",
        "ax",
        "bx",
        "ex",
    )


def _phrase(text: str) -> bool:
    """Words of a counted noun or a unit."""
    words = text.split()
    if not 0 < len(words) <= _MAX_WORDS or not all(_WORD.fullmatch(word.strip(",'\"*_()")) for word in words):
        return False
    plain = [word.strip(",.'\"*_()").casefold() for word in words]
    first = plain[0]
    letters = {word for word in plain if len(word) == 1 and word.isascii()} - {"a"}
    if letters - _LETTERS or (letters and first == "times"):
        return False
    if first in _CHANGES_FIRST and not (first == "per" and len(plain) > 1):
        return False
    if {"squared", "cubed"} & set(plain) and not _UNIT_BEFORE_POWER.match(text):
        return False
    return not set(plain) & _CHANGES
