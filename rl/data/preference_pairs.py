"""What a reward model is trained on: the pairs of preference lists, as supervised rows in both orders."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reward_models.answer_comparison import INDICATORS, Comparison
from reward_models.preference import PreferenceList, load_preferences
from rl.recipe.judging_config import RewardTrainingConfig
from rl.recipe.recipe import Recipe
from sampler.data.data_builder import build_data
from sampler.data.sft_row import SftRow
from verifiers.errors import BadInput


@dataclass(frozen=True)
class RewardData:
    """Pairs to learn from and pairs held out, the better answer first in all of them."""

    train: Sequence[Comparison]
    heldout: Sequence[Comparison]


def load_reward_data(config: RewardTrainingConfig, directory: Path, *, seed: int) -> RewardData:
    """Read the lists, made in ``directory`` where the recipe names a builder. Raises: BadInput."""
    paths = preference_paths(config, directory, seed=seed)
    return RewardData(
        **{name: better_first(load_preferences(path), config, seed=seed) for name, path in paths.items()}
    )


def preference_paths(config: RewardTrainingConfig, directory: Path, *, seed: int) -> dict[str, str]:
    """Files of the training and held-out lists: the recipe's own over the builder's."""
    data = config.data
    given = {"train": data.train, "heldout": data.heldout}
    built: dict[str, Path] = {}
    if data.builder is not None and None in given.values():
        built = build_data(data.builder, directory, seed=seed, options=data.builder_options)
    paths = {name: own or str(built.get(name, "")) for name, own in given.items()}
    for name, path in paths.items():
        if not path:
            raise BadInput(f"data.builder={data.builder!r} makes no {name!r} set: give data.{name}")
    return paths


def better_first(
    lists: Sequence[PreferenceList], config: RewardTrainingConfig, *, seed: int
) -> list[Comparison]:
    """The pairs of all lists, the better answer first; at most ``max_pairs_per_list`` of one, drawn by the seed."""
    found = []
    for number, one in enumerate(lists):
        pairs = list(one.pairs())
        if config.max_pairs_per_list is not None and len(pairs) > config.max_pairs_per_list:
            pairs = random.Random(f"{seed} pairs {number}").sample(pairs, config.max_pairs_per_list)
        found += [
            Comparison(f"list-{number}-pair-{place}", one.prompt, better, worse)
            for place, (better, worse, _) in enumerate(pairs)
        ]
    return found


def comparison_rows(comparisons: Sequence[Comparison]) -> list[SftRow]:
    """Both orders of every pair, so that neither place is ever the better bet."""
    return [
        SftRow(prompt=asked.to_prompt(), response=indicator)
        for one in comparisons
        for asked, indicator in zip((one, _renamed(one.swapped())), INDICATORS, strict=True)
    ]


def _renamed(comparison: Comparison) -> Comparison:
    return dataclasses.replace(comparison, comparison_id=f"{comparison.comparison_id}-swapped")


def trains_reward_model(recipe: Recipe) -> bool:
    """Whether the run makes its reward model itself."""
    return recipe.judging.reward_model is not None and recipe.judging.reward_model.training is not None


def training_of(recipe: Recipe) -> RewardTrainingConfig:
    """How the run trains its reward model."""
    assert recipe.judging.reward_model is not None and recipe.judging.reward_model.training is not None
    return recipe.judging.reward_model.training
