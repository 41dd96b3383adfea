"""Preference pairs as a scalar reward model learns them: each answer a sequence once, the pairs places among these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reward_models.answer_comparison import Comparison
from reward_models.scalar import answered
from rl.data.batch import Ints, TrainBatch, TrainSequence
from rl.data.sft_rows import PromptEncoder
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer


@dataclass(frozen=True, eq=False)
class AnswerPairs:
    """``lists``: the pairs of each prompt, (better, worse) as places in ``sequences``; ``num_dropped``: pairs with an
    answer that is too long."""

    sequences: list[TrainSequence]
    lists: list[list[tuple[int, int]]]
    num_dropped: int

    @classmethod
    def of(cls, comparisons: Sequence[Comparison], encoder: PromptEncoder, *, max_tokens: int) -> AnswerPairs:
        """From comparisons whose first answer is the better one. Raises: BadInput for a text with a placeholder."""
        sequences: list[TrainSequence] = []
        place_of: dict[str, int | None] = {}  # None: too long
        lists: dict[str, list[tuple[int, int]]] = {}
        num_dropped = 0
        for one in comparisons:
            places = []
            for answer in (one.first, one.second):
                read = answered(one.prompt, answer)
                if read.prompt_id not in place_of:
                    sequence = answer_sequence(one.prompt, answer, encoder)
                    fits = len(sequence.token_ids) <= max_tokens
                    place_of[read.prompt_id] = len(sequences) if fits else None
                    sequences += [sequence] if fits else []
                places.append(place_of[read.prompt_id])
            better, worse = places
            if better is None or worse is None:
                num_dropped += 1
            else:
                lists.setdefault(one.prompt.prompt_id, []).append((better, worse))
        return cls(sequences, list(lists.values()), num_dropped)

    @property
    def num_pairs(self) -> int:
        """Of all lists."""
        return sum(map(len, self.lists))

    def batch(self, pairs: Sequence[tuple[int, int]]) -> tuple[TrainBatch, Ints]:
        """The answers of these pairs, each once, and the pairs as places in that batch, [m, 2]."""
        flat = np.array(pairs, np.int64).reshape(-1, 2)
        used, places = np.unique(flat, return_inverse=True)
        return TrainBatch.of([self.sequences[place] for place in used]), places.reshape(-1, 2)


def answer_sequence(prompt: Prompt, answer: FinalAnswer, encoder: PromptEncoder) -> TrainSequence:
    """Prompt and answer, then the end of the turn as the one response token: the critic's value before it is read at
    the answer's last token, and is the score."""
    read = answered(prompt, answer)
    tokens = encoder(read)
    return TrainSequence(
        sequence_id=read.prompt_id,
        prompt_id=prompt.prompt_id,
        token_ids=np.append(tokens, encoder.tokenizer.eos_token_id).astype(np.int32),
        num_prompt_tokens=len(tokens),
        visuals=prompt.visuals,
    )
