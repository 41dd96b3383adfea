"""Are two expressions one rational function? A normal form, exact and under budgets; asked where sampling cannot say.

An expression becomes a quotient of polynomials over the rationals. Whatever is no rational function (`sin x`, `pi`,
`2^n`, `sqrt(x)`) is an atom, named by the form of its arguments and otherwise unknown: equal forms are equal wherever
both sides are defined, unequal ones prove nothing unless no such atom is left. Powers split and meet (`e^{2x}` is
`(e^x)^2`), roots of numbers fall into primes, and two identities are applied: `sqrt[q](a)^q = a`, `sin^2 = 1 - cos^2`.
"""

from __future__ import annotations

from fractions import Fraction

from verifiers.expression.tree.node import (
    Call,
    Constant,
    Node,
    Number,
    Percent,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    symbols,
)
from verifiers.expression.values.evaluation import ROOT_DEGREES, NotExact, NoValue, exact
from verifiers.expression.values.numeric_value import numeric
from verifiers.expression.values.polynomial_ring import (
    MAX_BITS,
    ONE,
    UNIT,
    Form,
    Polynomial,
    PolynomialRing,
    Undecided,
    bits,
    factors,
    number,
)
from verifiers.verifier import LimitExceeded

MAX_ROOT = 1_000


def same_form(reference: Node, answer: Node) -> bool | None:
    """True when both have one form; False when they are different rational functions of symbols; else None."""
    ring = PolynomialRing()
    try:
        a, b = _form(ring, reference), _form(ring, answer)
        left, right = ring.times(a.top, b.bottom), ring.times(b.top, a.bottom)
    except (Undecided, LimitExceeded, NoValue):
        return None
    if left == right:
        return True
    return None if ring.opaque or not (symbols(reference) or symbols(answer)) else False


def _power(ring: PolynomialRing, base: Form, exponent: Form) -> Form:
    value = exponent.constant
    if value is not None and value.denominator == 1:
        return ring.whole_power(base, int(value))
    if not base.top:
        raise Undecided
    if exponent.bottom != UNIT:
        return ring.atom(("power", base.key, exponent.key))
    fixed = base.constant
    if fixed is None or fixed < 0:
        return _split_power(ring, base, exponent.top)
    result = ONE
    for prime, count in factors(fixed):
        scaled = {monomial: count * value for monomial, value in exponent.top.items()}
        result = ring.product(result, _split_power(ring, number(prime), scaled))
    return result


def _split_power(ring: PolynomialRing, base: Form, exponent: Polynomial) -> Form:
    """`b^{2n + m/3 + 1/2}` as `(b^n)^2 b^{m/3} sqrt(b) b`: `exp(z log b)` with one logarithm throughout."""
    result = ONE
    for monomial, coefficient in exponent.items():
        count = coefficient.denominator
        part = ring.atom(("power", base.key, monomial, count)) if monomial else _root(ring, base, count)
        result = ring.product(result, ring.whole_power(part, coefficient.numerator))
    return result


def _root(ring: PolynomialRing, base: Form, count: int) -> Form:
    if count == 1:
        return base
    if count > MAX_ROOT:
        raise Undecided
    root = ring.atom(("root", base.key, count))
    if base.bottom == UNIT and not ring.folding(base.top):
        [((atom, _),)] = root.top
        ring.folds[atom] = (count, base.top)
    return root


def _form(ring: PolynomialRing, node: Node) -> Form:
    ring.spend(1)
    match node:
        case Number(value, _, _, False):
            if bits(value) > MAX_BITS:
                raise Undecided
            return number(value)
        case Symbol(name):
            return ring.atom(("symbol", name), opaque=False)
        case Constant("i"):
            return _root(ring, number(-1), 2)
        case Constant("pi" | "e"):
            return ring.atom(("constant", node.name))
        case Sum(items):
            result = number(0)
            for item in items:
                result = ring.sum(result, _form(ring, item))
            return result
        case Product(items):
            result = ONE
            for item in items:
                result = ring.product(result, _form(ring, item))
            return result
        case Quotient(top, bottom):
            return ring.product(_form(ring, top), ring.inverse(_form(ring, bottom)))
        case Percent(item):
            return ring.product(_form(ring, item), number(Fraction(1, 100)))
        case Power(base, exponent):
            return _power(ring, _form(ring, base), _form(ring, exponent))
        case Call(name, arguments):
            return _call(ring, name, [_form(ring, argument) for argument in arguments])
        case _:
            raise Undecided


def _call(ring: PolynomialRing, name: str, arguments: list[Form]) -> Form:
    first = arguments[0] if arguments else ONE
    values = [value for value in (argument.constant for argument in arguments) if value is not None]
    if len(values) == len(arguments) and (known := _value(name, values)) is not None:
        return number(known)
    if len(arguments) == 1 and (name in ROOT_DEGREES or name == "exp"):
        if name == "exp":
            return _power(ring, _form(ring, Constant("e")), first)
        return _power(ring, first, number(Fraction(1, ROOT_DEGREES[name])))
    if name == "root" and len(arguments) == 2 and arguments[1].constant:
        return _power(ring, first, ring.inverse(arguments[1]))
    atom = ring.atom((name, *(argument.key for argument in arguments)))
    if name == "sin" and len(arguments) == 1:
        cosine = ring.atom(("cos", first.key))
        [((index, _),)] = atom.top
        square = {monomial: -value for monomial, value in ring.raised(cosine.top, 2).items()}
        ring.folds[index] = (2, ring.plus(UNIT, square))
    return atom


def _value(name: str, values: list[Fraction]) -> Fraction | None:
    """A function of numbers where it is rational; None where it is another number. Raises `NoValue`."""
    node = Call(name, tuple(map(Number, values)))
    try:
        return exact(node)
    except NotExact:
        pass
    except LimitExceeded:
        return None
    try:
        value = numeric(node)
    except LimitExceeded:
        return None
    if not -float("inf") < abs(value) < float("inf") or abs(value) < 1e-30:
        raise NoValue("no finite value, or zero in disguise")
    return None
