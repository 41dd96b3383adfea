"""Which engines a run holds, and what goes when one of them is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rl.engines import engines as module
from rl.engines.engines import Engines
from rl.fakes import FakeEngines, FakeSampler, FakeTrainer
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState

DATA = {"train_prompts": "a", "heldout_prompts": "b"}


def recipe_of(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "t", "data": DATA, **sections})


def test_another_reward_model_takes_the_place_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its workers: they hold GPUs that the new one was promised."""
    serving: list[str] = []

    @contextmanager
    def scoring(path: Path, *_: object) -> Iterator[str]:
        serving.append(path.name)
        yield path.name
        serving.remove(path.name)

    monkeypatch.setattr(module, "scoring", scoring)
    monkeypatch.setattr(Engines, "_start_ray", lambda *_: None)
    recipe = recipe_of(judging={"reward_model": {"path": "first"}})
    with Engines(recipe, PolicyState(0, tmp_path, "x"), tmp_path, reward_model=tmp_path / "first") as engines:
        assert (engines.scorer, serving) == ("first", ["first"])
        engines.use_reward_model(tmp_path / "second")
        assert (engines.scorer, serving) == ("second", ["second"])
    assert serving == []


def test_a_sampler_without_its_trainer_has_a_checkpoint_to_start_anew_from(tmp_path: Path) -> None:
    """Where the last sync left the weights goes with the trainer."""
    told: list[Path] = []

    class Sampler(FakeSampler):
        def restart_from(self, model_path: Path) -> None:
            told.append(model_path)

    base = PolicyState(0, tmp_path, "base")
    engines = FakeEngines(recipe_of(), base, tmp_path, sampler=Sampler(), trainer=FakeTrainer())
    engines._sampler, engines._trainer = engines.fake_sampler, engines.fake_trainer
    engines.stop_trainer()
    engines._trainer = engines.fake_trainer
    engines.invalidate()  # what it holds has no checkpoint
    engines.stop_trainer()
    assert told == [tmp_path]
