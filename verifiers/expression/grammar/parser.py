"""Recursive-descent parser of answers: lists, relations, sets, sums, products. Atoms are in `atom_parser.py`.

answer   := item ((',' | ';' | 'and' | 'or') item)*
item     := union (relation union)*          relation: = != < <= > >= ~ in
union    := ratio (('union' | 'intersection' | 'difference') ratio)*
ratio    := sum (':' sum)*
sum      := ['+' | '-' | '+-'] product (('+' | '-' | '+-') product)*
product  := power (('*' | '/') power | power)*           juxtaposition multiplies
power    := atom postfix* ['^' exponent]
"""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.expression.grammar.unit_parser import UnitParser
from verifiers.expression.text.lexer import Unreadable, tokenize
from verifiers.expression.text.notation import standard_notation
from verifiers.expression.tree.node import (
    Call,
    Measure,
    NamedSet,
    Node,
    Number,
    Percent,
    PlusMinus,
    Product,
    Quotient,
    Ratio,
    Relation,
    Sequence,
    SetOperation,
    Sum,
    Symbol,
    negated,
    times,
)

_SEPARATORS = {",", ";", "and", "or"}
_RELATIONS = {"=", "!=", "<", "<=", ">", ">=", "~", "in"}
_SET_OPERATIONS = {"union", "intersection", "difference"}
_SUM_SIGNS = {"+", "-", "pm", "mp"}
_CLOCK = re.compile(r"\d{1,2}(?::[0-5]\d){1,2}[A-Za-z. ]*")


def parse_answer(text: str) -> Node:
    """The tree of one answer. Raises `Unreadable` (compare as words) or `LimitExceeded`."""
    return parse_notation(standard_notation(text))


def parse_notation(text: str) -> Node:
    """`parse_answer` of text already in standard notation."""
    tokens = tokenize(text)
    if not tokens:
        raise Unreadable("empty")
    return Parser(tokens).answer()


