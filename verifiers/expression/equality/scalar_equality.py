"""Are two expressions the same value? Exactly, to the reference's digits, or at sample points."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal, NamedTuple

from verifiers.expression.equality.convention import imaginary
from verifiers.expression.tree.decimal_literal import DecimalLiteral, decimal_literal
from verifiers.expression.tree.node import (
    Constant,
    Node,
    Number,
    contains,
    symbols,
)
from verifiers.expression.values.evaluation import NotExact, NoValue, exact
from verifiers.expression.values.numeric_value import numeric, passes_imaginary
from verifiers.expression.values.rational_form import same_form
from verifiers.expression.values.sample_point import is_piecewise, sample_points
from verifiers.verifier import LimitExceeded

Tolerance = Literal["digits", "exact"] | float
_CLOSE = 1e-38
MIN_DIGITS_OF_ANSWER = 6
MIN_DIGITS_OF_REFERENCE = 3
DIGITS_OF_DOUBLE = 16
NUM_POINTS = 4
MAX_SYMBOLS = 12


class Match(NamedTuple):
    """Outcome of a comparison: `tier` decided it; not `confident` where a tolerance or thin evidence did."""

    equal: bool
    tier: str
    confident: bool = True
    code: str = ""


def _terminating(value: Fraction) -> bool:
    """True when the decimal expansion ends."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _exact_or_none(node: Node) -> Fraction | None:
    try:
        return exact(node)
    except NotExact:
        return None


def constants_equal(reference: Node, answer: Node, tolerance: Tolerance) -> Match:
    """Two expressions without variables. Raises `NoValue`, `LimitExceeded`."""
    wanted, found = _exact_or_none(reference), _exact_or_none(answer)
    if wanted is not None and found is not None:
        if wanted == found:
            return Match(True, "exact")
        return _within(reference, answer, wanted, found, tolerance, _terminating(found))
    wanted_value = numeric(reference) if wanted is None else wanted
    found_value = numeric(answer) if found is None else found
    a, b = _number(wanted_value), _number(found_value)
    if _close(a, b):
        rounded = any(isinstance(n, Number) and n.rounded for n in (reference, answer))
        if not rounded:
            return Match(True, "numeric")
    if hasattr(a, "_mpc_") or hasattr(b, "_mpc_"):
        return Match(False, "numeric")
    return _within(reference, answer, a, b, tolerance, found is not None and _terminating(found))


def _number(value: Any) -> Any:
    """An mpmath number of a Fraction or an mpmath number."""
    if isinstance(value, Fraction):
        return numeric(Number(value))
    return value


def _like(bound: Fraction, value: Any) -> Any:
    return bound if isinstance(value, Fraction) else _number(bound)


def _close(a: Any, b: Any) -> bool:
    if a == b:
        return True
    scale = max(abs(a), abs(b))
    return bool(abs(a - b) <= _CLOSE * scale) if scale < float("inf") else False


def _within(
    reference: Node, answer: Node, wanted: Any, found: Any, tolerance: Tolerance, answer_terminates: bool
) -> Match:
    """Two unequal values: may one be a rounding of the other?

    A decimal reference of three digits or more accepts what rounds to it: an exact form (`\\sqrt{2}` for 1.414), or
    a decimal with at least two more digits; a decimal that only changes or adds one digit is another number. An
    exact reference accepts its own correct rounding to six significant digits or more. `0.333...` stands for every
    value that begins so.
    """
    if tolerance == "exact" or (
        isinstance(tolerance, str) and decimal_literal(reference) is None and decimal_literal(answer) is None
    ):
        return Match(False, "exact")
    if not isinstance(tolerance, str):
        near = abs(_number(wanted) - _number(found)) <= tolerance * abs(_number(wanted))
        return Match(bool(near), "numeric", confident=not near)
    written, given = decimal_literal(reference), decimal_literal(answer)
    if isinstance(wanted, Fraction) and isinstance(found, Fraction):
        difference: Any = abs(wanted - found)
    else:
        difference = abs(_number(wanted) - _number(found))
    if given is not None and given.digits >= DIGITS_OF_DOUBLE and written is None:
        near = difference <= _like(abs(given.value) * Fraction(1, 2**52), difference)
        if near:  # as a program prints it
            return Match(True, "numeric")
    for literal, other in ((written, found), (given, wanted)):
        if literal is not None and literal.rounded:
            return Match(_begins(literal, _number(other)), "numeric", confident=False)
    if written is not None and written.digits >= MIN_DIGITS_OF_REFERENCE:
        rounds = difference <= _like(written.unit_in_last_place / 2, difference)
        finer = given.digits >= written.digits + 2 if given is not None else not answer_terminates
        return Match(bool(rounds and finer), "numeric", confident=not (rounds and finer))
    if given is not None and written is None and given.digits >= MIN_DIGITS_OF_ANSWER:
        exact_reference = not (isinstance(wanted, Fraction) and _terminating(wanted))
        rounds = difference <= _like(given.unit_in_last_place / 2, difference)
        return Match(bool(rounds and exact_reference), "numeric", confident=not rounds)
    return Match(False, "exact")


def _begins(literal: DecimalLiteral, value: Any) -> bool:
    """True when `value`, cut to the literal's places, is the literal: `0.333...` for 1/3."""
    if literal.digits < 2 or literal.unit_in_last_place == 1:
        return False  # 12... begins nothing that is written down
    size = abs(value) - _number(abs(literal.value))
    same_sign = (value < 0) == (literal.value < 0)
    return bool(same_sign and -_CLOSE <= size < _number(literal.unit_in_last_place))


