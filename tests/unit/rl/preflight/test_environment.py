"""Preflight of a recipe's surroundings: what is missing is named before a run would miss it."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rl.preflight.environment import check_environment
from rl.recipe.recipe import Recipe


def recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "data": {"builder": "a:b"}, **sections})


def test_wandb_is_asked_for_only_where_the_recipe_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(check_environment(recipe())) == []
    (check,) = check_environment(recipe(metrics={"wandb_project": "mine"}))
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert (check.run().outcome, "pip install wandb" in check.run().summary) == ("failed", True)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(__spec__=SimpleNamespace()))
    assert check.run().outcome == "ok"
