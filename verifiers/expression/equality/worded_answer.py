"""Answers in words: `no solution`, `twelve`, `Friday`."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

from verifiers.expression.equality.scalar_equality import Match
from verifiers.expression.tree.node import (
    Measure,
    NamedSet,
    Node,
    Number,
    Product,
    Relation,
    Sequence,
    Sum,
    Symbol,
    Words,
)
from verifiers.expression.values.math_unit import conversion

_NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "one hundred": 100, "once": 1, "twice": 2}
_NO_SOLUTION = re.compile(
    r"(?:none|no (?:real )?(?:solutions?|roots?)|(?:the )?(?:empty|null) set|∅|无解|無解|нет решений|"
    r"keine lösung|pas de solution|aucune solution|sin solución|no hay solución|nessuna soluzione)(?: exists?)?"
)
_ENDLESS = re.compile(r"(?:infinite|infinitely many)(?: solutions?)?|无穷多个?解?")
_FILLER = re.compile(r"^(?:(?:there (?:is|are)|it is|it's) )?(?:(?:a|an|the) )?(?=\S)")
_UNDEFINED = re.compile("dne|does not exist|undefined|not defined")
_TRUTH = {"t": "true", "f": "false"}
_ALL_REALS = {"all real numbers", "all reals", "all real", "the real numbers", "real numbers", "r"}


def _any_integer(node: Node) -> bool:
    """`k \\in \\mathbb{Z}` behind a family of solutions."""
    return (
        isinstance(node, Relation)
        and node.operators == ("in",)
        and node.operands[0] in (Symbol("k"), Symbol("n"), Symbol("m"))
        and node.operands[1] == NamedSet("Z")
    )


def plain(node: Node) -> Node:
    """A set or list of one item is that item; a number in words is that number."""
    while isinstance(node, Sequence) and len(node.items) == 1 and node.brackets in ("{}", ""):
        node = node.items[0]
    if isinstance(node, Sequence) and node.brackets == "" and len(node.items) > 1:
        items = tuple(item for item in node.items if not _any_integer(item))
        if items and len(items) < len(node.items):
            return plain(Sequence("", items))
        if _in_two_units(items):
            return Sum(items)
    if isinstance(node, Words) and node.text in _NUMBER_WORDS:
        return Number(Fraction(_NUMBER_WORDS[node.text]))
    return node


def _in_two_units(items: tuple[Node, ...]) -> bool:
    """`2 hours and 30 minutes`: one amount, where each part is less than one of the unit before it."""
    for larger, smaller in itertools.pairwise(items):
        if not (isinstance(larger, Measure) and isinstance(smaller, Measure)):
            return False
        change = conversion(larger.unit, smaller.unit) if larger.unit and smaller.unit else None
        if change is None or change.offset or not 0 < change.factor < 1:
            return False
        if not (isinstance(smaller.item, Number) and 0 <= smaller.item.value * change.factor < 1):
            return False
    return True


def _said(text: str) -> str:
    """Without `there is`, `an`, `the`."""
    return _FILLER.sub("", text)


def words_as_set(node: Node) -> Node:
    """`no solution` is the empty set, `all real numbers` is R, `x in A` is A; anything else stays as it is."""
    if isinstance(node, Words):
        if _NO_SOLUTION.fullmatch(_said(node.text)):
            return NamedSet("empty")
        if node.text in _ALL_REALS:
            return NamedSet("R")
    if isinstance(node, Relation) and node.operators == ("in",):
        return node.operands[1]
    return node


def words_equal(reference: Node, answer: Node) -> Match:
    """Of answers in words: the same text, or two ways to say none, infinitely many or undefined."""
    if isinstance(reference, Words) and isinstance(answer, Words):
        wanted, found = _said(reference.text), _said(answer.text)
        for same in (_NO_SOLUTION, _ENDLESS, _UNDEFINED):
            if same.fullmatch(wanted) and same.fullmatch(found):
                return Match(True, "text")
        return Match(wanted == found, "text")
    a, b = _spelling(reference), _spelling(answer)
    return Match(a is not None and b is not None and _TRUTH.get(a, a) == _TRUTH.get(b, b), "text")


def _spelling(node: Node) -> str | None:
    if isinstance(node, Words):
        return node.text
    if isinstance(node, Symbol):
        return node.name.casefold()
    if isinstance(node, Product) and all(isinstance(item, Symbol) for item in node.items):
        return "".join(item.name for item in node.items if isinstance(item, Symbol)).casefold()
    return None
