"""The finished run from whose policies all arms of a benchmark start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.settings.recipe_file import load_recipe
from rl.data.run_data import RunData, image_limits, load
from rl.recipe.recipe import Recipe
from rl.run.results.manifest import first_result, results_of
from rl.run.results.stage_result import PolicyState, PrepareResult, RlResult, SftResult
from verifiers.errors import BadInput


@dataclass(frozen=True)
class FirstRound:
    """A finished run up to the end of its first RL: ``base`` is what its SFT began from, ``cold_started`` what that
    left, ``policy`` what RL left."""

    recipe: Recipe
    base: PolicyState
    cold_started: PolicyState
    policy: PolicyState
    data: RunData

    @classmethod
    def of(cls, path: Path, overrides: Sequence[str]) -> FirstRound:
        """Of the run at ``path``, its recipe with ``overrides``. Raises: BadInput where no SFT and RL was done."""
        path = path.absolute()
        results = results_of(path)
        prepared = first_result(results, PrepareResult)
        cold_start = first_result(results, SftResult)
        trained = first_result(results, RlResult)
        if prepared is None or cold_start is None or trained is None:
            raise BadInput(f"{path.name} has not finished its first SFT and RL: run it to there")
        recipe = load_recipe(path / "recipe.yaml", overrides)
        data = load(prepared.paths, path, image_limits(recipe))
        return cls(recipe, prepared.policy, cold_start.policy, trained.policy, data)
