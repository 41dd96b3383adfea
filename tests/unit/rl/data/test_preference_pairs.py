"""Pairs over sequences: each answer once, read at its last token, and never beside an answer that is too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reward_models.answer_comparison import AnswerComparison
from rl.data.preference_pairs import AnswerPairs, answer_sequence
from rl.data.prompt_encoder import PromptEncoder
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer


@pytest.fixture(scope="module")
def encoder(hub: Any) -> PromptEncoder:
    return PromptEncoder(hub)


def question(text: str, images: tuple[bytes, ...] = ()) -> Prompt:
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": text}]
    return Prompt.build(messages=[{"role": "user", "content": content}], images=images)


def better_first(prompt: Prompt, texts: str) -> list[AnswerComparison]:
    """All pairs of a list of one-letter answers, the earlier the better."""
    return [
        AnswerComparison(f"{prompt.prompt_id}-{a}{b}", prompt, FinalAnswer(a), FinalAnswer(b))
        for i, a in enumerate(texts)
        for b in texts[i + 1 :]
    ]


def test_the_score_is_read_at_the_answers_last_token(
    tiny: Any, encoder: PromptEncoder, picture: Callable[..., bytes]
) -> None:
    prompt = question("the sum?", (picture(1, 32, 48),))
    sequence = answer_sequence(prompt, FinalAnswer("It is 9."), encoder)
    text = tiny.processor.apply_chat_template(list(prompt.messages), add_generation_prompt=True)
    whole = tiny.processor(text=[text + "It is 9."], images=prompt.pil_images(), return_tensors="pt")
    np.testing.assert_array_equal(sequence.token_ids[:-1], whole["input_ids"][0].numpy())
    assert np.flatnonzero(sequence.loss_mask).tolist() == [len(sequence.token_ids) - 1]
    # ... and the value before that token has seen all of the answer and no more.
    assert sequence.token_ids[-1] == tiny.processor.tokenizer.eos_token_id
    assert sequence.vision_inputs == prompt.vision_inputs


def test_each_answer_is_read_once(encoder: PromptEncoder) -> None:
    first, second = question("Which digit?"), question("How many?")
    made = AnswerPairs.of([*better_first(first, "abc"), *better_first(second, "ab")], encoder, max_tokens=256)
    assert len(made.sequences) == 5 and made.num_pairs == 4 and made.num_dropped == 0
    assert made.lists == [[(0, 1), (0, 2), (1, 2)], [(3, 4)]]
    batch, pairs = made.batch([(1, 2), (3, 4), (1, 2), (4, 1)])
    assert batch.sequence_ids == tuple(made.sequences[i].sequence_id for i in (1, 2, 3, 4))
    assert pairs.tolist() == [[0, 1], [2, 3], [0, 1], [3, 0]]
    assert batch.counts.num_loss_tokens == len(batch)


def test_a_pair_with_an_answer_that_is_too_long_is_dropped(encoder: PromptEncoder) -> None:
    prompt = question("Which digit?")
    comparisons = better_first(prompt, "ab")
    comparisons.append(AnswerComparison("long", prompt, FinalAnswer("a"), FinalAnswer("z" * 300)))
    made = AnswerPairs.of(comparisons, encoder, max_tokens=100)
    assert made.lists == [[(0, 1)]] and made.num_dropped == 1
