"""A decimal as it was written: its value and how far its digits reach."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from verifiers.expression.tree.node import Node, Number, Power, Product, Quotient


class DecimalLiteral(NamedTuple):
    """Its value, what one step of its last digit is worth, its significant digits; `rounded` with trailing dots."""

    value: Fraction
    unit_in_last_place: Fraction
    digits: int
    rounded: bool


def decimal_literal(node: Node) -> DecimalLiteral | None:
    """A decimal as it was written: `3.14`, `-0.50`, `1.2 * 10^{-3}`; None for integers and everything else."""
    if isinstance(node, Number) and (node.places or node.rounded or node.value.denominator != 1):
        return DecimalLiteral(node.value, Fraction(1, 10**node.places), node.digits, node.rounded)
    if isinstance(node, Quotient) and node.bottom == Number(Fraction(100)) and isinstance(node.top, Number):
        inner = decimal_literal(node.top)  # a percentage
        return inner and inner._replace(
            value=inner.value / 100, unit_in_last_place=inner.unit_in_last_place / 100
        )
    if isinstance(node, Product) and len(node.items) == 2:
        first, second = node.items
        if isinstance(first, Number) and first.value == -1 and (inner := decimal_literal(second)) is not None:
            return inner._replace(value=-inner.value)
        if isinstance(first, Number) and isinstance(second, Power) and second.base == Number(Fraction(10)):
            power = second.exponent
            if isinstance(power, Number) and power.value.denominator == 1 and abs(power.value) <= 400:
                scale = Fraction(10) ** int(power.value)
                return DecimalLiteral(first.value * scale, scale / 10**first.places, first.digits, False)
    return None
