"""Values of trees: exact rationals where possible, else complex numbers at 50 digits; all under budgets."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from verifiers.expression.node import (
    Call,
    Constant,
    Measure,
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
MAX_MAGNITUDE = 20_000
WORKING_DIGITS = 50


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
                _check_bits(result)
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


def _check_bits(value: Fraction) -> None:
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
    if name == "sqrt" and len(values) == 1:
        return _exact_root(values[0], 2)
    if name in ("cbrt", "fourthroot") and len(values) == 1:
        return _exact_root(values[0], 3 if name == "cbrt" else 4)
    if name == "root" and len(values) == 2 and values[1].denominator == 1 and values[1] >= 2:
        return _exact_root(values[0], int(values[1]))
    if name == "abs" and len(values) == 1:
        return abs(values[0])
    if name in ("floor", "ceil") and len(values) == 1:
        return Fraction(math.floor(values[0]) if name == "floor" else math.ceil(values[0]))
    if name in ("min", "max") and values:
        return min(values) if name == "min" else max(values)
    whole = all(value.denominator == 1 for value in values)
    if name in ("factorial", "factorial2") and len(values) == 1 and whole and values[0] >= 0:
        return _factorial(int(values[0]), 1 if name == "factorial" else 2)
    if name == "binomial" and len(values) == 2 and whole and min(values) >= 0:
        if values[0] > MAX_FACTORIAL * 5:
            raise LimitExceeded("a binomial coefficient too large to write down")
        return Fraction(math.comb(int(values[0]), int(values[1])))
    if name in ("gcd", "lcm") and whole:
        return Fraction((math.gcd if name == "gcd" else math.lcm)(*map(int, values)))
    if name == "sign" and len(values) == 1:
        return Fraction((values[0] > 0) - (values[0] < 0))
    if name == "log" and len(values) == 2:
        return _exact_log(values[0], values[1])
    raise NotExact


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


# --- numeric ------------------------------------------------------------------------------------------------


def numeric(node: Node, env: Mapping[str, Any] | None = None) -> Any:
    """The value as an mpmath number at `WORKING_DIGITS` digits, real where it is real.

    Raises `NoValue` where there is none, `LimitExceeded` where it would be too costly.
    """
    import mpmath

    context = _context()
    try:
        value = _numeric(node, env or {}, context)
        if isinstance(value, context.mpc) and abs(value.imag) <= context.mpf(10) ** -40 * (
            1 + abs(value.real)
        ):
            value = value.real
    except (ValueError, ZeroDivisionError, OverflowError, mpmath.libmp.ComplexResult) as why:
        raise NoValue(str(why)) from None
    except mpmath.libmp.NoConvergence as why:
        raise NoValue(str(why)) from None
    if isinstance(value, context.mpf) and context.isnan(value):
        raise NoValue("not a number")
    return value


_LOCAL = threading.local()


def _context() -> Any:
    """An mpmath context of this thread: some functions raise the precision for a moment."""
    context = getattr(_LOCAL, "context", None)
    if context is None:
        import mpmath

        context = _LOCAL.context = mpmath.mp.clone()
        context.dps = WORKING_DIGITS
    return context


def _numeric(node: Node, env: Mapping[str, Any], context: Any) -> Any:
    match node:
        case Number(value, _, _, _):
            _check_bits(value)
            return context.mpf(value.numerator) / value.denominator
        case Symbol(name):
            if name not in env:
                raise NoValue(f"{name} has no value")
            return env[name]
        case Constant(name):
            return {"pi": +context.pi, "e": +context.e, "i": context.j, "infinity": context.inf}[name]
        case Sum(items):
            return context.fsum([_numeric(item, env, context) for item in items])
        case Product(items):
            result = context.one
            for item in items:
                result = _checked(result * _numeric(item, env, context), context)
            return result
        case Quotient(top, bottom):
            return _checked(_numeric(top, env, context) / _numeric(bottom, env, context), context)
        case Power(base, exponent):
            return _numeric_power(_numeric(base, env, context), _numeric(exponent, env, context), context)
        case Percent(item):
            return _numeric(item, env, context) / 100
        case Measure(item, _):
            return _numeric(item, env, context)
        case Call(name, arguments):
            values = [_numeric(argument, env, context) for argument in arguments]
            return _checked(_numeric_call(name, values, context), context)
        case _:
            raise NoValue("not a number")


def _magnitude(value: Any, context: Any) -> float:
    """About log2 |value|; infinite values count as small, they cost nothing."""
    if not value or context.isinf(value) or context.isnan(value):
        return 0.0
    return float(context.mag(value))


def _checked(value: Any, context: Any) -> Any:
    if abs(_magnitude(value, context)) > MAX_MAGNITUDE:
        raise LimitExceeded("a number out of range")
    return value


def _numeric_power(base: Any, exponent: Any, context: Any) -> Any:
    size = _magnitude(exponent, context)
    if size > 40 or abs(_magnitude(base, context)) * 2**size > MAX_MAGNITUDE * 4:
        raise LimitExceeded("a power out of range")
    if (
        isinstance(base, context.mpf)
        and base < 0
        and isinstance(exponent, context.mpf)
        and not context.isint(exponent)
    ):
        return _odd_root(base, exponent, context)
    return _checked(context.power(base, exponent), context)


def _odd_root(base: Any, exponent: Any, context: Any) -> Any:
    """(-8)^(1/3) is -2, as in school; an even root of a negative number is complex."""
    for degree in (3, 5, 7, 9):
        times = exponent * degree
        if context.almosteq(times, context.nint(times), 1e-40):
            sign = -1 if int(context.nint(times)) % 2 else 1
            return sign * context.power(-base, exponent)
    return context.power(context.mpc(base), exponent)


_UNARY = {
    "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "asin": "asin", "acos": "acos",
    "atan": "atan", "acot": "acot", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "asinh", "acosh": "acosh",
    "atanh": "atanh", "ln": "ln", "exp": "exp", "sqrt": "sqrt", "abs": "fabs", "floor": "floor", "ceil": "ceil",
    "sign": "sign", "re": "re", "im": "im",
}  # fmt: skip


def _numeric_call(name: str, values: list[Any], context: Any) -> Any:
    if name in _UNARY and len(values) == 1:
        if name in ("exp", "sinh", "cosh", "tanh") and _magnitude(values[0], context) > 14:
            raise LimitExceeded("an exponential out of range")
        return getattr(context, _UNARY[name])(values[0])
    if name == "log" and len(values) == 1:
        return context.ln(values[0])
    if name == "log10" and len(values) == 1:
        return context.log10(values[0])
    if name == "log" and len(values) == 2:
        return context.ln(values[0]) / context.ln(values[1])
    if name in ("cbrt", "fourthroot") and len(values) == 1:
        return _numeric_power(values[0], context.one / (3 if name == "cbrt" else 4), context)
    if name == "root" and len(values) == 2:
        return _numeric_power(values[0], 1 / values[1], context)
    if name == "factorial" and len(values) == 1:
        if _magnitude(values[0], context) > 10:
            raise LimitExceeded("a factorial out of range")
        return context.gamma(values[0] + 1)
    if name == "binomial" and len(values) == 2:
        if max(_magnitude(value, context) for value in values) > 10:
            raise LimitExceeded("a binomial coefficient out of range")
        return context.binomial(*values)
    if name in ("min", "max") and values and all(isinstance(value, context.mpf) for value in values):
        return min(values) if name == "min" else max(values)
    raise NoValue(f"{name} of {len(values)} values")
