"""An advantage, a loss and a whole algorithm from a package outside, by entry point and by path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl.algorithm.algorithm import Algorithm, algorithm_of
from rl.algorithm.distillation import Distillation
from rl.algorithm.loss.losses import LossSpec, compute_loss
from rl.algorithm.monte_carlo import MonteCarlo
from rl.recipe.distillation_config import DistillationConfig
from rl.recipe.rl_config import LossConfig, RlConfig
from verifiers.errors import BadInput

MODULE = '''
import torch

from rl.algorithm.advantage.advantages import Advantages
from rl.algorithm.algorithm import Algorithm
from rl.algorithm.rollouts.reward_shaping import LearntReward


def best_of_group(token_level_rewards, response_mask, index):
    """Reward minus the best of the group."""
    rewards = token_level_rewards.sum(-1)
    best = [max(r for r, of in zip(rewards.tolist(), index) if of == group) for group in index]
    advantages = (rewards - torch.tensor(best))[:, None] * response_mask
    return advantages, advantages


best_of_group.needs_groups = True


def past_the_critic(token_level_rewards, response_mask, values, gamma):
    returns = token_level_rewards.sum(-1, keepdim=True) * response_mask * gamma
    return returns - values, returns


def greedy_baseline(token_level_rewards, response_mask, reward_baselines):
    raise AssertionError("nobody has reward_baselines")


def weighted_likelihood(old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config, rollout_is_weights):
    """-A log pi, averaged over the tokens; none of verl's."""
    count = config.global_batch_info["batch_num_tokens"]
    return -(advantages * log_prob * response_mask).sum() / count, {"actor/half": 0.5}


class Doubled(Algorithm):
    """Learns from twice the score, not from the first rollout; every token's advantage is its response's reward."""

    needs_groups = False

    def left_out(self, scores, prompt_ids):
        return ["uniform_group", *super().left_out(scores, prompt_ids)[1:]]

    def form_penalties(self, group, prompt, learnt, *, step):
        return [{"own": -float(step)} for _ in group]

    @property
    def value_loss(self):
        from rl.algorithm.loss.losses import LossSpec

        return LossSpec("value", value_clip=0.125)

    def a_hook_of_tomorrow(self):
        return self.config.temperature

    def reward(self, score, **about):
        return LearntReward(score, weight=2.0)

    def estimate(self, rewards, prompt_ids, lengths, *, values=None, token_rewards=None):
        import numpy as np

        columns = [np.full(length, reward, np.float32) for reward, length in zip(rewards, lengths)]
        return Advantages(columns, columns)
