"""Bootstrap intervals against scipy and their promise; what changed between two policies, and what only seems to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl.experience.exams.exam import PromptResult, exam_change, read_exam
from rl.experience.exams.interval import mean_interval, paired_change
from rl.experience.rollout_log import write_rollouts


def test_against_scipy() -> None:
    from scipy.stats import bootstrap, norm, t

    values = np.random.default_rng(5).random(60)
    expanded = 1 - 2 * norm.cdf(t.ppf(0.05, 59) * (60 / 59) ** 0.5)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=40_000, rng=1, confidence_level=expanded
    )
    ours = mean_interval(list(values), level=0.9)
    assert ours is not None
    assert [ours.low, ours.high] == pytest.approx(list(theirs.confidence_interval), abs=4e-3)
    assert ours.mean == pytest.approx(values.mean())


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """300 sets of 80 prompts whose rate is known: 95% of the intervals, within four standard errors of such a count."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        found = mean_interval(list(random.binomial(4, 0.7, size=80) / 4))
        assert found is not None
        held += found.low <= 0.7 <= found.high
    assert held >= 300 * 0.95 - 4 * (300 * 0.95 * 0.05) ** 0.5


def test_too_little_to_tell() -> None:
    assert mean_interval([]) is mean_interval([0.4] * 9) is paired_change({"a": 1.0}, {"b": 1.0}) is None


def test_pairing_takes_out_how_hard_a_prompt_is() -> None:
    """Every prompt gains a tenth: paired there is no doubt, although the prompts differ by far more."""
    before = {str(i): i % 10 / 10 for i in range(50)}
    change = paired_change(before, {name: rate + 0.1 for name, rate in before.items()} | {"new": 0.0})
    assert change is not None
    assert [change.mean, change.low, change.high] == pytest.approx([0.1] * 3)
    assert change.in_points == "+10.0 (+10.0 to +10.0)"


def exam_of(rates: dict[str, list[float]], *, verified: bool = True) -> dict[str, PromptResult]:
    return {
        f"{name}{i}": PromptResult(name, verified, rate)
        for name, own in rates.items()
        for i, rate in enumerate(own)
    }


def test_a_type_that_fell_is_told_from_one_that_wavers() -> None:
    random = np.random.default_rng(2)
    noise = [list(random.binomial(4, 0.7, size=60) / 4) for _ in range(3)]
    before = exam_of({"sum": [0.9] * 60, "where": noise[0], "count": [0.5] * 60})
    after = exam_of({"sum": noise[1], "where": noise[2], "count": [0.75] * 60})
    change = exam_change(before, after)
    assert list(change.fell) == ["sum"]
    assert set(change.by_type) == {"sum", "where", "count"}
    assert change.by_type["count"].low == 0.25


def test_many_types_at_once_seldom_seem_to_fall() -> None:
    """Twenty types that did not change, thirty times: at 95% for each alone about every second time one would fall."""
    random, alarms = np.random.default_rng(3), 0
    for _ in range(30):
        both = [
            exam_of({f"type{i:02d}": list(random.binomial(4, 0.6, size=40) / 4) for i in range(20)})
            for _ in "ab"
        ]
        alarms += bool(exam_change(*both).fell)
    assert alarms <= 5


def test_what_verifiers_judge_goes_before_wins() -> None:
    both = [exam_of({"a": [rate] * 12}) | exam_of({"b": [0.0] * 12}, verified=False) for rate in (0.0, 1.0)]
    gain = exam_change(*both).gain
    assert gain is not None and gain.mean == 1.0
    wins = exam_change(*(exam_of({"b": [rate] * 12}, verified=False) for rate in (0.5, 1.0)))
    assert wins.gain is not None and wins.gain.mean == 0.5


def test_an_exam_is_read_from_the_rollout_log(
    tmp_path: Path, prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    a, b = prompt("a", tags=("sum", "long"), verifier="math"), prompt("b", verifier=None, kind="general")
    rollouts = [judged(a, 0, 0.7), judged(a, 1, 0.2), judged(a, 2, None)]
    rollouts += [judged(b, index, probability) for index, probability in enumerate((0.9, 0.1, 0.5, 0.8))]
    write_rollouts(tmp_path, rollouts, stage="s", round_index=0, step=0)
    assert read_exam(tmp_path, 0.5) == {
        "a": PromptResult("sum", True, 0.5),
        "b": PromptResult("general", False, 0.625),
    }
