"""``hone run --dry-run``: what a recipe would do, counted, without starting an engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rl.algorithm_names import NEEDS_CRITIC
from rl.recipe import Recipe
from rl.reward_data import training_of, trains_reward_model
from rl.run_directory import RunDirectory
from sampler.dataset_rows import SUFFIXES
from sampler.prompt_dataset import load_prompts
from sampler.sft_row import load_sft_rows
from verifiers.errors import near_name


def print_plan(recipe: Recipe) -> None:
    """One line a stage with the work in it, and whether it is done already.

    Data files are read and checked; what a builder would make is not made. Raises: BadInput naming file, row, column.
    """
    title = f"{recipe.name}: {recipe.program.rounds} rounds into {recipe.run_dir}"
    done = _stages_done(Path(recipe.run_dir))
    table = Table("stage", "work", *(["state"] if done else []), title=title)
    for number, (stage, work) in enumerate([("prepare data", _data(recipe)), *_stages(recipe)]):
        table.add_row(stage, work, *(["done" if number in done else "to do"] if done else []))
    judge = recipe.judging.reward_model
    console = Console()
    console.print(table)
    console.print(
        f"engines: {recipe.trainer.num_ranks} trainer ranks (ZeRO-{recipe.trainer.zero_stage}), "
        f"{recipe.sampler.num_workers} rollout workers on {recipe.sampler.device}"
        + (f", {judge.sampler.num_workers} of the reward model" if judge is not None else "")
    )


def _data(recipe: Recipe) -> str:
    """One line a set: how many rows its file has, or who makes it."""
    data = recipe.data
    files = {"train": data.train_prompts, "held out": data.heldout_prompts, "cold start": data.cold_start}
    lines = []
    for name, file in files.items():
        if file is None:
            lines.append(f"{name}: {f'made by {data.builder}' if data.builder else 'none'}")
        elif Path(file).exists():
            load = load_sft_rows if name == "cold start" else load_prompts
            lines.append(f"{name}: {len(load(file, decode_images=False)):,} rows of {file}")
        elif Path(file).suffix not in SUFFIXES:
            lines.append(f"{name}: hub id {file}, not read")
        else:
            near = near_name(Path(file).name, [one.name for one in Path(file).parent.glob("*")])
            lines.append(f"{name}: NOT FOUND {file}{near}")
    if trains_reward_model(recipe):
        preferences = training_of(recipe).data
        lines.append(f"preferences: {preferences.train or f'made by {preferences.builder}'}")
    return "\n".join(lines)


def _stages(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The stages after the data, in the order and number of `rl.program`."""
    sft, rl, rft, evaluation = recipe.sft, recipe.rl, recipe.rft, recipe.evaluation
    heldout = f"{evaluation.num_prompts or 'all'} held-out prompts x {evaluation.samples_per_prompt} samples"
    unit = "sequences" if sft.pack_tokens is None else f"packs of {sft.pack_tokens:,} tokens"
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
                f"{epochs:g} epochs of {rows}, {sft.batch_size} {unit} a step",
            )
        if trains_reward_model(recipe) and not round_index:
            config = training_of(recipe)
            yield (
                f"round {round_index} · reward model",
                f"{config.epochs:g} epochs of preferences, {config.batch_size} comparisons a step",
            )
        if round_index or has_cold_start or trains_reward_model(recipe):
            yield f"round {round_index} · evaluate", heldout
        rollouts, samples = _rollouts_of_a_step(recipe)
        most = "at most " if recipe.judging.reward_model and not rl.rollouts_per_step else ""
        if rl.advantage in NEEDS_CRITIC and recipe.critic.pretrain_steps:
            yield (
                f"round {round_index} · critic",
                f"at most {recipe.critic.pretrain_steps} steps of {samples}",
            )
        yield (
            f"round {round_index} · RL",
            (
                f"{rl.steps} steps of {samples} = {most}"
                f"{rl.steps * rollouts:,} rollouts, {rl.steps * rl.mini_batches:,} optimizer steps "
                f"({rl.advantage}, {rl.loss.policy_loss})"
            ),
        )
        yield f"round {round_index} · evaluate", heldout
        if round_index + 1 < recipe.program.rounds or recipe.program.collect_after_last:
            yield (
                f"round {round_index} · collect",
                (
                    f"{rft.num_prompts} prompts x {rft.probe_samples} samples, hard ones x "
                    f"{rft.samples_per_prompt} more"
                ),
            )


def _rollouts_of_a_step(recipe: Recipe) -> tuple[int, str]:
    """How many (at most, where general prompts have fewer samples), and in words."""
    rl = recipe.rl
    samples = f"{rl.samples_per_prompt} samples"
    if recipe.judging.reward_model is not None:
        samples += f" (of a general prompt {rl.samples_per_general_prompt})"
    if rl.rollouts_per_step is not None:
        return rl.rollouts_per_step, f"{rl.rollouts_per_step:,} rollouts, {samples} a prompt"
    return rl.prompts_per_step * rl.samples_per_prompt, f"{rl.prompts_per_step} prompts x {samples}"


def _stages_done(run_path: Path) -> set[int]:
    """Numbers of the stages that have a manifest."""
    stages = (run_path / "stages").glob("[0-9][0-9]-*")
    run = RunDirectory(run_path)
    return {int(path.name[:2]) for path in stages if run.stage(path.name).is_complete}
