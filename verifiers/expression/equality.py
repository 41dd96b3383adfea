"""Are two answers the same? Relations, sets, sequences, matrices, units and percent come apart here into scalars."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from verifiers.expression.evaluation import NotExact, exact
from verifiers.expression.math_unit import unit_factor
from verifiers.expression.measure import Lifted, lift
from verifiers.expression.node import (
    Constant,
    Matrix,
    NamedSet,
    Node,
    Number,
    PlusMinus,
    Product,
    Quotient,
    Ratio,
    Relation,
    Sequence,
    SetOperation,
    Sum,
    Symbol,
    Words,
    contains,
    negated,
    symbols,
)
from verifiers.expression.real_set import NotReal, equal_sets, real_set
from verifiers.expression.scalar_equality import Match, Tolerance, proportional, scalars_equal
from verifiers.verifier import LimitExceeded

MAX_ITEMS = 200
MAX_BRANCHES = 6
_NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "one hundred": 100, "once": 1, "twice": 2}
_NO_SOLUTION = {
    "no solution",
    "no solutions",
    "empty set",
    "the empty set",
    "no real solution",
    "no real solutions",
    "∅",
}
_UNDEFINED = {"dne", "does not exist", "undefined"}
_ALL_REALS = {"all real numbers", "all reals", "all real", "the real numbers", "real numbers", "r"}


@dataclass(frozen=True)
class MathOptions:
    """tolerance    `digits`: a decimal reference accepts what rounds to it (see `scalar_equality`), an exact one its
                 rounding to six digits or more; `exact`: no tolerance; a number: that relative tolerance
    percent      `lenient`: 50%, 50 and 0.5 are written for one another (a plain reference of at most 1 is never
                 matched by its number with a percent sign); `strict`: 50% is 0.5 only
    units        `lenient`: a unit may be missing on either side, two units must agree (converted within a
                 dimension); `strict`: a unit in the reference must be there; `ignore`: units are dropped
    order        `auto`: bare lists and sets in any order, tuples in order; `strict`: lists in order too
    reduced      True: a fraction must be in lowest terms and nothing left to compute
    plus_minus   `expand`: +-2 is the two answers 2 and -2; `symbol`: it must be written with the sign
    """

    tolerance: Literal["digits", "exact"] | float = "digits"
    percent: Literal["lenient", "strict"] = "lenient"
    units: Literal["lenient", "strict", "ignore"] = "lenient"
    order: Literal["auto", "strict"] = "auto"
    reduced: bool = False
    plus_minus: Literal["expand", "symbol"] = "expand"

    def __post_init__(self) -> None:
        if not isinstance(self.tolerance, str) and not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is `digits`, `exact` or a number in [0, 1), got {self.tolerance}")


def _no(tier: str = "structure", code: str = "") -> Match:
    return Match(False, tier, True, code)


class AnswerEquality:
    """Compares parsed answers under one set of options; keeps no state between comparisons."""

    def __init__(self, options: MathOptions) -> None:
        self.options = options
        self.tolerance: Tolerance = options.tolerance

    def match(self, reference: Node, answer: Node) -> Match:
        """Raises `LimitExceeded`."""
        if reference == answer:
            return Match(True, "structure")
        reference, answer = _plain(reference), _plain(answer)
        if self.options.plus_minus == "expand":
            reference, answer = expanded(reference), expanded(answer)
        if isinstance(reference, Relation) or isinstance(answer, Relation):
            return self._relations(reference, answer)
        as_set = (SetOperation, NamedSet)
        if isinstance(reference, as_set) or isinstance(answer, as_set):
            return self._sets(reference, answer)
        if isinstance(reference, (Sequence, Matrix)) or isinstance(answer, (Sequence, Matrix)):
            return self._sequences(reference, answer)
        if isinstance(reference, Ratio) or isinstance(answer, Ratio):
            return self._ratios(reference, answer)
        if isinstance(reference, Words) or isinstance(answer, Words):
            return _words(reference, answer)
        return self._scalars(reference, answer)

    # --- scalars with percent and unit ------------------------------------------------------------------

    def _scalars(self, reference: Node, answer: Node) -> Match:
        wanted, found = lift(reference), lift(answer)
        if wanted is None or found is None:
            return Match(reference == answer, "structure")
        factor = self._unit_factor(wanted, found)
        if factor is None:
            return _no("exact", "different_unit")
        for a, b in self._percent_readings(wanted, found):
            scaled = b if factor == 1 else Product((Number(factor), b))
            match = scalars_equal(a, scaled, self.tolerance)
            if match.equal:
                return match
        if {wanted.unit, found.unit} in ({"degrees", ""}, {"degrees", "radians"}):
            return self._angles(wanted, found)
        return match

    def _angles(self, wanted: Lifted, found: Lifted) -> Match:
        """90 degrees is pi/2, when the side without the degree sign is written with pi."""
        turn = Quotient(Constant("pi"), Number(Fraction(180)))
        a, b = (
            Product((part.node, turn)) if part.unit == "degrees" else part.node for part in (wanted, found)
        )
        plain = wanted.node if wanted.unit != "degrees" else found.node
        if not contains(plain, Constant):
            return _no("exact")
        return scalars_equal(a, b, self.tolerance)

    def _unit_factor(self, wanted: Lifted, found: Lifted) -> Fraction | None:
        if self.options.units == "ignore":
            return Fraction(1)
        if self.options.units == "strict" and bool(wanted.unit) != bool(found.unit):
            return None
        if wanted.unit.startswith("base ") and found.unit.startswith("base ") and wanted.unit != found.unit:
            return None
        return unit_factor(wanted.unit, found.unit)

    def _percent_readings(self, wanted: Lifted, found: Lifted) -> list[tuple[Node, Node]]:
        if wanted.percent == found.percent:
            return [(wanted.node, found.node)]
        hundred = Number(Fraction(100))
        values = (
            Quotient(wanted.node, hundred) if wanted.percent else wanted.node,
            Quotient(found.node, hundred) if found.percent else found.node,
        )
        readings: list[tuple[Node, Node]] = [values]
        if self.options.percent == "lenient" and (wanted.percent or _over_one(wanted.node)):
            readings.append((wanted.node, found.node))
        return readings

    def _ratios(self, reference: Node, answer: Node) -> Match:
        a = reference.items if isinstance(reference, Ratio) else _as_ratio(reference)
        b = answer.items if isinstance(answer, Ratio) else _as_ratio(answer)
        if len(a) != len(b):
            return _no()
        first_a, first_b = a[0], b[0]
        for x, y in zip(a[1:], b[1:], strict=True):
            if not self._scalars(Product((first_a, y)), Product((first_b, x))).equal:
                return _no("exact")
        return Match(True, "exact")

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
        if not answer.named and not self._consistent(values, operators):
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
        a, a_operator = _difference(reference)
        b, b_operator = _difference(answer)
        if a_operator != b_operator or a is None or b is None:
            return _no()
        equal = proportional(a, b, positive=a_operator in ("<", "<="))
        return Match(equal, "numeric", confident=not equal or a_operator == "=")

    # --- sets and sequences -----------------------------------------------------------------------------

    def _sets(self, reference: Node, answer: Node) -> Match:
        reference, answer = _words_as_set(reference), _words_as_set(answer)
        if reference == answer:
            return Match(True, "structure")
        bare = isinstance(answer, Sequence) and answer.brackets == ""
        if (
            isinstance(reference, Relation)
            and isinstance(answer, Sequence)
            and bare
            and not _inequalities(answer)
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
        a, b = _as_sequence(reference), _as_sequence(answer)
        if a is None or b is None:
            return self._one_against_many(reference, answer, a, b)
        if (
            isinstance(reference, Matrix)
            and isinstance(answer, Matrix)
            and _shape(reference) != _shape(answer)
        ):
            return _no("structure", "different_shape")
        if a.brackets == "" and b.brackets == "" and _inequalities(a) | _inequalities(b):
            try:
                return Match(equal_sets(real_set(a), real_set(b)), "structure")
            except NotReal:
                pass
        a, b = _without_names(a, b)
        if len(a.items) != len(b.items):
            return _no("structure", "wrong_count")
        if max(len(a.items), len(b.items)) > MAX_ITEMS:
            raise LimitExceeded(f"more than {MAX_ITEMS} items")
        ordered = _ordered(a.brackets, b.brackets, len(a.items))
        if ordered is None:
            return _no("structure", "different_brackets")
        if ordered or self.options.order == "strict":
            return self._in_order(a.items, b.items)
        return self._in_any_order(a.items, b.items)

    def _one_against_many(
        self, reference: Node, answer: Node, a: Sequence | None, b: Sequence | None
    ) -> Match:
        if a is not None and len(a.items) == 1:
            return self.match(a.items[0], answer)
        if b is not None and len(b.items) == 1:
            return self.match(reference, b.items[0])
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


def _plain(node: Node) -> Node:
    """A set or list of one item is that item; a number in words is that number."""
    while isinstance(node, Sequence) and len(node.items) == 1 and node.brackets in ("{}", ""):
        node = node.items[0]
    if isinstance(node, Words) and node.text in _NUMBER_WORDS:
        return Number(Fraction(_NUMBER_WORDS[node.text]))
    return node


def expanded(node: Node) -> Node:
    """`1 +- x` as the bare list `1 + x, 1 - x`; signs that belong together change together."""
    if not contains(node, PlusMinus) or isinstance(node, Matrix):
        return node
    if isinstance(node, Sequence):
        items: list[Node] = []
        for item in node.items[:MAX_ITEMS]:
            inner = expanded(item)
            spread = isinstance(inner, Sequence) and inner.brackets == "" and node.brackets in ("", "{}")
            items.extend(inner.items if isinstance(inner, Sequence) and spread else (inner,))
        return Sequence(node.brackets, tuple(items))
    if isinstance(node, Relation):
        if not node.named or len(node.operands) != 2:
            return node
        inner = expanded(node.operands[1])
        return inner if isinstance(inner, Sequence) else node
    return Sequence("", (_signed(node, 1), _signed(node, -1)))


def _signed(node: Node, sign: int) -> Node:
    from verifiers.expression.tree_map import map_children

    if isinstance(node, PlusMinus):
        item = _signed(node.item, sign)
        return item if node.sign * sign > 0 else negated(item)
    return map_children(node, lambda child: _signed(child, sign))


def _over_one(node: Node) -> bool:
    try:
        return abs(exact(node)) > 1
    except (NotExact, ArithmeticError, Exception):  # noqa: BLE001 - anything unusual is not a plain number
        return False


def _as_ratio(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Quotient):
        return (node.top, node.bottom)
    return (node, Number(Fraction(1)))


def _same_name(a: Node, b: Node) -> bool:
    return isinstance(a, Words) and isinstance(b, Words) and a.text == b.text


def _difference(relation: Relation) -> tuple[Node | None, str]:
    """left - right, turned so that the operator is =, !=, < or <=."""
    left, right = relation.operands
    operator = relation.operators[0]
    scalar = not any(
        isinstance(side, (Sequence, Matrix, Words, NamedSet, SetOperation)) for side in (left, right)
    )
    if not scalar:
        return None, operator
    if operator in (">", ">="):
        left, right, operator = right, left, "<" if operator == ">" else "<="
    return Sum((left, negated(right))), "=" if operator == "~" else operator


def _words_as_set(node: Node) -> Node:
    if isinstance(node, Words):
        if node.text in _NO_SOLUTION:
            return NamedSet("empty")
        if node.text in _ALL_REALS:
            return NamedSet("R")
    if isinstance(node, Relation) and node.operators == ("in",):
        return node.operands[1]
    return node


def _words(reference: Node, answer: Node) -> Match:
    if isinstance(reference, Words) and isinstance(answer, Words):
        if reference.text in _NO_SOLUTION and answer.text in _NO_SOLUTION:
            return Match(True, "text")
        if reference.text in _UNDEFINED and answer.text in _UNDEFINED:
            return Match(True, "text")
        return Match(reference.text == answer.text, "text")
    a, b = _spelling(reference), _spelling(answer)
    return Match(a is not None and a == b, "text")


def _spelling(node: Node) -> str | None:
    if isinstance(node, Words):
        return node.text
    if isinstance(node, Symbol):
        return node.name.casefold()
    if isinstance(node, Product) and all(isinstance(item, Symbol) for item in node.items):
        return "".join(item.name for item in node.items if isinstance(item, Symbol)).casefold()
    return None


def _as_sequence(node: Node) -> Sequence | None:
    if isinstance(node, Sequence):
        return node
    if isinstance(node, Matrix):
        rows, columns = _shape(node)
        if columns == 1:
            return Sequence("()", tuple(row[0] for row in node.rows))
        if rows == 1:
            return Sequence("()", node.rows[0])
        return Sequence("[]", tuple(Sequence("[]", row) for row in node.rows))
    return None


def _shape(matrix: Matrix) -> tuple[int, int]:
    return len(matrix.rows), len(matrix.rows[0])


def _inequalities(sequence: Sequence) -> bool:
    return all(isinstance(i, Relation) and not set(i.operators) <= {"=", "~", "in"} for i in sequence.items)


def _without_names(a: Sequence, b: Sequence) -> tuple[Sequence, Sequence]:
    """`x = 1, x = 2` as `1, 2`; `x = 1, y = 2` as `(1, 2)` where the other side is a tuple or a list of values."""
    stripped_a, names_a = _strip(a)
    stripped_b, names_b = _strip(b)
    if bool(names_a) == bool(names_b) and not (len(set(names_a)) == 1 and len(set(names_b)) == 1):
        return a, b
    if len(set(names_a)) > 1:
        stripped_a = Sequence("()" if b.brackets != "" else "", stripped_a.items)
    if len(set(names_b)) > 1:
        stripped_b = Sequence("()", stripped_b.items)
    return stripped_a, stripped_b


def _strip(sequence: Sequence) -> tuple[Sequence, list[str]]:
    names: list[str] = []
    items: list[Node] = []
    for position, item in enumerate(sequence.items):
        is_equation = isinstance(item, Relation) and item.named and item.operators == ("=",)
        if isinstance(item, Relation) and is_equation:
            names.append(str(item.operands[0]))
            items.append(item.operands[1])
        elif position and names and not isinstance(item, Relation):
            items.append(item)
        else:
            return sequence, []
    return Sequence(sequence.brackets, tuple(items)), names


def _ordered(wanted: str, found: str, count: int) -> bool | None:
    """True: compare in order; False: in any order; None: these brackets cannot mean the same."""
    if wanted == found:
        return wanted not in ("", "{}")
    pair = {wanted, found}
    if pair == {"", "{}"}:
        return False
    if "" in pair:  # a bare list for a tuple or a list in brackets
        half_open = pair & {"[)", "(]"}
        interval = wanted == "[]" and count == 2
        return None if half_open or interval else True
    if pair == {"()", "[]"} and count > 2:
        return True
    return None