# --- expressions with variables -------------------------------------------------------------------------------


def expressions_equal(reference: Node, answer: Node) -> Match:
    """Two expressions with variables: the same value at every sample point where both are real.

    Rational functions are compared exactly (a false match has probability of about degree/point-set size for random
    points, Schwartz 1980, and these points are fixed primes), others at 50 digits. Raises `LimitExceeded`.
    """
    names = sorted(symbols(reference) | symbols(answer))
    if len(names) > MAX_SYMBOLS:
        return Match(False, "numeric", confident=False, code="too_many_variables")
    far = is_piecewise(reference) or is_piecewise(answer)
    try:
        match = _equal_at(reference, answer, names, _exact_pair)
        return _no_far_difference(match, reference, answer, _exact_pair, 10**12) if far else match
    except NotExact:
        pass
    complex_allowed = contains(reference, Constant) and (imaginary(reference) or imaginary(answer))
    match = _equal_at(reference, answer, names, lambda r, a, p: _numeric_pair(r, a, p, complex_allowed))
    if far:
        match = _no_far_difference(match, reference, answer, _real_pair, 10**6)
    if match.code != "no_points":
        return match
    whole = [{name: Fraction(k + 2 * j + 1) for j, name in enumerate(names)} for k in range(6)]
    match = _equal_at(
        reference, answer, names, lambda r, a, p: _numeric_pair(r, a, p, complex_allowed), whole
    )
    if match.code != "no_points":
        return match._replace(confident=False)
    return _equal_at(reference, answer, names, lambda r, a, p: _numeric_pair(r, a, p, True))._replace(
        confident=False
    )


def _no_far_difference(match: Match, reference: Node, answer: Node, pair: Any, scale: int) -> Match:
    """`match`, unless the two differ at a point that is `scale` times as far."""
    names = sorted(symbols(reference) | symbols(answer))
    far = [{name: value * scale for name, value in point.items()} for point in sample_points(names)]
    if match.equal and any(pair(reference, answer, point) is False for point in far):
        return Match(False, "numeric")
    return match


def _real_pair(reference: Node, answer: Node, point: dict[str, Fraction]) -> bool | None:
    return _numeric_pair(reference, answer, point, False)


def _exact_pair(reference: Node, answer: Node, point: dict[str, Fraction]) -> bool | None:
    try:
        return exact(reference, point) == exact(answer, point)
    except NoValue:
        return None


def _numeric_pair(
    reference: Node, answer: Node, point: dict[str, Fraction], complex_allowed: bool
) -> bool | None:
    env = {name: numeric(Number(value)) for name, value in point.items()}
    try:
        a, b = numeric(reference, env), numeric(answer, env)
    except NoValue:
        return None
    if not complex_allowed and (hasattr(a, "_mpc_") or hasattr(b, "_mpc_")):
        return None
    if abs(a) == float("inf") or abs(b) == float("inf"):
        return None
    if abs(a - b) <= 1e-34 * max(abs(a), abs(b), 1e-20):
        return True
    if not complex_allowed and (passes_imaginary(reference, env) or passes_imaginary(answer, env)):
        return None  # sqrt(a) sqrt(b) where both are negative
    return False


def _equal_at(
    reference: Node,
    answer: Node,
    names: list[str],
    pair: Any,
    points: list[dict[str, Fraction]] | None = None,
) -> Match:
    agreed = 0
    for point in points or sample_points(names):
        same = pair(reference, answer, point)
        if same is False:
            return Match(False, "numeric")
        agreed += same is True
    if agreed < NUM_POINTS - 1:
        return Match(False, "numeric", confident=False, code="no_points")
    return Match(True, "numeric")


def scalars_equal(reference: Node, answer: Node, tolerance: Tolerance = "digits") -> Match:
    """Two scalar expressions, after units and percent signs have been taken off. Raises `LimitExceeded`.

    Where values cannot say (no sample point, too few, numbers out of range), the exact normal form is asked; where
    that cannot say either, the values' verdict stays.
    """
    if reference == answer:
        return Match(True, "structure")
    try:
        if not symbols(reference) and not symbols(answer):
            return _fixed_equal(reference, answer, tolerance)
        match = expressions_equal(reference, answer)
    except LimitExceeded:
        same = same_form(reference, answer)
        if same is None:
            raise
        return Match(same, "symbolic")
    if match.confident or not (match.equal or match.code):
        return match
    same = same_form(reference, answer)
    return match if same is None or (match.equal and not same) else Match(same, "symbolic")


def _fixed_equal(reference: Node, answer: Node, tolerance: Tolerance) -> Match:
    try:
        return constants_equal(reference, answer, tolerance)
    except NoValue:
        return Match(False, "structure")


def proportional(reference: Node, answer: Node, *, positive: bool) -> bool:
    """True when `reference = c * answer` with a constant c != 0 (c > 0 if `positive`). Raises `LimitExceeded`."""
    names = sorted(symbols(reference) | symbols(answer))
    if not names or len(names) > MAX_SYMBOLS:
        return False
    ratios = []
    for point in sample_points(names):
        env = {name: numeric(Number(value)) for name, value in point.items()}
        try:
            a, b = numeric(reference, env), numeric(answer, env)
        except NoValue:
            continue
        if hasattr(a, "_mpc_") or hasattr(b, "_mpc_") or not a or not b:
            continue
        ratios.append(a / b)
    if len(ratios) < NUM_POINTS - 1 or (positive and ratios[0] < 0):
        return False
    return all(_close(ratio, ratios[0]) or abs(ratio - ratios[0]) <= 1e-34 * abs(ratio) for ratio in ratios)
