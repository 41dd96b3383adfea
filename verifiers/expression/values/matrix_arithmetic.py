"""Sums, multiples, products, powers, transposes and determinants of matrices and vectors, under a budget."""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.tree.node import (
    Call,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Relation,
    Sequence,
    Sum,
    Symbol,
    contains,
    negated,
    size,
)
from verifiers.expression.tree.tree_map import map_children
from verifiers.expression.values.evaluation import NotExact, NoValue, exact
from verifiers.verifier import LimitExceeded

MAX_SIDE = 12
MAX_POWER = 64
MAX_SYMBOLIC_SIDE = 4  # of a determinant with variables: n! terms
MAX_CELL_NODES = 400
_ONE, _ZERO = Number(Fraction(1)), Number(Fraction(0))


class _NotMatrices(Exception):
    """The operation is not one of matrices."""


def computed(node: Node) -> Node:
    """The matrix, vector or scalar that arithmetic on matrices gives; any other tree as it is.

    Raises `LimitExceeded`. Example: `2\\begin{pmatrix}1\\\\2\\end{pmatrix}` is the column 2, 4.
    """
    if not isinstance(node, (Sum, Product, Quotient, Power, Call)) or not contains(node, (Matrix, Sequence)):
        return node
    try:
        return _value(node)
    except (_NotMatrices, NoValue):
        return node


def _value(node: Node) -> Node:
    match node:
        case Matrix(rows):
            if max(len(rows), len(rows[0])) > MAX_SIDE:
                raise LimitExceeded(f"a matrix with a side of more than {MAX_SIDE}")
            return node
        case Sequence(brackets, items):
            if brackets != "()" or len(items) < 2 or contains(node, Relation):
                raise _NotMatrices
            return _value(Matrix(tuple((item,) for item in items)))
        case Sum(items):
            return _sum([_value(item) for item in items])
        case Product(items):
            result = _value(items[0])
            for item in items[1:]:
                result = _product(result, _value(item))
            return result
        case Quotient(top, bottom):
            return _product(_value(top), Quotient(_ONE, _scalar(_value(bottom))))
        case Power(base, exponent):
            value = _value(base)
            return _power(value, exponent) if isinstance(value, Matrix) else Power(value, exponent)
        case Call(name, (argument,)) if name in ("det", "abs", "tr"):
            value = _value(argument)
            return _measured(name, value) if isinstance(value, Matrix) else Call(name, (value,))
        case _ if contains(node, (Matrix, Sequence)):
            return map_children(node, lambda child: _scalar(_value(child)))
        case _:
            return node


def _scalar(node: Node) -> Node:
    if isinstance(node, Matrix):
        raise _NotMatrices
    return node


def _cell(node: Node) -> Node:
    """A cell as a number where it is one. Raises `LimitExceeded` where it grows too large."""
    try:
        return Number(exact(node))
    except NotExact:
        pass
    if size(node) > MAX_CELL_NODES:
        raise LimitExceeded("a cell of a matrix with too many terms")
    return node


def _sum(values: list[Node]) -> Node:
    matrices = [value for value in values if isinstance(value, Matrix)]
    if not matrices:
        return Sum(tuple(values))
    shapes = {(len(matrix.rows), len(matrix.rows[0])) for matrix in matrices}
    if len(matrices) != len(values) or len(shapes) > 1:
        raise _NotMatrices
    rows = zip(*(matrix.rows for matrix in matrices), strict=True)
    return Matrix(tuple(tuple(_cell(Sum(cells)) for cells in zip(*row, strict=True)) for row in rows))


def _product(left: Node, right: Node) -> Node:
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        if len(left.rows[0]) != len(right.rows):
            raise _NotMatrices
        columns = list(zip(*right.rows, strict=True))
        return Matrix(tuple(tuple(_dot(row, column) for column in columns) for row in left.rows))
    if isinstance(left, Matrix):
        left, right = right, left
    if isinstance(right, Matrix):
        return Matrix(tuple(tuple(_cell(Product((left, cell))) for cell in row) for row in right.rows))
    return Product((left, right))


def _dot(row: tuple[Node, ...], column: tuple[Node, ...]) -> Node:
    return _cell(Sum(tuple(Product(pair) for pair in zip(row, column, strict=True))))


def _power(matrix: Matrix, exponent: Node) -> Node:
    if exponent in (Symbol("T"), Symbol("t"), Symbol("top")):
        return Matrix(tuple(zip(*matrix.rows, strict=True)))
    if not isinstance(exponent, Number) or exponent.value.denominator != 1:
        raise _NotMatrices
    count = int(exponent.value)
    if len(matrix.rows) != len(matrix.rows[0]):
        raise _NotMatrices
    if abs(count) > MAX_POWER:
        raise LimitExceeded(f"a power of a matrix above {MAX_POWER}")
    if count < 0:
        matrix, count = _inverse(matrix), -count
    side = range(len(matrix.rows))
    result: Node = Matrix(tuple(tuple(_ONE if i == j else _ZERO for j in side) for i in side))
    for _ in range(count):
        result = _product(result, matrix)
    return result


def _inverse(matrix: Matrix) -> Matrix:
    """By cofactors: at most `MAX_SYMBOLIC_SIDE` rows."""
    side = range(len(matrix.rows))
    if len(side) > MAX_SYMBOLIC_SIDE:
        raise LimitExceeded(f"the inverse of a matrix with more than {MAX_SYMBOLIC_SIDE} rows")
    divisor = _determinant(matrix.rows)
    if divisor == _ZERO:
        raise NoValue("a singular matrix")
    return Matrix(
        tuple(tuple(_cell(Quotient(_cofactor(matrix.rows, j, i), divisor)) for j in side) for i in side)
    )


def _cofactor(rows: tuple[tuple[Node, ...], ...], i: int, j: int) -> Node:
    rest = tuple(row[:j] + row[j + 1 :] for k, row in enumerate(rows) if k != i)
    value = _determinant(rest) if rest else _ONE
    return negated(value) if (i + j) % 2 else value


def _measured(name: str, matrix: Matrix) -> Node:
    """The determinant, the trace, or the length of a vector between bars."""
    rows = matrix.rows
    if name == "abs" and len(rows[0]) == 1:
        return Call("sqrt", (_cell(Sum(tuple(Power(row[0], Number(Fraction(2))) for row in rows))),))
    if len(rows) != len(rows[0]):
        raise _NotMatrices
    if name == "tr":
        return _cell(Sum(tuple(row[i] for i, row in enumerate(rows))))
    return _determinant(rows)


def _determinant(rows: tuple[tuple[Node, ...], ...]) -> Node:
    """Exactly by elimination, with variables by its first row."""
    try:
        return Number(_eliminated([[exact(cell) for cell in row] for row in rows]))
    except NotExact:
        pass
    if len(rows) > MAX_SYMBOLIC_SIDE:
        raise LimitExceeded(f"a determinant with variables and more than {MAX_SYMBOLIC_SIDE} rows")
    if len(rows) == 1:
        return rows[0][0]
    return _cell(
        Sum(tuple(Product((cell, _cofactor(rows, 0, column))) for column, cell in enumerate(rows[0])))
    )


def _eliminated(rows: list[list[Fraction]]) -> Fraction:
    result = Fraction(1)
    for column in range(len(rows)):
        pivot = next((i for i in range(column, len(rows)) if rows[i][column]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != column:
            rows[pivot], rows[column] = rows[column], rows[pivot]
            result = -result
        result *= rows[column][column]
        for i in range(column + 1, len(rows)):
            factor = rows[i][column] / rows[column][column]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return result
