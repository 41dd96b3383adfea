"""Functions of the answer grammar: `\\sin^2 2x`, `\\log_2 8`, `\\sqrt[3]{x}`, `max(1, 2)`."""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.bracket_parser import BracketParser
from verifiers.expression.lexer import Unreadable
from verifiers.expression.node import Call, Node, Number, Power, Product, Quotient, negated

_INVERSE = {
    "sin": "asin",
    "cos": "acos",
    "tan": "atan",
    "cot": "acot",
    "sinh": "asinh",
    "cosh": "acosh",
    "tanh": "atanh",
}


class FunctionParser(BracketParser):
    """A function's name, its power and base, and its arguments."""

    def function(self) -> Node:
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
        if name == "rational" and len(arguments) == 2:
            return Quotient(arguments[0], arguments[1])
        if power is None:
            return Call(name, tuple(arguments))
        if power == Number(Fraction(-1)) and name in _INVERSE:
            return Call(_INVERSE[name], tuple(arguments))
        return Power(Call(name, tuple(arguments)), power)

    def root(self) -> Node:
        """`\\sqrt[n]{x}`."""
        self.take()
        degree = self.sum()
        self.expect("]")
        return Call("root", (self.argument(), degree))

    def function_arguments(self, name: str) -> list[Node]:
        if self.kind() == "(":
            self.take()
            bars, self.bars = self.bars, 0
            self.brackets += 1
            items, _ = self.items((")",))
            self.brackets -= 1
            self.bars = bars
            self.expect(")")
            return items
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
