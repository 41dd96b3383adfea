"""What RL has left of the cold start: ratios of whole responses, by hand; rows that do not fit are left out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from rl.data.batch import Batch
from rl.stages.supervised.cold_start import rows_left_by_rl
from sampler.data.sft_row import SftRow
from sampler.prompt import Prompt

# What a response's tokens gained under RL, nats; the sum is what counts, however many tokens there are.
GAINS = {
    "<think>3,5</think>": [0.0, 0.5],
    "<think></think>": [-1.0, -1.0, -1.0],
    "<think>hard</think>": [-1.5],
}


class Held:
    """The policy's log-probabilities are the reference's, which are -2, and the gain."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def logprobs(self, *, of: Any = None) -> tuple[Any, None]:
        gains = np.concatenate([list(GAINS.values())[int(name)] for name in self.batch.prompt_ids])
        return np.float32(-2.0 + (0 if of else gains)), None


TRAINER: Any = SimpleNamespace(hold=Held)


class Encoder:
    """A prompt of two tokens named by its place in ``GAINS``; a response has as many tokens as gains."""

    def __call__(self, prompt: Prompt) -> list[int]:
        return [1, 2]

    def response(self, text: str) -> list[int]:
        return [3] * len(GAINS[text])


def row(number: int, response: str) -> SftRow:
    prompt = Prompt.build(
        messages=[{"role": "user", "content": [{"type": "text", "text": f"question {number}"}]}],
        kind="general",
        reference="1",
    )
    object.__setattr__(prompt, "prompt_id", str(number))
    return SftRow(prompt, response)


def test_rows_are_kept_by_the_ratio_of_the_whole_response() -> None:
    rows, encoder = [row(number, response) for number, response in enumerate(GAINS)], Encoder()

    def kept(min_ratio: float, max_tokens: int = 9) -> tuple[list[SftRow], int]:
        return rows_left_by_rl(TRAINER, Path("before"), rows, encoder, max_tokens, min_ratio)  # type: ignore[arg-type]

    assert kept(0.2) == ([rows[0], rows[2]], 0)  # e^0.5, e^-3 = 0.05, e^-1.5 = 0.22
    assert kept(1.0) == ([rows[0]], 0) and kept(0.04) == (rows, 0)
    assert kept(1e-9, max_tokens=4) == ([rows[0], rows[2]], 1) and kept(1e-9, max_tokens=2) == ([], 3)
