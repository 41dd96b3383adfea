"""Preflight of a judge by rubric: criteria for every prompt, room for its questions, and what must not sway it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from reward_models.answer_comparison import AnswerComparison
from reward_models.judges.rubric_judge import ORDERS_DISAGREE
from reward_models.rubric import Rubric
from rl.preflight.check import Check, Finding
from rl.recipe.judging_config import RewardModelConfig, RubricConfig
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.counted import counted
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.engines.engines import Engines

ANSWERS = 64  # that a probe asks about


def without_criteria(rubric: Rubric, prompts: Sequence[Prompt]) -> list[tuple[Prompt, str]]:
    """Prompts that a rubric cannot judge, with why."""
    found = []
    for prompt in prompts:
        try:
            rubric.criteria(prompt)
        except BadInput as why:
            found.append((prompt, str(why)))
    return found


def asked_of(rubric: Rubric, prompts: Sequence[Prompt]) -> list[Prompt]:
    """What the judge is asked, without the answer."""
    nothing = FinalAnswer("")
    return [
        one.query("", prompt, nothing).to_prompt() for prompt in prompts for one in rubric.criteria(prompt)
    ]


def check_probes(config: RewardModelConfig, engines: Engines, prompts: Sequence[Prompt]) -> Iterator[Check]:
    """References of general prompts are judged as answers."""
    assert config.rubric is not None
    answers = list(islice((one for one in prompts if one.verifier is None and one.reference), ANSWERS))
    yield Check("rubric's position bias", partial(position_probe, config, engines, answers))
    yield Check("rubric's verbosity bias", partial(verbosity_probe, config.rubric, engines, answers))


def position_probe(config: RewardModelConfig, engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    """A criterion that sees the reference is asked with it behind and before the answer: how often is it then met once
    and once not? Each prompt's answer here is the reference of the one before."""
    answers = [one.reference_text for one in (*prompts[-1:], *prompts[:-1])]
    scores = engines.judge.compare(
        [
            AnswerComparison(f"position-{i}", one, FinalAnswer(text), FinalAnswer(one.reference_text), True)
            for i, (one, text) in enumerate(zip(prompts, answers, strict=True))
        ]
    )
    if scores and not any(score.judged for score in scores):
        return Finding(
            "failed", f"none of {counted(len(scores), 'answer')} could be judged: {scores[0].reason}"
        )
    gaps = [score.parts[ORDERS_DISAGREE] for score in scores if ORDERS_DISAGREE in score.parts]
    if not gaps:
        return Finding("ok", "none: no criterion sees the reference, and each is asked by itself")
    disagreeing, limit = sum(gaps) / len(gaps), config.max_position_bias_frac
    summary = f"answer or reference first: {disagreeing:.1%} of the criteria differ, of {counted(len(gaps), 'answer')}"
    if disagreeing > limit:
        return Finding(
            "failed", f"{summary}, more than judging.reward_model.max_position_bias_frac={limit:g}"
        )
    return Finding("ok", summary)


def verbosity_probe(config: RubricConfig, engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    """An answer said twice says no more: what does it gain in the mean?"""
    once = [FinalAnswer(one.reference_text) for one in prompts]
    twice = [replace(answer, text=f"{answer.text}\n{answer.text}") for answer in once]
    scores = engines.judge.compare(
        [
            AnswerComparison(f"verbosity-{i}", prompt, double, single)
            for i, (prompt, double, single) in enumerate(zip(prompts, twice, once, strict=True))
        ]
    )
    gains = [2 * score.probability - 1 for score in scores if score.probability is not None]
    if not gains:
        why = f": {scores[0].reason}" if scores else ""
        return Finding(
            "failed" if scores else "ok", f"none of {counted(len(scores), 'answer')} could be judged{why}"
        )
    gain = sum(gains) / len(gains)
    summary = f"an answer said twice is worth {gain:+.3f} more, over {counted(len(gains), 'answer')}"
    if gain > config.max_verbosity_gain:
        return Finding(
            "failed",
            f"{summary}: more than judging.reward_model.rubric.max_verbosity_gain={config.max_verbosity_gain:g}",
        )
    return Finding("ok", summary)