class Parser(UnitParser):
    """Levels above the atom."""

    def answer(self) -> Node:
        items, separated = self.items(())
        if self.position < len(self.tokens):
            raise Unreadable(f"unexpected {self.kind()!r}")
        if separated and self.disjunction and all(is_inequality(item) for item in items):
            return SetOperation("union", tuple(items))
        return Sequence("", tuple(items), self.disjunction) if separated else items[0]

    def items(self, closers: tuple[str, ...]) -> tuple[list[Node], bool]:
        """Items up to a closing token (not consumed), and whether a separator stood between or behind them."""
        items = [self.relation()]
        separated = False
        while self.kind() in _SEPARATORS:
            separated = True
            self.disjunction |= self.take().kind == "or"
            while self.kind() in ("and", "or"):  # ", and"
                self.take()
            if self.kind() in closers or self.kind() == "":
                break
            items.append(self.relation())
        return items, separated and len(items) > 1

    def relation(self) -> Node:
        """A chain of values with `=`, `<`, `in` and their like between them; a single value is itself."""
        start = self.position
        if self.kind() == "~":  # "about 3"
            self.take()
            return self.union()
        operands = [self.union()]
        operators: list[str] = []
        named = self.is_name(start, self.position)
        self.modulus(operands)
        while self.kind() in _RELATIONS:
            operators.append(self.take().kind)
            operands.append(self.union())
            self.modulus(operands)
        if not operators:
            return operands[0]
        return Relation(tuple(operands), tuple(operators), named)

    def modulus(self, operands: list[Node]) -> None:
        """`3 \\pmod 7`: the last operand is known up to a multiple of 7."""
        if self.kind() == ",":
            if self.kind(1) != "pmod":
                return
            self.take()
        if self.kind() == "pmod":
            self.take()
            modulus = self.argument()
            if not isinstance(modulus, (Number, Symbol)):
                raise Unreadable("a modulus is a number or a name")
            text = str(modulus.value) if isinstance(modulus, Number) else modulus.name
            operands[-1] = Measure(operands[-1], f"mod {text}")

    def is_name(self, start: int, end: int) -> bool:
        """True for tokens like `x`, `AB`, `f(x)`, `f'(x)`, `x_1`: what a result is called, not a value."""
        kinds = [token.kind for token in self.tokens[start:end]]
        if kinds == ["frac", "{", "name", "name", "}", "{", "name", "name", "}"]:  # dy/dx
            return self.tokens[start + 2].text == self.tokens[start + 6].text == "d"
        kinds = [
            k for i, k in enumerate(kinds) if k != "-" or kinds[max(0, i - 2) : i] != ["_", "{"]
        ]  # x_{-1}
        if not kinds or kinds[0] not in ("name", "word", "text", "constant", "("):
            return False
        if all(kind in ("name", "word", "text", "_", "{", "}", "number", "'") for kind in kinds):
            return "number" not in kinds or "_" in kinds
        if kinds[0] == "constant":
            return False
        if kinds[1:4] == ["^", "{", "-"] and kinds[4:6] == ["number", "}"]:  # f^{-1}(x)
            kinds = kinds[:1] + kinds[6:]
        if kinds[0] == "(" and kinds[-1] == ")":  # (x, y)
            return (
                len(kinds) >= 5
                and all(kind in ("name", "_", "number", ",") for kind in kinds[1:-1])
                and "," in kinds
            )
        body = [kind for kind in kinds[1:] if kind != "'"]
        return len(body) >= 3 and body[0] == "(" and body[-1] == ")" and "(" not in body[1:]

    def union(self) -> Node:
        """Ratios joined by set operations, from the left; `R - {2}` is a difference of sets."""
        left = self.ratio()
        while self.kind() in _SET_OPERATIONS:
            name = self.take().kind
            left = SetOperation(name, (left, self.ratio()))
        match left:
            case Sum((NamedSet() as whole, Product((Number(value), Sequence() as removed)))) if value == -1:
                return SetOperation("difference", (whole, removed))  # R - {2}
        return left

    def ratio(self) -> Node:
        """`a:b:c`; in a set-builder the colon ends the value instead."""
        start = self.position
        first = self.sum()
        if self.kind() != ":" or self.in_set:
            return first
        items = [first]
        while self.kind() == ":":
            self.take()
            items.append(self.sum())
        written = "".join(token.text for token in self.tokens[start : self.position])
        return Ratio(tuple(items), _CLOCK.fullmatch(written) is not None)

    def sum(self) -> Node:
        """Terms with `+`, `-`, `+-` or `-+` between them; dots behind a last number mark it as rounded."""
        items: list[Node] = []
        sign = self.take().kind if self.kind() in _SUM_SIGNS else "+"
        while True:
            term = self.product()
            if sign == "-":
                term = negated(term)
            elif sign in ("pm", "mp"):
                term = PlusMinus(term, 1 if sign == "pm" else -1)
            items.append(term)
            if self.kind() not in _SUM_SIGNS:
                break
            sign = self.take().kind
        if self.kind() == "dots" and isinstance(items[-1], Number):
            self.take()
            last = items[-1]
            items[-1] = Number(last.value, last.places, last.digits, rounded=True)
        return items[0] if len(items) == 1 else Sum(tuple(items))

    def product(self) -> Node:
        """Factors with or without a sign between them, then what stands behind a value: a unit, a fraction."""
        self.enter()
        result = self.signed_power()
        factors = 1
        while True:
            kind = self.kind()
            if kind == "*":
                self.take()
                result = times(result, self.signed_power())
            elif kind == "/":
                if self._unit_follows(self.position + 1) and isinstance(result, Measure):
                    self.take()
                    result = Measure(result.item, f"{result.unit}/{self.unit_words()}")
                    continue
                self.take()
                result = Quotient(result, self.signed_power())
            elif kind == "mod":
                self.take()
                result = Call("mod", (result, self.signed_power()))
            elif kind == "frac" and self.unit_fraction_follows() and not isinstance(result, Measure):
                result = Measure(result, self.unit_fraction())
            elif kind in ("word", "text", "unit") and factors:
                result = self.measure(result)
            elif kind == "currency" and not isinstance(result, Measure):
                result = Measure(result, self.take().text)
            elif self.starts_atom():
                if isinstance(result, Measure):
                    result = self.amount(result)
                    break
                result = self.juxtaposed(result)
            else:
                break
            factors += 1
        self.leave()
        return result

    def amount(self, first: Measure) -> Node:
        """`2 h 30 min`, `5 ft 6 in`: an amount in several units, of one dimension or not (that is asked later)."""
        if not isinstance(first.item, Number):
            raise Unreadable("a value after a unit")
        parts: list[Node] = [first]
        while self.kind() == "number" and len(parts) < 4:
            item = self.number()
            if self.kind() not in ("word", "text", "unit"):
                raise Unreadable("a value after a unit")
            parts.append(Measure(item, self.unit_words()))
        if len(parts) == 1:
            raise Unreadable("a value after a unit")
        return Sum(tuple(parts))

    def juxtaposed(self, left: Node) -> Node:
        """`2x`, `2\\frac{1}{2}` (a mixed number), `1 1/2`."""
        start = self.position
        number_next = self.kind() == "number"
        whole = isinstance(left, Number) and left.value.denominator == 1 and self.position >= 1
        if number_next:
            if self.tokens[start - 1].kind == "number":
                return self.mixed(left, whole)
            return times(left, self.power())
        is_fraction = self.kind() == "frac"
        right = self.power()
        if is_fraction and whole and isinstance(right, Percent):  # 33\\frac{1}{3}\\%
            return Percent(_mixed(left, right.item) or times(left, right.item))
        if is_fraction and whole and self.tokens[start - 1].kind == "number":
            return _mixed(left, right) or times(left, right)
        return times(left, right)

    def mixed(self, whole: Node, is_whole: bool) -> Node:
        """The `1/2` of `1 1/2`; anything else behind a number and a blank is not read."""
        kinds = [token.kind for token in self.tokens[self.position : self.position + 3]]
        if not is_whole or kinds != ["number", "/", "number"]:
            raise Unreadable("two numbers in a row")
        top, _, bottom = self.take(), self.take(), self.take()
        if not (top.text.isdecimal() and bottom.text.isdecimal() and 0 < int(top.text) < int(bottom.text)):
            raise Unreadable("not a mixed number")
        part = Quotient(Number(Fraction(int(top.text))), Number(Fraction(int(bottom.text))))
        return Sum((whole, part))

    def signed_power(self) -> Node:
        if self.kind() == "-":
            self.take()
            return negated(self.power())
        if self.kind() == "+":
            self.take()
        return self.power()


def _mixed(whole: Node, part: Node) -> Node | None:
    """`2\\frac{1}{2}` as a sum, where the fraction is one of two numbers and below 1."""
    match part:
        case Quotient(Number(top), Number(bottom)) if 0 < top < bottom:
            return Sum((whole, part))
    return None


def is_inequality(node: Node) -> bool:
    """A relation with `<`, `<=`, `>`, `>=` or `!=` anywhere in its chain."""
    return isinstance(node, Relation) and any(
        operator in ("<", "<=", ">", ">=", "!=") for operator in node.operators
    )
