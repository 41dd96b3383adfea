"""``hone run --dry-run``: what a recipe would do, counted, without starting an engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recipes.commands.output.check_list import run_checks
from rl.algorithm.algorithm import algorithm_of
from rl.data.preference_pairs import training_of, trains_reward_model
from rl.data.run_data import NOUNS, LoadedSet, own_sets
from rl.preflight.check import Check, Finding
from rl.preflight.data import check_reading, check_sets
from rl.preflight.environment import check_environment
from rl.preflight.token_limits import comparison_room, response_room
from rl.recipe.recipe import Recipe
from rl.run.run_directory import RunDirectory
from sampler.data.dataset_rows import SUFFIXES
from verifiers.counted import counted
from verifiers.errors import near_name


def print_plan(recipe: Recipe) -> list[Finding]:
    """One line a stage with the work in it, and whether it is done already; then the checks that need no engine.

    Data files are read and checked; what a builder would make is not made.
    """
    title = f"{recipe.name}: {counted(recipe.program.rounds, 'round')} into {recipe.run_dir}"
    done = _stages_done(Path(recipe.run_dir))
    table = Table("stage", "work", *(["state"] if done else []), title=title)
    for number, (stage, work) in enumerate([("prepare data", _data(recipe)), *_stages(recipe)]):
        table.add_row(stage, work, *(["done" if number in done else "to do"] if done else []))
    judge = recipe.judging.reward_model
    console = Console()
    console.print(table)
    console.print(
        f"engines: {counted(recipe.trainer.num_ranks, 'trainer rank')} (ZeRO-{recipe.trainer.zero_stage}), "
        f"{counted(recipe.sampler.num_workers, 'rollout worker')} on {recipe.sampler.device}"
        + (f", {judge.sampler.num_workers} of the reward model" if judge and judge.has_checkpoint else "")
    )
    return run_checks(_checks(recipe), console)


def _checks(recipe: Recipe) -> Iterator[Check]:
    """Of the files that the recipe names, and of what it says by itself."""
    files = {name: path for name, path in own_sets(recipe).items() if _is_local(path)}
    sets: dict[str, LoadedSet] = {}
    yield from check_reading(files, sets, own=files, max_decoded=0)
    yield from check_sets(recipe, sets, [name for name in files if name not in sets])
    yield from check_environment(recipe)
    yield Check("prompts and responses fit", partial(response_room, recipe))
    if recipe.judging.reward_model is not None and recipe.judging.reward_model.has_checkpoint:
        yield Check("comparisons fit the reward model", partial(comparison_room, recipe))


def _data(recipe: Recipe) -> str:
    """One line a set: its file, or who makes it."""
    own = own_sets(recipe)
    builders = dict.fromkeys(("train", "heldout", "cold_start"), recipe.data.builder)
    if trains_reward_model(recipe):
        builders |= dict.fromkeys(
            ("preferences_train", "preferences_heldout"), training_of(recipe).data.builder
        )
    return "\n".join(
        f"{NOUNS[name]}s: {_origin(own.get(name), made_by)}" for name, made_by in builders.items()
    )


def _origin(file: str | None, builder: str | None) -> str:
    if file is None:
        return f"made by {builder}" if builder else "none"
    if not _is_local(file):
        return f"hub id {file}, not read"
    if Path(file).exists():
        return file
    return f"NOT FOUND {file}{near_name(Path(file).name, [one.name for one in Path(file).parent.glob('*')])}"


def _is_local(path: str) -> bool:
    return Path(path).exists() or Path(path).suffix in SUFFIXES


def _stages(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The stages after the data, in the order and number of `rl.program`."""
    sft, rl, harvest, evaluation = recipe.sft, recipe.rl, recipe.harvest, recipe.evaluation
    heldout = f"{_prompts_asked(evaluation.num_prompts)} x {counted(evaluation.samples_per_prompt, 'sample')}"
    unit = "sequence" if sft.pack_tokens is None else f"{sft.pack_tokens:,}-token pack"
    has_cold_start = recipe.data.builder is not None or recipe.data.cold_start is not None
    yield "evaluate", heldout
    for round_index in range(recipe.program.rounds):
        if round_index or has_cold_start:
            epochs = sft.later_epochs if round_index and sft.later_epochs else sft.epochs
            later_rows = f"{sft.later_cold_start_frac:.0%} of the cold-start rows and all harvests"
            rows = (
                "the cold-start rows" if not round_index else later_rows if has_cold_start else "all harvests"
            )
            yield (
                f"round {round_index} · SFT",
                f"{_epochs(epochs)} of {rows}, {counted(sft.batch_size, unit)} a step",
            )
        if trains_reward_model(recipe) and not round_index:
            config = training_of(recipe)
            yield (
                f"round {round_index} · reward model",
                f"{_epochs(config.epochs)} of preferences, {counted(config.batch_size, 'comparison')} a step",
            )
        if round_index or has_cold_start or trains_reward_model(recipe):
            yield f"round {round_index} · evaluate", heldout
        rollouts, samples = _rollouts_of_a_step(recipe)
        most = "at most " if recipe.judging.reward_model and not rl.rollouts_per_step else ""
        if algorithm_of(rl).needs_critic and recipe.critic.pretrain_steps:
            yield (
                f"round {round_index} · critic",
                f"at most {counted(recipe.critic.pretrain_steps, 'step')} of {samples}",
            )
        yield (
            f"round {round_index} · RL",
            (
                f"{counted(rl.steps, 'step')} of {samples} = {most}"
                f"{counted(rl.steps * rollouts, 'rollout')}, "
                f"{counted(rl.steps * rl.num_mini_batches, 'optimizer step')} "
                f"({rl.advantage}, {rl.loss.policy_loss})"
            ),
        )
        yield f"round {round_index} · evaluate", heldout
        if round_index + 1 < recipe.program.rounds or recipe.program.harvest_after_last:
            yield (
                f"round {round_index} · harvest",
                (
                    f"{counted(harvest.num_prompts, 'prompt')} x {counted(harvest.probe_samples, 'sample')}, "
                    f"hard ones x {harvest.samples_per_prompt} more"
                ),
            )


def _rollouts_of_a_step(recipe: Recipe) -> tuple[int, str]:
    """How many (at most, where general prompts have fewer samples), and in words."""
    rl = recipe.rl
    samples = counted(rl.samples_per_prompt, "sample")
    if recipe.judging.reward_model is not None:
        samples += f" (of a general prompt {rl.samples_per_general_prompt})"
    if rl.rollouts_per_step is not None:
        return rl.rollouts_per_step, f"{counted(rl.rollouts_per_step, 'rollout')}, {samples} a prompt"
    return (
        rl.prompts_per_step * rl.samples_per_prompt,
        f"{counted(rl.prompts_per_step, 'prompt')} x {samples}",
    )


def _prompts_asked(number: int | None) -> str:
    return "all held-out prompts" if number is None else counted(number, "held-out prompt")


def _epochs(number: float) -> str:
    return f"{number:g} epoch{'' if number == 1 else 's'}"


def _stages_done(run_path: Path) -> set[int]:
    """Numbers of the stages that have a manifest."""
    stages = (run_path / "stages").glob("[0-9][0-9]-*")
    run = RunDirectory(run_path)
    return {int(path.name[:2]) for path in stages if run.stage(path.name).is_complete}
