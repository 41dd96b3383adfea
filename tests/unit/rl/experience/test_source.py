"""The stream of experience, on a sampler and a judge without engines: what is left out, refilled, gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rl.algorithm.algorithm import Algorithm
from rl.experience.prompt_source import FixedSource, PromptSource, UniformSource
from rl.experience.source import ExperienceSource
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from verifiers.errors import HoneError

PLAN = SamplingPlan(num_samples=2, max_response_tokens=8, run_seed=1, step=0)


@pytest.fixture
def source_of(named_sampler: Any, named_judge: Any) -> Callable[..., tuple[ExperienceSource, Any]]:
    def make(prompts: PromptSource, *, num_steps: int | None = None, **settings: Any) -> Any:
        config, sampler = RlConfig(prompts_per_step=4, samples_per_prompt=2, **settings), named_sampler()
        source = ExperienceSource(
            sampler,
            named_judge(),
            prompts,
            PLAN,
            step_size=4,
            num_steps=num_steps,
            algorithm=Algorithm(config),
        )
        return source, sampler

    return make


@pytest.fixture
def named(prompt: Callable[..., Any]) -> Callable[[str], list[Prompt]]:
    return lambda names: [prompt(f"{name}-{i}") for i, name in enumerate(names.split())]


def test_a_step_is_all_that_was_sampled_in_the_order_of_its_prompts(named: Any, source_of: Any) -> None:
    prompts = named("mixed half right long")
    source, _ = source_of(FixedSource(prompts), overlong_cache_tokens=4, max_response_tokens=6)
    experience = next(source)
    asked = [f"rl-0-{one.prompt_id}-{i}" for one in prompts[:3] for i in (0, 1)]
    assert [one.rollout.rollout_id for one in experience.rollouts] == asked
    assert experience.left_out == {asked[2]: "no_sibling", asked[3]: "undecided"}
    assert [one.rollout.rollout_id for one in experience.usable] == [*asked[:2], *asked[4:]]
    learnt = [one.reward.learnt for one in experience.rollouts]
    assert learnt[2] is None and learnt[3] is None
    assert learnt[0] is not None and learnt[0].value == 1.0 - 0.5
    assert (learnt[0].score, learnt[0].weight) == (1.0, 1.0)
    assert learnt[0].penalties == {"unparseable": 0.0, "overlong": -0.5}
    assert experience.policy_versions == (3, 3)
    assert [one.prompt_id for one in experience.stats.dropped] == ["long-3"]
    assert experience.seconds == {"generate": experience.generate_s, "judge": 0.5}
    assert experience.num_late == 3
    with pytest.raises(StopIteration):
        next(source)


def test_without_an_algorithm_all_rollouts_are_handed_over(
    named: Any, named_sampler: Any, named_judge: Any
) -> None:
    source = ExperienceSource(named_sampler(), named_judge(), FixedSource(named("half wrong")), PLAN)
    experience = next(source)
    assert len(experience.usable) == len(experience.rollouts) == 4
    assert all(one.reward.learnt is None for one in experience.rollouts)
    assert next(ExperienceSource(named_sampler(), named_judge(), FixedSource([]), PLAN)).rollouts == ()


@pytest.mark.parametrize(
    ("names", "settings", "reason"),
    [
        ("long long", {}, "every prompt of a step is too long"),
        ("half half", {}, "step 0: not one rollout can be learnt from: 2 alone in their group, 2 without a"),
        ("wrong right", {"dynamic_sampling": True}, "4 in groups of equal rewards, also after"),
    ],
)
def test_a_step_that_teaches_nothing_is_said(
    named: Any, source_of: Any, names: str, settings: dict[str, Any], reason: str
) -> None:
    source, _ = source_of(UniformSource(named(names), seed="s"), **settings)
    with pytest.raises(HoneError) as found:
        next(source)
    assert reason.removeprefix("step 0: not one rollout") in str(found.value) or "2 without" in str(
        found.value
    )


def test_too_few_decisions_stop_the_run(named: Any, named_sampler: Any, named_judge: Any) -> None:
    source = ExperienceSource(
        named_sampler(), named_judge(max_unjudged_frac=0.2), FixedSource(named("half mixed")), PLAN
    )
    with pytest.raises(HoneError, match="1 of 4 rollouts could not be judged"):
        next(source)


def test_refills_replace_prompts_that_teach_nothing(prompt: Any, source_of: Any) -> None:
    prompts = [prompt(f"{'mixed' if i % 2 else 'right'}-{i}") for i in range(12)]
    source, sampler = source_of(UniformSource(prompts, seed="s"), dynamic_sampling=True, max_refills=9)
    experience = next(source)
    everything = [name for _, names in sampler.asked for name in names]
    assert len(everything) == len(set(everything)), "a prompt was sampled twice in one step"
    assert len(experience.rollouts) == 2 * len(everything)
    assert len({one.prompt.prompt_id for one in experience.usable}) == 4
    assert set(experience.left_out.values()) == {"uniform_group"}
    assert experience.wait_s == 0.5 * len(sampler.asked) and experience.num_late == 3 * len(sampler.asked)
    assert experience.stats.num_rollouts == len(experience.rollouts)
    assert {plan.step for plan, _ in sampler.asked} == {0}

    again, same = source_of(UniformSource(prompts, seed="s"), dynamic_sampling=True, max_refills=9)
    next(again)
    assert same.asked == sampler.asked


@pytest.mark.parametrize("max_refills", [0, 1, 3])
def test_refills_are_bounded_and_the_step_goes_on_smaller(
    prompt: Any, source_of: Any, max_refills: int
) -> None:
    prompts = [prompt(f"{'wrong' if i else 'mixed'}-{i}") for i in range(30)]
    first = UniformSource(prompts, seed="s").draw(4)
    names = {one.prompt_id for one in first}
    prompts = [prompt(one.prompt_id.replace("wrong", "mixed")) if one == first[0] else one for one in prompts]
    source, sampler = source_of(
        UniformSource(prompts, seed="s"), dynamic_sampling=True, max_refills=max_refills
    )
    experience = next(source)
    assert len(names) == 4 and len(sampler.asked) == 1 + max_refills
    assert all(one.prompt.prompt_id.startswith("mixed") for one in experience.usable)


def test_no_refill_where_the_data_is_used_up(named: Any, source_of: Any) -> None:
    prompts = UniformSource(named("mixed right right right right right"), seed="s")
    source, sampler = source_of(prompts, dynamic_sampling=True, max_refills=9)
    next(source)
    assert max(len(names) for _, names in sampler.asked) == 4
    assert len({name for _, names in sampler.asked for name in names}) == 6


class Watching(UniformSource):
    """Remembers what it observed."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        super().__init__(prompts, seed="s")
        self.seen: list[int] = []

    def observe(self, experience: Any) -> None:
        self.seen.append(experience.step)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "seen": self.seen}

    def restore(self, state: Any) -> None:
        super().restore(state)
        self.seen = list(state["seen"])


