"""Atoms of the answer grammar: numbers, names, words, powers and postfixes."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from verifiers.expression.grammar.function_parser import FunctionParser
from verifiers.expression.text.lexer import Unreadable
from verifiers.expression.tree.node import (
    Call,
    Constant,
    Measure,
    NamedSet,
    Node,
    Number,
    Percent,
    Power,
    Quotient,
    Symbol,
    Words,
    negated,
)
from verifiers.verifier import LimitExceeded

_GROUPED = re.compile(r"\d{1,3}")
_THREE = re.compile(r"\d{3}(?:\.\d+)?")
_CURRENCY_CODES = {"USD", "EUR", "GBP", "RMB", "CNY", "Rs"}
_BASE_NAMES = {
    word: str(base)
    for base, word in enumerate("two three four five six seven eight nine ten".split(), start=2)
} | {"twelve": "12", "sixteen": "16"}
_BASES = {str(base) for base in range(2, 37)}
_LEAVES: dict[str, Callable[[str], Node]] = {"name": Symbol, "constant": Constant, "set": NamedSet}


class AtomParser(FunctionParser):
    """Powers, postfixes and atoms; the levels above are in `Parser`."""

    # --- powers and postfixes ---------------------------------------------------------------------------

    def power(self) -> Node:
        """An atom with its postfixes and powers, from the left, degrees among them; exponents go from the right."""
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
        """What stands behind `^`: signed, and itself with powers (`2^-3^2`)."""
        self.enter()
        if self.kind() == "-":
            self.take()
            result = negated(self.exponent())
        elif self.kind() == "+":
            self.take()
            result = self.exponent()
        else:
            bare = self.kind() == "number" and self.kind(1) == "_"  # x^2_1 is x_1^2
            result = self.atom() if bare else self.postfix(self.atom())
            if self.kind() == "^" and self.kind(1) not in ("degree",):
                self.take()
                result = Power(result, self.exponent())
        self.leave()
        return result

    def postfix(self, base: Node) -> Node:
        """Factorials, percent signs, primes and subscripts behind a value."""
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
        if isinstance(base, Power) and isinstance(base.base, Symbol):  # x^2_1
            return Power(Symbol(f"{base.base.name}_{text}"), base.exponent)
        if isinstance(base, Number) and (text in _BASES or text in _BASE_NAMES):
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
        if kind in _LEAVES:
            return _LEAVES[kind](self.take().text)
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
        if kind in ("repeated", "integral", "limit"):
            return {"repeated": self.repeated, "integral": self.integral, "limit": self.limit}[kind]()
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
        """A run of words: an answer in text. A value behind it is not read, but for money (`USD 5`)."""
        if self.kind(1) == "number" and self.tokens[self.position].text in _CURRENCY_CODES:
            code = self.take().text.lower()
            return Measure(self.number(), code)
        words = []
        while self.kind() in ("text", "word", "unit", "name"):
            words.append(self.take().text)
        if self.starts_atom():
            raise Unreadable("a value after words")
        return Words(" ".join(" ".join(words).split()).casefold().strip(" ."))

    def number(self) -> Node:
        """A literal with grouped thousands, decimals and exponent. Raises `LimitExceeded` past 10 to the 2,000."""
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
        value = Fraction(int(digits or "0"), 10 ** len(decimals))
        if exponent:
            value *= Fraction(10) ** exponent
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
