"""The pool with real engines: complete, reproducible to the bit, and unmoved by the death of a worker."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterable

import pytest

from sampler.prompt import Prompt
from sampler.rollout import Rollout, RolloutGroup, SamplingPlan
from sampler.vision_input import VisionInput
from sampler.vllm_pool.pool import SamplerError, SamplerPool


def by_id(groups: Iterable[RolloutGroup]) -> dict[str, Rollout]:
    rollouts: dict[str, Rollout] = {}
    for group in groups:
        for rollout in group.rollouts:
            assert rollout.rollout_id not in rollouts, "a rollout came twice"
            rollouts[rollout.rollout_id] = rollout
    return rollouts


def assert_same(left: dict[str, Rollout], right: dict[str, Rollout]) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not left[name].same_sample(right[name])]
    assert not different, f"{len(different)} of {len(left)} rollouts differ, first {different[0]}"


def kill_busiest(pool: SamplerPool) -> int:
    """SIGKILL the process of the worker that owes most."""
    busiest = max(pool._slots, key=lambda slot: slot.num_owed_rollouts)
    assert busiest.info is not None and busiest.num_owed_rollouts > 0
    os.kill(busiest.info.pid, signal.SIGKILL)
    return busiest.info.pid


def test_every_prompt_comes_back_once_and_whole(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    groups = list(pool.sample(prompts, plan))
    assert sorted(group.prompt.prompt_id for group in groups) == sorted(
        prompt.prompt_id for prompt in prompts
    )
    assert all([rollout.index for rollout in group.rollouts] == [0, 1, 2, 3] for group in groups)
    rollouts = by_id(groups)
    assert len(rollouts) == 4 * len(prompts)
    for rollout in rollouts.values():
        assert rollout.policy_version == pool.policy_version
        assert len(rollout.sample_logprobs) == len(rollout.response_token_ids) <= plan.max_response_tokens
        assert (rollout.sample_logprobs < 0).all()
        assert not set(rollout.response_token_ids.tolist()) & set(plan.forbidden_token_ids)
        at_limit = len(rollout.response_token_ids) == plan.max_response_tokens
        assert rollout.finish_reason == "stop" or at_limit
        # Two layers, two experts per token, four experts.
        num_routed = len(rollout.prompt_token_ids) + len(rollout.response_token_ids) - 1
        assert rollout.routed_experts is not None and rollout.routed_experts.shape == (num_routed, 2, 2)
        assert rollout.routed_experts.max() < 4
    assert {rollout.finish_reason for rollout in rollouts.values()} == {"stop", "length"}
    assert pool.stats is not None
    assert pool.stats.num_rollouts == len(rollouts)
    assert pool.stats.response_tokens == sum(rollout.num_response_tokens for rollout in rollouts.values())
    assert pool.stats.response_tokens_per_s > 0 and pool.stats.dropped == ()


def test_same_bits_in_any_order_and_company(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    together = by_id(pool.sample(prompts, plan))
    assert_same(together, by_id(pool.sample(prompts[::-1], plan)))
    few = by_id(pool.sample(prompts[5:8], plan))
    assert_same({name: together[name] for name in few}, few)
    alone = by_id(pool.sample(prompts[6:7], dataclasses.replace(plan, num_samples=1, first_index=2)))
    assert_same({name: together[name] for name in alone}, alone)


def test_seeds_differ_by_step_stage_index_and_run(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    def tokens(changed: SamplingPlan) -> list[list[int]]:
        (group,) = pool.sample(prompts[:1], changed)
        return [rollout.response_token_ids.tolist() for rollout in group.rollouts]

    first = tokens(plan)
    assert len({tuple(response) for response in first}) == 4
    for change in ({"step": 2}, {"stage": "harvest"}, {"run_seed": 4}, {"first_index": 4}):
        assert not {tuple(r) for r in tokens(dataclasses.replace(plan, **change))} & {tuple(r) for r in first}


def test_killed_worker_changes_nothing(pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan) -> None:
    undisturbed = by_id(pool.sample(prompts, plan))
    disturbed: list[RolloutGroup] = []
    killed = 0
    for group in pool.sample(prompts, plan):
        disturbed.append(group)
        if not killed:
            killed = kill_busiest(pool)
    assert_same(undisturbed, by_id(disturbed))
    assert pool.stats is not None and pool.stats.num_restarts == 1
    pool.wait_until_ready()
    assert_same(undisturbed, by_id(pool.sample(prompts, plan)))
    pids = [info.pid for info in pool.worker_infos]
    assert len(pids) == 2 and killed not in pids


def test_too_many_deaths_are_an_error_and_the_pool_can_go_on(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    undisturbed = by_id(pool.sample(prompts, plan))
    allowed = pool.config
    pool.config = allowed.model_copy(update={"max_restarts": pool.num_restarts})
    stream = pool.sample(prompts, plan)
    next(stream)
    kill_busiest(pool)
    with pytest.raises(
        SamplerError, match=r"max_restarts=\d+ is used up; its log is .*rollout-worker-\d.log"
    ):
        list(stream)
    pool.config = allowed
    assert_same(undisturbed, by_id(pool.sample(prompts, plan)))


def test_long_prompts_are_dropped_and_counted(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    short = dataclasses.replace(plan, max_response_tokens=1, num_samples=1)
    lengths = {
        group.prompt.prompt_id: len(group.rollouts[0].prompt_token_ids)
        for group in pool.sample(prompts, short)
    }
    limit = sorted(lengths.values())[len(lengths) // 2]
    tight = dataclasses.replace(plan, max_response_tokens=pool.config.max_model_len - limit, num_samples=1)
    groups = list(pool.sample(prompts, tight))
    assert pool.stats is not None and pool.stats.dropped
    assert {dropped.prompt_id for dropped in pool.stats.dropped} == {
        p for p, n in lengths.items() if n > limit
    }
    assert {group.prompt.prompt_id for group in groups} == {p for p, n in lengths.items() if n <= limit}
    assert all(dropped.limit == limit and dropped.num_tokens > limit for dropped in pool.stats.dropped)


def test_giving_up_half_way_leaves_a_clean_pool(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    whole = by_id(pool.sample(prompts, plan))
    stream = pool.sample(prompts, plan)
    next(stream)
    with pytest.raises(SamplerError, match="under way"):
        pool.sample(prompts, plan)
    stream.close()
    assert_same(whole, by_id(pool.sample(prompts, plan)))


def test_kinds_have_their_own_number_of_samples(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan
) -> None:
    mixed = [
        dataclasses.replace(prompt, kind=("verifiable", "general")[i % 2])
        for i, prompt in enumerate(prompts[:8])
    ]
    groups = list(pool.sample(mixed, dataclasses.replace(plan, num_samples_by_kind={"general": 1})))
    assert {(group.prompt.kind, len(group.rollouts)) for group in groups} == {
        ("verifiable", 4),
        ("general", 1),
    }


def test_bad_prompts_are_named(pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan) -> None:
    with pytest.raises(ValueError, match=f"{prompts[0].prompt_id} is given twice"):
        pool.sample([prompts[0], prompts[1], prompts[0]], plan)
    broken = dataclasses.replace(
        prompts[0], prompt_id="broken", images=(VisionInput.of("image", b"not a picture"),)
    )
    with pytest.raises(ValueError, match="prompt broken cannot be rendered"):
        list(pool.sample([*prompts[1:20], broken], plan))
    assert len(list(pool.sample(prompts, plan))) == len(prompts)


def test_third_party_output_goes_to_the_log(
    pool: SamplerPool, prompts: list[Prompt], plan: SamplingPlan, capfd: pytest.CaptureFixture[str]
) -> None:
    list(pool.sample(prompts[:4], plan))
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""
    assert "WARNING" in pool._log_path(0).read_text()
