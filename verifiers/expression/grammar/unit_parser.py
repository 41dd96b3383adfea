"""Units of the answer grammar: `m/s^2`, `square feet`, `cm^2`, and the nouns that are counted."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.expression.grammar.atom_parser import AtomParser
from verifiers.expression.text.lexer import Unreadable
from verifiers.expression.text.number_words import PLURAL_PARTS, has_cardinal
from verifiers.expression.text.vocabulary import UNIT_LETTERS
from verifiers.expression.tree.node import Measure, Node, Number, Percent, times

_SCALES: dict[str, int | Fraction] = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "lakh": 10**5, "million": 10**6, "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
    "mln": 10**6, "mio": 10**6, "bln": 10**9, "mrd": 10**9, "mld": 10**9,
    "千": 10**3, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "тысяч": 10**3,
    "тысячи": 10**3,
    "миллион": 10**6, "миллиона": 10**6, "миллионов": 10**6, "millionen": 10**6, "millones": 10**6, "milhões": 10**6,
    "milioni": 10**6,
} | {word: Fraction(1, parts) for word, parts in PLURAL_PARTS.items()}  # fmt: skip
_CHINESE_SCALE = "万萬亿億"
_HEDGES = {
    "not",
    "maybe",
    "perhaps",
    "either",
    "possibly",
    "than",
    "about",
    "but",
    "if",
    "except",
    "least",
    "most",
    "to",
    "is",
    "are",
    "was",
    "does",
    "wrong",
    "incorrect",
    "false",
    "too",
    "more",
    "less",
    "fewer",
    "negative",
    "below",
    "above",
    "under",
    "over",
    "half",
}
_OPERATIONS = {"squared", "cubed", "plus", "minus"}  # behind a value; `m squared` is a unit
_DENIALS = ("では", "じゃ", "이 아니", "가 아니", "아니", "不", "değil")
_TO_THE = re.compile(r"\bto the (?:right|left|north|south|east|west)\b")
_MAX_UNIT_WORDS = 6


class UnitParser(AtomParser):
    """A unit or a counted noun behind a value."""

    def _unit_follows(self, position: int) -> bool:
        return position < len(self.tokens) and self.tokens[position].kind in ("word", "text", "unit", "name")

    def unit_fraction_follows(self) -> bool:
        """`\\frac{\\text{m}}...`: a fraction of units, not of values."""
        kinds = [self.kind(ahead) for ahead in range(3)]
        return kinds[:2] == ["frac", "{"] and kinds[2] in ("text", "word", "unit")

    def unit_fraction(self) -> str:
        """`\\frac{\\text{m}}{\\text{s}^2}`."""
        self.take()
        parts = []
        for _ in range(2):
            self.expect("{")
            parts.append(self.unit_words())
            self.expect("}")
        return "/".join(parts)

    def measure(self, item: Node) -> Node:
        """A unit or a counted noun behind a value; `million` and its like multiply."""
        word = self.tokens[self.position].text.lower()
        scale = _SCALES.get(word) or _SCALES.get(word.removesuffix("s"))
        if scale is not None and not isinstance(item, Measure):
            self.take()
            return times(item, Number(Fraction(scale)))
        if word.split()[:1] and word.split()[0] in _OPERATIONS:
            raise Unreadable("the value goes on in words")
        if isinstance(item, Percent):  # 25% of the students
            behind = self.unit_words()
            if not behind.lower().startswith(("of ", "points")) or self.starts_atom():
                raise Unreadable("words behind a percentage")
            return item
        if word[0] in _CHINESE_SCALE:  # 3万元
            return Measure(times(item, Number(Fraction(_SCALES[word[0]]))), self.unit_words()[1:])
        if isinstance(item, Measure):
            return Measure(item.item, f"{item.unit} {self.unit_words()}")
        return Measure(item, self.unit_words())

    def unit_words(self) -> str:
        """Words, powers and quotients that make up a unit: `m/s^2`, `square feet`, `cm^2`."""
        words: list[str] = []
        while True:
            kind = self.kind()
            if kind in ("word", "text", "unit") or (kind == "name" and words and self._goes_on(words[-1])):
                text = self.take().text.strip()
                if set(_TO_THE.sub("", text.lower()).split()) & _HEDGES or text.startswith(_DENIALS):
                    raise Unreadable("a hedge is not a unit")
                if has_cardinal(text) and (words or " " in text):  # not 7 (seven)
                    raise Unreadable("a second number behind a value")
                words.append(text)
                if len(words) > _MAX_UNIT_WORDS:
                    raise Unreadable("too many words behind a value")
            elif kind == "^" and words:
                self.take()
                words.append("^" + self.small_exponent())
            elif kind == "/" and words and self._unit_follows(self.position + 1):
                self.take()
                words.append("/")
            elif kind == "*" and words and self._unit_follows(self.position + 1):
                self.take()
                words.append("*")
            else:
                break
        if not words:
            raise Unreadable("a unit is missing")
        return " ".join(words)

    def _goes_on(self, last: str) -> bool:
        """Whether a letter behind this one is a unit too: `m/s`, `kg m`."""
        return last in ("/", "*") or (
            last in ("kg", "N", "J", "W") and self.tokens[self.position].text in UNIT_LETTERS
        )

    def small_exponent(self) -> str:
        """That of a unit, as text without braces: `2`, `-1`. Raises `Unreadable` for what is no number."""
        braces = self.kind() == "{"
        if braces:
            self.take()
        sign = self.take().text if self.kind() == "-" else ""
        if self.kind() != "number":
            raise Unreadable("the exponent of a unit is a number")
        digits = self.take().text
        if braces:
            self.expect("}")
        return sign + digits
