"""A finished hybrid run as benchmarks start from it: its SFT policy, its reward model, its data, its recipe changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.settings.recipe_file import load_recipe
from rl.data.run_data import RunData, load
from rl.recipe.recipe import Recipe
from rl.run.policy_state import PolicyState
from rl.run.run_directory import RunDirectory
from verifiers.errors import BadInput


@dataclass(frozen=True)
class HybridRun:
    """``policy`` is the one after the cold start, before any RL."""

    path: Path
    recipe: Recipe
    policy: PolicyState
    data: RunData

    @classmethod
    def of(cls, path: Path, overrides: Sequence[str]) -> HybridRun:
        """The run at ``path``, its recipe with ``overrides`` and with the reward model it trained. Raises: BadInput
        where it is no hybrid run."""
        path = path.absolute()
        manifests = RunDirectory(path).manifests()
        results = {manifest["kind"]: manifest["result"] for manifest in manifests}
        model = path / "reward-model"
        if not {"prepare", "sft"} <= results.keys() or not model.exists():
            raise BadInput(f"{path.name} is no hybrid run with a cold start and a reward model of its own")
        trained = ["judging.reward_model.training=null", f"judging.reward_model.path={model.resolve()}"]
        recipe = load_recipe(path / "recipe.yaml", [*trained, "model.path=null", *overrides])
        first = next(manifest["result"] for manifest in manifests if manifest["kind"] == "sft")
        hub = PolicyState.from_result(first["policy"], path).hub
        return cls(path, recipe, PolicyState(0, hub, "sft"), load(results["prepare"]["paths"], path))
