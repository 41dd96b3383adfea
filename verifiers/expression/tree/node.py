"""The tree that an answer is parsed into. A node type that is not here cannot be written by a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from operator import attrgetter
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, exact. `places` and `digits` say how it was written (`2.50`: 2 places, 3 digits)."""

    value: Fraction
    places: int = field(default=0, compare=False)
    digits: int = field(default=1, compare=False)
    rounded: bool = False  # written with trailing dots: 0.333...


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable, subscript included (`x_1`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """pi, e, i, or infinity."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms; `a - b` is `a + (-1) b`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Factors, written with a sign between them or side by side."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quotient:
    """A fraction, or two values with `/` between them."""

    top: Node
    bottom: Node


@dataclass(frozen=True, slots=True)
class Power:
    """`base ^ exponent`; a root is a `Call`."""

    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A known function applied to arguments (`sqrt`, `log`, `factorial`, `binomial`, `abs`, ...)."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class PlusMinus:
    """`+-x` (sign +1) or `-+x` (sign -1): two values at once."""

    item: Node
    sign: int = 1


@dataclass(frozen=True, slots=True)
class Percent:
    """`item %`."""

    item: Node


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with a unit, a currency or a counted noun behind it."""

    item: Node
    unit: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """3:4, or 1:2:3; a `clock` is written as a time is, with two digits below 60 behind the colon (`7:05`)."""

    items: tuple[Node, ...]
    clock: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items in brackets: `()`, `[]`, `[)`, `(]`, `{}`, `<>`, or none (a bare list: several answers).

    `either` where an `or` stands between them: such a list is in no order.
    """

    brackets: str
    items: tuple[Node, ...]
    either: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length, at least one."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain `operands[0] operators[0] operands[1] ...`; operators are = != < <= > >= ~ in."""

    operands: tuple[Node, ...]
    operators: tuple[str, ...]
    named: bool = field(default=False, compare=False)  # the left side is a name: x, y_1, f(x)


@dataclass(frozen=True, slots=True)
class SetOperation:
    """`union`, `intersection` or `difference`."""

    name: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class NamedSet:
    """R, Z, N, Q, C, or the empty set."""

    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """Text that is not mathematics, normalised."""

    text: str


Node: TypeAlias = (
    Number | Symbol | Constant | Sum | Product | Quotient | Power | Call | PlusMinus | Percent | Measure | Ratio
    | Sequence | Matrix | Relation | SetOperation | NamedSet | Words
)  # fmt: skip


# By type how to get at the nodes below; a `match` over the types takes three times as long.
_BELOW: dict[type, Callable[[Any], tuple[Node, ...]]] = {
    **dict.fromkeys((Sum, Product, Ratio, Sequence, SetOperation), attrgetter("items")),
    **dict.fromkeys((PlusMinus, Percent, Measure), lambda node: (node.item,)),
    Quotient: attrgetter("top", "bottom"),
    Power: attrgetter("base", "exponent"),
    Call: attrgetter("arguments"),
    Matrix: lambda node: tuple(chain.from_iterable(node.rows)),
    Relation: attrgetter("operands"),
}


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    below = _BELOW.get(type(node))
    return below(node) if below is not None else ()


def symbols(node: Node) -> frozenset[str]:
    """Names of the variables in a tree."""
    if isinstance(node, Symbol):
        return frozenset((node.name,))
    found: set[str] = set()
    stack: list[Node] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, Symbol):
            found.add(current.name)
        else:
            stack.extend(children(current))
    return frozenset(found)


def units(node: Node) -> frozenset[str]:
    """Every unit in a tree."""
    below = frozenset[str]().union(*map(units, children(node)))
    return below | {node.unit} if isinstance(node, Measure) else below


def contains(node: Node, kinds: type | tuple[type, ...]) -> bool:
    """True when the tree holds a node of one of these types."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, kinds):
            return True
        stack.extend(children(current))
    return False


def size(node: Node) -> int:
    """How many nodes a tree has."""
    count, stack = 0, [node]
    while stack:
        count += 1
        stack.extend(children(stack.pop()))
    return count


def negated(node: Node) -> Node:
    """-node, folded into a literal."""
    if isinstance(node, Number):
        return Number(-node.value, node.places, node.digits, node.rounded)
    return Product((Number(Fraction(-1)), node))


def times(left: Node, right: Node) -> Node:
    """left * right, in one product."""
    items = left.items if isinstance(left, Product) else (left,)
    return Product((*items, right))
