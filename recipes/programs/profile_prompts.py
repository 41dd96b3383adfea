"""A policy is sampled on a prompt set: what `hone prompts profile` runs. Its prompts are the run's train prompts."""

from __future__ import annotations

from rl.program import CaptionStage, PrepareStage, ProfileStage, Runner
from rl.recipe.recipe import ProfileRecipe


def program(run: Runner) -> None:
    """As whole prompts, without pictures, with captions: what the recipe asks for, in its order. The policy first
    writes captions where the recipe names no file of them."""
    recipe = run.recipe
    assert isinstance(recipe, ProfileRecipe), "hone prompts profile makes its recipe"
    policy, config = run(PrepareStage()).policy, recipe.profile
    for shown in config.shown:
        captions = None
        if shown == "caption" and config.captions is None:
            captions = run(CaptionStage(config), policy).captions
        run(ProfileStage(config, shown, captions), policy)
