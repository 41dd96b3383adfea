"""pass@k against enumeration; the figures of an evaluation against counting by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from rl.experience.exams.evaluation import evaluate, form_figures, pass_at_k


def test_pass_at_k_is_the_share_of_subsets_with_a_right_one() -> None:
    for n in range(1, 8):
        for right in range(n + 1):
            for k in range(1, n + 1):
                subsets = list(combinations([i < right for i in range(n)], k))
                assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_needs_k_samples() -> None:
    with pytest.raises(AssertionError, match="at least k"):
        pass_at_k(3, 1, 4)


def test_figures(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    a = prompt("a", tags=("sum",), verifier="math")
    b = prompt("b", tags=("sum",), verifier="math")
    c = prompt("c", tags=("where",), verifier="bbox_iou", kind="general")
    d = prompt("d", tags=("where",), verifier="bbox_iou")
    values: dict[Any, list[float | None]] = {
        a: [1.0, 1.0, 0.0, 0.0],
        b: [0.0, 0.0, 0.0, 1.0],
        c: [0.7, 0.49, None, None],
        d: [None] * 4,
    }
    rollouts = [judged(p, i, value, length=2 + i) for p, own in values.items() for i, value in enumerate(own)]
    rollouts[4] = judged(b, 0, 0.0, status="truncated", length=2)
    got = evaluate(rollouts, pass_at=(2, 4), pass_score=0.5)

    assert got["num_prompts"] == 3  # nothing is known of d
    assert got["samples_per_prompt"] == 4
    assert got["pass_at_1"] == pytest.approx((2 / 4 + 1 / 4 + 1 / 2) / 3)
    # Pairs without a right one: a 1 of 6, b 3 of 6, c none; of four, c has too few samples to tell.
    assert got["pass_at_k"] == {"2": pytest.approx((5 / 6 + 3 / 6 + 1) / 3), "4": 1.0}
    assert got["by_tag"] == {
        "sum": {"pass_at_1": 0.375, "num_prompts": 2, "pass_at_1_interval": None},
        "where": {"pass_at_1": 0.5, "num_prompts": 1, "pass_at_1_interval": None},
    }
    assert got["by_verifier"]["bbox_iou"] == got["by_tag"]["where"]
    assert got["by_kind"]["verifiable"]["num_prompts"] == 2
    assert got["answer_status"] == {"ok": 15 / 16, "truncated": 1 / 16}
    assert got["unjudged_frac"] == 6 / 16
    assert got["response_tokens_mean"] == 3.5


def test_nothing_judged() -> None:
    got = evaluate([], pass_at=(4,), pass_score=0.5)
    assert (got["num_prompts"], got["pass_at_1"], got["pass_at_k"]) == (0, 0.0, {"4": 0.0})


def test_what_may_drift(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    """Lengths, -log p a token and the scripts of letters, by hand; digits and marks are in no script."""
    rollouts = [judged(prompt("a"), index, 1.0, length=length) for index, length in enumerate((1, 3))]
    for one, text, logprobs in zip(rollouts, ("ab 12, 好", "д!"), ([-0.5], [-1.0, 0.0, -2.5]), strict=True):
        object.__setattr__(one.rollout, "text", text)
        one.rollout.turns[0].sample_logprobs[:] = logprobs
    assert form_figures(rollouts) == {
        "response_tokens_mean": 2.0,
        "surprisal_mean": 1.0,
        "scripts": {"latin": 0.5, "cjk": 0.25, "cyrillic": 0.25},
    }
