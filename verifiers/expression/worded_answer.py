"""Answers in words: `no solution`, `twelve`, `Friday`."""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.node import NamedSet, Node, Number, Product, Relation, Sequence, Symbol, Words
from verifiers.expression.scalar_equality import Match

_NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "one hundred": 100, "once": 1, "twice": 2}
_NO_SOLUTION = {
    "no solution",
    "no solutions",
    "empty set",
    "the empty set",
    "no real solution",
    "no real solutions",
    "∅",
}
_UNDEFINED = {"dne", "does not exist", "undefined"}
_ALL_REALS = {"all real numbers", "all reals", "all real", "the real numbers", "real numbers", "r"}


def plain(node: Node) -> Node:
    """A set or list of one item is that item; a number in words is that number."""
    while isinstance(node, Sequence) and len(node.items) == 1 and node.brackets in ("{}", ""):
        node = node.items[0]
    if isinstance(node, Words) and node.text in _NUMBER_WORDS:
        return Number(Fraction(_NUMBER_WORDS[node.text]))
    return node


def words_as_set(node: Node) -> Node:
    if isinstance(node, Words):
        if node.text in _NO_SOLUTION:
            return NamedSet("empty")
        if node.text in _ALL_REALS:
            return NamedSet("R")
    if isinstance(node, Relation) and node.operators == ("in",):
        return node.operands[1]
    return node


def words_equal(reference: Node, answer: Node) -> Match:
    if isinstance(reference, Words) and isinstance(answer, Words):
        if reference.text in _NO_SOLUTION and answer.text in _NO_SOLUTION:
            return Match(True, "text")
        if reference.text in _UNDEFINED and answer.text in _UNDEFINED:
            return Match(True, "text")
        return Match(reference.text == answer.text, "text")
    a, b = _spelling(reference), _spelling(answer)
    return Match(a is not None and a == b, "text")


def _spelling(node: Node) -> str | None:
    if isinstance(node, Words):
        return node.text
    if isinstance(node, Symbol):
        return node.name.casefold()
    if isinstance(node, Product) and all(isinstance(item, Symbol) for item in node.items):
        return "".join(item.name for item in node.items if isinstance(item, Symbol)).casefold()
    return None
