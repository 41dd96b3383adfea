"""Preflight: everything that would fail in an hour, found in a minute. Silent faults of a VLM first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rl.engines import Engines
from rl.finding import Finding, guarded
from rl.policy_state import PolicyState
from rl.preflight_judging import check_judges, position_bias
from rl.recipe import Recipe
from rl.run_data import RunData
from rl.sft_rows import PromptEncoder
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.errors import HoneError
from verifiers.registry import load_verifier

SAMPLE = 200  # prompts looked at by the checks that tokenise


def check_data(recipe: Recipe, data: RunData, base: PolicyState) -> Iterator[Finding]:
    """Checks that need no engine."""
    encoder = PromptEncoder(base.hub, recipe.sampler.chat_template_kwargs)
    prompts = [*data.train, *data.heldout]
    yield from check_judges(recipe, prompts)
    yield _references(prompts)
    yield _lengths(recipe, encoder, prompts[:SAMPLE])
    yield _placeholders(encoder, prompts[:SAMPLE])
    yield _responses(recipe, encoder, data)
    yield _disk(recipe)


def check_engines(recipe: Recipe, engines: Engines, data: RunData) -> Iterator[Finding]:
    """Checks with sampler and trainer running: they agree, they see the pictures, what they sample can be judged."""
    yield guarded("sampler and trainer agree", lambda: _agreement(engines))
    yield guarded("pictures reach the sampler", lambda: _pictures_matter(engines, data.heldout))
    yield guarded("sampler and encoder tokenise alike", lambda: _same_tokens(engines, data.heldout))
    yield guarded("responses can be judged", lambda: _judged(recipe, engines, data.heldout))
    if engines.judge.has_reward_model:
        yield position_bias(recipe, engines, data.heldout)


def _references(prompts: Sequence[Prompt]) -> Finding:
    """Every reference, written as its verifier would accept it, must score 1 against itself."""
    failing, seen = [], set()
    for prompt in prompts:
        if prompt.verifier is None:
            continue
        key = (prompt.verifier, repr(sorted(prompt.verifier_options.items())), prompt.reference)
        if key in seen:
            continue
        seen.add(key)
        verifier = load_verifier(prompt.verifier, prompt.verifier_options)
        for answer in verifier.reference_answers(prompt.reference):
            if verifier.judge(prompt.reference, FinalAnswer(answer)).score != 1.0:
                failing.append(prompt.prompt_id)
                break
    if failing:
        return Finding(
            "references judge themselves right",
            "failed",
            f"{len(failing)} references fail against themselves: prompts {', '.join(failing[:5])}",
        )
    return Finding(
        "references judge themselves right",
        "ok",
        f"{len(seen)} different references of {len(prompts)} prompts",
    )


def _lengths(recipe: Recipe, encoder: PromptEncoder, prompts: Sequence[Prompt]) -> Finding:
    room = recipe.sampler.max_model_len - recipe.rl.max_response_tokens
    lengths = [len(encoder(prompt)) for prompt in prompts]
    too_long = sum(length > room for length in lengths)
    words = f"longest of {len(lengths)} prompts {max(lengths)} tokens, room for {room}"
    if too_long == len(lengths):
        return Finding("prompts fit", "failed", f"{words}: raise sampler.max_model_len")
    return Finding("prompts fit", "warning" if too_long else "ok", f"{words}; {too_long} would be dropped")


def _placeholders(encoder: PromptEncoder, prompts: Sequence[Prompt]) -> Finding:
    """A chat template that forgets pictures trains a blind model without an error."""
    token_id = encoder.tokenizer.convert_tokens_to_ids(encoder.image_token)
    blind = [
        prompt.prompt_id for prompt in prompts if prompt.images and not (encoder(prompt) == token_id).any()
    ]
    if blind:
        return Finding(
            "pictures are in the prompt",
            "failed",
            f"the chat template drops the pictures of {len(blind)} prompts, {blind[0]} first",
        )
    with_images = sum(bool(prompt.images) for prompt in prompts)
    return Finding(
        "pictures are in the prompt", "ok", f"{with_images} of {len(prompts)} prompts have pictures"
    )


def _responses(recipe: Recipe, encoder: PromptEncoder, data: RunData) -> Finding:
    """Supervised responses longer than RL allows teach the policy to be cut off."""
    lengths = [len(encoder.response(row.response)) for row in data.cold_start[:SAMPLE]]
    longest = max(lengths, default=0)
    limit = recipe.rl.max_response_tokens
    if longest > limit:
        return Finding(
            "supervised responses fit",
            "warning",
            f"longest of {len(lengths)} has {longest} tokens, rl.max_response_tokens is {limit}",
        )
    return Finding(
        "supervised responses fit", "ok", f"longest of {len(lengths)} has {longest} of {limit} tokens"
    )


def _disk(recipe: Recipe) -> Finding:
    path = Path(recipe.run_dir).absolute()
    while not path.exists():
        path = path.parent
    free_gib = shutil.disk_usage(path).free / 2**30
    return Finding(
        "disk", "ok" if free_gib > 5 else "warning", f"{free_gib:.0f} GiB free for {recipe.run_dir}"
    )


def _agreement(engines: Engines) -> str:
    engines.start()
    proof = engines.weight_sync.prove()
    return f"log-probabilities differ by at most {proof.max_difference:.1e} over {proof.num_tokens} tokens"


def _pictures_matter(engines: Engines, prompts: Sequence[Prompt]) -> str:
    """Another picture under the same words must change what the sampler computes."""
    pictured = [prompt for prompt in prompts if prompt.images][:8]
    if len(pictured) < 2:
        return "fewer than two prompts have pictures: nothing to compare"
    donors = [*pictured[1:], pictured[0]]
    swapped = [
        Prompt.build(
            messages=one.messages,
            images=donor.images,
            verifier=one.verifier,
            reference=one.reference,
            prompt_id=f"{one.prompt_id}-swapped",
        )
        for one, donor in zip(pictured, donors, strict=True)
        if len(one.images) == len(donor.images)
    ]
    plan = engines.plan(stage="preflight", step=0, num_samples=1, max_response_tokens=1, temperature=1.0)
    logprobs = {
        group.prompt.prompt_id: group.rollouts[0].sample_logprobs[0]
        for group in engines.sampler.sample([*pictured, *swapped], plan)
    }
    changed = sum(logprobs.get(one.prompt_id) != logprobs.get(f"{one.prompt_id}-swapped") for one in pictured)
    if not changed:
        raise HoneError("the sampler computes the same for different pictures: it does not see them")
    return f"{changed} of {len(swapped)} prompts answer differently to another picture"


def _same_tokens(engines: Engines, prompts: Sequence[Prompt]) -> str:
    encoder = PromptEncoder(engines.base.hub, engines.recipe.sampler.chat_template_kwargs)
    plan = engines.plan(stage="preflight", step=1, num_samples=1, max_response_tokens=1)
    for group in engines.sampler.sample(list(prompts[:16]), plan):
        if not np.array_equal(group.rollouts[0].prompt_token_ids, encoder(group.prompt)):
            raise HoneError(
                f"prompt {group.prompt.prompt_id} is tokenised differently for SFT and for sampling"
            )
    return "supervised rows and sampled prompts are the same tokens"


def _judged(recipe: Recipe, engines: Engines, prompts: Sequence[Prompt]) -> str:
    plan = engines.plan(
        stage="preflight", step=2, num_samples=2, max_response_tokens=min(64, recipe.rl.max_response_tokens)
    )
    judged = engines.sample_and_judge([one for one in prompts if engines.judge.can_judge(one)][:16], plan)
    engines.judge.require_judged(judged.rollouts)
    return f"{len(judged.rollouts)} sampled responses judged, none without a decision beyond the limit"
