"""Units and percent signs taken off an expression, so that what is left can be computed."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from verifiers.expression.tree.node import (
    Call,
    Constant,
    Measure,
    Node,
    Number,
    Percent,
    Product,
    Quotient,
    Sum,
    contains,
)
from verifiers.expression.tree.tree_map import map_children
from verifiers.expression.values.math_unit import conversion


class Lifted(NamedTuple):
    """`node` without its unit and percent sign, which stood at its end."""

    node: Node
    unit: str
    percent: bool


def lift(node: Node) -> Lifted | None:
    """Take one unit or one percent sign off; None where several units are mixed.

    Degrees inside a function become radians: `\\sin 30^\\circ`.
    """
    if not contains(node, (Measure, Percent)):
        return Lifted(node, "", False)
    node = _angles_in_calls(node)
    units: list[str] = []
    percents: list[bool] = []
    bare = _strip(node, units, percents)
    if isinstance(node, Sum) and len(set(units)) > 1:
        return _in_one_unit(node)
    if bare is None or len(set(units)) > 1 or (units and percents):
        return None
    return Lifted(bare, units[0] if units else "", bool(percents))


def _in_one_unit(node: Sum) -> Lifted | None:
    """`2 h + 30 min` in hours: amounts of one dimension, in the unit of the first."""
    first = node.items[0]
    if not isinstance(first, Measure):
        return None
    terms: list[Node] = []
    for item in node.items:
        change = conversion(first.unit, item.unit) if isinstance(item, Measure) else None
        if change is None or change.offset or not isinstance(item, Measure) or not item.unit:
            return None
        terms.append(Product((Number(change.factor), item.item)))
    return Lifted(Sum(tuple(terms)), first.unit, False)


def _angles_in_calls(node: Node) -> Node:
    if isinstance(node, Call):
        return map_children(node, _radians)
    return map_children(node, _angles_in_calls)


def _radians(node: Node) -> Node:
    if isinstance(node, Measure) and node.unit in ("degrees", "degree"):
        return Quotient(Product((node.item, Constant("pi"))), Number(Fraction(180)))
    return map_children(node, _radians)


def _strip(node: Node, units: list[str], percents: list[bool]) -> Node | None:
    """The tree without units at places where a unit belongs to the whole: last term, factor, or numerator."""
    if isinstance(node, Measure):
        units.append(node.unit)
        return None if contains(node.item, (Measure, Percent)) else node.item
    if isinstance(node, Percent):
        percents.append(True)
        return None if contains(node.item, (Measure, Percent)) else node.item
    if isinstance(node, (Sum, Product)):
        items = [_strip(item, units, percents) for item in node.items]
        if any(item is None for item in items) or (isinstance(node, Product) and len(units) > 1):
            return None
        if isinstance(node, Sum) and percents and len(percents) != len(node.items):
            return None
        return type(node)(tuple(item for item in items if item is not None))
    if isinstance(node, Quotient):
        top = _strip(node.top, units, percents)
        if top is None or contains(node.bottom, (Measure, Percent)):
            return None
        return Quotient(top, node.bottom)
    return None if contains(node, (Measure, Percent)) else node