@pytest.mark.parametrize("stopped_at", [0, 2, 4])
def test_a_restored_source_goes_on_with_the_same_steps(prompt: Any, source_of: Any, stopped_at: int) -> None:
    prompts = [prompt(f"{'mixed' if i % 3 else 'right'}-{i}") for i in range(10)]

    def make() -> tuple[ExperienceSource, Any]:
        return source_of(Watching(prompts), num_steps=5, dynamic_sampling=True)

    whole, sampler = make()
    rollouts = [[one.rollout.rollout_id for one in experience.rollouts] for experience in whole]
    assert len(rollouts) == 5 and sorted({plan.step for plan, _ in sampler.asked}) == [0, 1, 2, 3, 4]

    killed, _ = make()
    before = [[one.rollout.rollout_id for one in next(killed).rollouts] for _ in range(stopped_at)]
    state = json.loads(json.dumps(killed.state()))
    after, _ = make()
    after.restore(state)
    assert after.prompts.state()["seen"] == list(range(stopped_at))
    rest = [[one.rollout.rollout_id for one in experience.rollouts] for experience in after]
    assert before + rest == rollouts
    assert after.state() == whole.state()


def test_a_state_of_an_older_hone_draws_again(prompt: Any, source_of: Any) -> None:
    prompts = [prompt(f"mixed-{i}") for i in range(10)]
    whole, _ = source_of(UniformSource(prompts, seed="s"), num_steps=4)
    rollouts = [[one.rollout.rollout_id for one in experience.rollouts] for experience in whole]
    older, _ = source_of(UniformSource(prompts, seed="s"), num_steps=4)
    older.restore({"step": 2})
    assert [[one.rollout.rollout_id for one in experience.rollouts] for experience in older] == rollouts[2:]
