"""Nothing is left out under the name that nobody knows; figures are of paired steps."""

from __future__ import annotations

import numpy as np
import pytest

from recipes.benchmarks.economy import Economy, all_of_vanilla
from rl.algorithm.loss.losses import LossSpec, has_signal
from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence


def test_under_its_name_every_sequence_is_computed() -> None:
    scalars = {"kl_coef": 0.0, "is_right": 0.0}
    batch = Batch.of([TokenSequence.of_response("r", "p", [1], [2, 3], scalars=scalars)])
    batch = batch.with_columns(advantages=np.float32([0, 0]))
    name = f"{all_of_vanilla.__module__}:{all_of_vanilla.__name__}"
    assert not has_signal(LossSpec("vanilla"), batch).any() and has_signal(LossSpec(name), batch).all()


def test_the_ratio_is_of_pairs() -> None:
    def step(logprobs: float, train: float) -> dict[str, float]:
        left_out = {"train/no_signal_frac": 0.75, "train/recomputed_frac": 0.125}
        return {"time/logprobs_s": logprobs, "time/train_s": train, **left_out}

    economy = Economy([step(1, 1), step(1, 3), step(2, 6)], [step(0.1, 0.9), step(0.2, 0.8), step(0.5, 1.5)])
    assert economy.seconds(economy.whole) == [2, 4, 8]
    assert economy.seconds(economy.now) == pytest.approx([1, 1, 2])
    assert "ratios 0.250" in str(economy) and "75% of the rollouts without a signal, 12%" in str(economy)
