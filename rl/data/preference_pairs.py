"""What a reward model is trained on: the pairs of preference lists, as rows in both orders or as scored answers."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from reward_models.answer_comparison import INDICATORS, AnswerComparison
from reward_models.judges.scalar import answered
from reward_models.preferences.preference import PreferenceList
from reward_models.rubric import MET, PART, Rubric
from reward_models.score import Score
from rl.data.batch import Batch
from rl.data.prompt_encoder import PromptEncoder
from rl.data.token_sequence import Ints, TokenSequence
from rl.recipe.judging_config import RewardTrainingConfig
from rl.recipe.recipe import Recipe
from sampler.data.data_builder import build_data
from sampler.data.sft_row import SftRow
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput


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
) -> list[AnswerComparison]:
    """The pairs of all lists, the better answer first; at most ``max_pairs_per_list`` of one, drawn by the seed."""
    found = []
    for number, one in enumerate(lists):
        pairs = list(one.pairs())
        if config.max_pairs_per_list is not None and len(pairs) > config.max_pairs_per_list:
            pairs = random.Random(f"{seed} pairs {number}").sample(pairs, config.max_pairs_per_list)
        found += [
            AnswerComparison(f"list-{number}-pair-{index}", one.prompt, better, worse)
            for index, (better, worse, _) in enumerate(pairs)
        ]
    return found


def comparison_rows(comparisons: Sequence[AnswerComparison]) -> list[SftRow]:
    """Both orders of every pair, so that neither place is ever the better bet."""
    return [
        SftRow(prompt=asked.to_prompt(), response=indicator)
        for one in comparisons
        for asked, indicator in zip((one, _renamed(one.swapped())), INDICATORS, strict=True)
    ]


def criterion_rows(lists: Sequence[PreferenceList], rubric: Rubric) -> list[SftRow]:
    """Each criterion of an answer whose truth is known, with the reply that is right; one that sees the reference in
    both orders."""
    return [
        SftRow(
            criterion.query(
                f"{name}/{criterion.name}/{turned}", one.prompt, answer, reference_first=turned
            ).to_prompt(),
            MET[not met[criterion.name]],
        )
        for name, one, answer, met in _judged_answers(lists)
        for criterion in rubric.criteria(one.prompt)
        if criterion.name in met
        for turned in ((False, True) if "reference" in criterion.sees else (False,))
    ]


def criterion_truths(lists: Sequence[PreferenceList]) -> list[tuple[AnswerComparison, Mapping[str, bool]]]:
    """Every answer of which something is known, to be judged by itself, and what is so of it."""
    return [
        (AnswerComparison(name, one.prompt, answer, FinalAnswer(one.prompt.reference_text), True), met)
        for name, one, answer, met in _judged_answers(lists)
    ]


def agreement(scores: Sequence[Score], truths: Sequence[Mapping[str, bool]]) -> float | None:
    """Share of the known criteria that a judge sees as they are; None where it judged none."""
    right = [
        (score.parts[f"{PART}{name}"] >= 0.5) == is_so
        for score, met in zip(scores, truths, strict=True)
        if score.judged
        for name, is_so in met.items()
        if f"{PART}{name}" in score.parts
    ]
    return sum(right) / len(right) if right else None


def _judged_answers(
    lists: Sequence[PreferenceList],
) -> Iterator[tuple[str, PreferenceList, FinalAnswer, Mapping[str, bool]]]:
    for number, one in enumerate(lists):
        for index, (answer, met) in enumerate(zip(one.answers, one.met, strict=False)):
            yield f"list-{number}-answer-{index}", one, answer, met


def _renamed(comparison: AnswerComparison) -> AnswerComparison:
    return dataclasses.replace(comparison, comparison_id=f"{comparison.comparison_id}-swapped")


def trains_reward_model(recipe: Recipe) -> bool:
    """Whether the run makes its reward model itself."""
    return recipe.judging.reward_model is not None and recipe.judging.reward_model.training is not None


def training_of(recipe: Recipe) -> RewardTrainingConfig:
    """How the run trains its reward model."""
    assert recipe.judging.reward_model is not None and recipe.judging.reward_model.training is not None
    return recipe.judging.reward_model.training


def rubric_of(recipe: Recipe) -> Rubric:
    """By which the run's reward model judges."""
    assert recipe.judging.reward_model is not None and recipe.judging.reward_model.rubric is not None
    return recipe.judging.reward_model.rubric.rubric


@dataclass(frozen=True, eq=False)
class AnswerPairs:
    """``lists``: the pairs of each prompt, (better, worse) as places in ``sequences``; ``num_dropped``: pairs with an
    answer that is too long."""

    sequences: list[TokenSequence]
    lists: list[list[tuple[int, int]]]
    num_dropped: int

    @classmethod
    def of(cls, comparisons: Sequence[AnswerComparison], encoder: PromptEncoder, *, max_tokens: int) -> Self:
        """From comparisons whose first answer is the better one. Raises: BadInput for a text with a placeholder."""
        sequences: list[TokenSequence] = []
        index_of: dict[str, int | None] = {}  # None: too long
        lists: dict[str, list[tuple[int, int]]] = {}
        num_dropped = 0
        for one in comparisons:
            indices = []
            for answer in (one.first, one.second):
                read = answered(one.prompt, answer)
                if read.prompt_id not in index_of:
                    sequence = answer_sequence(one.prompt, answer, encoder)
                    fits = len(sequence.token_ids) <= max_tokens
                    index_of[read.prompt_id] = len(sequences) if fits else None
                    sequences += [sequence] if fits else []
                indices.append(index_of[read.prompt_id])
            better, worse = indices
            if better is None or worse is None:
                num_dropped += 1
            else:
                lists.setdefault(one.prompt.prompt_id, []).append((better, worse))
        return cls(sequences, list(lists.values()), num_dropped)

    @property
    def num_pairs(self) -> int:
        """Of all lists."""
        return sum(map(len, self.lists))

    def batch(self, pairs: Sequence[tuple[int, int]]) -> tuple[Batch, Ints]:
        """The answers of these pairs, each once, and the pairs as places in that batch, [m, 2]."""
        flat = np.array(pairs, np.int64).reshape(-1, 2)
        used, indices = np.unique(flat, return_inverse=True)
        return Batch.of([self.sequences[index] for index in used]), indices.reshape(-1, 2)


def answer_sequence(prompt: Prompt, answer: FinalAnswer, encoder: PromptEncoder) -> TokenSequence:
    """Prompt and answer, then the end of the turn as the only token learnt from: the critic's value before it is read
    at the answer's last token, and is the score."""
    read = answered(prompt, answer)
    return TokenSequence.of_response(
        read.prompt_id,
        prompt.prompt_id,
        encoder(read),
        [encoder.tokenizer.eos_token_id],
        vision_inputs=prompt.vision_inputs,
    )
