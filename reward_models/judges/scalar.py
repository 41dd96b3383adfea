"""The scalar (Bradley-Terry) reward model: one number for an answer, from the hidden state in which a VLM ends it.

P(first wins) = sigmoid(s(first) - s(second)), with s a linear head on the last hidden state (Bradley & Terry 1952;
Ouyang et al., 2203.02155, section 3.5). Each answer is read by itself, so there is no place to be biased for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from reward_models.answer_comparison import AnswerComparison
from reward_models.reward_model import compared
from reward_models.score import Score
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from sampler.vllm_pool.pool import SamplerPool
from verifiers.answer import FinalAnswer

if TYPE_CHECKING:
    import torch


class ScalarRewardModel:
    """Asks a pool of vLLM workers that read (``reads=True``) for hidden states; the head is applied here, in float64.

    Used from one thread, as the pool is. Second answers, which are references and come again with every rollout, are
    read once.
    """

    def __init__(
        self, pool: SamplerPool, head: Mapping[str, torch.Tensor], *, control_tokens: Sequence[str] = ()
    ) -> None:
        """``head``: weight [1, hidden] and bias [1]."""
        self.pool = pool
        self.control_tokens = control_tokens
        self._weight = head["weight"][0].double().numpy()
        self._bias = float(head["bias"][0])
        self._score_of_second: dict[str, float] = {}
        self._num_calls = 0

    def compare(self, comparisons: Sequence[AnswerComparison]) -> dict[str, Score]:
        """By comparison id the probability that ``first`` is the better answer; 0.5 = parity.

        ``parts`` keeps both scores. An answer that is not ok is never read: it loses. One too long for the model, or a
        pool that cannot go on, is ``error``: no score, and never a low one.
        """
        return compared(comparisons, self.control_tokens, self._ask)

    def _ask(self, asked: Sequence[AnswerComparison]) -> dict[str, Score]:
        started = time.perf_counter()
        firsts = [answered(one.prompt, one.first) for one in asked]
        seconds = [answered(one.prompt, one.second) for one in asked]
        score_of = self._read([*firsts, *seconds])
        self._score_of_second |= {
            each.prompt_id: score_of[each.prompt_id] for each in seconds if each.prompt_id in score_of
        }
        spent_s = (time.perf_counter() - started) / max(1, len(asked))
        return {
            one.comparison_id: preference(
                score_of.get(first.prompt_id), score_of.get(second.prompt_id), seconds=spent_s
            )
            for one, first, second in zip(asked, firsts, seconds, strict=True)
        }

    def _read(self, prompts: Iterable[Prompt]) -> dict[str, float]:
        """Scores by the id of prompt and answer; what does not fit the model is left out."""
        wanted = {prompt.prompt_id: prompt for prompt in prompts}
        found = {name: self._score_of_second[name] for name in wanted if name in self._score_of_second}
        unread = [prompt for name, prompt in wanted.items() if name not in found]
        plan = SamplingPlan(
            num_samples=1, max_response_tokens=1, run_seed=0, step=self._num_calls, stage="reward-model"
        )
        self._num_calls += 1
        for group in self.pool.sample(unread, plan) if unread else ():
            hidden = group.rollouts[0].hidden_state
            assert hidden is not None, "the pool reads"
            found[group.prompt.prompt_id] = float(self._weight @ hidden) + self._bias
        return found


def answered(prompt: Prompt, answer: FinalAnswer) -> Prompt:
    """The prompt with the answer as the assistant's: what is read, up to the answer's last token. Its id depends on
    all that is shown, so the same answer to the same prompt is the same wherever it comes from."""
    said = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    return Prompt.build(
        messages=[*prompt.messages, said], images=prompt.images, videos=prompt.videos, kind="general"
    )


def preference(first: float | None, second: float | None, *, seconds: float = 0.0) -> Score:
    """sigmoid(first - second) with both scores as parts; None stands for an answer that was too long to read."""
    if first is None or second is None:
        return Score.failed(
            "the prompt with its answer is too long for the reward model's sampler.max_model_len",
            seconds=seconds,
        )
    margin = first - second
    if not math.isfinite(margin):
        return Score.failed(f"the reward model's scores are {first} and {second}", seconds=seconds)
    probability = 0.5 + 0.5 * math.tanh(margin / 2)  # sigmoid, whose two orders add up to exactly 1
    return Score.scored(probability, parts={"score": first, "reference_score": second}, seconds=seconds)
