"""Are two answers the same? Relations, sets, sequences and matrices come apart here into scalars."""

from __future__ import annotations

import re

from verifiers.expression.equality.convention import agreed, difference, is_unevaluated, value_of_equation
from verifiers.expression.equality.measure_equality import MeasureEquality
from verifiers.expression.equality.scalar_equality import Match, Tolerance, proportional
from verifiers.expression.equality.sequence_form import (
    as_sequence,
    inequalities,
    ordered,
    shape,
    without_names,
)
from verifiers.expression.equality.worded_answer import plain, words_as_set, words_equal
from verifiers.expression.tree.math_options import MathOptions
from verifiers.expression.tree.node import (
    Constant,
    Matrix,
    NamedSet,
    Node,
    Number,
    Product,
    Ratio,
    Relation,
    Sequence,
    SetOperation,
    Symbol,
    Words,
    contains,
    symbols,
    units,
)
from verifiers.expression.tree.sign_pair import MAX_ITEMS, expanded
from verifiers.expression.tree.tree_map import replaced
from verifiers.expression.values.matrix_arithmetic import computed
from verifiers.expression.values.real_set import NotReal, equal_sets, real_set
from verifiers.verifier import LimitExceeded


def _no(tier: str = "structure", code: str = "") -> Match:
    return Match(False, tier, True, code)


