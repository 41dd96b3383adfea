"""Rewards from real verifier processes: formats, scores, and what no verifier decided on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from rl.experience.judge import Judge
from rl.recipe.judging_config import JudgingConfig
from sampler.rollout import RolloutGroup
from verifiers.errors import BadInput, HoneError

SLOW = '''
import time
from verifiers.verdict import Verdict
from verifiers.verifier import Verifier

class Slow(Verifier):
    """Hangs or breaks when the answer says so."""
    kind = "slow"
    def prepare(self, reference):
        return reference
    def extract(self, answer):
        assert "thought" not in answer.text, "a judge saw the thought"
        return answer.text
    def compare(self, prepared, extracted):
        if extracted == "hang":
            while True:
                time.sleep(1)
        if extracted == "raise":
            raise RuntimeError("broken")
        return Verdict.scored(0.25 if extracted == "quarter" else float(extracted == prepared), "compared", extracted)
'''


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    folder = tmp_path_factory.mktemp("verifier")
    (folder / "slow_verifier_of_judging.py").write_text(SLOW)
    sys.path.append(str(folder))
    with Judge(JudgingConfig(num_workers=2, timeout_s=1.0, max_unjudged_frac=0.3)) as running:
        yield running
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def group(prompt: Callable[..., Any], rollout: Callable[..., Any]) -> Callable[..., RolloutGroup]:
    def make(name: str, *texts: str, **fields: Any) -> RolloutGroup:
        of = prompt(name, verifier="slow_verifier_of_judging:Slow", **fields)
        reasons = ["length" if text.endswith("...") else "stop" for text in texts]
        return RolloutGroup(
            of,
            tuple(
                rollout(of, index, text, finish_reason=reason)
                for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
            ),
        )

    return make


def test_rewards_and_what_is_behind_them(judge: Judge, group: Callable[..., RolloutGroup]) -> None:
    texts = {
        "<think>thought</think>8": (1.0, "ok"),
        "<think>thought</think>7": (0.0, "ok"),
        "<think>thought</think>quarter": (0.25, "ok"),
        "8": (0.0, "no_thought"),
        "<think>thought</think>8</think>8": (0.0, "malformed"),
        "<think>thought": (0.0, "malformed"),
        "<think>thought</think>  ": (0.0, "empty"),
        "<think>thought</think>8...": (0.0, "truncated"),
        "<think>thought</think>raise": (None, "ok"),
    }
    judged = judge.judge([group("a", *texts)]).rollouts
    assert [(one.reward.value, one.answer.status) for one in judged] == list(texts.values())
    for one in judged:
        assert (one.reward.verdict is None) == (one.answer.status != "ok")
        assert one.reward.parts["format"] == float(one.answer.status == "ok")
    assert judged[0].thought == "thought"
    assert judged[-1].reward.verdict.status == "error"


def test_a_hang_costs_its_own_rollout_alone(judge: Judge, group: Callable[..., RolloutGroup]) -> None:
    start = time.perf_counter()
    batch = judge.judge(
        [group("a", *["<think></think>8"] * 3, "<think></think>hang"), group("b", "<think></think>8")]
    )
    values = {one.rollout.rollout_id: one.reward.value for one in batch.rollouts}
    assert values == {"rl-0-a-0": 1.0, "rl-0-a-1": 1.0, "rl-0-a-2": 1.0, "rl-0-a-3": None, "rl-0-b-0": 1.0}
    assert batch.rollouts[3].reward.verdict.status == "timeout"
    assert batch.wait_s <= time.perf_counter() - start < 20
    assert batch.num_late >= 1  # the hang, and whoever was still under way
    judge.require_judged(batch.rollouts)  # 20% is within 30%


def test_too_many_undecided_stop_the_run_and_name_cases(
    judge: Judge, group: Callable[..., RolloutGroup]
) -> None:
    batch = judge.judge([group("a", *["<think></think>raise"] * 2, *["<think></think>8"] * 3)])
    with pytest.raises(
        HoneError, match=r"2 of 5 rollouts .*max_unjudged_frac=0\.3: rl-0-a-0 \(.*Slow: .*broken"
    ):
        judge.require_judged(batch.rollouts)
    judge.require_judged(batch.rollouts[1:] + batch.rollouts[2:])
    judge.require_judged([])


def test_groups_are_taken_as_they_come(judge: Judge, group: Callable[..., RolloutGroup]) -> None:
    """Verdicts of the first group are made while the second is still being sampled."""

    def arriving() -> Iterator[RolloutGroup]:
        yield group("a", *["<think></think>8"] * 3)
        time.sleep(0.5)
        yield group("b", "<think></think>8")

    batch = judge.judge(arriving())
    assert [one.reward.value for one in batch.rollouts] == [1.0] * 4
    assert batch.wait_s < 0.5
    assert batch.num_late <= 1


def test_without_thoughts(group: Callable[..., RolloutGroup]) -> None:
    """Where none is expected, a plain answer is a whole answer."""
    with Judge(JudgingConfig(num_workers=1, expects_thought=False)) as judge:
        of = group("a", "8").prompt
        plain = RolloutGroup(
            of.__class__.build(messages=of.messages, verifier="string", reference="8", prompt_id="a"),
            group("a", "8", "<think>thought</think>8", "9").rollouts,
        )
        assert [one.reward.value for one in judge.judge([plain]).rollouts] == [1.0, 1.0, 0.0]


def test_a_prompt_that_nothing_can_judge(judge: Judge, prompt: Callable[..., Any]) -> None:
    judge.check([prompt("a")])
    with pytest.raises(BadInput, match=r"prompt b .*no verifier"):
        judge.check([prompt("a"), prompt("b", verifier=None, kind="general")])


def test_what_nothing_can_judge_has_no_decision(judge: Judge, group: Callable[..., RolloutGroup]) -> None:
    """Of a broken format neither: it would be the only reward of its kind."""
    whole = group("a", "<think>thought</think>8", "never ends")
    unjudged = RolloutGroup(replace(whole.prompt, verifier=None, kind="general"), whole.rollouts)
    rewards = [one.reward for one in judge.judge([unjudged]).rollouts]
    assert [(reward.value, reward.parts["format"]) for reward in rewards] == [(None, 1.0), (None, 0.0)]
