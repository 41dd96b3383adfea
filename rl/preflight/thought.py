"""Preflight of the thought: who opens it, the chat template or the policy, and whether the cold start shows one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from rl.data.run_data import LoadedSet
from rl.families.family import load_family
from rl.preflight.check import Check, Finding, some_of
from rl.recipe.recipe import Recipe
from sampler.chat_text import chat_text
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.errors import BadInput
from verifiers.reading.response import split_response


def check_thoughts(recipe: Recipe, sets: Mapping[str, LoadedSet], hub: Path | None) -> Iterator[Check]:
    """Of the checkpoint at ``hub``; None: a tiny one that is still to be made, whose template opens no thought."""
    yield Check("thoughts begin as they are judged", partial(_template, recipe, hub))
    if "cold_start" in sets:
        yield Check("cold-start rows are sound", partial(_cold_start, recipe, sets["cold_start"]))


def _template(recipe: Recipe, hub: Path | None) -> Finding:
    ending = "" if hub is None else _generation_prompt(recipe, hub).rstrip()
    open_tag, close_tag = load_family(recipe.model.family).thinking_tags
    if ending.endswith(open_tag) and not recipe.judging.prefilled_think:
        return Finding(
            "failed",
            f"the chat template ends in {open_tag}, so a response begins inside the thought: set "
            "judging.prefilled_think=true",
        )
    if recipe.judging.prefilled_think and not ending.endswith(open_tag):
        return Finding(
            "failed",
            "judging.prefilled_think=true, but the chat template opens no thought, so every response would be broken "
            "format: set it to false",
        )
    if ending.endswith(close_tag) and recipe.judging.expects_thought:
        return Finding(
            "failed",
            "the chat template writes an empty thought, so a response has none: set judging.expects_thought=false, or "
            "sampler.chat_template_kwargs so that the policy thinks",
        )
    return Finding("ok", f"the {'chat template' if recipe.judging.prefilled_think else 'policy'} opens them")


def _generation_prompt(recipe: Recipe, hub: Path) -> str:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(hub)
    except (OSError, ValueError) as why:
        raise BadInput(f"model.path={hub}: its tokenizer cannot be loaded: {why}") from why
    question = Prompt.build(messages=[{"role": "user", "content": [{"type": "text", "text": "?"}]}])
    return chat_text(question, tokenizer, recipe.sampler.chat_template_kwargs)


def _cold_start(recipe: Recipe, loaded: LoadedSet) -> Finding:
    """Rows whose response the judge would give 0 for its form: some may be meant, not all."""
    open_tag, close_tag = load_family(recipe.model.family).thinking_tags
    split = [
        split_response(
            row.response,
            finish_reason="stop",
            prefilled_think=recipe.judging.prefilled_think,
            expects_thought=recipe.judging.expects_thought,
            open_tag=open_tag,
            close_tag=close_tag,
        )
        for row in loaded.rows
    ]
    broken = [(index, one.answer.status) for index, one in enumerate(split) if not one.answer.ok]
    if not broken:
        num_empty = sum(not one.thought for one in split)
        if recipe.judging.expects_thought and num_empty > len(split) / 2:
            return Finding(
                "warning",
                f"the thought of {num_empty:,} of {counted(len(split), 'row')} is empty: who learns from them does not "
                "think; set judging.expects_thought=false where that is meant",
            )
        return Finding("ok", f"{counted(len(loaded.rows), 'row')} with a thought as judging expects it")
    reasons = ", ".join(sorted({status.replace("_", " ") for _, status in broken}))
    where = some_of([loaded.row_locations[index] for index, _ in broken]) if loaded.row_locations else ""
    return Finding(
        "failed" if len(broken) == len(loaded.rows) else "warning" if where else "ok",
        f"{len(broken):,} of {counted(len(loaded.rows), 'row')} teach what judging takes for broken format ({reasons})"
        + (f": {where}; see judging.expects_thought and judging.prefilled_think" if where else ""),
    )
