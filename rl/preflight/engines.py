"""Checks that ask engines: sampler and trainer agree, pictures matter, tokens are the same, responses can be judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData
from rl.engines.engines import Engines
from rl.engines.probe_pictures import odd_pictures
from rl.experience.prompt_source import FixedSource
from rl.experience.source import ExperienceSource
from rl.preflight.check import Check, Finding
from rl.preflight.judging import POSITION_BIAS, position_bias
from rl.preflight.rubric import check_probes
from rl.recipe.recipe import Recipe
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import HoneError


def check_engines(recipe: Recipe, engines: Engines, data: RunData) -> Iterator[Check]:
    """Checks with sampler and trainer running: they agree, they see the pictures, what they sample can be judged."""
    yield Check("sampler and trainer agree", partial(_agreement, engines))
    yield Check("pictures reach the sampler", partial(_pictures_matter, engines, data.heldout))
    yield Check("sampler and encoder tokenise alike", partial(_same_tokens, engines, data.heldout))
    yield Check("responses can be judged", partial(_judged, recipe, engines, data.heldout))
    judge = recipe.judging.reward_model
    if engines.judge.has_reward_model and judge is not None and judge.rubric is not None:
        yield from check_probes(judge, engines, data.heldout)
    elif engines.judge.has_reward_model:
        yield Check(POSITION_BIAS, partial(position_bias, recipe, engines, data.heldout))


def _agreement(engines: Engines) -> Finding:
    engines.start()
    odd = odd_pictures(engines.probe)
    proof = engines.weight_sync.prove(*odd)
    also = ", also of pictures that are turned by EXIF, clear or of 16 bits" if odd else ""
    return Finding(
        "ok",
        f"log-probabilities differ by at most {proof.max_difference:.1e} over {proof.num_tokens} tokens{also}",
    )


def _pictures_matter(engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    """Another picture under the same words must change what the sampler computes."""
    pictured = [prompt for prompt in prompts if prompt.vision_inputs][:8]
    pairs = [
        (one, donor)
        for one, donor in zip(pictured, [*pictured[1:], *pictured[:1]], strict=True)
        if one.vision_inputs != donor.vision_inputs
        and (len(one.images), len(one.videos)) == (len(donor.images), len(donor.videos))
    ]
    if not pairs:
        return Finding("ok", "no two prompts with as many pictures: nothing to compare")
    swapped = [
        replace(one, prompt_id=f"{one.prompt_id}-swapped", images=donor.images, videos=donor.videos)
        for one, donor in pairs
    ]
    plan = engines.plan(stage="preflight", step=0, num_samples=1, max_response_tokens=1, temperature=1.0)
    asked = [*(one for one, _ in pairs), *swapped]
    logprobs = {
        group.prompt.prompt_id: group.rollouts[0].sample_logprobs[0]
        for group in engines.sampler.sample(asked, plan)
    }
    changed = sum(
        logprobs.get(one.prompt_id) != logprobs.get(other.prompt_id)
        for (one, _), other in zip(pairs, swapped, strict=True)
    )
    if not changed:
        raise HoneError("the sampler computes the same for different pictures: it does not see them")
    return Finding(
        "ok", f"{changed} of {counted(len(pairs), 'prompt')} answer differently to another picture"
    )


def _same_tokens(engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    encoder = PromptEncoder(engines.base.hub, engines.recipe.sampler.chat_template_kwargs)
    plan = engines.plan(stage="preflight", step=1, num_samples=1, max_response_tokens=1)
    for group in engines.sampler.sample([*prompts[:16], *odd_pictures(prompts)], plan):
        if not np.array_equal(group.rollouts[0].prompt_token_ids, encoder(group.prompt)):
            raise HoneError(
                f"prompt {group.prompt.prompt_id} is tokenised differently for SFT and for sampling"
            )
    return Finding("ok", "supervised rows and sampled prompts are the same tokens")


def _judged(recipe: Recipe, engines: Engines, prompts: Sequence[Prompt]) -> Finding:
    plan = engines.plan(
        stage="preflight", step=2, num_samples=2, max_response_tokens=min(64, recipe.rl.max_response_tokens)
    )
    chosen = FixedSource([one for one in prompts if engines.judge.can_judge(one)][:16])
    experience = next(ExperienceSource(engines.sampler, engines.judge, chosen, plan))
    return Finding(
        "ok",
        f"{counted(len(experience.rollouts), 'sampled response')} judged, none without a decision beyond the limit",
    )
