"""Subsets of the real line: intervals, unions, and conditions on one variable, in one normal form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verifiers.expression.grammar.parser import is_inequality
from verifiers.expression.tree.node import (
    Call,
    Constant,
    NamedSet,
    Node,
    Relation,
    Sequence,
    SetOperation,
    Symbol,
    symbols,
)
from verifiers.expression.values.evaluation import NoValue
from verifiers.expression.values.numeric_value import numeric

_CLOSE = 1e-35
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


class NotReal(Exception):
    """The tree is not a set of real numbers in one variable."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval between two mpmath numbers; a point is a closed one of length 0."""

    low: Any
    low_closed: bool
    high: Any
    high_closed: bool


def same(a: Any, b: Any) -> bool:
    """Equal to 35 significant digits; infinities equal themselves."""
    if a == b:
        return True
    scale = max(abs(a), abs(b))
    return scale != float("inf") and bool(abs(a - b) <= _CLOSE * scale)


RealSet = tuple[Piece, ...]


def _infinity() -> Any:
    return numeric(Constant("infinity"))


def everything() -> RealSet:
    """R, from -infinity to infinity, both open."""
    infinity = _infinity()
    return (Piece(-infinity, False, infinity, False),)


def normal_form(pieces: list[Piece]) -> RealSet:
    """Sorted, disjoint, touching pieces merged, empty ones dropped."""
    proper = [p for p in pieces if p.low < p.high or (same(p.low, p.high) and p.low_closed and p.high_closed)]
    proper.sort(key=lambda p: (p.low, not p.low_closed))
    merged: list[Piece] = []
    for piece in proper:
        if merged:
            last = merged[-1]
            touching = same(piece.low, last.high) and (piece.low_closed or last.high_closed)
            if piece.low < last.high or touching:
                if piece.high > last.high and not same(piece.high, last.high):
                    merged[-1] = Piece(last.low, last.low_closed, piece.high, piece.high_closed)
                elif same(piece.high, last.high):
                    closed = last.high_closed or piece.high_closed
                    merged[-1] = Piece(last.low, last.low_closed, last.high, closed)
                continue
        merged.append(piece)
    return tuple(merged)


def complement(pieces: RealSet) -> RealSet:
    """R without the set."""
    infinity = _infinity()
    low, low_closed = -infinity, False
    gaps: list[Piece] = []
    for piece in pieces:
        gaps.append(Piece(low, low_closed, piece.low, not piece.low_closed))
        low, low_closed = piece.high, not piece.high_closed
    gaps.append(Piece(low, low_closed, infinity, False))
    finite = [g for g in gaps if not (same(g.low, g.high) and abs(g.low) == infinity)]
    return normal_form(finite)


def union(*sets: RealSet) -> RealSet:
    """In normal form."""
    return normal_form([piece for pieces in sets for piece in pieces])


def intersection(a: RealSet, b: RealSet) -> RealSet:
    """In normal form, by De Morgan."""
    return complement(union(complement(a), complement(b)))


def equal_sets(a: RealSet, b: RealSet) -> bool:
    """Of two sets in normal form: the same pieces, ends to 35 digits, open and closed alike."""
    return len(a) == len(b) and all(
        same(p.low, q.low)
        and same(p.high, q.high)
        and p.low_closed == q.low_closed
        and p.high_closed == q.high_closed
        for p, q in zip(a, b, strict=True)
    )


def real_set(node: Node) -> RealSet:
    """The set a tree stands for. Raises `NotReal`."""
    if isinstance(node, Sequence):
        return _from_sequence(node)
    if isinstance(node, NamedSet):
        if node.name == "R":
            return everything()
        if node.name == "empty":
            return ()
        raise NotReal
    if isinstance(node, SetOperation):
        parts = [real_set(item) for item in node.items]
        if node.name == "union":
            result = union(*parts)
            return _without_spare(node.items, result) if all(map(is_inequality, node.items)) else result
        if node.name == "intersection":
            return intersection(parts[0], parts[1])
        return intersection(parts[0], complement(parts[1]))
    if isinstance(node, Relation):
        return _from_relation(node)
    raise NotReal


def _without_spare(items: tuple[Node, ...], result: RealSet) -> RealSet:
    """`result`, unless one condition alone says it all: then the others are a hedge. Raises `NotReal`."""
    if len(items) > 1 and any(equal_sets(real_set(item), result) for item in items):
        raise NotReal
    return result


def _bound(node: Node) -> Any:
    if symbols(node):
        raise NotReal
    try:
        value = numeric(node)
    except NoValue:
        raise NotReal from None
    if hasattr(value, "_mpc_"):
        raise NotReal
    return value


def _from_sequence(node: Sequence) -> RealSet:
    if node.brackets == "" and all(is_inequality(item) for item in node.items):
        result = everything()
        for item in node.items:
            result = intersection(result, real_set(item))
        result = result or union(*map(real_set, node.items))  # "x < 1 and x > 3" is said of two pieces
        return _without_spare(node.items, result)
    if node.brackets == "{}":
        points = [_bound(item) for item in node.items]
        return normal_form([Piece(point, True, point, True) for point in points])
    if len(node.items) == 2 and node.brackets in ("()", "[]", "[)", "(]"):
        low, high = _bound(node.items[0]), _bound(node.items[1])
        infinity = _infinity()
        left = node.brackets[0] == "[" and low != -infinity
        right = node.brackets[1] == "]" and high != infinity
        if low > high:
            raise NotReal
        return normal_form([Piece(low, left, high, right)])
    raise NotReal


def _from_relation(node: Relation) -> RealSet:
    """`x > 3`, `1 < x <= 2`, `x != 0`, `x in S`; the variable stands alone."""
    operands, operators = node.operands, node.operators
    if operators == ("in",):
        return real_set(operands[1])
    if operators and len(operands) == 2 and isinstance(operands[0], Call) and operands[0].name == "abs":
        return _from_absolute(operands[0].arguments[0], operators[0], operands[1])
    places = [i for i, operand in enumerate(operands) if isinstance(operand, Symbol)]
    if len(places) != 1 or any(operator not in _FLIPPED for operator in operators):
        raise NotReal
    place = places[0]
    if len(operands) > 3 or (len(operands) == 3 and place != 1):
        raise NotReal
    result = everything()
    if place > 0:
        result = intersection(result, _half_line(_FLIPPED[operators[place - 1]], _bound(operands[place - 1])))
    if place < len(operators):
        result = intersection(result, _half_line(operators[place], _bound(operands[place + 1])))
    return result


def _from_absolute(inner: Node, operator: str, bound: Node) -> RealSet:
    """`|x| < 3`: both signs of the variable."""
    value = _bound(bound)
    if not isinstance(inner, Symbol) or operator not in ("<", "<=", ">", ">=", "=") or value <= 0:
        raise NotReal
    if operator in ("<", "<="):
        return intersection(_half_line(operator, value), _half_line(_FLIPPED[operator], -value))
    return union(_half_line(operator, value), _half_line(_FLIPPED[operator], -value))


def _half_line(operator: str, bound: Any) -> RealSet:
    infinity = _infinity()
    point = (Piece(bound, True, bound, True),)
    if operator == "=":
        return point
    if operator == "!=":
        return complement(point)
    if operator in ("<", "<="):
        return normal_form([Piece(-infinity, False, bound, operator == "<=" and bound != infinity)])
    return normal_form([Piece(bound, operator == ">=" and bound != -infinity, infinity, False)])
