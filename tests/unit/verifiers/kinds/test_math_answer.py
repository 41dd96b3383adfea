"""What the `math` options and tiers promise."""

import pytest

from verifiers.errors import BadOption, BadReference
from verifiers.registry import load_verifier


def judge(reference, answer, **options):
    return load_verifier("math", options).judge(reference, answer)


@pytest.mark.parametrize(
    "reference", ["", "  ", "$$", r"\frac{1", r"\boxed{}", "(1,2", r"\sqrt{}", None, float("nan"), []]
)
def test_corrupted_references_are_refused_at_load(reference):
    with pytest.raises(BadReference):
        load_verifier("math").prepare(reference)


@pytest.mark.parametrize(
    ("reference", "answer", "tier"),
    [
        ("x^2", "x^2", "text"),
        ("1/2", "0.5", "exact"),
        ("(1,2)", "(1.0,2)", "structure"),
        (r"\sqrt{8}", r"2\sqrt{2}", "numeric"),
        ("(x+1)^2", "x^2+2x+1", "numeric"),
    ],
)
def test_cheapest_tier_decides(reference, answer, tier):
    verdict = judge(reference, answer)
    assert (verdict.score, verdict.tier) == (1.0, tier)


def test_a_tolerance_match_is_not_confident():
    assert judge("3.14159", r"\pi").confident is False
    assert judge("1/3", "0.333333").confident is False
    assert judge("1/2", "0.5").confident is True


def test_a_guess_at_the_answer_is_not_confident():
    assert judge("7", "So there must be 7 of them in the end").confident is False


def test_several_accepted_references():
    assert judge(["1/2", "2"], "2").score == 1.0
    assert judge(["1/2", "2"], "3").score == 0.0


@pytest.mark.parametrize(
    ("option", "value"),
    [("tolerance", "loose"), ("tolerance", -1), ("percent", "x"), ("reduced", 3), ("units", None)],
)
def test_bad_option_values(option, value):
    with pytest.raises(BadOption, match=option):
        load_verifier("math", {option: value})


def test_misspelt_option_names_the_near_one():
    with pytest.raises(BadOption, match="did you mean 'tolerance'"):
        load_verifier("math", {"tolerence": 0.1})


@pytest.mark.parametrize(
    "answer", ["42 or 44", r"\boxed{42 \text{ or } 44}", "42, 44", r"\boxed{42}\boxed{44}", "either 40 or 42"]
)
def test_two_candidates_score_nothing(answer):
    assert judge("42", answer).score == 0.0


def test_the_last_box_counts():
    assert judge("42", r"\boxed{41}, no: \boxed{42}").score == 1.0
    assert judge("42", r"\boxed{42}, no: \boxed{41}").score == 0.0


def test_a_limit_is_scored_zero_under_its_name():
    verdict = judge("5", "9^{9^{9^9}}")
    assert (verdict.status, verdict.score, verdict.code) == ("scored", 0.0, "limit")