'''
ENTRY_POINTS = """[hone.algorithms]
best_of_group = outside_algorithms:best_of_group
weighted = outside_algorithms:weighted_likelihood
doubled = outside_algorithms:Doubled
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installed as pip would leave it: a module and its metadata in a folder on the path."""
    (tmp_path / "outside_algorithms.py").write_text(MODULE)
    metadata = tmp_path / "outside_algorithms-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-algorithms\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("outside_algorithms", None)


def config(**settings: Any) -> RlConfig:
    return RlConfig(loss=LossConfig(kl_coef_general=0.0, **settings.pop("loss", {})), **settings)


@pytest.mark.parametrize("name", ["best_of_group", "outside_algorithms:best_of_group"])
def test_an_advantage(name: str) -> None:
    algorithm = algorithm_of(config(advantage=name))
    algorithm.check([])
    assert (algorithm.needs_groups, algorithm.needs_critic) == (True, False)
    found = algorithm.estimate([1.0, 0.25, 0.5], ["a", "a", "a"], [2, 1, 3])
    assert [one.tolist() for one in found.advantages] == [[0.0, 0.0], [-0.75], [-0.5] * 3]
    with pytest.raises(BadInput, match="has a single judged response"):
        algorithm.estimate([1.0], ["a"], [2])


def test_an_advantage_that_takes_values_has_a_critic() -> None:
    algorithm = algorithm_of(config(advantage="outside_algorithms:past_the_critic", gamma=0.5))
    algorithm.check([])
    assert (algorithm.needs_groups, algorithm.needs_critic) == (False, True)
    values = [np.array([0.25, 0.5], np.float32)]
    found = algorithm.estimate([1.0], ["a"], [2], values=values)
    assert found.advantages[0].tolist() == [0.25, 0.0] and found.returns[0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["weighted", "outside_algorithms:weighted_likelihood"])
def test_a_loss(name: str, loss_inputs: Any) -> None:
    algorithm = algorithm_of(config(loss={"policy_loss": name}))
    algorithm.check([])
    inputs, logprobs, advantages, mask = loss_inputs
    loss, metrics = compute_loss(algorithm.policy_loss, inputs)
    assert float(loss) == pytest.approx(float(-(advantages * logprobs * mask).sum() / mask.sum()))
    assert metrics["half_sum"] == 0.5 * float(mask.sum())


@pytest.mark.parametrize("name", ["doubled", "outside_algorithms:Doubled"])
def test_a_whole_algorithm(name: str) -> None:
    algorithm = algorithm_of(config(algorithm=name))
    algorithm.check([])
    about = {"kind": "general", "verifier": None, "verdict_status": None, "num_tokens": 3}
    assert not algorithm.needs_groups and algorithm.reward(0.5, **about).value == 1.0
    found = algorithm.estimate([1.0, 0.5], ["a", "b"], [1, 2])
    assert [one.tolist() for one in found.advantages] == [[1.0], [0.5, 0.5]]
    assert algorithm.left_out([0.0, 1.0, None], ["a", "b", "c"]) == ["uniform_group", None, "undecided"]
    assert algorithm.policy_loss == LossSpec("vanilla")
    assert str(algorithm) == name and str(Algorithm(RlConfig())) == "grpo, vanilla"


def test_what_is_built_on_an_algorithm_is_otherwise_that_algorithm() -> None:
    """Value pre-training and distillation: also in a method that none of them knows."""
    own = algorithm_of(config(algorithm="doubled", temperature=0.5, dynamic_sampling=True))
    teacher = DistillationConfig(reward_coef=0.5)
    alone = Distillation(own.config, DistillationConfig(), {"all": "teacher"})
    about = {"kind": "general", "verifier": None, "verdict_status": None, "num_tokens": 3}
    for built in (MonteCarlo(own), Distillation(own.config, teacher, {"all": "teacher"}), alone):
        assert built.reward(0.5, **about).value == 1.0
        assert built.form_penalties([None], None, [None], step=3) == [{"own": -3.0}]  # type: ignore[list-item, arg-type]
        assert built.value_loss.value_clip == 0.125
        assert built.a_hook_of_tomorrow() == 0.5  # type: ignore[attr-defined]
        left_out = built.left_out([1.0, 1.0, None], ["a", "a", "a"])
        assert left_out == ([None] * 3 if built is alone else ["uniform_group", None, "undecided"])
    before = MonteCarlo(own)
    assert before.needs_critic and not before.needs_logprobs and not before.max_refills
    found = before.estimate([1.0], ["a"], [2], values=[np.array([0.25, 0.5], np.float32)])
    assert found.returns[0].tolist() == [1.0, 1.0], "the reward, whatever the values are"
    assert (
        MonteCarlo(Algorithm(RlConfig(dynamic_sampling=True))).left_out([1.0, 1.0], ["a", "a"]) == [None] * 2
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "double"}, "rl.algorithm='double' is unknown; did you mean 'doubled'?"),
        (
            {"algorithm": "outside_algorithms:best_of_group"},
            "is not a subclass of rl.algorithm.algorithm.Algorithm",
        ),
        ({"algorithm": "outside_algorithm:Doubled"}, "cannot be imported from 'outside_algorithm:Doubled'"),
        ({"algorithm": "outside_algorithms:Dubled"}, "cannot be imported from 'outside_algorithms:Dubled'"),
        ({"advantage": "doubled"}, "rl.advantage='doubled' is no function: a class is named by rl.algorithm"),
        (
            {"advantage": "outside_algorithms:greedy_baseline"},
            "needs reward_baselines, which this program does not",
        ),
        (
            {"advantage": "best_of_group", "samples_per_prompt": 1},
            "rl.advantage='best_of_group' compares responses",
        ),
        ({"loss": {"policy_loss": "waited"}}, "rl.loss.policy_loss='waited' is unknown"),
        ({"loss": {"policy_loss": "outside_algorithms:none"}}, "cannot be imported"),
    ],
)
def test_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as found:
        algorithm_of(config(**settings)).check([])
    assert message in str(found.value)


@pytest.fixture
def loss_inputs() -> Any:
    from rl.algorithm.loss.losses import LossInputs
    from rl.data.batch import StepCounts

    generator = torch.Generator().manual_seed(0)
    logprobs, advantages = (torch.randn(2, 3, generator=generator) for _ in range(2))
    mask = torch.tensor([[1.0, 1, 1], [1, 1, 0]])
    inputs = LossInputs(
        mask=mask,
        columns={"old_logprobs": logprobs, "advantages": advantages},
        scalars={},
        counts=StepCounts(5, 2),
        data_parallel=1,
        logprobs=logprobs,
    )
    return inputs, logprobs, advantages, mask


def test_a_recipe_without_one_is_verls() -> None:
    assert type(algorithm_of(RlConfig())) is Algorithm
