"""Is an answer fully worked out? For tasks that ask for lowest terms."""

from __future__ import annotations

import math
from fractions import Fraction

from verifiers.expression.tree.node import Constant, Node, Number, Product, Quotient, Sum, children


def _integer(node: Node) -> int | None:
    if isinstance(node, Number) and node.value.denominator == 1:
        return int(node.value)
    if isinstance(node, Product) and len(node.items) == 2 and node.items[0] == Number(Fraction(-1)):
        inner = _integer(node.items[1])
        return -inner if inner is not None else None
    return None


def is_reduced(node: Node) -> bool:
    """No fraction that cancels, no sum or product of plain numbers left to compute."""
    if isinstance(node, Quotient):
        top, bottom = _integer(node.top), _integer(node.bottom)
        if top is not None and bottom is not None and (math.gcd(top, bottom) != 1 or bottom in (1, -1)):
            return False
    if isinstance(node, (Sum, Product)) and _integer(node) is None:
        plain = [item for item in node.items if isinstance(item, Number) and item.value != -1]
        mixed = isinstance(node, Sum) and len(node.items) == 2 and isinstance(node.items[1], Quotient)
        if len(plain) > 1 or (len(plain) == len(node.items) and not mixed):
            return False
    if isinstance(node, Constant):
        return True
    return all(map(is_reduced, children(node)))
