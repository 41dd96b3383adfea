"""Which cold-start rows the SFT of a round learns from: all at first, later a share, or what RL has left of it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rl.data.batch import Batch
from rl.data.prompt_encoder import PromptEncoder
from rl.data.sft_batches import rows_of, sft_sequences
from rl.recipe.recipe import Recipe
from sampler.data.sft_row import SftRow

if TYPE_CHECKING:
    from rl.trainer.trainer import Trainer

ROWS_PER_CALL = 1024


def cold_start_rows(rows: Sequence[SftRow], recipe: Recipe, round_index: int) -> list[SftRow]:
    """All cold-start rows in the first round; later the share that the recipe keeps, drawn anew each round."""
    if not round_index or recipe.sft.later_cold_start_frac == 1.0:
        return list(rows)
    num_kept = round(recipe.sft.later_cold_start_frac * len(rows))
    return random.Random(f"{recipe.seed} cold start round {round_index}").sample(list(rows), num_kept)


def rows_left_by_rl(
    trainer: Trainer,
    before: Path,
    rows: Sequence[SftRow],
    encoder: PromptEncoder,
    max_tokens: int,
    min_ratio: float,
) -> tuple[list[SftRow], int]:
    """The rows that fit into ``max_tokens`` and whose response is at least ``min_ratio`` times as likely under the
    trainer's policy as under the checkpoint ``before``, of which the trainer holds a frozen copy; and how many rows do
    not fit.

    With the policy after RL and the one that the cold start left ``before``, the log of that ratio is the reward
    that RL has made implicit (Rafailov et al., 2305.18290, section 4): far below 0 lie the ways of answering that did
    not pay, empty thoughts and broken formats. What is only hard to read is hard for both, and stays.
    """
    kept, num_too_long = list[SftRow](), 0
    for start in range(0, len(rows), ROWS_PER_CALL):
        part = rows[start : start + ROWS_PER_CALL]
        sequences, num_dropped = sft_sequences(part, encoder, max_tokens=max_tokens)
        num_too_long += num_dropped
        if sequences:
            fit = rows_of(sequences, part)
            ratios = log_ratios(trainer, before, Batch.of(sequences))
            kept += [row for row, ratio in zip(fit, ratios, strict=True) if ratio >= math.log(min_ratio)]
    return kept, num_too_long


def log_ratios(trainer: Trainer, before: Path, batch: Batch) -> list[float]:
    """[n]: log pi(response) - log pi_before(response), nats."""
    held = trainer.hold(batch)
    (now, _), (then, _) = held.logprobs(), held.logprobs(of=[str(before)] * len(batch))
    return [float(row.sum()) for row in batch.rows(now - then)]
