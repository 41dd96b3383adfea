"""Units as they stand behind mathematical answers, from a small table (pint's registry takes seconds to build and
reads `people` as pico-eople); other nouns are compared as words."""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from verifiers.expression.values.unit_table import OFFSETS, one_unit, singular

Dimension = tuple[tuple[str, int], ...]  # base and exponent, sorted: (("length", 1), ("time", -1))


class Unit(NamedTuple):
    """What stands behind a value: `factor` and `offset` lead to the base unit of its dimension; `nouns` are the words
    that are no unit, `things` those of them that are a plural right behind another; `power` is 1 for
    `units`, 2 for `square units`, 0 where no bare unit is named.
    """

    dimension: Dimension
    factor: Fraction
    offset: Fraction
    nouns: frozenset[str]
    things: frozenset[str]
    power: int


class Conversion(NamedTuple):
    """The answer's value in the reference's unit is `factor * value + offset`."""

    factor: Fraction
    offset: Fraction = Fraction(0)


# Words that say nothing of the unit: "12 in total", "5 of the".
_FILLERS = set(
    "of the a an in to each total altogether per about approximately exactly all with is so then for was "
    "were are that by on at there here only".split()
)
_COULOMB: Dimension = (("current", 1), ("time", 1))
# Nouns that any counted noun may stand for.
_ANY_NOUN = {"people", "person", "way", "time", "piece", "item", "object", "point", "number", "student"}
# Of each line an answer has the reference's words or none; of the first ones (which turn a value into its opposite)
# it has them.
_SENSES = (
    {"clockwise", "counterclockwise"},
    {"profit", "gain", "loss"},
    {"up", "down", "upward", "downward"},
    {"forward", "backward"},
)
_OPPOSITES = (
    *_SENSES,
    {"north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest"},
    {"left", "right"},
    {"am", "pm"},
    {"late", "early"},
)
_NEGATIONS = {"not", "no", "never", "without", "neither", "nor"}
_SQUARED = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_PART = re.compile(r"°\s?[CF]\b|[^\W\d_]+(?:['’][^\W\d_]+)?|[°$€£¥₹¢]|\^\s*-?\d|[²³]|[*/·⋅()]")
_COUNTERCLOCKWISE = re.compile(r"\b(?:anti|counter)[\s-]?clockwise\b", re.IGNORECASE)
_DEGREES = re.compile(r"(?:degrees?|deg|°)\s*(c|f|celsius|fahrenheit)\b", re.IGNORECASE)


@functools.lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit:
    """Units as long as words are known, from the start; every word from the first unknown one on is a noun."""
    plain = _DEGREES.sub(lambda match: "deg" + match.group(1)[0].lower(), " ".join(text.split()))
    plain = _COUNTERCLOCKWISE.sub("counterclockwise", plain)
    plain = (
        re.sub(r"\^\s*\{\s*(-?\d)\s*\}", r"^\1", plain)
        .replace(" per ", " / ")
        .replace("²", "^2")
        .replace("³", "^3")
    )
    parts = _PART.findall(plain)
    dimension: dict[str, int] = {}
    factor, offset, power = Fraction(1), Fraction(0), 0
    sign, raised, named = 1, 1, 0
    nouns: set[str] = set()
    things: set[str] = set()
    for position, part in enumerate(parts):
        exponent = _exponent_behind(parts, position)
        word = part.lower()
        if part in ("/", "*", "·", "⋅", "(", ")"):
            sign = -1 if part == "/" else 1 if part != "(" else sign
        elif part[0] == "^" or (word in ("squared", "cubed") and position):
            continue
        elif word in _SQUARED and not nouns:
            raised = _SQUARED[word]
        elif singular(word) == "unit" and not nouns and not named:
            power = raised * exponent
            raised = 1
        elif not nouns and (part != "in" or position == len(parts) - 1) and (found := one_unit(part)):
            named += 1
            for name, times in found[0].items():
                dimension[name] = dimension.get(name, 0) + sign * times * exponent * raised
            factor *= found[1] ** (sign * exponent * raised)
            offset = OFFSETS.get(
                word, OFFSETS.get({"celsius": "degc", "fahrenheit": "degf"}.get(word, ""), Fraction(0))
            )
            sign, raised = 1, 1
        elif word not in _FILLERS:
            nouns.add(singular(word))
            before = parts[position - 1].lower() if position else ""
            if singular(word) != word and singular(before) != before:
                things.add(singular(word))
    kept = tuple(sorted((name, times) for name, times in dimension.items() if times))
    return Unit(
        kept, factor, offset if len(parts) == 1 else Fraction(0), frozenset(nouns), frozenset(things), power
    )


