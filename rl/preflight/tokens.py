"""Preflight of what a tokenizer must count: prompts and their pictures, supervised responses, comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from reward_models.answer_comparison import AnswerComparison
from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData
from rl.data.token_limits import longest_prompt
from rl.experience.scorer import reward_model_path
from rl.preflight.check import Check, Finding, some_of
from rl.preflight.pictures import films_shown, pictures_in_prompts
from rl.preflight.references import references_judged
from rl.preflight.rubric import asked_of
from rl.preflight.token_limits import measured_comparison_room, reads_one_answer
from rl.recipe.recipe import Recipe
from rl.run.progress import Outcome
from rl.run.results.stage_result import PolicyState
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.counted import counted

SAMPLE = 200  # prompts looked at by the checks that tokenise
FILMS = 20  # whose frames are counted


def check_tokens(recipe: Recipe, data: RunData, base: PolicyState, run_path: Path) -> Iterator[Check]:
    """Checks that need a tokenizer and no engine."""
    encoder = PromptEncoder(base.hub, recipe.sampler.chat_template_kwargs)
    prompts = [*data.train, *data.heldout]
    yield Check("references judge themselves right", partial(references_judged, recipe, data))
    yield Check("prompts fit", partial(_lengths, recipe, encoder, data))
    yield Check("pictures are in the prompt", partial(pictures_in_prompts, encoder, data, prompts[:SAMPLE]))
    if filmed := [one for one in prompts if one.videos][:FILMS]:
        yield Check("films", partial(films_shown, encoder, filmed))
    yield Check("supervised responses fit", partial(_responses, recipe, encoder, data))
    if recipe.judging.reward_model is not None and recipe.judging.reward_model.has_checkpoint:
        model = reward_model_path(recipe.judging, run_path)
        yield Check(
            "comparisons fit the reward model", partial(_comparisons, recipe, encoder, model, prompts)
        )


def _lengths(recipe: Recipe, encoder: PromptEncoder, data: RunData) -> Finding:
    room = longest_prompt(recipe)
    lengths = {one.prompt_id: len(encoder(one)) for one in [*data.train, *data.heldout][:SAMPLE]}
    too_long = [data.location_of(prompt_id) for prompt_id, length in lengths.items() if length > room]
    summary = f"longest of {counted(len(lengths), 'prompt')} {max(lengths.values())} tokens, room for {room}"
    if not too_long:
        return Finding("ok", summary)
    outcome: Outcome = "failed" if len(too_long) == len(lengths) else "warning"
    return Finding(
        outcome,
        f"{summary}, so {len(too_long):,} would be dropped: {some_of(too_long)}; raise data.max_prompt_tokens, or "
        "sampler.max_model_len over rl.max_response_tokens",
    )


def _responses(recipe: Recipe, encoder: PromptEncoder, data: RunData) -> Finding:
    """Supervised responses longer than RL allows teach the policy to be cut off."""
    lengths = [len(encoder.response(row.response)) for row in data.cold_start[:SAMPLE]]
    longest = max(lengths, default=0)
    limit = recipe.rl.max_response_tokens
    if longest > limit:
        return Finding(
            "warning", f"longest of {len(lengths)} has {longest} tokens, rl.max_response_tokens is {limit}"
        )
    return Finding("ok", f"longest of {len(lengths)} has {longest} of {limit} tokens")


def _comparisons(
    recipe: Recipe, encoder: PromptEncoder, model: Path | None, prompts: Sequence[Prompt]
) -> Finding:
    """By the tokenizer of the reward model, which is the policy's where the run trains it."""
    config = recipe.judging.reward_model
    asked_by = config.rubric.rubric if config is not None and config.rubric is not None else None
    general = [one for one in prompts if one.verifier is None and (one.reference or asked_by)][:SAMPLE]
    if not general:
        return Finding("ok", "no general prompts to compare answers of")
    if model is not None:
        encoder = PromptEncoder(model)
    asked = [
        one
        if reads_one_answer(recipe)
        else AnswerComparison("", one, FinalAnswer(""), FinalAnswer(one.reference_text)).to_prompt()
        for one in general
    ]
    if asked_by is not None:
        asked = asked_of(asked_by, general)
    return measured_comparison_room(recipe, max(len(encoder(one)) for one in asked))
