"""From rollouts to rewards: split the response, let a judge see the final answer, and never take a failure for a 0."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from reward_models.scoring_service import ScoringService
from rl.algorithm.rollouts.reward_shaping import LearntReward
from rl.recipe.judging_config import JudgingConfig
from sampler.prompt import Prompt
from sampler.rollout import Rollout, RolloutGroup
from sampler.store.prompt_store import EVEN
from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.errors import BadInput, HoneError
from verifiers.reading.response import split_response
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict

Judgement = Future[Verdict] | Future[Score]


@dataclass(frozen=True)
class Reward:
    """The score of one rollout with what is behind it. ``value`` is None where no judge came to a decision; ``learnt``
    is what an algorithm makes of it, where one learns from it."""

    value: float | None
    verdict: Verdict | None
    parts: dict[str, float] = field(default_factory=dict)
    score: Score | None = None
    learnt: LearntReward | None = None

    @property
    def judged(self) -> Verdict | Score | None:
        """What the judge said; None of a broken format, which no judge is asked about."""
        return self.score if self.verdict is None else self.verdict


@dataclass(frozen=True, eq=False)
class JudgedRollout:
    """A rollout with its thought (for people and logs), its final answer (for judges) and its reward."""

    prompt: Prompt
    rollout: Rollout
    thought: str
    answer: FinalAnswer
    reward: Reward
    sampled_s: float = 0.0  # from the beginning of the call until its group was there

    def worth(self, right_score: float) -> float | None:
        """As the prompt store counts: 1 where it is right (from ``right_score`` on) or won, half for a tie, else 0;
        None without a decision."""
        value = self.reward.value
        if value is None:
            return None
        if self.prompt.verifier is None and abs(value - 0.5) <= EVEN:
            return 0.5
        return float(value > 0.5 if self.prompt.verifier is None else value >= right_score)


class Judge:
    """Judges groups as they finish, in processes that can be killed; results are joined by rollout id."""

    def __init__(
        self,
        config: JudgingConfig,
        *,
        thinking_tags: tuple[str, str] = ("<think>", "</think>"),
        scorer: ScoringService | None = None,
    ) -> None:
        self.config = config
        self.thinking_tags = thinking_tags
        self._scorer = scorer
        self._service = verifier_service(config)

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._service.close()

    def score_with(self, scorer: ScoringService) -> None:
        """From now on ``scorer`` judges prompts without a verifier, by comparing answers with their reference."""
        self._scorer = scorer

    def can_judge(self, prompt: Prompt) -> bool:
        """False for a general prompt as long as there is no reward model."""
        return prompt.verifier is not None or self.has_reward_model

    @property
    def has_reward_model(self) -> bool:
        return self._scorer is not None

    def compare(self, comparisons: Sequence[AnswerComparison]) -> list[Score]:
        """The reward model's scores, in order; failed ones without a reward model."""
        if self._scorer is None:
            return [Score.failed("there is no reward model")] * len(comparisons)
        futures = [self._scorer.submit(one) for one in comparisons]
        return [future.result() for future in futures]

    def check(self, prompts: Iterable[Prompt]) -> None:
        """Raises: BadInput for a prompt that nothing can judge."""
        for prompt in prompts:
            self._require_judge(prompt)

    def _require_judge(self, prompt: Prompt) -> None:
        if prompt.verifier is not None:
            return
        named = f"prompt {prompt.prompt_id} ({prompt.kind})"
        if self._scorer is None:
            raise BadInput(
                f"{named} has no verifier, and this recipe names no reward model: nothing can judge it"
            )
        model = self.config.reward_model
        if model is not None and model.rubric is not None:
            model.rubric.rubric.criteria(prompt)
        elif not prompt.reference:
            raise BadInput(f"{named} has no reference for the reward model to compare with")

    def _has_judge(self, prompt: Prompt) -> bool:
        try:
            self._require_judge(prompt)
        except BadInput:
            return False
        return True

    def judge(self, groups: Iterable[RolloutGroup]) -> JudgedBatch:
        """Take groups as they arrive and hand each response to a verifier at once; wait for the last verdict.

        Consumes: an iterator of finished groups. Waits for: verdicts still out when the iterator ends. Produces: the
        judged rollouts in the order of arrival, with what judging took beyond generation. A response to a prompt that
        nothing can judge has no decision.
        """
        pending: list[tuple[Prompt, Rollout, str, FinalAnswer, Judgement | Reward, float]] = []
        began = time.perf_counter()
        for group in groups:
            sampled_s = time.perf_counter() - began
            has_judge = self._has_judge(group.prompt)
            for rollout in group.rollouts:
                thought, answer = self._split(rollout)
                judgement: Judgement | Reward = Reward(
                    0.0, None, {"format": 0.0}
                )  # a broken format is worth 0
                if not has_judge:
                    judgement = Reward(None, None, {"format": float(answer.ok)})
                elif answer.ok:
                    judgement = self._submit(group.prompt, rollout.rollout_id, answer)
                pending.append((group.prompt, rollout, thought, answer, judgement, sampled_s))
        start = time.perf_counter()
        num_late = sum(isinstance(one, Future) and not one.done() for *_, one, _ in pending)
        judged = [
            JudgedRollout(prompt, rollout, thought, answer, _reward(judgement), sampled_s)
            for prompt, rollout, thought, answer, judgement, sampled_s in pending
        ]
        return JudgedBatch(judged, time.perf_counter() - start, num_late)

    def _submit(self, prompt: Prompt, rollout_id: str, answer: FinalAnswer) -> Judgement:
        """To the prompt's verifier, or to the reward model, which sees the answer and nothing of the thought."""
        if prompt.verifier is None:
            assert self._scorer is not None, "check() comes before judge()"
            return self._scorer.submit(
                AnswerComparison(
                    rollout_id, prompt, answer, FinalAnswer(prompt.reference_text), against_reference=True
                )
            )
        return self._service.submit(
            Case(rollout_id, prompt.verifier, prompt.verifier_options, prompt.reference, answer)
        )

    def _split(self, rollout: Rollout) -> tuple[str, FinalAnswer]:
        open_tag, close_tag = self.thinking_tags
        return split_response(
            rollout.text,
            finish_reason=rollout.finish_reason,
            prefilled_think=self.config.prefilled_think,
            expects_thought=self.config.expects_thought,
            open_tag=open_tag,
            close_tag=close_tag,
        )

    def require_judged(
        self, judged: Sequence[JudgedRollout], *, num_unjudged_before: int = 0, num_before: int = 0
    ) -> None:
        """Raises: HoneError naming cases when too many rollouts have no decision, of those given and ``num_before``
        others."""
        missing = [one for one in judged if one.reward.value is None]
        num_unjudged, num_all = num_unjudged_before + len(missing), num_before + len(judged)
        if num_unjudged <= self.config.max_unjudged_frac * num_all:
            return
        cases = "; ".join(
            f"{one.rollout.rollout_id} ({one.prompt.verifier or 'reward model'}: "
            f"{getattr(one.reward.judged, 'reason', '')})"
            for one in missing[:3]
        )
        raise HoneError(
            f"{num_unjudged} of {num_all} rollouts could not be judged, more than "
            f"judging.max_unjudged_frac={self.config.max_unjudged_frac}" + (f": {cases}" if cases else "")
        )


