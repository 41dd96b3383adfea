"""Early stopping by simulation: the decision of all samples, from fewer of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from sampler.store.stopping_rule import StoppingRule

# Pass rates of a prompt set, as policies have them.
SETS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "uniform": lambda rng, num: rng.uniform(0, 1, num),
    "at the ends": lambda rng, num: rng.beta(0.3, 0.3, num),
    "too hard": lambda rng, num: rng.beta(0.4, 2.0, num),
    "too easy": lambda rng, num: rng.beta(2.0, 0.4, num),
    "half hopeless": lambda rng, num: np.where(rng.random(num) < 0.5, 0.0, rng.beta(1.0, 1.0, num)),
}
NUM_PROMPTS = 4000


def simulated(
    rule: StoppingRule, rates: np.ndarray, rng: np.random.Generator, pass_samples: int
) -> tuple[float, float]:
    """The share of prompts decided as by all samples, and the share of these samples that was drawn."""
    samples = rng.random((len(rates), rule.num_samples)) < rates[:, None]
    all_right = samples.sum(1).astype(float)
    left = np.zeros(len(rates), np.int64)
    fixed = rule.decide(all_right, rule.num_samples - all_right, left)
    decided = np.full(len(rates), "undecided", dtype="U9")
    num_drawn = 0
    for start in range(0, rule.num_samples, pass_samples):
        end, going = min(start + pass_samples, rule.num_samples), decided == "undecided"
        num_drawn += going.sum() * (end - start)
        right = samples[going, :end].sum(1).astype(float)
        if not start:
            rule = rule.fitted(right, end - right)
        decided[going] = rule.decide(right, end - right, np.full(going.sum(), rule.num_samples - end))
    return float((decided == fixed).mean()), num_drawn / samples.size


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("num_samples", "pass_samples", "band"),
    [
        (16, 2, (0.1, 0.75)),
        (32, 2, (0.0, 0.75)),
        (32, 2, (0.1, 0.75)),
        (32, 2, (0.2, 0.8)),
    ],
)
def test_the_decision_of_all_samples_from_fewer(
    name: str, num_samples: int, pass_samples: int, band: tuple[float, float]
) -> None:
    rng = np.random.default_rng(1)
    rule = StoppingRule(num_samples, band)
    same, share = simulated(rule, SETS[name](rng, NUM_PROMPTS), rng, pass_samples)
    print(
        f"{name}, {num_samples} samples, {pass_samples} a pass, band {band}: {same:.1%} as by all, {share:.0%} drawn"
    )
    assert same >= 0.93
    assert share <= 0.6


def test_only_what_is_certain_stops_at_a_sureness_of_one() -> None:
    rng = np.random.default_rng(2)
    rule = StoppingRule(16, (0.1, 0.75), sureness=1.0)
    same, share = simulated(rule, SETS["uniform"](rng, NUM_PROMPTS), rng, 1)
    assert same == 1.0 and share < 1.0


def decided(rule: StoppingRule, right: float, wrong: float, left: int) -> str:
    return str(rule.decide(np.array([right]), np.array([wrong]), np.array([left]))[0])


@pytest.mark.parametrize(
    ("right", "wrong", "left", "decision"),
    [
        (0, 16, 0, "below"), (1, 15, 0, "below"), (2, 14, 0, "inside"), (12, 4, 0, "inside"), (13, 3, 0, "above"),
        (1.5, 14.5, 0, "below"), (2.5, 13.5, 0, "inside"),  # ties are half right
        (13, 0, 3, "above"), (0, 0, 16, "undecided"), (0, 0, 0, "undecided"), (2, 2, 12, "inside"),
        (3, 1, 12, "undecided"), (0, 4, 12, "undecided"), (8, 0, 8, "above"), (0, 3, 0, "below"),
    ],
)  # fmt: skip
def test_by_hand(right: float, wrong: float, left: int, decision: str) -> None:
    assert decided(StoppingRule(16), right, wrong, left) == decision


def test_above_nothing_is_one_right_answer() -> None:
    """RECIPE: 0 < accuracy <= 75% of 16 samples."""
    rule = StoppingRule(16, (0.0, 0.75), sureness=1.0)
    assert [decided(rule, right, 16 - right, 0) for right in (0, 1, 12, 13)] == [
        "below",
        "inside",
        "inside",
        "above",
    ]
    assert decided(rule, 1, 4, 11) == "inside" and decided(rule, 1, 3, 12) == "undecided"


def test_the_chance_is_beta_binomial() -> None:
    """0 of 8: the rest of 16 decides below where at most 1 of 8 is right; by exact fractions of Beta(1/2, 17/2)."""

    def rising(start: Fraction, num: int) -> Fraction:
        product = Fraction(1)
        for step in range(num):
            product *= start + step
        return product

    a, b = Fraction(1, 2), Fraction(17, 2)
    chance = sum(comb(8, k) * rising(a, k) * rising(b, 8 - k) / rising(a + b, 8) for k in (0, 1))
    bounds = StoppingRule(16, sureness=float(chance) - 1e-6), StoppingRule(16, sureness=float(chance) + 1e-6)
    assert [decided(rule, 0, 8, 8) for rule in bounds] == ["below", "undecided"]


def test_the_prior_is_that_of_the_set() -> None:
    """By moments, near the Beta distribution that many prompts' pass rates were drawn from; Jeffreys' for few."""
    rng = np.random.default_rng(3)
    right = rng.binomial(4, rng.beta(0.4, 2.0, 20_000)).astype(float)
    a, b = StoppingRule(16).fitted(right, 4 - right).prior
    assert abs(a - 0.4) < 0.05 and abs(b - 2.0) < 0.2
    assert StoppingRule(16).fitted(np.empty(0), np.empty(0)).prior == pytest.approx((0.5, 0.5))
    one = StoppingRule(16).fitted(
        np.array([1.0]), np.array([0.0])
    )  # of one sample a pass no variance is known
    assert one.prior == pytest.approx((0.5, 0.5))
    ends = StoppingRule(16).fitted(np.array([4.0, 0.0] * 5000), np.array([0.0, 4.0] * 5000))
    assert sum(ends.prior) == pytest.approx(0.1)


def test_no_prompts() -> None:
    none = np.empty(0)
    assert len(StoppingRule(4).decide(none, none, none.astype(np.int64))) == 0
