"""Number puzzles: countdown, game of 24, sorting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from verifiers.expression.grammar.parser import parse_answer
from verifiers.expression.text.lexer import Unreadable
from verifiers.expression.tree.node import Node, Number, Product, Quotient, Relation, Sum, children
from verifiers.expression.values.evaluation import NotExact, NoValue, exact
from verifiers.puzzles.answer_text import without_bullets
from verifiers.puzzles.protocol import Puzzle, integers, need, refuse
from verifiers.verifier import LimitExceeded

MAX_EXPRESSION_CHARS = 500
_BETWEEN_ITEMS = re.compile(r"\s?(?:->|→|[<>≤≥]=?|\n)\s?|,\s?and\s")


class Countdown(Puzzle):
    """`{"type": "countdown", "numbers": [3, 7, 25], "target": 46, "use_all": false}`.

    An answer is an expression of + - * / and brackets over the given numbers, each used at most as often as it is given
    (`use_all`: exactly); `= target` may follow, also by steps of that value. Powers, factorials, decimals and other
    numbers are refused.
    """

    name = "countdown"
    use_all = False

    def __init__(self, spec: Mapping[str, Any]) -> None:
        numbers, target = need(spec, "numbers target", "use_all")
        whole = (
            isinstance(numbers, (list, tuple))
            and numbers
            and all(type(n) is int and 0 <= n < 10**9 for n in numbers)
        )
        if not whole or type(target) is not int:
            raise refuse(spec, "numbers is a list of whole numbers and target a whole number")
        self.numbers, self.target = Counter(numbers), Fraction(target)
        self.all_needed = bool(spec.get("use_all", self.use_all))
        self._solution = spec.get("solution")
        if self._solution and (problem := self.check(str(self._solution))):
            raise refuse(spec, f"its solution is wrong: {problem}")

    def check(self, text: str) -> str | None:
        """None where the expression has the target's value and uses the numbers as often as they are given; else what
        is wrong. Sides of an equation must all be equal."""
        if len(text) > MAX_EXPRESSION_CHARS:
            return "the expression is too long"
        try:
            node: Node = parse_answer(text)
            if isinstance(node, Relation) and set(node.operators) == {"="}:
                node, *equal = node.operands
                if node == Number(self.target) and len(equal) == 1 and node.value not in self.numbers:
                    node, equal = equal[0], [node]
                if any(exact(other) != self.target for other in equal):
                    return f"a side is not {self.target}"
            used = self._used(node)
            if isinstance(used, str):
                return used
            value = exact(node)
        except (Unreadable, LimitExceeded):
            return "not an arithmetic expression"
        except (NotExact, NoValue):
            return "the expression has no value"
        if used - self.numbers:
            return f"uses {', '.join(map(str, (used - self.numbers).elements()))} more often than given"
        if self.all_needed and used != self.numbers:
            return "not every number is used"
        if value != self.target:
            return f"the value is {value if abs(value) < 10**12 else 'far off'}, not {self.target}"
        return None

    def _used(self, node: Node) -> Counter[int] | str:
        """The numbers of an expression; a sentence when another operation stands in it."""
        used: Counter[int] = Counter()
        stack: list[Node] = [node]
        while stack:
            current = stack.pop()
            if isinstance(current, Number):
                if current.value.denominator != 1 or current.places or current.rounded:
                    return "decimals are not given numbers"
                used[abs(int(current.value))] += 1
            elif (
                isinstance(current, Product)
                and len(current.items) == 2
                and current.items[0] == Number(Fraction(-1))
            ):
                stack.append(current.items[1])  # a minus sign, not a number
            elif isinstance(current, (Sum, Product, Quotient)):
                stack.extend(children(current))
            else:
                return "only + - * / and brackets are allowed"
        return used

    def solution(self) -> str | None:
        return str(self._solution) if self._solution else None


class GameOf24(Countdown):
    """`{"type": "game_of_24", "numbers": [4, 7, 8, 8]}`: countdown to 24 with every number used once."""

    name = "game_of_24"
    use_all = True

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__({"target": 24, **spec})


class Sorting(Puzzle):
    """`{"type": "sorting", "items": [3, 1, 2], "order": "ascending"}`, items all numbers or all texts."""

    name = "sorting"

    def __init__(self, spec: Mapping[str, Any]) -> None:
        (items,) = need(spec, "items", "order")
        order = spec.get("order", "ascending")
        is_list = isinstance(items, (list, tuple)) and bool(items)
        numbers = is_list and all(type(item) is int for item in items)
        texts = is_list and all(isinstance(item, str) and item.strip() and "," not in item for item in items)
        if not (numbers or texts) or order not in ("ascending", "descending"):
            raise refuse(spec, "items are all whole numbers or all texts, order is ascending or descending")
        self.numbers = bool(numbers)
        self.wanted = sorted(items, reverse=order == "descending")

    def check(self, text: str) -> str | None:
        found: list[Any] | None
        text = _BETWEEN_ITEMS.sub(",", without_bullets(text))
        if self.numbers:
            found = integers(re.sub(r"\sand\s", ",", text))
        else:
            stripped = text.strip().removeprefix("[").removesuffix("]")
            found = [part.strip().strip("'\"") for part in stripped.split(",")]
        if found is None or len(found) != len(self.wanted):
            return f"an answer is a list of {len(self.wanted)} items"
        if sorted(found) != sorted(self.wanted):
            return "the items are not the given ones"
        return None if found == self.wanted else "the items are not in order"

    def solution(self) -> str | None:
        return ", ".join(map(str, self.wanted))
