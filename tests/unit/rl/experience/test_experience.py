"""Draws of prompts and dynamic sampling: refills for groups without signal, the same again after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rl.data.prompt_source import prompt_draws, step_draws
from rl.experience.experience import sample_informative
from rl.experience.judge import JudgedBatch
from rl.recipe.rl_config import RlConfig


def test_draws_are_epochs_in_seeded_order(prompt: Callable[..., Any]) -> None:
    prompts = [prompt(f"p{i}") for i in range(10)]
    draws = prompt_draws(prompts, 4, seed="s")
    batches = [[p.prompt_id for p in next(draws)] for _ in range(5)]
    assert all(len(set(batch)) == 4 for batch in batches)
    again = prompt_draws(prompts, 4, seed="s")
    assert [[p.prompt_id for p in next(again)] for _ in range(5)] == batches
    first_epoch = [name for batch in batches for name in batch][:10]
    assert sorted(first_epoch) == sorted(p.prompt_id for p in prompts)


def test_draws_leave_out_what_was_tried(prompt: Callable[..., Any]) -> None:
    prompts = [prompt(f"p{i}") for i in range(6)]
    without = {"p0", "p1", "p2"}
    batch = next(prompt_draws(prompts, 5, seed="s", without=without))
    assert sorted(p.prompt_id for p in batch) == ["p3", "p4", "p5"]


def test_draws_fill_a_number_of_rollouts(prompt: Callable[..., Any]) -> None:
    prompts = [replace(prompt(f"p{i}"), kind="general" if i % 2 else "verifiable") for i in range(12)]
    config = RlConfig(
        rollouts_per_step=20, samples_per_prompt=8, samples_per_general_prompt=1, num_mini_batches=4
    )
    draws = step_draws(prompts, config, seed="s")
    for batch in (next(draws) for _ in range(6)):
        costs = [config.num_samples_of(one.kind) for one in batch]
        assert sum(costs[:-1]) < 20 <= sum(costs) < 28
        assert len({one.prompt_id for one in batch}) == len(batch)
    everything = next(step_draws(prompts, RlConfig(rollouts_per_step=1000), seed="s"))
    assert len(everything) == 12  # a small set is drawn whole, once


class Program:
    """Stands where engines stand: prompts whose name says whether their rewards differ."""

    def __init__(self, judged: Callable[..., Any], prompts: list[Any], config: RlConfig) -> None:
        self.judged = judged
        self.asked: list[list[str]] = []
        engines = SimpleNamespace(
            plan=lambda **_: None,
            sample_and_judge=self.sample_and_judge,
            judge=SimpleNamespace(require_judged=lambda _: None),
        )
        self.context: Any = SimpleNamespace(
            recipe=SimpleNamespace(rl=config, seed=1),
            engines=engines,
            data=SimpleNamespace(train=prompts),
            directory=SimpleNamespace(name="04-rl-r0"),
        )

    def sample_and_judge(self, prompts: list[Any], plan: Any) -> JudgedBatch:
        self.asked.append([prompt.prompt_id for prompt in prompts])
        rewards = {"mixed": (1.0, 0.0), "right": (1.0, 1.0), "wrong": (0.0, 0.0)}
        return JudgedBatch(
            [
                self.judged(prompt, index, value)
                for prompt in prompts
                for index, value in enumerate(rewards[prompt.prompt_id.partition("-")[0]])
            ],
            0.5,
            num_late=3,
        )


def make(prompt: Any, judged: Any, names: list[str], **settings: Any) -> tuple[Program, list[Any]]:
    prompts = [prompt(name) for name in names]
    config = RlConfig(prompts_per_step=4, samples_per_prompt=2, dynamic_sampling=True, **settings)
    return Program(judged, prompts, config), prompts


def test_refills_replace_groups_without_signal(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    names = ["mixed-0", "right-1", "wrong-2", "mixed-3", *(f"mixed-{i}" for i in range(4, 12))]
    program, prompts = make(prompt, judged, names)
    everything, kept = sample_informative(program.context, 7, prompts[:4], seed="s")
    assert len(program.asked) == 2
    assert len(program.asked[1]) == 2 and not set(program.asked[1]) & set(program.asked[0])
    assert {one.prompt.prompt_id for one in kept} == {"mixed-0", "mixed-3", *program.asked[1]}
    assert len(everything.rollouts) == 12
    assert (everything.wait_s, everything.num_late) == (1.0, 6)

    again, same = make(prompt, judged, names)
    sample_informative(again.context, 7, same[:4], seed="s")
    assert again.asked == program.asked


@pytest.mark.parametrize("max_refills", [0, 1, 3])
def test_refills_are_bounded_and_the_step_goes_on_smaller(
    prompt: Callable[..., Any], judged: Callable[..., Any], max_refills: int
) -> None:
    names = ["mixed-0", *(f"wrong-{i}" for i in range(1, 30))]
    program, prompts = make(prompt, judged, names, max_refills=max_refills)
    _, kept = sample_informative(program.context, 0, prompts[:4], seed="s")
    assert len(program.asked) == 1 + max_refills
    assert {one.prompt.prompt_id for one in kept} == {"mixed-0"}
    everything = [name for batch in program.asked for name in batch]
    assert len(everything) == len(set(everything)), "a prompt was sampled twice in one step"


def test_no_refill_where_the_data_is_used_up(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    program, prompts = make(prompt, judged, [f"right-{i}" for i in range(6)], max_refills=9)
    _, kept = sample_informative(program.context, 0, prompts[:4], seed="s")
    assert kept == []
    assert [len(batch) for batch in program.asked] == [4, 2]
