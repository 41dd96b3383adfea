"""Atoms of the answer grammar: numbers, names, brackets, functions, fractions, roots, matrices."""

from __future__ import annotations

import re
from abc import abstractmethod
from fractions import Fraction

from verifiers.expression.lexer import MAX_NESTING, Token, Unreadable
from verifiers.expression.node import (
    Call,
    Constant,
    Matrix,
    Measure,
    NamedSet,
    Node,
    Number,
    Percent,
    Power,
    Product,
    Quotient,
    Sequence,
    Symbol,
    Words,
    negated,
)
from verifiers.verifier import LimitExceeded

_ATOM_STARTS = {
    "number", "name", "constant", "function", "(", "[", "{", "\\{", "frac", "binom", "lfloor", "lceil", "begin",
    "set", "langle", "currency",
}  # fmt: skip
_MATRICES = {"matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "smallmatrix", "array", "cases", "aligned"}
_MAX_DEPTH = 60
_INVERSE = {
    "sin": "asin",
    "cos": "acos",
    "tan": "atan",
    "cot": "acot",
    "sinh": "asinh",
    "cosh": "acosh",
    "tanh": "atanh",
}
_GROUPED = re.compile(r"\d{1,3}")
_THREE = re.compile(r"\d{3}(?:\.\d+)?")


class AtomParser:
    """Token access and atoms; the levels above are in `Parser`."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0
        self.brackets = 0
        self.disjunction = False
        self.in_set = False  # in \\{x : ...\\}, before the colon

    @abstractmethod
    def items(self, closers: tuple[str, ...]) -> tuple[list[Node], bool]: ...

    @abstractmethod
    def sum(self) -> Node: ...

    @abstractmethod
    def signed_power(self) -> Node: ...

    # --- tokens -----------------------------------------------------------------------------------------

    def kind(self, ahead: int = 0) -> str:
        """Kind of a coming token; empty at the end."""
        position = self.position + ahead
        return self.tokens[position].kind if position < len(self.tokens) else ""

    def take(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def expect(self, kind: str) -> None:
        if self.kind() != kind:
            raise Unreadable(f"{kind!r} expected")
        self.position += 1

    def enter(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise LimitExceeded(f"nested deeper than {MAX_NESTING}")

    def leave(self) -> None:
        self.depth -= 1

    def starts_atom(self) -> bool:
        kind = self.kind()
        return kind in _ATOM_STARTS or (kind == "|" and not self.bars)

    # --- powers and postfixes ---------------------------------------------------------------------------

    def power(self) -> Node:
        base = self.postfix(self.atom())
        while self.kind() == "^":
            if self.kind(1) == "degree" or (self.kind(1) == "{" and self.kind(2) == "degree"):
                base = self.degrees(base)
                continue
            self.take()
            if self.kind() == "'":
                continue
            base = Power(base, self.exponent())
            base = self.postfix(base)
        if self.kind() == "degree":
            self.take()
            base = Measure(base, "degrees")
        return base

    def degrees(self, base: Node) -> Node:
        """`90^\\circ`, `90^{\\circ}`, `20^\\circ C`."""
        self.take()
        braces = self.kind() == "{"
        if braces:
            self.take()
        self.take()
        if braces:
            self.expect("}")
        if self.kind() in ("name", "unit", "text") and self.tokens[self.position].text in ("C", "F"):
            return Measure(base, "degrees " + self.take().text)
        return Measure(base, "degrees")

    def exponent(self) -> Node:
        self.enter()
        if self.kind() == "-":
            self.take()
            result = negated(self.exponent())
        elif self.kind() == "+":
            self.take()
            result = self.exponent()
        else:
            result = self.postfix(self.atom())
            if self.kind() == "^" and self.kind(1) not in ("degree",):
                self.take()
                result = Power(result, self.exponent())
        self.leave()
        return result

    def postfix(self, base: Node) -> Node:
        while True:
            kind = self.kind()
            if kind == "!":
                self.take()
                if self.kind() == "!":
                    self.take()
                    base = Call("factorial2", (base,))
                else:
                    base = Call("factorial", (base,))
            elif kind == "%":
                self.take()
                base = Percent(base)
            elif kind == "'" and isinstance(base, Symbol):
                self.take()
                base = Symbol(base.name + "'")
            elif kind == "_":
                base = self.subscript(base)
            else:
                return base

    def subscript(self, base: Node) -> Node:
        """`x_1` is a name; `101_2` is a numeral in base 2."""
        self.take()
        if self.kind() == "{":
            self.take()
            words = []
            while self.kind() not in ("}", ""):
                words.append(self.take().text)
            self.expect("}")
            text = "".join(words)
        elif self.kind() in ("number", "name", "constant", "text", "word", "unit"):
            text = self.take().text
        else:
            raise Unreadable("a subscript is missing")
        if isinstance(base, Symbol):
            return Symbol(f"{base.name}_{text}")
        if isinstance(base, Number) and (text.isdecimal() or text in _BASE_NAMES):
            return Measure(base, f"base {_BASE_NAMES.get(text, text)}")
        raise Unreadable("a subscript on a value")

    # --- atoms ------------------------------------------------------------------------------------------

    def atom(self) -> Node:
        self.enter()
        result = self._atom()
        self.leave()
        return result

    def _atom(self) -> Node:
        kind = self.kind()
        if kind == "number":
            return self.number()
        if kind == "name":
            return Symbol(self.take().text)
        if kind == "constant":
            return Constant(self.take().text)
        if kind == "function":
            return self.function()
        if kind in ("(", "[", "\\{", "langle"):
            return self.bracketed()
        if kind == "{":
            return self.group()
        if kind == "|":
            return self.absolute()
        if kind == "frac":
            self.take()
            return Quotient(self.argument(), self.argument())
        if kind == "binom":
            self.take()
            return Call("binomial", (self.argument(), self.argument()))
        if kind in ("lfloor", "lceil"):
            self.take()
            inner = self.sum()
            self.expect("rfloor" if kind == "lfloor" else "rceil")
            return Call("floor" if kind == "lfloor" else "ceil", (inner,))
        if kind == "begin":
            return self.matrix()
        if kind == "set":
            return NamedSet(self.take().text)
        if kind == "currency":
            return Measure(self._after_currency(), self.tokens[self.position - 2].text)
        if kind in ("text", "word", "unit"):
            return self.words()
        raise Unreadable(f"unexpected {kind or 'end'!r}")

    def _after_currency(self) -> Node:
        self.take()
        if self.kind() != "number":
            raise Unreadable("a currency sign without an amount")
        return self.number()

    def words(self) -> Node:
        """A run of words: an answer in text. A value behind it is not read."""
        words = []
        while self.kind() in ("text", "word", "unit", "name"):
            words.append(self.take().text)
        if self.starts_atom():
            raise Unreadable("a value after words")
        return Words(" ".join(" ".join(words).split()).casefold().strip(" ."))

    def number(self) -> Node:
        text = self.take().text
        mantissa, _, power = text.lower().partition("e")
        whole, _, decimals = mantissa.partition(".")
        while not decimals and not power and self._thousands_follow(whole):
            self.take()
            group = self.take().text
            more, _, decimals = group.partition(".")
            whole += more
        digits = whole + decimals
        exponent = int(power or 0)
        if abs(exponent) > 2_000:
            raise LimitExceeded(f"a number with exponent {exponent}")
        value = Fraction(int(digits or "0"), 10 ** len(decimals)) * Fraction(10) ** exponent
        significant = digits.lstrip("0")
        number = Number(value, len(decimals), max(1, len(significant)))
        if decimals and self.kind() == "dots":
            self.take()
            return Number(number.value, number.places, number.digits, rounded=True)
        if decimals and self.kind() == "function":
            return number
        return number

    def _thousands_follow(self, whole: str) -> bool:
        """True before `,234`, or ` 234` with a blank, when `whole` can start a grouped number; not inside brackets."""
        if not _GROUPED.fullmatch(whole[-3:]) or whole.startswith("0"):
            return False
        first = self.tokens[self.position - 1]
        if not _GROUPED.fullmatch(first.text) or (len(whole) > 3 and len(first.text) != 3):
            return False
        if self.kind() == "," and self.kind(1) == "number" and not self.brackets:
            after = self.tokens[self.position + 1]
            comma = self.tokens[self.position]
            return not after.spaced and not comma.spaced and bool(_THREE.fullmatch(after.text))
        return False

    def argument(self) -> Node:
        """What follows `\\frac` or `\\sqrt`: a group, or one digit or letter (`\\frac12`, `\\sqrt3`)."""
        if self.kind() == "{":
            return self.group()
        if self.kind() == "number":
            token = self.tokens[self.position]
            if len(token.text) > 1 and token.text.isdecimal():
                self.tokens[self.position] = Token("number", token.text[1:], spaced=False)
                return Number(Fraction(int(token.text[0])))
        return self.postfix_free_atom()

    def postfix_free_atom(self) -> Node:
        if not (self.starts_atom() or self.kind() in ("function",)):
            raise Unreadable("an argument is missing")
        return self.atom()

    def group(self) -> Node:
        """A LaTeX `{...}`: grouping only; a list in it is a bare list."""
        self.expect("{")
        if self.kind() == "}":
            self.take()
            raise Unreadable("an empty group")
        bars, self.bars = self.bars, 0
        items, separated = self.items(("}",))
        self.bars = bars
        self.expect("}")
        return Sequence("", tuple(items)) if separated else items[0]

    def bracketed(self) -> Node:
        """`(…)`, `[…]`, `\\{…\\}`, `⟨…⟩`, and half-open intervals with any pair of round and square brackets."""
        opening = self.take().kind
        closers = {"\\{": ("\\}", "}"), "langle": ("rangle",)}.get(opening, (")", "]"))
        if self.kind() in closers and opening == "\\{":
            self.take()
            return NamedSet("empty")
        bars, self.bars = self.bars, int(opening == "\\{")
        in_set, self.in_set = self.in_set, opening == "\\{"
        self.brackets += 1
        items, separated = self.items(closers)
        self.bars, self.in_set = 0, in_set
        if opening == "\\{" and not separated and self.kind() in ("|", ":"):
            self.take()
            items, _ = self.items(closers)  # a set given by its condition
            separated = False
            condition = items[0] if len(items) == 1 else Sequence("", tuple(items))
            self.brackets -= 1
            self.bars = bars
            self._close(closers)
            return condition
        self.brackets -= 1
        self.bars = bars
        closing = self._close(closers)
        return _bracketed(opening, closing, items, separated)

    def _close(self, closers: tuple[str, ...]) -> str:
        if self.kind() not in closers:
            raise Unreadable("a bracket is not closed")
        return self.take().kind

    def absolute(self) -> Node:
        self.take()
        self.bars += 1
        inner = self.sum()
        self.bars -= 1
        self.expect("|")
        return Call("abs", (inner,))

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

    def matrix(self) -> Node:
        """`\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}`."""
        name = self.take().text
        if name not in _MATRICES:
            raise Unreadable(f"environment {name}")
        if name == "array" and self.kind() == "{":
            while self.kind() not in ("}", ""):
                self.take()
            self.expect("}")
        brackets, self.brackets = self.brackets + 1, 0
        rows: list[list[Node]] = [[]]
        while self.kind() != "end":
            if self.kind() == "newrow":
                self.take()
                rows.append([])
            elif self.kind() == "&":
                self.take()
            elif self.kind() == "":
                raise Unreadable("a matrix is not closed")
            else:
                items, _ = self.items(("&", "newrow", "end"))
                rows[-1].extend(items)
        self.brackets = brackets - 1
        if self.take().text != name:
            raise Unreadable("environments do not match")
        filled = [tuple(row) for row in rows if row]
        if not filled or any(len(row) != len(filled[0]) for row in filled):
            raise Unreadable("rows of unequal length")
        if name in ("cases", "aligned"):
            return Sequence("", tuple(cell for row in filled for cell in row))
        if name == "vmatrix":
            raise Unreadable("a determinant")
        return Matrix(tuple(filled))


_BASE_NAMES = {"two": "2", "three": "3", "eight": "8", "ten": "10", "sixteen": "16"}


def _bracketed(opening: str, closing: str, items: list[Node], separated: bool) -> Node:
    if opening == "\\{":
        return Sequence("{}", tuple(items))
    if opening == "langle":
        return Sequence("()", tuple(items))
    if opening == "(" and closing == ")" and not separated:
        return items[0]
    if not separated and opening == "[" and closing == "]":
        inner = items[0]
        if isinstance(inner, Sequence) and inner.brackets == "[]":
            return Sequence("[]", (inner,))
        return Sequence("[]", tuple(items)) if isinstance(inner, (Sequence, Number)) else inner
    if not separated or (
        len(items) != 2 and {opening, closing} != {"(", ")"} and {opening, closing} != {"[", "]"}
    ):
        raise Unreadable("brackets do not match")
    left = "[" if opening == "[" else "("
    right = "]" if closing == "]" else ")"
    return Sequence(left + right, tuple(items))
