"""Numbers spelt out: `twenty-five`, `one third`, `eight hours`, `doce`."""

from __future__ import annotations

import re

_ONES = (
    (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen"
    ),
    (
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez - doce trece catorce quince dieciséis diecisiete "
        "dieciocho diecinueve veinte"
    ),
    (
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
        "dix-huit dix-neuf vingt"
    ),
    (
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
        "siebzehn achtzehn neunzehn zwanzig"
    ),
    (
        "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete "
        "dezoito dezenove vinte"
    ),
    (
        "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
        "diciassette diciotto diciannove venti"
    ),
    (
        "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать "
        "четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать двадцать"
    ),
)
_SMALL = {word: value for line in _ONES for value, word in enumerate(line.split()) if word != "-"}
_ENGLISH = set(_ONES[0].split())
_TENS = {
    word: 10 * value
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_PARTS = {
    word: value
    for value, word in enumerate("half third fourth fifth sixth seventh eighth ninth tenth".split(), start=2)
} | {"quarter": 4, "eleventh": 11, "twelfth": 12, "twentieth": 20, "hundredth": 100}
PLURAL_PARTS = {
    word: value
    for value, word in enumerate(
        "halves thirds fourths fifths sixths sevenths eighths ninths tenths elevenths twelfths".split(),
        start=2,
    )
} | {"hundredths": 100, "thousandths": 1_000}
_ROUND = {"dozen": 12, "hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_A_ROUND = re.compile(
    r"(?<![\w-])(half an?|an?)\s+(dozen|hundred|thousand|million|billion|quarter(?! of))\b(?! and\b)",
    re.IGNORECASE,
)
_SCORE = re.compile(  # three score is 60, and 85 score is 85
    r"(?<![\w-])(two|three|four|five|six|seven|eight|nine)\s+score(?=[\s.,$*]{0,8}$)", re.IGNORECASE
)
_CARDINAL_WORDS = _ENGLISH | _TENS.keys() | _SCALES.keys() | {"and"}
# Words of other languages that mean nothing else in English or in one another's texts.
_OTHER = {
    word: value
    for line in _ONES[1:]
    for value, word in enumerate(line.split())
    if len(word) > 3 and word not in _ENGLISH | {"null", "once", "sept", "dois", "seis", "sete", "nove"}
} | {"seis": 6, "sete": 7, "nove": 9, "dos": 2, "três": 3, "два": 2, "три": 3, "пять": 5}
_NOT_COUNTED = set("this that the no which each every any another some no-one other first last next".split())
_ANY_WORD = re.compile(r"[^\W\d_]{2}")
_WORD_FIRST = re.compile(r"[\s.$*]*(?:[^\W\d_]{2}|a |\\(?:text|mathrm|mbox))")
_PIECE = re.compile(r"([^\W\d_]+)")
_JOINS = re.compile(r"\s+|-")
_SIGNED = re.compile(r"(?<![\w)])(?:minus|negative)\s+(?=[\d.])", re.IGNORECASE)
_AND_HALF = re.compile(r"(?<![\d/.])(\d+) and a half\b", re.IGNORECASE)
_MAX_SENTENCE = 2_000
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|textit|mbox)\s*\{([^{}]*)\}")
_MAX_CHARS = 120


def spelt_number(text: str) -> str | None:
    """`8 hours` for `eight hours`, `\\frac{2}{3}` for `two thirds`; None where no number in words leads the text."""
    if len(text) > _MAX_CHARS or not _WORD_FIRST.match(text):
        return None
    text = re.sub(r"^there (?:are|is|were|will be) (?:exactly )?", "", text, flags=re.IGNORECASE)
    words = _WRAPPED.sub(r" \1 ", text).casefold().strip(" .$*").split()
    if len(words) > 1 and words[0] in ("minus", "negative"):
        positive = spelt_number(" ".join(words[1:]))
        return f"-{positive}" if positive else None
    if not words:
        return None
    if len(words) == 1 and words[0] in _SMALL:
        return str(_SMALL[words[0]])
    words = [part for word in words for part in (word.split("-") if _hyphened(word) else [word])]
    value, count = _cardinal(words)
    rest = words[count:]
    if count == 0 and rest[0] in ("a", "half"):
        value, rest = 1, rest[1:] if rest[0] == "a" else rest
    if value is None:
        return None
    if rest and (bottom := _part_of(rest[0])):
        return f"\\frac{{{value}}}{{{bottom}}} " + " ".join(rest[1:])
    if count == 0 or not all(re.fullmatch(r"[^\W\d_]+", word) for word in rest):
        return None
    if len(rest) > 3 or set(rest) & (_SMALL.keys() | {"and", "or", "to", "over", "point", "by", "not"}):
        return None
    return f"{value} " + " ".join(rest)


