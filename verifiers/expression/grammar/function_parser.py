"""Functions of the answer grammar: `\\sin^2 2x`, `\\log_2 8`, `\\sqrt[3]{x}`, `max(1, 2)`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from verifiers.expression.grammar.bracket_parser import BracketParser
from verifiers.expression.text.lexer import Token, Unreadable
from verifiers.expression.tree.node import (
    Call,
    Constant,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Sequence,
    Sum,
    Symbol,
    children,
    negated,
    size,
)
from verifiers.expression.tree.tree_map import replaced
from verifiers.verifier import LimitExceeded

# As Python writes them: Interval(0, 1), FiniteSet(1, 2), Matrix([[1, 2], [3, 4]])
_CONSTRUCTORS: dict[str, Callable[[list[Node]], Node]] = {
    "interval": lambda items: Sequence("[]", tuple(items)),
    "finite_set": lambda items: Sequence("{}", tuple(items)),
    "matrix": lambda items: _matrix(items[0]) if len(items) == 1 else Sequence("", tuple(items)),
}
MAX_TERMS = 100
MAX_EXPANDED = 3_000  # parts of all sums together, written out
_INVERSE = {
    "sin": "asin",
    "cos": "acos",
    "tan": "atan",
    "cot": "acot",
    "sinh": "asinh",
    "cosh": "acosh",
    "tanh": "atanh",
}


def _matrix(rows: Node) -> Node:
    """`[[1, 2], [3, 4]]` as a matrix, `[1, 2]` as a column."""
    if not isinstance(rows, Sequence):
        return rows
    cells = tuple(row.items if isinstance(row, Sequence) else (row,) for row in rows.items)
    return Matrix(cells) if len({len(row) for row in cells}) == 1 else rows


def _is_whole(node: Node) -> bool:
    return isinstance(node, Number) and node.value.denominator == 1


class FunctionParser(BracketParser):
    """A function's name, its power and base, and its arguments."""

    def function(self) -> Node:
        """`sin^2 x`, `log_2 8`, `sin^{-1} x`, `\\sqrt[3]{x}`: power and base stand before the arguments."""
        name = self.take().text
        if name == "sqrt" and self.kind() == "[":
            return self.root()
        power: Node | None = None
        base: Node | None = None
        while self.kind() in ("^", "_"):
            if self.take().kind == "^":
                power = self.exponent()
            else:
                base = self.argument()
        arguments = self.function_arguments(name)
        if base is not None:
            if name != "log" or len(arguments) != 1:
                raise Unreadable(f"a subscript on {name}")
            arguments = [arguments[0], base]
        if name in _CONSTRUCTORS:
            return _CONSTRUCTORS[name](arguments)
        if name == "rational" and len(arguments) == 2:
            return Quotient(arguments[0], arguments[1])
        if power is None:
            return Call(name, tuple(arguments))
        if power == Number(Fraction(-1)) and name in _INVERSE:
            return Call(_INVERSE[name], tuple(arguments))
        return Power(Call(name, tuple(arguments)), power)

    def repeated(self) -> Node:
        """`\\sum_{k=1}^{4} k^2` and `\\prod`, written out term by term."""
        kind = self.take().text
        last = None
        if self.kind() == "^":  # the upper bound may stand first
            self.take()
            last = self.argument()
        self.expect("_")
        self.expect("{")
        index = self._leaf()
        self.expect("=")
        first = self.sum()
        self.expect("}")
        if last is None:
            self.expect("^")
            last = self.exponent()
        body = self.product()
        if index is None:
            raise Unreadable("a sum without an index")
        if not (_is_whole(first) and _is_whole(last)):
            return Call(f"{kind} of terms", (index, first, last, body))
        assert isinstance(first, Number) and isinstance(last, Number)
        if last.value - first.value >= MAX_TERMS:
            raise LimitExceeded(f"a sum of more than {MAX_TERMS} terms")
        self.expanded += (int(last.value) - int(first.value) + 1) * size(body)
        if self.expanded > MAX_EXPANDED:
            raise LimitExceeded(f"sums of more than {MAX_EXPANDED} parts")
        indices = range(int(first.value), int(last.value) + 1)
        terms = tuple(replaced(body, index, Number(Fraction(value))) for value in indices)
        if not terms:
            return Number(Fraction(int(kind == "product")))
        return Sum(terms) if kind == "sum" else Product(terms)

    def integral(self) -> Node:
        """`\\int_0^3 x \\, dx`, `\\int \\frac{dt}{t}`: kept as it is written, for comparison with another one."""
        self.take()
        bounds: dict[str, Node] = {}
        while self.kind() in ("_", "^"):
            side = self.take().kind
            if self.kind() == "{" and self.kind(1) == "}":
                self.position += 2
                continue
            bounds[side] = self.argument() if side == "_" else self.exponent()
        variable = self._differential()
        integrand: Node = Number(Fraction(1)) if self.kind() == "differential" else self.sum()
        if self.kind() == "differential":
            self.take()
        return Call("integral", (*(bounds[side] for side in sorted(bounds)), integrand, Symbol(variable)))

    def _differential(self) -> str:
        """The x of the next `dx`; its two tokens become one at the end of the integrand, or go out of a numerator."""
        for position in range(self.position, len(self.tokens) - 1):
            one, two = self.tokens[position], self.tokens[position + 1]
            if one.text != "d" or one.kind != "name" or two.kind != "name":
                continue
            before = self.tokens[position - 1].kind
            behind = self.tokens[position + 2].kind if position + 2 < len(self.tokens) else ""
            if behind == "}":  # \\frac{dt}{t}
                self.tokens[position : position + 2] = [Token("number", "1")] if before == "{" else []
            else:
                self.tokens[position : position + 2] = [Token("differential", two.text)]
            return two.text
        raise Unreadable("an integral without a differential")

    def limit(self) -> Node:
        """`\\lim_{x \\to 0} f(x)`: kept as it is written."""
        self.take()
        self.expect("_")
        self.expect("{")
        name = self._leaf()
        self.expect("=")
        target = self.sum()
        self.expect("}")
        if name is None:
            raise Unreadable("a limit without a variable")
        return Call("limit", (name, target, self.product()))

    def _leaf(self) -> Node | None:
        """The index of a sum; an `i` is no imaginary unit there."""
        kind = self.kind()
        if kind not in ("name", "constant"):
            return None
        return Symbol(self.take().text) if kind == "name" else Constant(self.take().text)

    def root(self) -> Node:
        """`\\sqrt[n]{x}`."""
        self.take()
        degree = self.sum()
        self.expect("]")
        return Call("root", (self.argument(), degree))

    def function_arguments(self, name: str) -> list[Node]:
        """In brackets, in braces, or side by side (`sin 2x`)."""
        if self.kind() == "(":
            self.take()
            bars, self.bars = self.bars, 0
            self.brackets += 1
            items, _ = self.items((")",))
            self.brackets -= 1
            self.bars = bars
            self.expect(")")
            return items
        if name in ("min", "max", "gcd", "lcm") and self.kind() == "\\{":
            return list(children(self.atom()))
        if name in ("sqrt", "cbrt", "fourthroot"):
            return [self.argument()]
        if self.kind() == "{":
            return [self.group()]
        return [self.juxtaposed_argument()]

    def juxtaposed_argument(self) -> Node:
        """`sin 2x`: factors side by side, up to a sign, an operator or another function."""
        if self.kind() == "-":
            self.take()
            return negated(self.juxtaposed_argument())
        self.enter()
        if self.kind() == "function":
            result: Node = self.power()
        else:
            factors = [self.power()]
            while self.starts_atom() and self.kind() not in ("function", "(", "number"):
                factors.append(self.power())
            result = factors[0] if len(factors) == 1 else Product(tuple(factors))
        self.leave()
        return result