def judging_order(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Prompts for the reward model first, so that it scores them while the others are generated."""
    return sorted(prompts, key=lambda prompt: prompt.verifier is not None)


def verifier_service(config: JudgingConfig) -> VerifierService:
    """Worker processes beside this process, or on every node of the Ray cluster that is joined."""
    if not config.per_node:
        return VerifierService(num_workers=config.num_workers, timeout_s=config.timeout_s)
    from rl.experience.verifier_actor import ActorPool

    return VerifierService.over(ActorPool(num_workers=config.num_workers, timeout_s=config.timeout_s))


@dataclass(frozen=True, eq=False)
class JudgedBatch:
    """Judged rollouts; when generation had ended, how long verdicts and scores were waited for, and how many."""

    rollouts: list[JudgedRollout]
    wait_s: float
    num_late: int = 0

    def in_order_of(self, prompts: Sequence[Prompt]) -> list[JudgedRollout]:
        """By prompt as listed, then by index: what a run computes never depends on who finished first."""
        index = {prompt.prompt_id: i for i, prompt in enumerate(prompts)}
        return sorted(self.rollouts, key=lambda one: (index[one.prompt.prompt_id], one.rollout.index))


def _reward(judgement: Judgement | Reward) -> Reward:
    """A verdict is worth its score, a score its probability; no decision nothing at all."""
    if isinstance(judgement, Reward):
        return judgement
    result = judgement.result()
    if isinstance(result, Score):
        return Reward(result.probability, None, {"format": 1.0, **result.parts}, result)
    return Reward(result.score, result, {"format": 1.0, **result.parts})
