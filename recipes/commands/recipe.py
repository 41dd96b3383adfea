"""``hone recipe keys | show``: what may stand in a recipe, and what one comes to with all its defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recipes.commands.arguments import Overrides, RecipeName

if TYPE_CHECKING:
    from pydantic import BaseModel

    from recipes.settings.recipe_keys import RecipeKey

app = typer.Typer(help="The keys of a recipe, and a recipe with all of them.", no_args_is_help=True)

RewardModel = Annotated[
    bool, typer.Option("--reward-model", help="Of `hone reward-model train`, not `hone run`.")
]


@app.command()
def keys(
    section: Annotated[str | None, typer.Argument(help="Only this section or key, such as rl.loss.")] = None,
    reward_model: RewardModel = False,
) -> None:
    """Every key with its type, its range, its default and what it means."""
    from recipes.settings.recipe_keys import keys_of, near_keys
    from verifiers.errors import BadInput

    model = _model(reward_model)
    shown = [
        key
        for key in keys_of(model)
        if section is None or key.name == section or key.name.startswith(f"{section}.")
    ]
    if not shown:
        near = " or ".join(map(repr, near_keys(model, section or "")))
        tops = ", ".join(key.name for key in keys_of(model) if not key.parent)
        raise BadInput(
            f"no key or section {section!r}"
            + (f"; did you mean {near}?" if near else f" (there are: {tops})")
        )
    for key in shown:
        typer.echo(_lines(key))
        if key.name == "model.tiny":
            typer.echo(f"    of {_tiny_sizes()}")


@app.command()
def show(
    recipe: RecipeName,
    overrides: Overrides = None,
    reward_model: RewardModel = False,
) -> None:
    """A recipe as YAML with every key: its own, those of its `base:`, the overrides and all defaults."""
    from recipes.settings.recipe_file import dump_recipe, load_settings

    print(dump_recipe(load_settings(recipe, overrides or [], _model(reward_model))), end="")


def _lines(key: RecipeKey) -> str:
    """A section as a heading; a key with its default and type, and below it what it means."""
    if key.is_section:
        heading = typer.style(key.name, bold=True)
        return (
            f"\n{heading} ({key.default} by default): {key.description}"
            if key.default
            else f"\n{heading}: {key.description}"
        )
    means = f"\n    {key.description}" if key.description else ""
    return f"{key.name}: {key.default}   ({key.type}){means}"


def _tiny_sizes() -> str:
    """The sizes that the default family's tiny instance has."""
    from rl.families.family import load_family
    from rl.recipe.trainer_config import ModelConfig

    family = load_family(ModelConfig().family)
    return f"{family.name}: " + ", ".join(f"{name} {size}" for name, size in family.tiny_sizes.items())


def _model(reward_model: bool) -> type[BaseModel]:
    from rl.recipe.recipe import Recipe, RewardRecipe

    return RewardRecipe if reward_model else Recipe
