"""Stage 00: the data is made or read, and the base policy that everything starts from."""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path

from rl.algorithm.algorithm import algorithm_of
from rl.data.preference_pairs import better_first, training_of
from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData, build_data, load, long_prompts, refuse_leaks, without
from rl.data.token_limits import longest_prompt, require_positions
from rl.families.family import load_family
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.progress import ProgressDisplay
from rl.run.run_directory import RunDirectory
from rl.run.stage_result import PrepareResult
from rl.run.stopwatch import Stopwatch
from verifiers.counted import counted

STAGE = "00-prepare"


CORPUS_PAIRS = 4000  # comparisons from which a tiny tokenizer learns their words


def prepare(recipe: Recipe, run: RunDirectory, display: ProgressDisplay) -> tuple[RunData, PolicyState]:
    """Build the data and the tiny policy once, then load them. Raises: BadInput naming file, row and column."""
    from rl.families.checkpoint_check import forbidden_token_ids

    stage = run.stage(STAGE)
    if stage.is_complete:
        display.done_before("prepare data")
        result = PrepareResult.of(stage.manifest(), run.path)
        data = without(load(result.paths, run.path), result.too_long.get("prompt_ids", ()))
        return data, result.policy
    started_at, watch = time.time(), Stopwatch()
    with display.stage("prepare data") as progress:
        stage.begin()
        if recipe.model.path is not None:
            forbidden_token_ids(Path(recipe.model.path), load_family(recipe.model.family))
        with watch("build"):
            paths = build_data(recipe, stage.path)
        with watch("load"):
            data = load(paths, run.path)
            refuse_leaks(data)
        algorithm_of(recipe.rl).check(data.train)
        with watch("model"):
            policy = base_policy(recipe, stage.path, data)
        with watch("measure"):
            limit = longest_prompt(recipe)
            too_long = long_prompts(
                chain(data.train, data.heldout),
                PromptEncoder(policy.hub, recipe.sampler.chat_template_kwargs),
                limit,
            )
            data = without(data, too_long)
        result = PrepareResult(
            paths={name: _inside(path, run.path) for name, path in paths.items()},
            policy=policy,
            num_train_prompts=len(data.train),
            num_heldout_prompts=len(data.heldout),
            num_cold_start_rows=len(data.cold_start),
            too_long={"limit_tokens": limit, "prompt_ids": too_long},
        )
        stage.complete(
            result,
            title="prepare data",
            round_index=0,
            started_at=started_at,
            watch=watch,
            inputs={"data": recipe.data.model_dump(mode="json")},
        )
        dropped = f", {counted(len(too_long), 'prompt')} over {limit} tokens dropped" if too_long else ""
        progress.finish(
            f"{counted(len(data.train), 'prompt')}, {len(data.heldout):,} held out, "
            f"{counted(len(data.cold_start), 'row')}{dropped}"
        )
    return data, policy


def base_policy(recipe: Recipe, directory: Path, data: RunData) -> PolicyState:
    """The checkpoint at ``model.path``, or a tiny random instance whose tokenizer knows the data's texts."""
    if recipe.model.path is not None:
        hub = Path(recipe.model.path).absolute()
        require_positions(recipe, hub)
        return PolicyState(0, hub, STAGE)
    corpus = [prompt.text for prompt in data.train] + [row.prompt.text for row in data.cold_start]
    corpus += [row.response for row in data.cold_start]
    if data.preferences:
        pairs = better_first(data.preferences["train"], training_of(recipe), seed=recipe.seed)
        corpus += [pair.to_prompt().text for pair in pairs[:CORPUS_PAIRS]]
    hub = directory / "policy"
    load_family(recipe.model.family).build_tiny(hub, seed=recipe.seed, corpus=corpus, sizes=recipe.model.tiny)
    require_positions(recipe, hub)
    return PolicyState(0, hub, STAGE)


def _inside(path: str, run_path: Path) -> str:
    full = Path(path).absolute()
    return str(full.relative_to(run_path)) if full.is_relative_to(run_path) else path
