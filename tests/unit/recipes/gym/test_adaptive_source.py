"""The difficulty follows the pass rate, question type by question type, and goes on after a kill."""

from __future__ import annotations

import json
import zlib
from statistics import mean
from typing import Any

import pytest

from recipes.gym.adaptive_source import AdaptiveSource, difficulty_of
from rl.experience.prompt_source import PromptSource, UniformSource, prompt_source_of
from rl.experience.source import ExperienceSource
from rl.fakes import FakeJudge, FakeSampler
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from sampler.rollout import SamplingPlan
from verifiers.errors import BadInput

PATH = "recipes.gym.adaptive_source:AdaptiveSource"
CONFIG = RlConfig(prompt_source=PATH)
ABLE = {"clock": 0.8, "maze": 0.3}  # how difficult a prompt the policy is right on half of the time
PLAN = SamplingPlan(num_samples=4, max_response_tokens=40, run_seed=1, step=0)


def prompt(kind: str, difficulty: float) -> Prompt:
    return Prompt.build(
        messages=[{"role": "user", "content": [{"type": "text", "text": f"{kind} {difficulty}"}]}],
        verifier="number",
        reference="1",
        tags=(kind, f"{difficulty:.2f}"),
    )


PROMPTS = [prompt(kind, step / 100) for step in range(100) for kind in ABLE]


def no_source(prompts: object, config: object, *, seed: str) -> str:
    return seed


def respond(asked: Prompt, seed: int) -> str:
    """Right the more often, the more the policy is able."""
    chance = 0.5 + 2 * (ABLE[asked.question_type] - difficulty_of(asked))
    return f"<think></think>{int(zlib.crc32(str(seed).encode()) % 1000 < 1000 * chance)}"


def stream(prompts: PromptSource, num_steps: int = 60) -> ExperienceSource:
    return ExperienceSource(
        FakeSampler(respond), FakeJudge(), prompts, PLAN, step_size=12, num_steps=num_steps
    )


def drawn(source: ExperienceSource) -> list[list[str]]:
    return [[one.prompt.prompt_id for one in experience.rollouts] for experience in source]


def test_the_level_of_each_type_comes_to_where_half_is_right() -> None:
    source = prompt_source_of(PROMPTS, CONFIG, seed="s")
    assert isinstance(source, AdaptiveSource)
    steps = list(stream(source))
    first = {one.prompt for one in steps[0].rollouts}
    assert len(first) == 12 and {difficulty_of(one) < 0.2 for one in first} == {True}
    for kind, able in ABLE.items():
        last = [one for step in steps[-20:] for one in step.rollouts if one.prompt.question_type == kind]
        assert mean(difficulty_of(one.prompt) for one in last) == pytest.approx(able, abs=0.08)
        assert mean(one.reward.value or 0 for one in last) == pytest.approx(0.5, abs=0.1)


def test_it_goes_on_where_it_was_killed() -> None:
    whole = drawn(stream(prompt_source_of(PROMPTS, CONFIG, seed="s"), 12))
    before, after = (stream(prompt_source_of(PROMPTS, CONFIG, seed="s"), 12) for _ in range(2))
    for _ in range(7):
        next(before)
    after.restore(json.loads(json.dumps(before.state())))
    assert drawn(after) == whole[7:]
    assert drawn(stream(prompt_source_of(PROMPTS, CONFIG, seed="another"), 12)) != whole


def test_a_refill_tries_others_and_moves_no_later_draw() -> None:
    source, undisturbed = (AdaptiveSource(PROMPTS, CONFIG, seed="s") for _ in range(2))
    first = source.draw(10)
    others = source.draw(10, without={one.prompt_id for one in first})
    assert len({*first, *others}) == 20
    assert source.draw(500, without={one.prompt_id for one in PROMPTS}) == []
    assert len(source.draw(500, without={PROMPTS[0].prompt_id})) == len(PROMPTS) - 1
    assert undisturbed.draw(10) == first and source.draw(10) == undisturbed.draw(10)


def test_a_draw_fills_a_number_of_rollouts() -> None:
    config = CONFIG.model_copy(update={"rollouts_per_step": 40, "samples_per_prompt": 8})
    assert len(AdaptiveSource(PROMPTS, config, seed="s").draw(40)) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt_source": "recipes.gym.adaptive_source:AdaptivSource"}, "no function 'AdaptivSource'"),
        ({"prompt_source": f"{__name__}:no_source"}, "makes a str, no PromptSource"),
        ({"prompt_source": PATH, "tags": ("clock",)}, "needs the question type and then a difficulty"),
    ],
)
def test_a_source_that_cannot_be_is_told(given: dict[str, Any], message: str) -> None:
    asked = Prompt.build(messages=[], tags=given.pop("tags", ("clock", "0.5")))
    with pytest.raises(BadInput, match=message):
        prompt_source_of([asked], RlConfig(**given), seed="s")


def test_without_a_name_it_is_uniform() -> None:
    assert isinstance(prompt_source_of(PROMPTS, RlConfig(), seed="s"), UniformSource)
