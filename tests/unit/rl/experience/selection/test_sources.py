"""Prompt sources that go by what was seen: their rules on chosen counts, their draws, and going on after a kill."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from rl.experience.experience import Experience
from rl.experience.prompt_source import PromptSource, UniformSource, check_source, prompt_source_of
from rl.experience.selection.band_source import BandSource
from rl.experience.selection.posterior_source import PosteriorSource
from rl.experience.selection.retiring_source import RetiringSource
from rl.experience.selection.thinning_source import ThinningSource
from rl.recipe.rl_config import RlConfig
from sampler.vllm_pool.sample_stats import SampleStats
from verifiers.errors import BadInput

KL = {"kl_coef_verifiable": 1e-3}
NAMES = ("band", "posterior", "retire", "thin")


@pytest.fixture
def prompts(prompt: Callable[..., Any]) -> list[Any]:
    return [replace(prompt(f"p{i:02d}"), tags=("odd" if i % 2 else "even",)) for i in range(40)]


@pytest.fixture
def seen(judged: Callable[..., Any]) -> Callable[..., Experience]:
    """The experience of a step in which each prompt had so many right samples of so many, by policy version 3."""

    def make(step: int, rewards: Mapping[Any, Sequence[float | None]]) -> Experience:
        rollouts = [
            judged(one, i, value) for one, values in rewards.items() for i, value in enumerate(values)
        ]
        return Experience(step, tuple(rollouts), {}, SampleStats(), 0.0, 0.0)

    return make


class Known:
    """What earlier stages know."""

    right_score, policy_version = 0.5, 5

    def __init__(self, counts: Mapping[str, tuple[float, float]]) -> None:
        self.counts = counts

    def evidence(self, half_life: float, runs: Sequence[str]) -> Mapping[str, tuple[float, float]]:
        return self.counts


def source_of(name: str, prompts: list[Any], **options: Any) -> Any:
    config = RlConfig(prompt_source=name, prompt_source_options=options, steps=10, loss=KL)
    return prompt_source_of(prompts, config, seed="s")


def num_of_weight(source: Any, weight: float) -> int:
    """By the rule, and by what is drawn from."""
    by_rule = source.weights_of(np.arange(len(source.prompts)))
    assert np.array_equal(source._turns.weights, by_rule)
    return int((by_rule == weight).sum())


def ids(prompts: list[Any] | None) -> list[str]:
    assert prompts is not None
    return [one.prompt_id for one in prompts]


def test_a_band_leaves_out_what_is_surely_outside(prompts: list[Any], seen: Any) -> None:
    source = source_of("band", prompts, review_frac=0.0)
    assert isinstance(source, BandSource)
    right, wrong, few, mixed = prompts[:4]
    source.observe(
        seen(0, {right: [1.0] * 16, wrong: [0.0] * 32, few: [0.0] * 4, mixed: [1.0, 0.0, None, 0.6]})
    )
    drawn = ids(source.draw(40))
    assert {right.prompt_id, wrong.prompt_id}.isdisjoint(drawn[:38])
    assert {few.prompt_id, mixed.prompt_id} <= set(drawn[:38])  # 0 of 4 is unknown, not hopeless
    assert set(drawn[38:]) == {right.prompt_id, wrong.prompt_id}  # rather than a step that is too small
    assert num_of_weight(source, 0) == 2


def test_retired_prompts_are_reviewed_and_come_back(prompts: list[Any], seen: Any) -> None:
    source = source_of("retire", prompts, review_frac=0.1, half_life=1.0)
    assert isinstance(source, RetiringSource)
    source.observe(seen(0, {one: [1.0] * 8 for one in prompts[:20]}))
    assert num_of_weight(source, 0) == 20
    retired = {one.prompt_id for one in prompts[:20]}
    shares = [len(retired & set(ids(source.draw(10)))) for _ in range(400)]
    assert np.mean(shares) == pytest.approx(1.0, abs=0.2)  # of ten a step
    source.observe(seen(1, {prompts[0]: [1.0, 0.0, 0.0, 0.0]}))
    assert num_of_weight(source, 0) == 19


def test_posterior_weights_are_the_expected_kernel(prompts: list[Any], seen: Any) -> None:
    """Against numerical integration over the Beta posterior."""
    options = {"target": 0.4, "targets": {"odd": 0.7}, "concentration": 3.0}
    source = source_of("posterior", prompts, **options)
    assert isinstance(source, PosteriorSource)
    counts = [(0, 0), (0, 8), (8, 0), (3, 5), (1, 1)]
    source.observe(seen(0, {
        one: [1.0] * right + [0.0] * wrong for one, (right, wrong) in zip(prompts, counts, strict=False)
    }))  # fmt: skip
    weights = source.weights_of(np.arange(len(counts)))
    for i, (right, wrong) in enumerate(counts):
        t, c = (0.7 if i % 2 else 0.4), 3.0

        def kernel(
            p: float, t: float = t, c: float = c, a: float = right + 0.5, b: float = wrong + 0.5
        ) -> float:
            return float((p / t) ** (c * t) * ((1 - p) / (1 - t)) ** (c * (1 - t)) * beta.pdf(p, a, b))

        assert weights[i] == pytest.approx(quad(kernel, 0, 1)[0], abs=2e-6)
    # The default is four times the expected variance of a reward: E[p(1 - p)] = ab / ((a + b)(a + b + 1)).
    plain = source_of("posterior", prompts)
    plain.observe(seen(0, {prompts[0]: [1.0] * 3 + [0.0] * 2}))
    assert plain.weights_of(np.array([0]))[0] == pytest.approx(4 * 3.5 * 2.5 / (6 * 7), abs=1e-6)


def test_a_target_falls_over_the_stage(prompts: list[Any], seen: Any) -> None:
    source = source_of("posterior", prompts, target=0.8, target_end=0.2, concentration=20)
    for step in range(10):
        easy = [1.0] * 8 + [0.0] * 2
        source.observe(
            seen(step, {prompts[0]: easy, prompts[1]: easy[::-1], prompts[2]: [1.0] * 2 + [0.0] * 8})
        )
        weights = source.weights_of(np.array([0, 2]))
        if step == 0:
            assert weights[0] > 5 * weights[1]
    assert weights[1] > 5 * weights[0]
    assert np.array_equal(source._turns.weights, source.weights_of(np.arange(40)))  # all were weighed anew


def test_reward_and_kl_that_rise_together_thin_a_prompt_out(prompts: list[Any], seen: Any) -> None:
    source = source_of("thin", prompts, num_rises=2, thinned_to=0.25)
    assert isinstance(source, ThinningSource)
    both, reward_alone = prompts[:2]
    for step, (value, kl) in enumerate([(0.1, 0.0), (0.3, 0.1), (0.6, 0.2)]):
        source.observe(seen(step, {both: [value] * 4, reward_alone: [value] * 4}))
        source.observe_kl({both.prompt_id: kl, reward_alone.prompt_id: 0.1, "of another set": 1.0})
        assert num_of_weight(source, 0.25) == (step == 2)
    assert source.weights_of(np.arange(3)).tolist() == [0.25, 1.0, 1.0]
    source.observe(seen(3, {both: [0.7] * 4}))
    source.observe_kl({both.prompt_id: 0.15})
    assert num_of_weight(source, 0.25) == 0
    with pytest.raises(BadInput, match="goes by the KL to the reference"):
        ThinningSource(prompts, RlConfig(loss={"kl_coef_general": 0}), seed="s")


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_seeded_and_a_step_has_no_prompt_twice(name: str, prompts: list[Any], seen: Any) -> None:
    source, again = source_of(name, prompts), source_of(name, prompts)
    batches = [ids(source.draw(8)) for _ in range(30)]
    assert [ids(again.draw(8)) for _ in range(30)] == batches
    assert all(len(set(batch)) == 8 for batch in batches)
    counts = Counter(one for batch in batches for one in batch)
    assert len(counts) == 40 and max(counts.values()) < 16  # nothing is known yet: evenly
    refill = ids(source.draw(5, without=batches[-1]))
    assert len({*refill, *batches[-1]}) == 13
    assert source.draw(9, without=ids(prompts)) == []
    other = prompt_source_of(prompts, source.config, seed="t")
    assert ids(other.draw(8)) != batches[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_before", [0, 1, 3, 7])
def test_a_restored_source_goes_on_to_the_last_bit(
    name: str, num_before: int, prompts: list[Any], seen: Any
) -> None:
    def step(source: PromptSource, number: int) -> list[str]:
        rng = np.random.default_rng(number)
        batch = source.draw(6) or []
        batch += source.draw(2, without=ids(batch)) or []
        source.observe(seen(number, {one: rng.random(4).round(2).tolist() for one in batch}))
        source.observe_kl({one.prompt_id: float(rng.random()) for one in batch})
        return ids(batch)

    options = {"target": 0.7, "target_end": 0.3} if name == "posterior" else {}
    past = Known({"p01": (3.25, 1.0), "p02": (0.0, 40.0), "nobody": (1.0, 1.0)})
    source = source_of(name, prompts, **options)
    source.recall(past)
    for number in range(num_before):
        step(source, number)
    state = json.loads(json.dumps(source.state()))
    restored = source_of(name, prompts, **options)
    restored.recall(Known({}) if num_before % 2 else past)
    restored.restore(state)
    assert restored.state() == state
    for number in range(num_before, num_before + 4):
        assert step(restored, number) == step(source, number)
    assert restored.state() == source.state()


def test_what_earlier_stages_know_is_begun_from(prompts: list[Any]) -> None:
    source = source_of("band", prompts, review_frac=0.0)
    source.recall(Known({one.prompt_id: (40.0, 0.0) for one in prompts[:30]} | {"nobody": (1.0, 0.0)}))
    assert set(ids(source.draw(10))) == set(ids(prompts[30:]))


def test_draws_fill_a_number_of_rollouts(prompt: Callable[..., Any]) -> None:
    prompts = [replace(prompt(f"p{i}"), kind="general" if i % 2 else "verifiable") for i in range(12)]
    config = RlConfig(
        prompt_source="retire", rollouts_per_step=20, samples_per_prompt=8, samples_per_general_prompt=1,
        num_mini_batches=4,
    )  # fmt: skip
    source = prompt_source_of(prompts, config, seed="s")
    for batch in (source.draw(20) for _ in range(20)):
        costs = [config.num_samples_of(one.kind) for one in batch or []]
        assert sum(costs[:-1]) < 20 <= sum(costs) < 28


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("bandd", {}, "none of uniform, band, posterior, retire, thin.*did you mean 'band'"),
        ("band", {"hihg": 0.8}, "unknown key 'rl.prompt_source_options.hihg' of band; did you mean 'high'"),
        ("band", {"low": "most"}, "key 'rl.prompt_source_options.low' is 'most'"),
        ("band", {"low": 0.8}, "rl.prompt_source_options.low is at least 0 and below high, got 0.8"),
        ("retire", {"review_frac": 1}, "review_frac is at least 0 and below 1"),
        (
            "posterior",
            {"targets": {"evne": 0.3}},
            "no prompt has the question type 'evne'; did you mean 'even'",
        ),
        ("retire", {"runs": ["no/such/run"]}, "no run directory at no/such/run"),
        (None, {"low": 0.1}, "epochs in a seeded order have none"),
    ],
)
def test_what_a_recipe_cannot_ask_for(
    name: str | None, options: dict[str, Any], words: str, prompts: list[Any]
) -> None:
    with pytest.raises(BadInput, match=words):
        prompt_source_of(prompts, RlConfig(prompt_source=name, prompt_source_options=options), seed="s")


def test_what_the_recipe_alone_tells_is_checked_without_prompts() -> None:
    """In a dry run; which question types there are is known later."""
    for name in NAMES:
        check_source(RlConfig(prompt_source=name, loss=KL))
    check_source(RlConfig(prompt_source="posterior", prompt_source_options={"targets": {"any": 0.5}}))
    check_source(RlConfig())
    wrong = [
        ({"prompt_source": "bandd"}, "did you mean 'band'"),
        ({"prompt_source": "band", "prompt_source_options": {"high": 2.0}}, "high is at most 1, got 2.0"),
        ({"prompt_source": "thin", "loss": {"kl_coef_general": 0}}, "goes by the KL"),
        ({"prompt_source": "recipes.gym.adaptive_source:Mine"}, "no function 'Mine'"),
    ]
    for given, words in wrong:
        with pytest.raises(BadInput, match=words):
            check_source(RlConfig(**given))


def test_uniform_by_name(prompts: list[Any]) -> None:
    assert isinstance(prompt_source_of(prompts, RlConfig(prompt_source="uniform"), seed="s"), UniformSource)
