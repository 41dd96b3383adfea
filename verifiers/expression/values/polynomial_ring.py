"""Polynomials and their quotients over the rationals, in symbols and atoms, under budgets.

An identity such as `sqrt(a)^2 = a` makes zero divisors: `(sqrt(x^2) - x)(sqrt(x^2) + x) = 0`. A denominator therefore
is free of atoms with an identity, or a multiple of such a one by a single term, or an atom as a whole: none divides
zero, and cross-multiplication is sound.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import NamedTuple, TypeAlias

from verifiers.expression.values.evaluation import NoValue

MAX_TERMS = 200  # of one polynomial
MAX_WRITTEN_OUT = 40  # terms of a power; a longer one is an atom
MAX_DEGREE = 10**12
MAX_BITS = 2_000  # of one coefficient
MAX_STEPS = 2_000  # terms touched in one comparison, those with long coefficients several times
_SMALL_PRIMES = tuple(n for n in range(2, 200) if all(n % k for k in range(2, n)))

Monomial: TypeAlias = tuple[tuple[int, int], ...]  # (atom, exponent), in the order of the atoms
Polynomial: TypeAlias = dict[Monomial, Fraction]
UNIT: Polynomial = {(): Fraction(1)}


class Undecided(Exception):
    """No form of this within the budgets."""


class Form(NamedTuple):
    """A quotient of polynomials; the denominator is not zero, and a number is over `UNIT`."""

    top: Polynomial
    bottom: Polynomial = UNIT

    @property
    def constant(self) -> Fraction | None:
        """The number that this is, if it is one."""
        if self.bottom != UNIT or len(self.top) > 1:
            return None
        return self.top.get(()) if self.top else Fraction(0)

    @property
    def key(self) -> tuple[object, ...]:
        """A name that equal forms share."""
        return (tuple(sorted(self.top.items())), tuple(sorted(self.bottom.items())))


def number(value: Fraction | int) -> Form:
    """A rational as a form; 0 has no terms."""
    return Form({(): Fraction(value)} if value else {})


ONE = number(1)


def bits(value: Fraction) -> int:
    """Of numerator and denominator together."""
    return value.numerator.bit_length() + value.denominator.bit_length()


def _merged(a: Monomial, b: Monomial) -> Monomial:
    if not a or not b:
        return a or b
    exponents = dict(a)
    for atom, exponent in b:
        exponents[atom] = exponents.get(atom, 0) + exponent
    return tuple(sorted(exponents.items()))


def factors(value: Fraction) -> list[tuple[int, int]]:
    """Prime factors with their exponents; what small primes leave counts as one factor."""
    found = []
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        rest = part
        for prime in _SMALL_PRIMES:
            count = 0
            while rest % prime == 0:
                rest, count = rest // prime, count + 1
            if count:
                found.append((prime, sign * count))
        if rest > 1:
            found.append((rest, sign))
    return found


class PolynomialRing:
    """The atoms of one comparison, arithmetic of forms over them, and what is left of the budget."""

    def __init__(self) -> None:
        self.atoms: dict[object, int] = {}
        self.opaque: set[int] = set()
        self.folds: dict[int, tuple[int, Polynomial]] = {}  # atom ** count is this polynomial
        self.steps_left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Raises `Undecided` when the budget of the comparison is used up."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise Undecided

    def atom(self, name: object, *, opaque: bool = True) -> Form:
        """The atom of that name, new or known. Beside an opaque one, forms that differ may still be equal."""
        index = self.atoms.setdefault(name, len(self.atoms))
        if opaque:
            self.opaque.add(index)
        return Form({((index, 1),): Fraction(1)})

    def folding(self, polynomial: Polynomial) -> bool:
        """Whether it holds an atom with an identity, and so may divide zero."""
        return any(atom in self.folds for monomial in polynomial for atom, _ in monomial)

    # --- polynomials ----------------------------------------------------------------------------------------

    def plus(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """The sum; a term whose coefficients cancel is gone. Raises `Undecided` past a budget."""
        self.spend(len(a) + len(b))
        total = dict(a)
        for monomial, coefficient in b.items():
            value = total.get(monomial, 0) + coefficient
            if value:
                total[monomial] = value
            else:
                del total[monomial]
        return self.checked(total)

    def times(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """The product, with the identities of atoms applied. Raises `Undecided` past a budget."""
        if a == UNIT or b == UNIT:
            return b if a == UNIT else a
        long = max((bits(value) for value in (*a.values(), *b.values())), default=0)
        self.spend(len(a) * len(b) * (1 + long // 100))
        total: dict[Monomial, Fraction] = {}
        folded: Polynomial = {}
        for left, x in a.items():
            for right, y in b.items():
                monomial = _merged(left, right)
                if self.folds and any(e >= self.folds[n][0] for n, e in monomial if n in self.folds):
                    folded = self.plus(folded, self.reduced(monomial, x * y))
                else:
                    total[monomial] = total.get(monomial, Fraction(0)) + x * y
        return self.plus(folded, self.checked({m: value for m, value in total.items() if value}))

    def checked(self, polynomial: Polynomial) -> Polynomial:
        """The same polynomial. Raises `Undecided` for too many terms, bits or degrees."""
        if len(polynomial) > MAX_TERMS:
            raise Undecided
        for monomial, coefficient in polynomial.items():
            if bits(coefficient) > MAX_BITS or sum(exponent for _, exponent in monomial) > MAX_DEGREE:
                raise Undecided
        return polynomial

    def reduced(self, monomial: Monomial, coefficient: Fraction) -> Polynomial:
        """One term, with the identities of its atoms applied."""
        rest: list[tuple[int, int]] = []
        values: list[Polynomial] = []
        for atom, exponent in monomial:
            if atom in self.folds:
                count, value = self.folds[atom]
                values.append(self.raised(value, exponent // count))
                rest.append((atom, exponent % count))
            else:
                rest.append((atom, exponent))
        result = self.checked({tuple(power for power in rest if power[1]): coefficient})
        for factor in values:
            result = self.times(result, factor)
        return result

    def raised(self, base: Polynomial, exponent: int) -> Polynomial:
        """`base ** exponent`; written out unless that is too long: then the base is an atom."""
        if len(base) == 1:
            [(monomial, coefficient)] = base.items()
            powers = tuple((atom, n * exponent) for atom, n in monomial)
            if exponent * bits(coefficient) <= MAX_BITS or abs(coefficient) == 1:
                return self.reduced(powers, coefficient**exponent if exponent else Fraction(1))
            result = self.reduced(powers, Fraction(-1 if coefficient < 0 and exponent % 2 else 1))
            for prime, count in factors(abs(coefficient)):
                if count < 0:
                    raise Undecided
                result = self.times(
                    result, {self.power_of_atom(("prime", prime), count * exponent): Fraction(1)}
                )
            return result
        if exponent > MAX_WRITTEN_OUT or comb(exponent + len(base) - 1, exponent) > MAX_WRITTEN_OUT:
            whole, lead = self.monic(base)
            return self.times(
                {self.power_of_atom(("base", whole), exponent): Fraction(1)},
                self.raised({(): lead}, exponent),
            )
        result = UNIT
        for _ in range(exponent):
            result = self.times(result, base)
        return result

    def power_of_atom(self, name: object, exponent: int) -> Monomial:
        """`atom ** exponent`, its identity not applied."""
        [((atom, _),)] = self.atom(name).top
        return ((atom, exponent),)

    def monic(self, polynomial: Polynomial) -> tuple[object, Fraction]:
        """The polynomial's name, its leading coefficient taken out, and that coefficient."""
        self.spend(len(polynomial))
        lead = polynomial[max(polynomial)]
        return tuple(sorted((monomial, value / lead) for monomial, value in polynomial.items())), lead

    # --- quotients ------------------------------------------------------------------------------------------

    def quotient(self, top: Polynomial, bottom: Polynomial) -> Form:
        """Without a common power of an atom, the denominator's leading coefficient 1."""
        self.spend(len(top) + len(bottom))
        if not top:
            return Form({})
        lead = bottom[max(bottom)]
        ratio = top.get(max(bottom), Fraction(0)) / lead
        if top.keys() == bottom.keys() and all(top[m] == ratio * bottom[m] for m in top):
            return number(ratio)
        shared = dict(max(bottom))
        for monomial in (*top, *bottom):
            powers = dict(monomial)
            shared = {atom: min(n, powers[atom]) for atom, n in shared.items() if atom in powers}
        divide = tuple((atom, -n) for atom, n in shared.items())
        top, bottom = (
            {tuple(p for p in _merged(m, divide) if p[1]): value / lead for m, value in part.items()}
            for part in (top, bottom)
        )
        return Form(self.checked(top), self.checked(bottom))

    def sum(self, a: Form, b: Form) -> Form:
        """Over the common denominator, or the product of both."""
        if a.bottom == b.bottom:
            return self.quotient(self.plus(a.top, b.top), a.bottom)
        top = self.plus(self.times(a.top, b.bottom), self.times(b.top, a.bottom))
        return self.quotient(top, self.times(a.bottom, b.bottom))

    def product(self, a: Form, b: Form) -> Form:
        return self.quotient(self.times(a.top, b.top), self.times(a.bottom, b.bottom))

    def inverse(self, form: Form) -> Form:
        """1 / form; a top that may divide zero becomes an atom. Raises `NoValue` for 0."""
        if not form.top:
            raise NoValue("division by zero")
        if len(form.top) == 1 or not self.folding(form.top):
            return self.quotient(form.bottom, form.top)
        whole, lead = self.monic(form.top)
        return self.product(Form(form.bottom, {(): lead}), self.atom(("inverse", whole)))

    def whole_power(self, base: Form, exponent: int) -> Form:
        """`base ** exponent`, also below 0. Raises `Undecided` for 0 ** 0 and past `MAX_DEGREE`."""
        if abs(exponent) > MAX_DEGREE or (exponent == 0 and not base.top):
            raise Undecided
        if exponent < 0:
            return self.whole_power(self.inverse(base), -exponent)
        if not base.top:
            return base
        return self.quotient(self.raised(base.top, exponent), self.raised(base.bottom, exponent))
