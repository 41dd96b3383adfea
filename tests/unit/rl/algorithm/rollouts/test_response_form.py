"""Language mixing, repetition and token budgets by hand, and as penalties of a group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.rollouts.response_form import language_mixing_frac, repetition_frac
from rl.algorithm.rollouts.reward_shaping import LearntReward, reward_range, token_budget
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from sampler.rollout import Rollout


@pytest.mark.parametrize(
    ("response", "prompt", "frac"),
    [
        ("three dogs run", "How many dogs?", 0.0),
        ("three 只狗 run", "How many dogs?", 0.5),
        ("三只狗", "图中有几只狗?", 0.0),
        ("三只狗 dogs", "图中有几只狗?", 0.25),
        (r"三只狗，x = n，\boxed{3}", r"图中有几只狗?写在 \boxed{} 中", 0.0),
        ("<think>三</think>三", "几", 0.0),
        ("犬は三", "图中有几只狗?", 1 / 3),
        ("собака dog", "How many?", 0.5),
        ("собака dog", "Сколько dogs?", 0.0),
        ("12 + 3", "How many?", 0.0),
        ("three", "3 + 4 = ?", 0.0),
        ("", "How many?", 0.0),
    ],
)
def test_language_mixing_by_hand(response: str, prompt: str, frac: float) -> None:
    assert language_mixing_frac(response, prompt) == pytest.approx(frac)


@pytest.mark.parametrize(
    ("tokens", "n", "frac"),
    [
        ([1, 2, 3, 4], 2, 0.0),
        ([7] * 10, 1, 0.9),
        ([7] * 10, 4, 6 / 7),
        ([1, 2], 3, 0.0),
        ([], 1, 0.0),
        ([5], 1, 0.0),
    ],
)
def test_repetition_by_hand(tokens: list[int], n: int, frac: float) -> None:
    assert repetition_frac(np.array(tokens, np.int32), n) == pytest.approx(frac)


def test_tokens_are_compared_whole() -> None:
    """Two n-grams whose bytes overlap differently are different ones."""
    assert repetition_frac(np.array([1, 256, 1, 65536], np.int32), 2) == 0.0


def test_a_budget_is_a_quantile_of_the_right_lengths_of_a_group_that_is_good_enough() -> None:
    scores, lengths = [1.0, 1.0, 1.0, 1.0, 0.0], [40, 10, 30, 20, 5]
    about = {"min_pass_frac": 0.8, "quantile": 0.5}
    assert token_budget(scores, lengths, **about) == 20
    assert token_budget(scores, lengths, **about | {"quantile": 1.0}) == 40
    assert token_budget(scores, lengths, **about | {"quantile": 0.1}) == 10
    assert token_budget(scores, lengths, **about | {"min_pass_frac": 0.81}) is None
    assert token_budget([0.9, 0.9], [3, 4], **about) is None, "no response is right"


def penalties(
    rollout: Callable[..., Rollout],
    scores: list[float],
    lengths: list[int],
    step: int = 0,
    **settings: object,
) -> list[dict[str, float]]:
    prompt = Prompt.build(
        messages=[{"role": "user", "content": [{"type": "text", "text": "How many?"}]}],
        verifier="count",
        reference="3",
    )
    group = [rollout(prompt, index, text="drei 三", length=length) for index, length in enumerate(lengths)]
    learnt = [LearntReward(score, weight=2.0) for score in scores]
    return Algorithm(RlConfig(**settings)).form_penalties(group, prompt, learnt, step=step)  # type: ignore[arg-type]


def test_no_penalty_is_named_unless_the_recipe_asks(rollout: Callable[..., Rollout]) -> None:
    assert penalties(rollout, [1.0, 0.0], [5, 5]) == [{}, {}]


def test_form_is_penalised_by_name_whatever_the_score(rollout: Callable[..., Rollout]) -> None:
    found = penalties(
        rollout,
        [1.0, 0.0],
        [4, 4],
        language_mixing_penalty=0.5,
        repetition_penalty=1.0,
        repetition_ngram_tokens=2,
    )
    assert found == [{"language_mixing": -0.25, "repetition": 0.0}] * 2


def test_a_response_over_its_budget_loses_a_share_of_what_its_score_is_worth(
    rollout: Callable[..., Rollout],
) -> None:
    budget = {"token_budget_penalty": 0.5, "token_budget_min_pass_frac": 0.75}
    scores, lengths = [1.0, 1.0, 1.0, 0.0], [10, 20, 30, 40]
    assert [one["token_budget"] for one in penalties(rollout, scores, lengths, **budget)] == [
        0.0,
        0.0,
        -1.0,
        0.0,
    ]
    hard = penalties(rollout, [1.0, 0.0, 0.0, 0.0], lengths, **budget)
    assert [one["token_budget"] for one in hard] == [0.0] * 4, "a hard prompt may be thought about"


def test_budgets_come_and_go_in_phases(rollout: Callable[..., Rollout]) -> None:
    settings = {"token_budget_penalty": 1.0, "token_budget_phase_steps": 2}
    lost = [penalties(rollout, [1.0, 1.0], [1, 9], step, **settings)[1]["token_budget"] for step in range(6)]
    assert lost == [-2.0, -2.0, 0.0, 0.0, -2.0, -2.0]


def test_the_range_of_rewards_knows_the_penalties() -> None:
    config = RlConfig(language_mixing_penalty=0.25, repetition_penalty=0.5, token_budget_penalty=1.0)
    assert reward_range(config, kind="verifiable", verifier="math") == (-0.75, 1.0)
