"""Brackets of the answer grammar: groups, tuples, sets, intervals, bars, matrices."""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.grammar.token_cursor import TokenCursor
from verifiers.expression.text.lexer import Token, Unreadable
from verifiers.expression.tree.node import Call, Matrix, NamedSet, Node, Number, Quotient, Sequence

_MATRICES = {"matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "smallmatrix", "array", "cases", "aligned"}


class BracketParser(TokenCursor):
    """What stands between two brackets."""

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
        if self.kind() in ("choose", "over") and not separated:
            operation = self.take().kind
            lower = self.sum()
            items = [
                Call("binomial", (items[0], lower)) if operation == "choose" else Quotient(items[0], lower)
            ]
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
        """`|x|`; while a bar is open, the next one closes it."""
        self.take()
        self.bars += 1
        inner = self.sum()
        self.bars -= 1
        self.expect("|")
        return Call("abs", (inner,))

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
            return Call("det", (Matrix(tuple(filled)),))
        return Matrix(tuple(filled))


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
