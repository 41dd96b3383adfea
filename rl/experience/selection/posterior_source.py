"""Prompts in proportion to how near their pass rate is believed to be to a target, which may fall on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from rl.experience.experience import Experience
from rl.experience.selection.sum_tree import Floats, Indices
from rl.experience.selection.weighted_source import WeightedSource, require
from sampler.store.belief import PRIOR
from verifiers.errors import BadInput, near_name

NUM_PHASES = 16  # in which a moving target moves: every prompt is weighed anew in each


@dataclass(eq=False)
class PosteriorSource(WeightedSource):
    """The weight of a prompt is what is expected of k(p) over its posterior, where k is 1 at the target t and falls to
    0 at pass rates of 0 and 1:

        k(p) = (p / t)^(ct) ((1 - p) / (1 - t))^(c(1 - t))

    With c = ``concentration`` = 2 and t = 0.5 that is 4 E[p(1 - p)], the expected variance of a group's rewards. An
    uncertain prompt has a weight in the middle, so it is tried; none is set aside.

    ``target`` goes in a straight line to ``target_end`` over the stage's steps. ``targets`` and ``targets_end`` name
    those of question types, so that each domain has its own pass rate, with a mean that falls (Nemotron 3 Nano, 3.2.2).
    """

    _: KW_ONLY
    target: float = 0.5
    target_end: float | None = None
    targets: dict[str, float] = field(default_factory=dict)
    targets_end: dict[str, float] = field(default_factory=dict)
    concentration: float = 2.0

    def __post_init__(self) -> None:
        named = {"target": self.target, "target_end": self.target_end}
        named |= {f"targets.{name}": value for name, value in self.targets.items()}
        named |= {f"targets_end.{name}": value for name, value in self.targets_end.items()}
        for name, value in named.items():
            require(name, value, value is None or 0 < value < 1, "above 0 and below 1")
        require("concentration", self.concentration, self.concentration > 0, "above 0")
        types = sorted({prompt.question_type for prompt in self.prompts})
        for name in {**self.targets, **self.targets_end}:
            if name not in types and self.prompts:
                raise BadInput(
                    f"rl.prompt_source_options.targets: no prompt has the question type {name!r}"
                    f"{near_name(name, types)}"
                )
        kind = {name: number for number, name in enumerate(types)}
        self._type = np.array([kind[prompt.question_type] for prompt in self.prompts], np.int64)
        starts = np.array([self.targets.get(name, self.target) for name in types])
        end = self.target if self.target_end is None else self.target_end
        ends = [self.targets_end.get(name, self.targets.get(name, end)) for name in types]
        self._starts, self._ends, self._phase = starts, np.array(ends), 0
        super().__post_init__()

    def weights_of(self, indices: Indices) -> Floats:
        from scipy.special import betaln, xlogy

        share = self._phase / max(1, NUM_PHASES - 1)
        target = (self._starts + share * (self._ends - self._starts))[self._type[indices]]
        belief = self.rates.of(indices)
        # Many prompts have the same counts and target: each is worked out once.
        keys = np.stack([belief.right, belief.wrong, target], axis=1)
        (right, wrong, t), place = _distinct(keys)
        a, b, c = right + PRIOR, wrong + PRIOR, self.concentration
        logs = betaln(a + c * t, b + c * (1 - t)) - betaln(a, b) - c * (xlogy(t, t) + xlogy(1 - t, 1 - t))
        # Rounded, so that no last bit depends on how many were worked out at once: a restored source draws alike.
        weights: Floats = np.maximum(np.round(np.exp(logs), 6), 1e-6)[place]
        return weights

    def observe(self, experience: Experience) -> None:
        super().observe(experience)
        phase = min(NUM_PHASES - 1, (experience.step + 1) * NUM_PHASES // self.config.steps)
        if phase != self._phase:
            self._phase = phase
            if not np.array_equal(self._starts, self._ends):
                self.reweigh_all()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "phase": self._phase}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._phase = state["phase"]
        super().restore(state)

    def __str__(self) -> str:
        moves = [f"{name} {start:g}" for name, start in self.targets.items()]
        end = "" if self.target_end is None else f" to {self.target_end:g}"
        return f"pass rates around {self.target:g}{end}" + (f" ({', '.join(moves)})" if moves else "")


def _distinct(keys: Floats) -> tuple[Floats, Indices]:
    """The distinct rows of ``keys`` [M, 3] as three columns, and of each row of ``keys`` which it is."""
    order = np.lexsort(keys.T)
    rows = keys[order]
    is_new = np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)]) if len(rows) else np.zeros(0, bool)
    place = np.empty(len(rows), np.int64)
    place[order] = np.cumsum(is_new) - 1
    return rows[is_new].T, place
