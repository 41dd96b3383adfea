"""Whether a reference is a phrase: words of a sentence that no rule compares fairly."""

from __future__ import annotations

import re

MAX_LOOKED_AT = 20_000  # characters
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}")
_LATEX = re.compile(r"\\[A-Za-z]+|[${}^_]")
_WORD = re.compile(r"[^\W\d_][^\W\d_'’-]*(?:['’-][^\W\d_]+)*")
_SIGN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_SIGNS_A_WORD = 2  # Chinese and Japanese: a word has about two
# Words of a quantity: "25 square centimetres", "60 miles per hour".
_OF_A_QUANTITY = frozenset(
    "per square cubic cm mm km kg hour hours minute minutes second seconds degree degrees dollar dollars percent meter "
    "meters metre metres centimeter centimeters centimetre centimetres mile miles foot feet inch inches unit units "
    "gram grams kilogram kilograms liter liters litre litres times am pm".split()
)


def is_phrase(reference: str, *, max_words: int = 2) -> bool:
    r"""More than ``max_words`` words, where a single letter, LaTeX and the words of a quantity are none.

    >>> is_phrase("It is an isosceles triangle"), is_phrase("\\frac{3}{4}"), is_phrase("New York"), is_phrase("5 cm")
    (True, False, False, False)
    """
    text = _TEXT_COMMAND.sub(r" \1 ", reference[:MAX_LOOKED_AT])
    text = _LATEX.sub(" ", text)
    num_signs = len(_SIGN.findall(text))
    words = [word for word in _WORD.findall(_SIGN.sub(" ", text)) if len(word) > 1]
    starts_with_number = bool(re.match(r"\s*[-+]?[\d.,]+", text))
    counted = [word for word in words if not (starts_with_number and word.casefold() in _OF_A_QUANTITY)]
    return len(counted) + -(-num_signs // _SIGNS_A_WORD) > max_words
