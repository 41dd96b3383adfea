"""Lists, tuples and matrices brought to one form for comparison."""

from __future__ import annotations

import re

from verifiers.expression.tree.node import Matrix, Node, Relation, Sequence


def as_sequence(node: Node) -> Sequence | None:
    """A matrix of one row or column as a tuple, another as a list of rows; None for what is neither list nor matrix."""
    if isinstance(node, Sequence):
        return node
    if isinstance(node, Matrix):
        rows, columns = shape(node)
        if columns == 1:
            return Sequence("()", tuple(row[0] for row in node.rows))
        if rows == 1:
            return Sequence("()", node.rows[0])
        return Sequence("[]", tuple(Sequence("[]", row) for row in node.rows))
    return None


def shape(matrix: Matrix) -> tuple[int, int]:
    """Rows, columns."""
    return len(matrix.rows), len(matrix.rows[0])


def inequalities(sequence: Sequence) -> bool:
    """Whether every item is a relation that says more than a value (`x > 2`, not `x = 2`)."""
    return all(isinstance(i, Relation) and not set(i.operators) <= {"=", "~", "in"} for i in sequence.items)


def without_names(a: Sequence, b: Sequence) -> tuple[Sequence, Sequence]:
    """`x = 1, x = 2` as `1, 2`; `x = 1, y = 2` as `(1, 2)`, so that a list of values is in this order."""
    stripped_a, names_a = _strip(a)
    stripped_b, names_b = _strip(b)
    if _roots(names_a, names_b) or _roots(names_b, names_a):
        return stripped_a, stripped_b
    if bool(names_a) == bool(names_b) and not (len(set(names_a)) == 1 and len(set(names_b)) == 1):
        return a, b
    if len(set(names_a)) > 1:
        listed = b.brackets == "" and len(_bases(names_a)) == 1  # x_1 = 1, x_2 = 4: roots, in any order
        stripped_a = Sequence("" if listed else "()", stripped_a.items, a.either)
    if len(set(names_b)) > 1:
        stripped_b = Sequence("()", stripped_b.items, b.either)
    return stripped_a, stripped_b


def _roots(indexed: list[str], plain: list[str]) -> bool:
    """`x_1 = 1, x_2 = 4` beside `x = 1, x = 4`."""
    if len(set(indexed)) < 2 or len(set(plain)) != 1:
        return False
    return _bases(indexed) == set(plain)


def _bases(names: list[str]) -> set[str]:
    return {re.sub(r"_\d+(?='|$|\W)", "", name) for name in names}


def _strip(sequence: Sequence) -> tuple[Sequence, list[str]]:
    names: list[str] = []
    items: list[Node] = []
    for position, item in enumerate(sequence.items):
        is_equation = isinstance(item, Relation) and item.named and item.operators == ("=",)
        if isinstance(item, Relation) and is_equation:
            names.append(str(item.operands[0]))
            items.append(item.operands[1])
        elif position and names and not isinstance(item, Relation):
            items.append(item)
        else:
            return sequence, []
    return Sequence(sequence.brackets, tuple(items), sequence.either), names


def ordered(a: Sequence, b: Sequence) -> bool | None:
    """True: compare in order; False: in any order; None: these brackets cannot mean the same."""
    wanted, found, count = a.brackets, b.brackets, len(a.items)
    if (a.either or b.either) and not {wanted, found} <= {"", "{}"}:
        return None  # 2 or 3 for (2, 3)
    if wanted == found:
        return wanted not in ("", "{}")
    pair = {wanted, found}
    if pair == {"", "{}"}:
        return False
    if "" in pair:  # a bare list for a tuple or a list in brackets
        half_open = pair & {"[)", "(]"}
        interval = wanted == "[]" and count == 2
        return None if half_open or interval else True
    if pair == {"()", "[]"} and count > 2:
        return True
    return None
