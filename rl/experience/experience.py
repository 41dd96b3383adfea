"""What one step learns from: rollouts with the rewards learnt from, and which were left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rl.algorithm.algorithm import Algorithm
from rl.algorithm.rollouts.informative_groups import LeftOut
from rl.algorithm.rollouts.reward_shaping import LearntReward
from rl.algorithm.rollouts.settled_groups import Share
from rl.experience.judge import JudgedRollout
from sampler.prompt import Prompt
from sampler.vllm_pool.sample_stats import SampleStats


@dataclass(frozen=True, eq=False)
class Experience:
    """The judged rollouts of one step, in the order in which prompts were drawn, then by index.

    ``left_out`` says by rollout id why a rollout is not learnt from; the others have a ``reward.learnt`` where an
    algorithm learns and a judge decided. ``generate_s`` is the time until the last rollout, ``wait_s`` how long
    verdicts and scores were then waited for, and ``num_late`` how many. ``shares`` say by rollout id what rollouts of
    groups are worth that were drawn in two parts.
    """

    step: int
    rollouts: tuple[JudgedRollout, ...]
    left_out: Mapping[str, LeftOut]
    stats: SampleStats
    generate_s: float
    wait_s: float
    num_late: int = 0
    shares: Mapping[str, Share] = field(default_factory=dict)

    @property
    def usable(self) -> list[JudgedRollout]:
        """The rollouts that are learnt from."""
        return [one for one in self.rollouts if one.rollout.rollout_id not in self.left_out]

    @property
    def rewards_by_prompt(self) -> dict[str, list[float | None]]:
        """Of each group the rewards, in the order of its rollouts."""
        rewards: dict[str, list[float | None]] = {}
        for one in self.rollouts:
            rewards.setdefault(one.prompt.prompt_id, []).append(one.reward.value)
        return rewards

    def in_order_of(self, prompts: Sequence[Prompt]) -> Experience:
        """By prompt as listed, then by index."""
        order = {prompt.prompt_id: i for i, prompt in enumerate(prompts)}
        ordered = sorted(self.rollouts, key=lambda one: (order[one.prompt.prompt_id], one.rollout.index))
        return replace(self, rollouts=tuple(ordered))

    @property
    def counted(self) -> list[JudgedRollout]:
        """Those that figures are of: of a group in two parts the first, since whether there are more depends on it."""
        return [one for one in self.rollouts if self.share(one).count]

    def share(self, one: JudgedRollout) -> Share:
        """What a rollout is worth."""
        return self.shares.get(one.rollout.rollout_id, Share())

    @property
    def policy_versions(self) -> tuple[int, int]:
        """Of the oldest and the newest policy that drew a token. There must be a rollout."""
        versions = {version for one in self.rollouts for version, _ in one.rollout.policy_versions}
        return min(versions), max(versions)

    @property
    def seconds(self) -> dict[str, float]:
        """By phase: verdicts that come after the last response are judging, not generation."""
        return {"generate": self.generate_s, "judge": self.wait_s}

    def weighed(self, algorithm: Algorithm) -> Experience:
        """With what the algorithm makes of every rollout: left out, or learnt from, with which reward."""
        reasons = algorithm.left_out(
            [one.reward.value for one in self.rollouts], [one.prompt.prompt_id for one in self.rollouts]
        )
        pairs = list(zip(self.rollouts, reasons, strict=True))
        kept = [one for one, reason in pairs if not reason]
        decided = [one for one in kept if one.reward.value is not None]
        assert decided == kept or not algorithm.needs_rewards, "undecided rollouts are left out"
        learnt = _learnt(decided, algorithm, self.step)
        return replace(
            self,
            rollouts=tuple(learnt.get(one.rollout.rollout_id, one) for one in self.rollouts),
            left_out={one.rollout.rollout_id: reason for one, reason in pairs if reason},
        )

    def joined(self, later: Experience) -> Experience:
        """This and what the same step sampled after it."""
        return Experience(
            self.step,
            self.rollouts + later.rollouts,
            {**self.left_out, **later.left_out},
            self.stats.joined(later.stats),
            self.generate_s + later.generate_s,
            self.wait_s + later.wait_s,
            self.num_late + later.num_late,
            {**self.shares, **later.shares},
        )


def _learnt(rollouts: Sequence[JudgedRollout], algorithm: Algorithm, step: int) -> dict[str, JudgedRollout]:
    """By rollout id, with the reward that is learnt from."""
    groups: dict[str, list[JudgedRollout]] = {}
    for one in rollouts:
        groups.setdefault(one.prompt.prompt_id, []).append(one)
    found = {}
    for group in groups.values():
        rewards = [_weighed(one, algorithm) for one in group]
        forms = algorithm.form_penalties([one.rollout for one in group], group[0].prompt, rewards, step=step)
        for one, reward, form in zip(group, rewards, forms, strict=True):
            learnt = replace(reward, penalties={**reward.penalties, **form})
            found[one.rollout.rollout_id] = replace(one, reward=replace(one.reward, learnt=learnt))
    return found


def _weighed(one: JudgedRollout, algorithm: Algorithm) -> LearntReward:
    reward, verdict = one.reward, one.reward.verdict
    assert reward.value is not None
    return algorithm.reward(
        reward.value,
        kind=one.prompt.kind,
        verifier=one.prompt.verifier,
        verdict_status=None if verdict is None else verdict.status,
        num_tokens=one.rollout.num_response_tokens,
    )
