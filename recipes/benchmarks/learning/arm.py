"""One arm of a benchmark under one seed: the shared recipe with some keys set anew, in a run directory of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recipes.settings.recipe_file import dump_recipe
from rl.data.run_data import RunData
from rl.engines.engines import Engines
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.stage_result import PolicyState
from rl.run.run_directory import RunDirectory
from rl.runner import StageRunner

Changes = Mapping[str, Any]  # section by section, as in a recipe


@dataclass(frozen=True)
class ArmRunner:
    """What all arms share: ``arm(name, seed, changes)`` runs stages in ``out/NAME-sSEED``, each once."""

    recipe: Recipe
    data: RunData
    base: PolicyState
    engines: Engines
    out: Path
    display: ProgressDisplay

    @contextmanager
    def __call__(self, name: str, seed: int, changes: Changes) -> Iterator[StageRunner]:
        slug = slug_of(name, seed)
        self.display.note(slug)
        recipe = changed_recipe(self.recipe, {"name": slug, "seed": seed, **changes})
        directory = RunDirectory(self.out / slug)
        directory.open(dump_recipe(recipe))
        try:
            with StageRunner(
                recipe, directory, self.display, make_engines=lambda *_, **__: nullcontext(self.engines)
            ) as run:
                run.begin(self.data, self.base)
                yield run
        finally:
            directory.close()


def slug_of(name: str, seed: int) -> str:
    """
    >>> slug_of("no clip-higher", 2)
    'no-clip-higher-s2'
    """
    return "".join(c if c.isalnum() else "-" for c in name) + f"-s{seed}"


def changed_recipe(recipe: Recipe, changes: Changes) -> Recipe:
    """The recipe with some keys, nested, set anew and validated."""
    merged = OmegaConf.merge(recipe.model_dump(mode="json"), dict(changes))
    return Recipe.model_validate(OmegaConf.to_container(merged))
