"""Seeds and plans: what a rollout's identity fixes, and what a plan refuses."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sampler.prompt import Prompt
from sampler.rollout import Rollout, RolloutGroup, SamplingPlan, Turn, rollout_seed


def prompt(kind: str = "verifiable") -> Prompt:
    message = {"role": "user", "content": [{"type": "text", "text": "?"}]}
    return Prompt.build(messages=[message], kind=kind, verifier="math", reference="1", prompt_id="p")


def turn(
    prompt: list[int], response: list[int], logprob: float = -0.5, version: int = 0, **fields: Any
) -> Turn:
    return Turn(
        np.array(prompt, np.int32),
        np.array(response, np.int32),
        np.full(len(response), logprob, np.float32),
        **{"finish_reason": "stop", "policy_versions": ((version, len(response)),), **fields},
    )


def rollout(index: int, logprob: float = -0.5, prompt_id: str = "p", turns: tuple[Turn, ...] = ()) -> Rollout:
    turns = turns or (turn([1, 2], [3], logprob),)
    return Rollout(f"rl-0-{prompt_id}-{index}", prompt_id, index, turns, "a")


def test_seed_never_changes_between_versions_of_hone() -> None:
    """A run continued tomorrow must draw what it would have drawn today."""
    assert rollout_seed(0, "rl", 0, "p", 0) == 0x167BDB0F7255C61
    assert rollout_seed(7, "rft", 12, "4f468035017ab74f", 3) == 0x4979EC30E1B56C6C


def test_seeds_are_distinct_and_fit_63_bits() -> None:
    seeds = {
        rollout_seed(run, stage, step, f"p{number}", index)
        for run in range(2)
        for stage in ("rl", "rft")
        for step in range(5)
        for number in range(50)
        for index in range(8)
    }
    assert len(seeds) == 2 * 2 * 5 * 50 * 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    # torch's CPU generator keeps the low 32 bits only: these must be spread as well as the rest.
    assert len({seed & 0xFFFFFFFF for seed in seeds}) == len(seeds)


def test_fields_cannot_run_into_each_other() -> None:
    assert rollout_seed(1, "rl", 11, "p", 0) != rollout_seed(11, "rl", 1, "p", 0)
    assert rollout_seed(0, "rl", 1, "1-p", 0) != rollout_seed(0, "rl", 11, "-p", 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_samples": 0},
        {"num_samples_by_kind": {"general": 0}},
        {"max_response_tokens": 0},
        {"temperature": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
    ],
)
def test_impossible_plans_are_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"num_samples": 1, "max_response_tokens": 4, "run_seed": 0, "step": 0}
    SamplingPlan(**right)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=next(iter(wrong)).removesuffix("_by_kind")):
        SamplingPlan(**(right | wrong))  # type: ignore[arg-type]


def test_samples_per_kind_and_continued_numbering() -> None:
    plan = SamplingPlan(8, 16, run_seed=0, step=2, num_samples_by_kind={"general": 1}, first_index=4)
    assert plan.indices_for(prompt()) == range(4, 12)
    assert plan.indices_for(prompt("general")) == range(4, 5)
    assert plan.rollout_id("p", 4) == "rl-2-p-4"


def test_groups_are_in_index_order_and_of_one_prompt() -> None:
    RolloutGroup(prompt(), (rollout(0), rollout(1)))
    for wrong in ((rollout(1), rollout(0)), (rollout(0), rollout(0)), (rollout(0, prompt_id="q"),)):
        with pytest.raises(AssertionError):
            RolloutGroup(prompt(), wrong)


def test_same_sample_is_to_the_last_bit() -> None:
    assert rollout(0).same_sample(rollout(0))
    assert not rollout(0).same_sample(
        rollout(0, logprob=float(np.nextafter(np.float32(-0.5), np.float32(0))))
    )
    assert not rollout(0).same_sample(rollout(1))


def test_turns_are_read_as_one_conversation() -> None:
    """One turn is its own arrays; of more, what the policy said is joined, with the versions that said it."""
    first = turn([1, 2], [3, 4], version=6, finish_reason="stop")
    second = turn([5], [6, 7, 8], policy_versions=((6, 1), (7, 2)), finish_reason="length")
    single, both = rollout(0, turns=(first,)), rollout(0, turns=(first, second))
    assert single.response_token_ids is first.response_token_ids
    assert both.prompt_token_ids.tolist() == [1, 2]
    assert both.response_token_ids.tolist() == [3, 4, 6, 7, 8]
    assert len(both.sample_logprobs) == both.num_response_tokens == 5
    assert both.policy_versions == ((6, 2), (6, 1), (7, 2))
    assert (single.policy_version, both.policy_version) == (6, 7)
    assert (single.finish_reason, both.finish_reason) == ("stop", "length")
    assert both.same_sample(both) and not both.same_sample(single)
    with pytest.raises(AssertionError):
        turn([1], [2, 3], policy_versions=((0, 1),))


def test_a_group_shares_its_prompt_tokens_in_transit() -> None:
    tokens = np.arange(10_000, dtype=np.int32)
    one, *others = (rollout(i, turns=(replace(turn([], [3]), prompt_token_ids=tokens),)) for i in range(8))
    eight = [one, *others]
    assert len(pickle.dumps(eight)) < len(pickle.dumps([one])) * 1.2
