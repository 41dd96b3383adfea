"""A tree with a function applied to the children of its root."""

from __future__ import annotations

from collections.abc import Callable

from verifiers.expression.tree.node import (
    Call,
    Matrix,
    Measure,
    Node,
    Percent,
    PlusMinus,
    Power,
    Product,
    Quotient,
    Ratio,
    Relation,
    Sequence,
    SetOperation,
    Sum,
)


def map_children(node: Node, change: Callable[[Node], Node]) -> Node:
    """The same node over changed children."""
    match node:
        case Sum(items) | Product(items):
            return type(node)(tuple(map(change, items)))
        case Ratio(items, clock):
            return Ratio(tuple(map(change, items)), clock)
        case Sequence(brackets, items, either):
            return Sequence(brackets, tuple(map(change, items)), either)
        case SetOperation(name, items):
            return SetOperation(name, tuple(map(change, items)))
        case Quotient(top, bottom):
            return Quotient(change(top), change(bottom))
        case Power(base, exponent):
            return Power(change(base), change(exponent))
        case Call(name, arguments):
            return Call(name, tuple(map(change, arguments)))
        case Percent(item):
            return Percent(change(item))
        case Measure(item, unit):
            return Measure(change(item), unit)
        case PlusMinus(item, sign):
            return PlusMinus(change(item), sign)
        case Matrix(rows):
            return Matrix(tuple(tuple(map(change, row)) for row in rows))
        case Relation():
            return Relation(tuple(map(change, node.operands)), node.operators, node.named)
        case _:
            return node


def replaced(node: Node, old: Node, new: Node) -> Node:
    """The tree with every `old` in it as `new`."""
    return new if node == old else map_children(node, lambda child: replaced(child, old, new))
