"""Numeric values of trees: complex numbers at 50 digits, under budgets."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from verifiers.expression.tree.node import (
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
    children,
)
from verifiers.expression.values.evaluation import ROOT_DEGREES, NoValue, check_bits
from verifiers.verifier import LimitExceeded

MAX_MAGNITUDE = 20_000
WORKING_DIGITS = 50
MAX_PARTS = 60


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


def passes_imaginary(node: Node, env: Mapping[str, Any]) -> bool:
    """True when a part of the tree has no real value, whatever the whole has."""
    stack, seen = [node], 0
    while stack and seen < MAX_PARTS:
        part = stack.pop()
        seen += 1
        if isinstance(part, (Call, Power)):
            try:
                if isinstance(numeric(part, env), _context().mpc):
                    return True
            except NoValue:
                return True
        stack.extend(children(part))
    return False


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
            check_bits(value)
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
    "sign": "sign", "re": "re", "im": "im", "log": "ln", "log10": "log10",
}  # fmt: skip


def _numeric_call(name: str, values: list[Any], context: Any) -> Any:
    match name, values:
        case (("exp" | "sinh" | "cosh" | "tanh"), [value]) if _magnitude(value, context) > 14:
            raise LimitExceeded("an exponential out of range")
        case _, [value] if name in _UNARY:
            return getattr(context, _UNARY[name])(value)
        case "log", [value, base]:
            return context.ln(value) / context.ln(base)
        case (("cbrt" | "fourthroot"), [value]):
            return _numeric_power(value, context.one / ROOT_DEGREES[name], context)
        case "root", [value, degree]:
            return _numeric_power(value, 1 / degree, context)
        case "factorial", [value]:
            if _magnitude(value, context) > 10:
                raise LimitExceeded("a factorial out of range")
            return context.gamma(value + 1)
        case "binomial", [top, bottom]:
            if max(_magnitude(top, context), _magnitude(bottom, context)) > 10:
                raise LimitExceeded("a binomial coefficient out of range")
            return context.binomial(top, bottom)
        case (("min" | "max"), [_, *_]) if all(isinstance(value, context.mpf) for value in values):
            return min(values) if name == "min" else max(values)
        case _:
            raise NoValue(f"{name} of {len(values)} values")
