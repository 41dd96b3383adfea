"""``hone reward-model train | score``: the learned judge of prompts that no rule can judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.reward_score import score

if TYPE_CHECKING:
    from reward_models.preference_report import PairReport
    from rl.recipe.recipe import RewardRecipe
    from rl.run.progress import ProgressDisplay
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

    log, report = run_directory.logs / "driver.log", run_directory.path / "report.json"
    with quiet_third_party(log) as terminal, failures_in_one_line(log):
        with ProgressDisplay(Console(file=terminal)) as display:
            if report.is_file():  # runs before 2026-11-29 have it and no stages like today's
                display.done_before("reward model")
            else:
                train_reward_model(settings, run_directory, display)
            display.note(f"reward model: {run_directory.path / 'model'}, report: report.json beside it")


def train_reward_model(settings: RewardRecipe, run: RunDirectory, display: ProgressDisplay) -> PairReport:
    """Leaves RUN/model and RUN/report.json. The same call after a kill goes on."""
    import dataclasses
    import json

    from recipes.programs.reward_model_only import program
    from rl.program import run_program
    from rl.run.run_record import results_of
    from rl.run.stage_result import RewardModelResult
    from sampler.atomic_file import point_to, write_atomically

    run_program(settings.as_recipe(), run, display, program)
    result = next(one for one in results_of(run.path) if isinstance(one, RewardModelResult))
    assert result.model is not None and result.report is not None
    point_to(run.path / "model", result.model)
    write_atomically(run.path / "report.json", json.dumps(dataclasses.asdict(result.report), indent=2) + "\n")
    return result.report
