"""``hone reward-model train | score``: the learned judge of prompts that no rule can judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.reward_score import score

if TYPE_CHECKING:
    from rl.recipe.recipe import RewardRecipe
    from rl.run.run_directory import RunDirectory

app = typer.Typer(help="Train a reward model on preferences; score answers with one.", no_args_is_help=True)
app.command("score")(score)


@app.callback()
def reward_model() -> None:
    """Train a reward model on preferences; score answers with one."""


@app.command("train")
def train(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of one in recipes/.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value pairs over the recipe's.")] = None,
) -> None:
    """Train on preference lists, then report on held-out pairs. The same command resumes."""
    from recipes.settings.recipe_file import dump_recipe, load_settings
    from rl.recipe.recipe import RewardRecipe
    from rl.run.run_directory import RunDirectory

    settings = load_settings(recipe, overrides or [], RewardRecipe)
    run_directory = RunDirectory(Path(settings.run_dir))
    run_directory.open(dump_recipe(settings))
    try:
        _train(settings, run_directory)
    finally:
        run_directory.close()


def _train(settings: RewardRecipe, run_directory: RunDirectory) -> None:
    from rich.console import Console

    from rl.run.engine_failure import failures_in_one_line
    from rl.run.output import quiet_third_party
    from rl.run.progress import ProgressDisplay

    log = run_directory.logs / "driver.log"
    with quiet_third_party(log) as terminal, failures_in_one_line(log):
        with ProgressDisplay(Console(file=terminal)) as display:
            from rl.stages.reward_run import train_reward_model

            train_reward_model(settings, run_directory, display)
            display.note(f"reward model: {run_directory.path / 'model'}, report: report.json beside it")
