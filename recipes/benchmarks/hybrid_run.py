"""A finished hybrid run as benchmarks start from it: its SFT policy, its reward model, its data, its recipe changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.settings.recipe_file import load_recipe
from rl.data.run_data import RunData, image_limits, load
from rl.engines.engines import Engines
from rl.recipe.recipe import Recipe
from rl.run.results.manifest import first_result, results_of
from rl.run.results.stage_result import PolicyState, PrepareResult, RewardModelResult, SftResult
from verifiers.errors import BadInput


@dataclass(frozen=True)
class HybridRun:
    """``policy`` is the one after the cold start, before any RL."""

    path: Path
    recipe: Recipe
    policy: PolicyState
    data: RunData

    def engines(self, log_dir: Path) -> Engines:
        """That start from its policy, with its reward model."""
        assert self.recipe.judging.reward_model is not None
        model = Path(str(self.recipe.judging.reward_model.path))
        return Engines(self.recipe, self.policy, log_dir, probe=self.data.heldout, reward_model=model)

    @classmethod
    def of(cls, path: Path, overrides: Sequence[str]) -> HybridRun:
        """The run at ``path``, its recipe with ``overrides`` and with the reward model it trained. Raises: BadInput
        where it is no hybrid run."""
        path = path.absolute()
        results = results_of(path)
        prepared = first_result(results, PrepareResult)
        cold_start = first_result(results, SftResult)
        model = first_result(results, RewardModelResult)
        if prepared is None or cold_start is None or model is None or model.model is None:
            raise BadInput(f"{path.name} is no hybrid run with a cold start and a reward model of its own")
        trained = ["judging.reward_model.training=null", f"judging.reward_model.path={model.model}"]
        recipe = load_recipe(path / "recipe.yaml", [*trained, "model.path=null", *overrides])
        policy = PolicyState(0, cold_start.policy.hub, "sft")
        return cls(path, recipe, policy, load(prepared.paths, path, image_limits(recipe)))