def _exponent_behind(parts: list[str], position: int) -> int:
    following = parts[position + 1] if position + 1 < len(parts) else ""
    if following[:1] == "^":
        return int(following[1:])
    return _SQUARED[following] if following in ("squared", "cubed") else 1


def conversion(wanted: str, found: str) -> Conversion | None:
    """How the answer's value becomes one in the reference's unit; None where the units disagree.

    A missing unit, and words that name none (`units`, `in total`), agree with everything. Two units agree when their
    dimension is the same; of the words beside them, and of nouns that are counted, one side's must all be the other's
    (`12 apples`, `12 red apples`; not `12 apples oranges`, `90° clockwise` for `90° counterclockwise` or without).
    """
    wanted, found = _cleaned(wanted), _cleaned(found)
    if wanted != found and not _same_sense(parse_unit(wanted).nouns, parse_unit(found).nouns):
        return None
    if wanted == found or not wanted or not found or wanted.startswith("base ") or found.startswith("base "):
        return Conversion(Fraction(1))
    if wanted.startswith("mod ") or found.startswith("mod "):
        return None
    a, b = parse_unit(wanted), parse_unit(found)
    if not _nouns_agree(a, b):
        return None
    if a.power and b.power:
        return Conversion(Fraction(1)) if a.power == b.power else None
    if a.dimension and b.dimension:
        if a.dimension == b.dimension:
            return Conversion(b.factor / a.factor, (b.offset - a.offset) / a.factor)
        return Conversion(Fraction(1)) if _written_alike(wanted, found, {a.dimension, b.dimension}) else None
    if a.power or b.power:
        return (
            Conversion(Fraction(1))
            if _power_of(a) == _power_of(b) or not (a.dimension or b.dimension)
            else None
        )
    return Conversion(Fraction(1))


def _written_alike(wanted: str, found: str, dimensions: set[Dimension]) -> bool:
    """`°` and `C` for `°C`, `pounds` for `£`."""
    warm = (("temperature", 1),)
    if dimensions == {(("angle", 1),), warm} or (dimensions == {_COULOMB, warm} and "C" in (wanted, found)):
        return True
    return dimensions == {(("pound", 1),), (("mass", 1),)} and {wanted, found} <= {"£", "pound", "pounds"}


def _power_of(unit: Unit) -> int:
    """2 of `square units` and of `cm^2`, 1 of every unit that is no power of a length."""
    if unit.power:
        return unit.power
    return unit.dimension[0][1] if len(unit.dimension) == 1 and unit.dimension[0][0] == "length" else 1


def _same_sense(wanted: frozenset[str], found: frozenset[str]) -> bool:
    if not (wanted or found):
        return True
    for words in _OPPOSITES:
        a, b = wanted & words, found & words
        if (a and b and a != b) or (a and not b and words in _SENSES):
            return False
    return not (wanted ^ found) & _NEGATIONS


def _nouns_agree(a: Unit, b: Unit) -> bool:
    if "and" in a.nouns ^ b.nouns and a.nouns and b.nouns:
        return False  # boys, boys and girls
    if a.nouns and b.things - a.nouns:
        return False  # apples, apples oranges
    if a.nouns <= b.nouns or b.nouns <= a.nouns:
        bare = not (a.dimension or a.nouns or a.power) or not (b.dimension or b.nouns or b.power)
        return bare or bool(a.dimension or a.power) == bool(b.dimension or b.power)
    counted = not (a.dimension or b.dimension or a.power or b.power)
    return counted and (a.nouns <= _ANY_NOUN or b.nouns <= _ANY_NOUN)


def _cleaned(unit: str) -> str:
    return " ".join(unit.strip(" .").split())