class AnswerEquality:
    """Compares parsed answers under one set of options; keeps no state between comparisons."""

    def __init__(self, options: MathOptions) -> None:
        self.options = options
        self.measures = MeasureEquality(options)

    def match(self, reference: Node, answer: Node) -> Match:
        """Raises `LimitExceeded`."""
        if reference == answer:
            return Match(True, "structure")
        reference, answer = plain(reference), plain(answer)
        reference, answer = agreed(reference, answer), agreed(answer, reference)
        reference, answer = computed(reference), computed(answer)
        if self.options.plus_minus == "expand":
            reference, answer = expanded(reference), expanded(answer)
        if isinstance(reference, Relation) or isinstance(answer, Relation):
            return self._relations(reference, answer)
        if isinstance(reference, Words) != isinstance(answer, Words):
            reference, answer = words_as_set(reference), words_as_set(answer)
        as_set = (SetOperation, NamedSet)
        if isinstance(reference, as_set) or isinstance(answer, as_set):
            return self._sets(reference, answer)
        if isinstance(reference, (Sequence, Matrix)) or isinstance(answer, (Sequence, Matrix)):
            return self._sequences(reference, answer)
        if isinstance(reference, Ratio) or isinstance(answer, Ratio):
            return self.measures.ratios(reference, answer)
        if isinstance(reference, Words) or isinstance(answer, Words):
            return words_equal(reference, answer)
        return self.measures.scalars(reference, answer)

    # --- relations --------------------------------------------------------------------------------------

    def _relations(self, reference: Node, answer: Node) -> Match:
        if isinstance(reference, Relation) and isinstance(answer, Relation):
            return self._two_relations(reference, answer)
        if isinstance(answer, Relation):
            if answer.operators == ("in",):
                return self.match(reference, answer.operands[1])
            if set(answer.operators) <= {"=", "~"}:
                return self._chain(reference, answer)
            return self._sets(reference, answer)
        assert isinstance(reference, Relation)
        if (value := value_of_equation(reference)) is not None:
            return self.match(value, answer)
        if reference.operators == ("in",):
            return self.match(reference.operands[1], answer)
        if reference.named and set(reference.operators) <= {"=", "~"}:
            return self.match(reference.operands[-1], answer)
        if set(reference.operators) <= {"=", "~"} and isinstance(reference.operands[-1], (Symbol, Number)):
            if not symbols(reference):
                return self.match(reference.operands[-1], answer)
        return self._sets(reference, answer)

    def _chain(self, reference: Node, answer: Relation) -> Match:
        """`x = 1/2 = 0.5` against a value: the last exact value counts; without a name every step must hold."""
        values, operators = answer.operands, answer.operators
        if answer.named:
            values, operators = values[1:], operators[1:]
        while len(values) > 1 and isinstance(values[0], Symbol):  # y = x = 5
            values, operators = values[1:], operators[1:]
        while len(values) > 1 and operators[0] == "=" and is_unevaluated(values[0]):
            values, operators = values[1:], operators[1:]  # an integral or a limit, and what it is
        if not answer.named and _is_quantity(values[0]) and not symbols(Sequence("", values[1:])):
            values, operators = values[1:], operators[1:]  # a + b = 12, |AB| = 5
        elif len(values) > 1 and values[0] == values[1] and isinstance(values[0], Number):
            return _no("structure", "inconsistent")  # 12 = 12 says nothing
        elif not answer.named and not self._consistent(values, operators):
            return _no("structure", "inconsistent")
        exact_steps = operators.index("~") if "~" in operators else len(operators)
        match = self.match(reference, values[exact_steps])
        if not match.equal and "~" in operators and self._consistent(values, operators):
            match = self.match(reference, values[-1])
        return match

    def _consistent(self, values: tuple[Node, ...], operators: tuple[str, ...]) -> bool:
        for left, right, operator in zip(values, values[1:], operators, strict=False):
            tolerance: Tolerance = 0.02 if operator == "~" else "digits"
            step = AnswerEquality(MathOptions(tolerance=tolerance, percent=self.options.percent))
            if not step.match(left, right).equal:
                return False
        return True

    def _two_relations(self, reference: Relation, answer: Relation) -> Match:
        equations = {"=", "~"}
        if set(reference.operators) <= equations and set(answer.operators) <= equations:
            if reference.named and answer.named:
                if reference.operands[0] == answer.operands[0] or _same_name(
                    reference.operands[0], answer.operands[0]
                ):
                    match = self._chain(reference.operands[-1], answer)
                    if match.equal:
                        return match
                elif pair := _arguments(reference, answer):
                    renamed = replaced(answer.operands[-1], pair[1], pair[0])
                    return self.match(reference.operands[-1], renamed)
                elif _is_function(reference.operands[0], answer.operands[0]):
                    return self.match(reference.operands[-1], answer.operands[-1])
                elif not symbols(reference.operands[-1]) and not symbols(answer.operands[-1]):
                    return _no("structure", "different_name")
            return self._proportional(reference, answer)
        if reference.operators == ("in",) and answer.operators == ("in",):
            return self.match(reference.operands[1], answer.operands[1])
        if symbols(reference) == symbols(answer) and len(symbols(reference)) == 1:
            try:
                return Match(equal_sets(real_set(reference), real_set(answer)), "structure")
            except NotReal:
                pass
        return self._proportional(reference, answer)

    def _proportional(self, reference: Relation, answer: Relation) -> Match:
        """`2x + y = 4` and `y = 4 - 2x`: the differences of the two sides are multiples of one another."""
        if len(reference.operators) != 1 or len(answer.operators) != 1:
            return _no()
        if units(reference) != units(answer):
            return _no("structure", "different_unit")
        a, a_operator = difference(reference)
        b, b_operator = difference(answer)
        if a_operator != b_operator or a is None or b is None:
            return _no()
        equal = proportional(a, b, positive=a_operator in ("<", "<="))
        return Match(equal, "numeric", confident=not equal or a_operator == "=")

    # --- sets and sequences -----------------------------------------------------------------------------

    def _sets(self, reference: Node, answer: Node) -> Match:
        reference, answer = words_as_set(reference), words_as_set(answer)
        if reference == answer:
            return Match(True, "structure")
        bare = isinstance(answer, Sequence) and answer.brackets == ""
        if (
            isinstance(reference, Relation)
            and isinstance(answer, Sequence)
            and bare
            and not inequalities(answer)
        ):
            return _no()
        try:
            return Match(equal_sets(real_set(reference), real_set(answer)), "structure")
        except NotReal:
            pass
        if (
            isinstance(reference, SetOperation)
            and isinstance(answer, SetOperation)
            and reference.name == answer.name
        ):
            return self._in_any_order(reference.items, answer.items)
        return _no()

    def _sequences(self, reference: Node, answer: Node) -> Match:
        a, b = as_sequence(reference), as_sequence(answer)
        if a is None or b is None:
            return self._one_against_many(reference, answer, a, b)
        if isinstance(reference, Matrix) and isinstance(answer, Matrix) and shape(reference) != shape(answer):
            return _no("structure", "different_shape")
        if any(part.brackets == "" and inequalities(part) for part in (a, b)):
            try:
                return Match(equal_sets(real_set(a), real_set(b)), "structure")
            except NotReal:
                pass
        a, b = without_names(a, b)
        if len(a.items) != len(b.items):
            return _no("structure", "wrong_count")
        if max(len(a.items), len(b.items)) > MAX_ITEMS:
            raise LimitExceeded(f"more than {MAX_ITEMS} items")
        in_order = ordered(a, b)
        if in_order is None:
            return _no("structure", "different_brackets")
        if in_order or self.options.order == "strict":
            return self._in_order(a.items, b.items)
        return self._in_any_order(a.items, b.items)

    def _one_against_many(
        self, reference: Node, answer: Node, a: Sequence | None, b: Sequence | None
    ) -> Match:
        if a is not None and len(a.items) == 1:
            return self.match(a.items[0], answer)
        if b is not None and len(b.items) == 1:
            return self.match(reference, b.items[0])
        if (a or b) is not None and _letters(reference) == _letters(answer) != "":
            return Match(True, "text")
        return _no("structure", "wrong_count")

    def _in_order(self, wanted: tuple[Node, ...], found: tuple[Node, ...]) -> Match:
        matches = []
        for a, b in zip(wanted, found, strict=True):
            match = self.match(a, b)
            if not match.equal:
                return match
            matches.append(match)
        return _all(matches)

    def _in_any_order(self, wanted: tuple[Node, ...], found: tuple[Node, ...]) -> Match:
        """Multiset equality: each answer is used once."""
        if len(wanted) != len(found):
            return _no("structure", "wrong_count")
        left = list(found)
        matches = []
        for a in wanted:
            for position, b in enumerate(left):
                match = self.match(a, b)
                if match.equal:
                    matches.append(match)
                    del left[position]
                    break
            else:
                return _no("structure", "different_items")
        return _all(matches)


