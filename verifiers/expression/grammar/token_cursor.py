"""The tokens under a parser's hand, and the budget of its depth."""

from __future__ import annotations

from abc import abstractmethod

from verifiers.expression.text.lexer import MAX_NESTING, Token, Unreadable
from verifiers.expression.tree.node import Node
from verifiers.verifier import LimitExceeded

_ATOM_STARTS = {
    "number", "name", "constant", "function", "(", "[", "{", "\\{", "frac", "binom", "lfloor", "lceil", "begin",
    "set", "langle", "currency", "repeated",
    "integral", "limit",
}  # fmt: skip
_MAX_DEPTH = 60


class TokenCursor:
    """Token access; every level of the grammar stands on it."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0
        self.brackets = 0
        self.disjunction = False
        self.expanded = 0  # parts of written-out sums
        self.in_set = False  # in \\{x : ...\\}, before the colon

    @abstractmethod
    def items(self, closers: tuple[str, ...]) -> tuple[list[Node], bool]: ...

    @abstractmethod
    def sum(self) -> Node: ...

    @abstractmethod
    def product(self) -> Node: ...

    @abstractmethod
    def signed_power(self) -> Node: ...

    @abstractmethod
    def power(self) -> Node: ...

    @abstractmethod
    def atom(self) -> Node: ...

    @abstractmethod
    def exponent(self) -> Node: ...

    def kind(self, ahead: int = 0) -> str:
        """Kind of a coming token; empty at the end."""
        position = self.position + ahead
        return self.tokens[position].kind if position < len(self.tokens) else ""

    def take(self) -> Token:
        """The token under the hand, which moves on."""
        token = self.tokens[self.position]
        self.position += 1
        return token

    def expect(self, kind: str) -> None:
        """Move past a token of this kind. Raises `Unreadable` where another stands."""
        if self.kind() != kind:
            raise Unreadable(f"{kind!r} expected")
        self.position += 1

    def enter(self) -> None:
        """One level deeper; raises `LimitExceeded` where that is too deep. `leave` on every way out that returns."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise LimitExceeded(f"nested deeper than {MAX_NESTING}")

    def leave(self) -> None:
        self.depth -= 1

    def starts_atom(self) -> bool:
        """A bar starts one unless another is open, which it then closes."""
        kind = self.kind()
        return kind in _ATOM_STARTS or (kind == "|" and not self.bars)
