"""Where expressions with variables are compared: fixed points, and the functions that need far ones too."""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.tree.node import Call, Node, children, symbols

_POSITIVE = [
    Fraction(n, d)
    for n, d in ((17, 13), (23, 17), (29, 37), (53, 11), (61, 67), (83, 19), (101, 43), (7, 31))
]
_SIGNS = ((1, 1, 1), (1, 1, 1), (-1, 1, -1), (1, -1, 1), (-1, -1, 1), (1, 1, -1), (-1, 1, 1), (1, -1, -1))


def sample_points(names: list[str]) -> list[dict[str, Fraction]]:
    """Fixed rational points, positive ones first; another value for every variable."""
    points = []
    for k, signs in enumerate(_SIGNS):
        points.append(
            {
                name: signs[j % 3] * (_POSITIVE[(k + 3 * j) % 8] + Fraction(k * j, 41 + j))
                for j, name in enumerate(names)
            }
        )
    return points


def is_piecewise(node: Node) -> bool:
    """A function that is another one beyond a bound: near points cannot tell `max(x, -100)` from `x`."""
    if isinstance(node, Call) and node.name in ("max", "min", "abs", "floor", "ceil", "sign", "mod"):
        return bool(symbols(node))
    return any(map(is_piecewise, children(node)))
