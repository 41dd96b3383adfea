"""Exact values of trees: rational numbers, under budgets. Numeric values are in `numeric_value.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from verifiers.expression.tree.node import (
    Call,
    Node,
    Number,
    Percent,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
)
from verifiers.verifier import LimitExceeded

MAX_BITS = 40_000
MAX_FACTORIAL = 2_000
ROOT_DEGREES = {"sqrt": 2, "cbrt": 3, "fourthroot": 4}


class NotExact(Exception):
    """The value is not a rational number, or not by exact means."""


class NoValue(Exception):
    """There is no value here: division by zero, a pole, an unbound name, infinity minus infinity."""


def exact(node: Node, env: Mapping[str, Fraction] | None = None) -> Fraction:
    """The rational value of a tree. Raises `NotExact`, `NoValue` or `LimitExceeded`."""
    match node:
        case Number(value, _, _, rounded):
            if rounded:
                raise NotExact
            return value
        case Symbol(name):
            if env is None or name not in env:
                raise NotExact
            return env[name]
        case Sum(items):
            total = Fraction(0)
            for item in items:
                total += exact(item, env)
            return total
        case Product(items):
            result = Fraction(1)
            for item in items:
                result *= exact(item, env)
                check_bits(result)
            return result
        case Quotient(top, bottom):
            divisor = exact(bottom, env)
            if not divisor:
                raise NoValue("division by zero")
            return exact(top, env) / divisor
        case Power(base, exponent):
            return _exact_power(exact(base, env), exact(exponent, env))
        case Percent(item):
            return exact(item, env) / 100
        case Call(name, arguments):
            return _exact_call(name, [exact(argument, env) for argument in arguments])
        case _:
            raise NotExact


def check_bits(value: Fraction) -> None:
    """Raises `LimitExceeded` where numerator and denominator have more than `MAX_BITS` bits together."""
    if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise LimitExceeded(f"a number of more than {MAX_BITS} bits")


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        root = _exact_root(base, exponent.denominator)
        return _exact_power(root, Fraction(exponent.numerator))
    if not base:
        if exponent < 0:
            raise NoValue("division by zero")
        return Fraction(int(exponent == 0))
    if abs(base) == 1:
        return base if exponent.numerator % 2 else Fraction(1)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * bits > MAX_BITS:
        raise LimitExceeded("a power too large to write down")
    return base ** int(exponent)


def _exact_root(value: Fraction, degree: int) -> Fraction:
    """The real root when it is rational. Raises `NotExact`."""
    if value < 0 or degree > 64:
        raise NotExact
    top, bottom = _integer_root(value.numerator, degree), _integer_root(value.denominator, degree)
    return Fraction(top, bottom)


def _integer_root(value: int, degree: int) -> int:
    if value < 2:
        return value
    if degree == 2:
        root = math.isqrt(value)
    else:
        root = 1 << -(-value.bit_length() // degree)
        while True:  # Newton's method, from above
            following = ((degree - 1) * root + value // root ** (degree - 1)) // degree
            if following >= root:
                break
            root = following
    if root**degree != value:
        raise NotExact
    return root


def _exact_call(name: str, values: list[Fraction]) -> Fraction:
    match name, values:
        case _, [value] if name in ROOT_DEGREES:
            return _exact_root(value, ROOT_DEGREES[name])
        case "root", [value, degree] if degree >= 2:
            return _exact_root(value, _whole(degree))
        case "log", [value, base]:
            return _exact_log(value, base)
        case (("factorial" | "factorial2"), [value]) if value >= 0:
            return _factorial(_whole(value), 1 if name == "factorial" else 2)
        case "binomial", [top, bottom] if top >= 0 and bottom >= 0:
            return _binomial(_whole(top), _whole(bottom))
        case "mod", [value, divisor] if divisor > 0:
            return value % divisor
        case "abs", [value]:
            return abs(value)
        case "sign", [value]:
            return Fraction((value > 0) - (value < 0))
        case (("floor" | "ceil"), [value]):
            return Fraction(math.floor(value) if name == "floor" else math.ceil(value))
        case (("min" | "max"), [_, *_]):
            return min(values) if name == "min" else max(values)
        case (("gcd" | "lcm"), _):
            return Fraction((math.gcd if name == "gcd" else math.lcm)(*map(_whole, values)))
        case _:
            raise NotExact


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise NotExact
    return int(value)


def _binomial(n: int, k: int) -> Fraction:
    if n > MAX_FACTORIAL * 5:
        raise LimitExceeded("a binomial coefficient too large to write down")
    return Fraction(math.comb(n, k))


def _factorial(n: int, step: int) -> Fraction:
    if n > MAX_FACTORIAL:
        raise LimitExceeded(f"the factorial of {n if n < 10**9 else 'a huge number'}")
    result = 1
    for factor in range(n, 0, -step):
        result *= factor
    return Fraction(result)


def _exact_log(value: Fraction, base: Fraction) -> Fraction:
    if value <= 0 or base <= 0 or base == 1:
        raise NoValue("a logarithm of this is not real")
    guess = (
        round(math.log(value) / math.log(base)) if max(value.numerator, value.denominator) < 10**300 else 0
    )
    if abs(guess) < 2_000 and _exact_power(base, Fraction(guess)) == value:
        return Fraction(guess)
    raise NotExact
