"""A policy is sampled on a prompt set: what `hone prompts profile` runs. Its prompts are the run's train prompts."""

from __future__ import annotations

from rl.program import CaptionStage, PrepareStage, ProfileStage, Runner
from rl.recipe.recipe import ProfileRecipe


def program(run: Runner) -> None:
    """With captions the policy first writes them, where the recipe names no file of them."""
    recipe = run.recipe
    assert isinstance(recipe, ProfileRecipe), "hone prompts profile makes its recipe"
    policy, config, captions = run(PrepareStage()).policy, recipe.profile, None
    if config.shown == "caption" and config.captions is None:
        captions = run(CaptionStage(config), policy).captions
    run(ProfileStage(config, captions), policy)
