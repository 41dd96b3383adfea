"""A run directory that a command works in: held by this process, other people's output in its log, progress shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recipes.commands.output.console import plain_console
from recipes.settings.recipe_file import dump_recipe
from rl.recipe.recipe import Recipe, RewardRecipe
from rl.run.boundary.engine_failure import failures_in_one_line
from rl.run.boundary.output import quiet_third_party
from rl.run.progress import ProgressDisplay
from rl.run.run_directory import RunDirectory


@contextmanager
def held_run(
    settings: Recipe | RewardRecipe, *, other_key: str = "name="
) -> Iterator[tuple[RunDirectory, ProgressDisplay]]:
    """The run that the settings name, begun or taken up. Raises: BadInput as ``RunDirectory.open``."""
    run = RunDirectory(Path(settings.run_dir))
    run.open(dump_recipe(settings), other_key=other_key)
    log = run.logs / "driver.log"
    try:
        with quiet_third_party(log) as terminal, failures_in_one_line(log):
            with ProgressDisplay(plain_console(terminal)) as display:
                yield run, display
    finally:
        run.close()
