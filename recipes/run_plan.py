"""``hone run --dry-run``: what a recipe would do, counted, without starting an engine."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from rl.recipe import Recipe


def print_plan(recipe: Recipe) -> None:
    """One line a stage with the work in it. Data that a builder would make is not made, so its rows are not counted."""
    table = Table(
        "stage", "work", title=f"{recipe.name}: {recipe.program.rounds} rounds into {recipe.run_dir}"
    )
    rl, rft, evaluation = recipe.rl, recipe.rft, recipe.evaluation
    heldout = f"{evaluation.num_prompts or 'all'} held-out prompts x {evaluation.samples_per_prompt} samples"
    table.add_row(
        "prepare data", recipe.data.builder or f"{recipe.data.train_prompts}, {recipe.data.heldout_prompts}"
    )
    table.add_row("evaluate", heldout)
    for round_index in range(recipe.program.rounds):
        epochs = recipe.sft.later_epochs if round_index and recipe.sft.later_epochs else recipe.sft.epochs
        later_rows = f"{recipe.sft.later_cold_start_frac:.0%} of the cold-start rows and all harvests"
        rows = later_rows if round_index else "the cold-start rows"
        table.add_row(
            f"round {round_index} · SFT",
            f"{epochs:g} epochs of {rows}, {recipe.sft.batch_size} sequences a step",
        )
        table.add_row(f"round {round_index} · evaluate", heldout)
        rollouts = rl.prompts_per_step * rl.samples_per_prompt
        table.add_row(
            f"round {round_index} · RL",
            f"{rl.steps} steps of {rl.prompts_per_step} prompts x {rl.samples_per_prompt} samples = "
            f"{rl.steps * rollouts:,} rollouts, {rl.steps * rl.mini_batches:,} optimizer steps "
            f"({rl.advantage}, {rl.loss.policy_loss})",
        )
        table.add_row(f"round {round_index} · evaluate", heldout)
        if round_index + 1 < recipe.program.rounds or recipe.program.collect_after_last:
            table.add_row(
                f"round {round_index} · collect",
                f"{rft.num_prompts} prompts x {rft.probe_samples} samples, hard ones x "
                f"{rft.samples_per_prompt} more",
            )
    console = Console()
    console.print(table)
    console.print(
        f"engines: {recipe.trainer.num_ranks} trainer ranks (ZeRO-{recipe.trainer.zero_stage}), "
        f"{recipe.sampler.num_workers} rollout workers on {recipe.sampler.device}"
    )
