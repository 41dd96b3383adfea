"""Notations that mean one thing or another by what they are compared with: `C(5,2)`, `P(2,3)`, `3 + 4j`, `2i - j`."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.expression.tree.node import (
    Call,
    Constant,
    Matrix,
    Measure,
    NamedSet,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Ratio,
    Relation,
    Sequence,
    SetOperation,
    Sum,
    Symbol,
    Words,
    children,
    contains,
    negated,
    symbols,
)
from verifiers.expression.tree.tree_map import map_children, replaced

_UNIT_VECTORS = {"unit(i)": 0, "unit(j)": 1, "unit(k)": 2}
_COMBINATIONS = re.compile(r"([CA])_(\d{1,3})")
_CONSTANTS = {"K", "k", "c", "D", "C_1", "C_0"}
_PARAMETERS = {"k", "n", "m"}


def agreed(node: Node, other: Node) -> Node:
    """`node` in the sense that `other` gives it."""
    if symbols(node) and not symbols(other):
        node = _with_combinations(node)
    is_vector = isinstance(other, Matrix) or (isinstance(other, Sequence) and other.brackets == "()")
    if isinstance(node, Product) and len(node.items) == 2:
        node = _pair(node, is_vector)
    if isinstance(node, (Sum, Product, Quotient, Symbol)) and any(
        name in _UNIT_VECTORS for name in symbols(node)
    ):
        if is_vector:
            count = len(children(other))
            return _with_columns(node, count) if count in (2, 3) else node
        if not any(name in _UNIT_VECTORS for name in symbols(other)):
            return _plain_letters(node)
    return node


def _pair(node: Product, is_vector: bool) -> Node:
    """`P(2,3)` is a point beside a tuple, else a number of permutations; `C(5,2)` of combinations."""
    name, pair = node.items
    if not (isinstance(name, Symbol) and isinstance(pair, Sequence) and pair.brackets == "()"):
        return node
    if is_vector and len(name.name) == 1 and name.name.isupper():
        return pair
    whole = all(isinstance(item, Number) and item.value.denominator == 1 for item in pair.items)
    if len(pair.items) == 2 and whole and name.name in ("C", "P"):
        chosen = Call("binomial", pair.items)
        return chosen if name.name == "C" else Product((chosen, Call("factorial", (pair.items[1],))))
    return node


def _with_combinations(node: Node) -> Node:
    """`C_5^2` beside a number is a number of combinations, `A_5^2` of arrangements."""
    match node:
        case Power(Symbol(name), Number() as chosen) if match := _COMBINATIONS.fullmatch(name):
            pair = (Number(Fraction(int(match.group(2)))), chosen)
            if chosen.value.denominator != 1 or not 0 <= chosen.value <= pair[0].value:
                return node
            count = Call("binomial", pair)
            return count if match.group(1) == "C" else Product((count, Call("factorial", (chosen,))))
    return map_children(node, _with_combinations)


def _with_columns(node: Node, count: int) -> Node:
    """Unit vectors as columns of `count` numbers."""
    if isinstance(node, Symbol) and node.name in _UNIT_VECTORS:
        place = _UNIT_VECTORS[node.name]
        return Matrix(tuple((Number(Fraction(int(row == place))),) for row in range(max(count, place + 1))))
    return map_children(node, lambda child: _with_columns(child, count))


def _plain_letters(node: Node) -> Node:
    if isinstance(node, Symbol) and node.name in _UNIT_VECTORS:
        letter = node.name[5]
        return Constant("i") if letter == "i" else Symbol(letter)
    return map_children(node, _plain_letters)


def imaginary(node: Node) -> bool:
    """True when the imaginary unit stands in the tree."""
    return node == Constant("i") or any(map(imaginary, children(node)))


def with_imaginary_unit(reference: Node, answer: Node) -> Node:
    """`3 + 4I` and `3 + 4j` are complex where the reference is."""
    if not symbols(answer) & {"I", "j"} or symbols(reference) & {"I", "j"}:
        return answer
    return _imaginary_letters(answer) if imaginary(reference) and not imaginary(answer) else answer


def _imaginary_letters(node: Node) -> Node:
    if isinstance(node, Symbol) and node.name in ("I", "j"):
        return Constant("i")
    return map_children(node, _imaginary_letters)


def with_same_parameter(reference: Node, answer: Node) -> Node:
    """`2n\\pi` is `2k\\pi`: any integer may have any of the usual letters, in a family of angles."""
    wanted, found = symbols(reference), symbols(answer)
    if len(wanted) != 1 or len(found) != 1 or wanted == found or not wanted | found <= _PARAMETERS:
        return answer
    if not contains(reference, (Constant, Measure)) or contains(reference, Call):
        return answer
    return replaced(answer, Symbol(next(iter(found))), Symbol(next(iter(wanted))))


def with_same_constant(reference: Node, answer: Node) -> Node:
    """`x^2 + K` is `x^2 + C`: a constant of integration may have any of the usual letters."""
    if not (isinstance(reference, Sum) and isinstance(answer, Sum) and Symbol("C") in reference.items):
        return answer
    names = _CONSTANTS - symbols(reference)
    others = [item for item in answer.items if isinstance(item, Symbol) and item.name in names]
    return (
        replaced(answer, others[0], Symbol("C"))
        if len(others) == 1 and "C" not in symbols(answer)
        else answer
    )


def is_unevaluated(node: Node) -> bool:
    """An integral, a limit or a sum of unknown length: nothing computes it here."""
    return isinstance(node, Call) and node.name in ("integral", "limit", "sum of terms", "product of terms")


def value_of_equation(relation: Relation) -> Node | None:
    """4 of `|CD| = 4`, 5:9 of `V_1:V_2 = 5:9`, 7 of `7 = x`; not of `x + y = 5`, which is a line."""
    if relation.operators != ("=",):
        return None
    left, right = relation.operands
    if isinstance(right, Symbol) and not symbols(left):
        return left
    measured = isinstance(left, (Call, Quotient, Ratio)) and not contains(
        left, (Sum, Number, Constant, Sequence)
    )
    points = bool(symbols(left)) and all(name[0].isupper() for name in symbols(left))
    return right if measured and points and not symbols(right) else None


def common_logarithms(node: Node) -> Node:
    """`\\log x` read to base 10."""
    if isinstance(node, Call) and node.name == "log" and len(node.arguments) == 1:
        return Call("log10", (common_logarithms(node.arguments[0]),))
    return map_children(node, common_logarithms)


def difference(relation: Relation) -> tuple[Node | None, str]:
    """left - right, turned so that the operator is =, !=, < or <=."""
    left, right = relation.operands
    operator = relation.operators[0]
    scalar = not any(
        isinstance(side, (Sequence, Matrix, Words, NamedSet, SetOperation)) for side in (left, right)
    )
    if not scalar:
        return None, operator
    if operator in (">", ">="):
        left, right, operator = right, left, "<" if operator == ">" else "<="
    return Sum((left, negated(right))), "=" if operator == "~" else operator