def with_digits(text: str) -> str:
    """`text` with its number words as digits: `There are 5 birds`, `2/3`, `-15 degrees`, `1/2` for a half alone.

    A `one` that counts nothing (`this one`, `one of them`), and words that other languages use otherwise, stay.
    """
    if len(text) > _MAX_SENTENCE or not _ANY_WORD.search(text):
        return text
    text = _A_ROUND.sub(_round, text)
    text = _SCORE.sub(lambda m: str(20 * _SMALL[m.group(1).casefold()]), text)
    tokens = _PIECE.split(text)  # words at odd places, what stands between them at even ones
    lowered = [token.casefold() for token in tokens]
    out: list[str] = []
    position = 0
    while position < len(tokens):
        if position % 2 and (found := _run(tokens, lowered, position)):
            written, position = found
            out.append(written)
            continue
        out.append(tokens[position])
        position += 1
    joined = _SIGNED.sub("-", "".join(out))
    return _AND_HALF.sub(r"\1 1/2", joined)


def _round(match: re.Match[str]) -> str:
    """`a dozen` as 12, `half a million` as 500000."""
    if match.group(2).casefold() == "quarter":
        return "1/4"
    value = _ROUND[match.group(2).casefold()]
    return str(value // 2 if match.group(1).casefold().startswith("half") else value)


def _run(tokens: list[str], lowered: list[str], start: int) -> tuple[str, int] | None:
    """Digits for the number words from `start` on, and where they end; None where none stands there."""
    word = lowered[start]
    if word in _OTHER:
        return str(_OTHER[word]), start + 1
    words: list[str] = []
    end = start
    while end < len(tokens) and lowered[end] in _CARDINAL_WORDS and len(words) < 12:
        if words and not _JOINS.fullmatch(tokens[end - 1]):
            break
        words.append(lowered[end])
        end += 2
    value, count = _cardinal(words) if words else (None, 0)
    if value is None or count == 0:
        return None
    end = start + 2 * count - 1
    following = lowered[end + 1] if end + 1 < len(lowered) else ""
    if value == 1 and count == 1 and not _counts(lowered, start, following):
        return None
    bottom = _part_of(following)
    if bottom and _JOINS.fullmatch(tokens[end]) and (following.endswith("s") or value == 1):
        return f"{value}/{bottom}", end + 2
    return str(value), end


def _part_of(word: str) -> int | None:
    """4 for `quarter` and `quarters`; None for a word that names no part of a whole."""
    return 2 if word == "halves" else _PARTS.get(word.removesuffix("s"))


def _counts(lowered: list[str], start: int, following: str) -> bool:
    """Whether the `one` at `start` counts: `one dog`, not `this one` or `one of them`."""
    before = lowered[start - 2] if start >= 2 else ""
    return before not in _NOT_COUNTED and following not in ("of", "another", "or", "by")


def has_cardinal(text: str) -> bool:
    """Whether an English number from two on stands among the words."""
    return any(
        (_SMALL.get(word, 0) > 1 and word in _ENGLISH) or word in _TENS for word in text.casefold().split()
    )


def _hyphened(word: str) -> bool:
    parts = word.split("-")
    return len(parts) == 2 and all(
        part in _ENGLISH or part in _TENS or part.rstrip("s") in _PARTS for part in parts
    )


def _cardinal(words: list[str]) -> tuple[int | None, int]:
    """The English cardinal at the start, and how many words it has."""
    total, group, count, last = 0, 0, 0, ""
    for position, word in enumerate(words):
        if word in _TENS and last in ("", "scale"):
            group, last = group + _TENS[word], "tens"
        elif word in _ENGLISH and last in ("", "scale", "tens") and (last != "tens" or 0 < _SMALL[word] < 10):
            group, last = group + _SMALL[word], "ones"
        elif word == "hundred" and last in ("ones", "") and group < 10:
            group, last = max(1, group) * 100, "scale"
        elif word in _SCALES and last and group:
            total, group, last = total + group * _SCALES[word], 0, "scale"
        elif word == "and" and last == "scale" and words[position + 1 :][:1]:
            follows = words[position + 1]
            if follows not in _ENGLISH and follows not in _TENS:
                break
            continue
        else:
            break
        count = position + 1
    return (total + group, count) if count else (None, 0)
