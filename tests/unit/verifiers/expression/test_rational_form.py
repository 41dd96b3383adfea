"""The exact normal form: against sympy, under its budgets, and as the last tier of `math`."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.expression.grammar.parser import parse_notation
from verifiers.expression.text.notation import standard_notation
from verifiers.expression.tree.node import (
    Call,
    Constant,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    symbols,
)
from verifiers.expression.values.rational_form import same_form
from verifiers.registry import load_verifier

sympy = pytest.importorskip("sympy")


def number(value):
    return Number(Fraction(value))


RATIONAL = st.recursive(
    st.one_of(st.integers(-3, 3).map(number), st.sampled_from([Symbol("x"), Symbol("y")])),
    lambda below: st.one_of(
        st.tuples(below, below).map(Sum),
        st.tuples(below, below).map(Product),
        st.builds(Quotient, below, below),
        st.builds(Power, below, st.integers(-2, 3).map(number)),
    ),
    max_leaves=6,
)
ANY = st.recursive(
    st.one_of(st.integers(-2, 8).map(number), st.sampled_from([Symbol("x"), Constant("pi"), Constant("i")])),
    lambda below: st.one_of(
        st.tuples(below, below).map(Sum),
        st.tuples(below, below).map(Product),
        st.builds(Quotient, below, below),
        st.builds(
            Power,
            below,
            st.sampled_from([number(n) for n in ("2", "3", "-1", "1/2", "3/2")] + [Symbol("n")]),
        ),
        st.builds(lambda node: Power(Constant("e"), node), below),
        st.builds(
            lambda name, node: Call(name, (node,)), st.sampled_from(["sin", "cos", "sqrt", "exp"]), below
        ),
    ),
    max_leaves=5,
)


def in_sympy(node):
    """The tree in sympy. Raises `ZeroDivisionError` where a part of it has no value."""
    match node:
        case Number(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Symbol(name):
            return sympy.Symbol(name)
        case Constant(name):
            return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}[name]
        case Sum(items):
            return sympy.Add(*map(in_sympy, items))
        case Product(items):
            return sympy.Mul(*map(in_sympy, items))
        case Quotient(a, b):
            return in_sympy(a) / not_zero(in_sympy(b))
        case Power(a, b):
            base = in_sympy(a)
            return (base if b in (number(2), number(3)) else not_zero(base)) ** in_sympy(b)
        case Call(name, (a,)):
            return getattr(sympy, name)(in_sympy(a))


def not_zero(value):
    if sympy.cancel(value) == 0:
        raise ZeroDivisionError
    return value


@settings(max_examples=150, deadline=None, derandomize=True)
@given(RATIONAL, RATIONAL, st.integers(0, 3))
def test_rational_functions_as_sympy_decides(a, b, way):
    """Random pairs are rarely equal: three in four are one function, expanded, factored or put over one bar."""
    try:
        left = in_sympy(a)
        if way:
            b = from_sympy([sympy.expand, sympy.factor, sympy.together][way - 1](left))
        right = in_sympy(b)
    except ZeroDivisionError:
        return
    equal = sympy.cancel(left - right) == 0
    assert same_form(a, b) is (True if equal else False if symbols(a) | symbols(b) else None)


def from_sympy(value):
    if value.is_Rational:
        return Number(Fraction(int(value.p), int(value.q)))
    if value.is_Symbol:
        return Symbol(value.name)
    items = tuple(map(from_sympy, value.args))
    return {"Add": Sum, "Mul": Product}[value.func.__name__](items) if not value.is_Pow else Power(*items)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(ANY, ANY, st.integers(0, 4))
def test_equal_forms_are_equal_values(a, b, way):
    if way:  # random pairs are rarely equal: a copy that only its own rules can see to be one
        b = [
            Sum((Product((a, b)), Product((Sum((number(1), Product((number(-1), b)))), a)))),
            Quotient(Product((a, a)), a),
            Power(Call("sqrt", (a,)), number(2)),
            Product((a, Sum((Power(Call("sin", (b,)), number(2)), Power(Call("cos", (b,)), number(2)))))),
        ][way - 1]
    if same_form(a, b) is not True:
        return
    for x, n in ((sympy.Rational(7, 5), 3), (sympy.Rational(-9, 7), sympy.Rational(5, 3))):
        try:
            left, right = (
                in_sympy(node).subs({"x": x, "n": n, "y": 1}).evalf(40, maxn=200) for node in (a, b)
            )
        except (TypeError, OverflowError, ZeroDivisionError):
            continue
        if all(value.is_number and value.is_finite for value in (left, right)):
            assert abs(left - right) <= 1e-15 * max(1, abs(left))


def read(text):
    return parse_notation(standard_notation(text))


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (r"\sqrt{x}\sqrt{x}", "x"),
        (r"\sqrt{8}+\sqrt{1/2}", r"\frac{5\sqrt{2}}{2}"),
        (r"x\sqrt{6}", r"x\sqrt{2}\sqrt{3}"),
        (r"e^{2x+1}", r"e\cdot(e^x)^2"),
        (r"4^n", r"(2^n)^2"),
        (r"\sin^2 x", r"(1-\cos x)(1+\cos x)"),
        (r"\frac{1}{1+\sqrt{x}}+1", r"1+\frac{2}{2\sqrt{x}+2}"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"i^2 x", "-x"),
        (r"\sqrt[3]{x}^6", "x^2"),
        (r"n!!+1", "1+n!!"),
    ],
)
def test_equal_forms(reference, answer):
    assert same_form(read(reference), read(answer)) is True


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (r"\sqrt{x^2}", "x"),
        (r"\sqrt{x}\sqrt{y}", r"\sqrt{xy}"),
        (r"(x^2)^n", "x^{2n}"),
        (r"\ln(x^2)", r"2\ln x"),
        (r"\frac{x-x}{x-x}", "1"),
        (r"0\cdot\ln(0)+x", "x"),
        (r"x+\frac{0}{\sqrt{4}-2}", "x"),
        (r"x\sin(0)/\sin(0)", "x"),
        (r"\infty+x", r"x+\infty"),
        (r"x(\sqrt{x^2}+x)", r"\frac{0}{\sqrt{x^2}-x}"),
        ("10^{5000}", "10^{5000}+1"),
        ("0.333...x", "x/3"),
    ],
)
def test_neither_equal_nor_different(reference, answer):
    assert same_form(read(reference), read(answer)) is None


@pytest.mark.parametrize(
    ("reference", "answer"), [("x^{1000000}", "x^{999999}"), ("x/y", "y/x"), ("x", "x+1/10^{300}")]
)
def test_different_rational_functions(reference, answer):
    assert same_form(read(reference), read(answer)) is False


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("(x+1)^{500}(y+1)^{500}", "(y+2)^{500}(x+1)^{500}"),
        ("(x+y+z+w)^{400}", "((x+y)+(z+w))^{399}"),
        ("((((x+1)^9+1)^9+1)^9+1)^9", "((((x+1)^9+1)^9+1)^9+2)^9"),
        ("(((((x+1)^{99})^{99})^{99})^{99})^{99}", "x"),
        ("x^{9^{9^{9^9}}}", "9^{x^{9^{9^9}}}"),
        (r"(1+\sqrt{2})^{400}x+(1+\sqrt{3})^{399}(1+\sqrt{5})^{398}", "x"),
        (r"(\sqrt{2}+\sqrt{3}+\sqrt{5}+\sqrt{7}+\sqrt{11}+\sqrt{13})^{99}x", "x"),
        ("(x+10^{500})^{300}", "(x+10^{501})^{300}"),
        ("+".join(rf"\frac{{1}}{{x+{n}y+z^{n}}}" for n in range(2, 60)), "x"),
        ("".join(f"(x_{n}+y_{n}+1)" for n in range(30)), "".join(f"(x_{n}+y_{n}+2)" for n in range(30))),
        (r"\sqrt{" * 20 + "x+1" + "}" * 20 + r"^{999999}", "x"),
        (r"(\sin x+\cos x+\tan x)^{300}", r"(\sin x-\cos x)^{300}"),
        ("x^{" + "9" * 400 + "}", "y"),
    ],
)
def test_budgets_hold(reference, answer):
    a, b = read(reference), read(answer)
    fastest = float("inf")
    for _ in range(3):
        began = time.thread_time()
        same_form(a, b)
        fastest = min(fastest, time.thread_time() - began)
    assert fastest < 0.05


@pytest.mark.parametrize(
    ("reference", "answer", "score"),
    [
        (r"x^{1000000}(x+1)", r"x^{1000001}+x^{1000000}", 1),
        (r"x^{1000000}(x+1)", r"x^{1000001}+x^{999999}", 0),
        ("a+b+c+d+f+g+h+k+m+n+p+q+r", "r+q+p+n+m+k+h+g+f+d+c+b+a", 1),
        (r"2\sqrt{-x^2-1}", r"\sqrt{-1-x^2}\cdot 2", 1),
        (r"\gcd(a,b)+1", r"1+\gcd(a,b)", 1),
    ],
)
def test_last_tier_is_confident(reference, answer, score):
    verdict = load_verifier("math").judge(reference, rf"\boxed{{{answer}}}")
    assert (verdict.score, verdict.tier, verdict.confident) == (score, "symbolic", True)


def test_what_it_cannot_decide_stays():
    assert load_verifier("math").judge("10^{50000}+1", r"\boxed{10^{50000}+2}").code == "limit"
    assert load_verifier("math").judge(r"\infty+x", r"\boxed{x+\infty}").confident is False