def _all(matches: list[Match]) -> Match:
    return Match(True, "structure", all(match.confident for match in matches))


def _letters(node: Node) -> str:
    """`ACD` of several options, written in one or as a list; nothing unless they are in the order of the alphabet."""
    items = node.items if isinstance(node, (Sequence, Product)) else (node,)
    text = "".join(item.name for item in items if isinstance(item, Symbol))
    if isinstance(node, Words):
        text = node.text.upper()
    elif len(text) != len(items):
        return ""
    return text if re.fullmatch("[A-J]{2,6}", text) and text == "".join(sorted(set(text))) else ""


def _is_quantity(node: Node) -> bool:
    """Names alone stand in it: `a + b`, `|AB|`, `P(A)`; `2x` is a step on the way, not what was asked for."""
    return bool(symbols(node)) and not contains(node, (Number, Constant, Sequence, Matrix))


def _arguments(reference: Relation, answer: Relation) -> tuple[Node, Node] | None:
    """x and t of `f(x) = x + 1` and `f(t) = t + 1`."""
    match reference.operands[0], answer.operands[0]:
        case Product((Symbol(f), Symbol() as x)), Product((Symbol(g), Symbol() as t)) if f == g:
            return None if x.name in symbols(answer.operands[-1]) else (x, t)
    return None


def _is_function(a: Node, b: Node) -> bool:
    """`y` and `f(x)`."""
    names = (Symbol("f"), Symbol("g"), Symbol("h"))
    calls = [Product((name, Symbol("x"))) for name in names]
    return (a == Symbol("y") and b in calls) or (b == Symbol("y") and a in calls)


def _same_name(a: Node, b: Node) -> bool:
    return isinstance(a, Words) and isinstance(b, Words) and a.text == b.text
