"""Engines whose parts are fakes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from rl.engines.engines import EngineName, Engines
from rl.fakes.judging import FakeJudge, FakeScorer
from rl.fakes.sampler import FakeSampler
from rl.fakes.trainer import WEIGHTS_FILE, FakeTrainer, contents
from rl.recipe.recipe import Recipe
from rl.run.results.stage_result import PolicyState


class FakeEngines(Engines):
    """Engines whose parts are fakes; all else, which policy they hold, the sync, its proof, is as it is."""

    def __init__(
        self,
        recipe: Recipe,
        base: PolicyState,
        log_dir: Path,
        *,
        sampler: FakeSampler | None = None,
        trainer: FakeTrainer | None = None,
        judge: FakeJudge | None = None,
        scorer: FakeScorer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(recipe, base, log_dir, **options)
        self.fake_sampler = sampler or FakeSampler()
        self.fake_trainer = trainer or FakeTrainer()
        self.fake_judge = judge or FakeJudge(recipe.judging)
        self.fake_scorer = scorer or FakeScorer()
        self.forbidden_token_ids = ()

    def _start_ray(self, needs: Any = ()) -> None: ...
    def warm_up(self, needs: Collection[EngineName]) -> None: ...

    def _start_sampler(self) -> None:
        self._sampler: Any = self.fake_sampler
        self._sampler.policy_version = self._held.version

    def _start_trainer(self) -> None:
        self._trainer: Any = self.fake_trainer
        self._trainer.weights = contents(self._held.hub / WEIGHTS_FILE)

    def _start_judge(self) -> None:
        self._judge = self.fake_judge

    def _start_scorer(self) -> None:
        has_checkpoint = self.recipe.judging.reward_model.has_checkpoint  # type: ignore[union-attr]
        self._scorer: Any = self.fake_scorer if self.reward_model or not has_checkpoint else None


def fake_engines(**fakes: Any) -> Callable[..., FakeEngines]:
    """For ``make_engines``: ``FakeEngines`` with these for its parts."""
    return partial(FakeEngines, **fakes)
