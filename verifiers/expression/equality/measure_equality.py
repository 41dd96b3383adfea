"""Are two values with units, percent signs or colons between them the same?"""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.equality.convention import (
    common_logarithms,
    with_imaginary_unit,
    with_same_constant,
    with_same_parameter,
)
from verifiers.expression.equality.scalar_equality import Match, Tolerance, scalars_equal
from verifiers.expression.tree.math_options import MathOptions
from verifiers.expression.tree.node import (
    Call,
    Constant,
    Node,
    Number,
    Product,
    Quotient,
    Ratio,
    Sum,
    contains,
)
from verifiers.expression.values.evaluation import NotExact, NoValue, exact
from verifiers.expression.values.math_unit import Conversion, conversion
from verifiers.expression.values.measure import Lifted, lift
from verifiers.verifier import LimitExceeded


class MeasureEquality:
    """Compares scalars under one set of options, after their units and percent signs were taken off."""

    def __init__(self, options: MathOptions) -> None:
        self.options = options
        self.tolerance: Tolerance = options.tolerance

    def scalars(self, reference: Node, answer: Node) -> Match:
        """Two values, converted to one unit; `log` is tried as the natural and as the common one."""
        answer = with_same_constant(reference, answer)
        answer = with_same_parameter(reference, with_imaginary_unit(reference, answer))
        match = self._in_one_reading(reference, answer)
        if match.equal or not (contains(reference, Call) or contains(answer, Call)):
            return match
        common = common_logarithms(reference), common_logarithms(answer)
        return match if common == (reference, answer) else self._in_one_reading(*common)

    def _in_one_reading(self, reference: Node, answer: Node) -> Match:
        wanted, found = lift(reference), lift(answer)
        if wanted is None or found is None:
            return Match(reference == answer, "structure")
        change = self._conversion(wanted, found)
        if change is None:
            return Match(False, "exact", True, "different_unit")
        for a, b in self._percent_readings(wanted, found):
            scaled = b if change.factor == 1 else Product((Number(change.factor), b))
            scaled = Sum((scaled, Number(change.offset))) if change.offset else scaled
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
            return Match(False, "exact")
        return scalars_equal(a, b, self.tolerance)

    def _conversion(self, wanted: Lifted, found: Lifted) -> Conversion | None:
        if self.options.units == "ignore":
            return Conversion(Fraction(1))
        if wanted.percent != found.percent and (wanted.unit or found.unit):
            return None  # 12 cm, 12%
        if self.options.units == "strict" and bool(wanted.unit) != bool(found.unit):
            return None
        if wanted.unit.startswith("base ") and found.unit.startswith("base ") and wanted.unit != found.unit:
            return None
        return conversion(wanted.unit, found.unit)

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

    def ratios(self, reference: Node, answer: Node) -> Match:
        """`2:4` is `1:2`: cross products against the first part. Part by part with a 0 in it, and a time of day.

        A reference with two digits below 60 behind the colon is a time: `1:05` is not `2:10`. Where it may be a ratio
        in lowest terms as well (`7:12`), the fraction of the same parts is right too.
        """
        is_time = isinstance(reference, Ratio) and reference.clock
        if is_time and not (isinstance(answer, Ratio) and answer.clock):
            if not (isinstance(answer, Quotient) and _in_lowest_terms(reference)):
                return Match(False, "structure")
        a = reference.items if isinstance(reference, Ratio) else _as_ratio(reference)
        b = answer.items if isinstance(answer, Ratio) else _as_ratio(answer)
        if len(a) != len(b):
            return Match(False, "structure")
        first_a, first_b = a[0], b[0]
        if is_time or any(part == Number(Fraction(0)) for part in (*a, *b)):  # 12:00
            equal = all(self.scalars(x, y).equal for x, y in zip(a, b, strict=True))
            return Match(equal, "exact")
        for x, y in zip(a[1:], b[1:], strict=True):
            if not self.scalars(Product((first_a, y)), Product((first_b, x))).equal:
                return Match(False, "exact")
        return Match(True, "exact")


def _in_lowest_terms(ratio: Node) -> bool:
    """`7:12`; `3:30` and `1:05` are only times."""
    match ratio:
        case Ratio((Number(top), Number(bottom))) if bottom >= 10:
            return (top / bottom).denominator == bottom
    return False


def _over_one(node: Node) -> bool:
    try:
        return abs(exact(node)) > 1
    except (NotExact, NoValue, LimitExceeded):  # not a plain number
        return False


def _as_ratio(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Quotient):
        return (node.top, node.bottom)
    return (node, Number(Fraction(1)))
