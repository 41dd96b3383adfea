"""ZeRO-3 with every parameter cut apart, and ranks whose responses are as different as they can be.

The head takes one token at a time here: 40 chunks on one rank beside 1 on another. A module that one rank calls more
often than another makes all wait for ever, which the ranks' watchdog turns into a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl.algorithm.loss.losses import LossSpec
from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence

RELATIVE = 1e-5
LENGTHS = (40, 1, 17, 6)
ENTROPY_COEF = 0.7


@pytest.fixture(scope="module")
def ragged(case: Any) -> Batch:
    """Texts without pictures whose responses are 40, 1, 17 and 6 tokens long."""
    rng = np.random.default_rng(3)
    allowed = [token for token in range(300) if token not in case.forbidden]
    sequences = []
    for index, length in enumerate(LENGTHS):
        prompt, response = (rng.choice(allowed, size) for size in (5 + index, length))
        columns = {name: rng.normal(size=5 + index + length) for name in ("advantages", "old_logprobs")}
        sequences.append(
            TokenSequence(
                f"r{index}",
                f"p{index}",
                np.concatenate([prompt, response]).astype(np.int32),
                np.concatenate([np.zeros(len(prompt)), np.ones(length)]).astype(np.float32),
                columns={name: column.astype(np.float32) for name, column in columns.items()},
                scalars={"kl_coef": 0.0},
            )
        )
    return Batch.of(sequences)


@pytest.fixture(scope="module")
def truth(
    tiny_model: Path, case: Any, ragged: Batch, transformers_model: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """By transformers in float64: log-probabilities, entropies, and loss and gradient norm."""
    transformers = transformers_model(tiny_model)
    logprobs, entropies = [], []
    for tokens, mask in zip(
        np.split(ragged.token_ids, np.cumsum(ragged.lengths)[:-1]),
        np.split(ragged.loss_mask, np.cumsum(ragged.lengths)[:-1]),
        strict=True,
    ):
        ids = torch.from_numpy(tokens.astype(np.int64))
        learnt = torch.from_numpy(mask).nonzero()[:, 0]
        logits = transformers.model(input_ids=ids[None]).logits[0, learnt - 1].clone()
        logits[:, case.forbidden] = -torch.inf
        table = torch.log_softmax(logits, -1)
        logprobs.append(table[torch.arange(len(learnt)), ids[learnt]])
        finite = table.masked_fill(torch.isinf(table), 0.0)
        entropies.append(-(table.exp() * finite).sum(-1))
    old, advantages = (
        torch.from_numpy(ragged.column(name)).double() for name in ("old_logprobs", "advantages")
    )
    now, entropy = torch.cat(logprobs), torch.cat(entropies)
    ratio = torch.exp(now - old)
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    surrogate = torch.where(advantages < 0, torch.maximum(surrogate, 3.0 * advantages), surrogate)
    loss = -surrogate.mean() - ENTROPY_COEF * entropy.mean()
    norm = transformers.gradient_norm(loss)
    return now.detach().numpy(), entropy.detach().numpy(), float(loss.detach()), norm


@pytest.fixture(
    params=[
        pytest.param((2, {"micro_batch_tokens": 10**6}), id="2ranks"),
        pytest.param((2, {"micro_batch_tokens": 1}), id="2ranks-one-sequence-each"),
        pytest.param(
            (2, {"layout": "packed", "gradient_checkpointing": True}), id="2ranks-packed-checkpointing"
        ),
        pytest.param((3, {}), id="3ranks-4-sequences"),
        pytest.param((4, {}), id="4ranks"),
    ]
)
def partitioned(request: pytest.FixtureRequest, new_trainer: Callable[..., Any]) -> Any:
    num_ranks, settings = request.param
    trainer = new_trainer(num_ranks, zero_stage=3, **settings)
    trainer._ranks.patch("rl.trainer.models.policy_model", "LOGITS_PER_CHUNK", 1)
    return trainer


def test_ragged_ranks(
    partitioned: Any, ragged: Batch, truth: tuple[np.ndarray, np.ndarray, float, float]
) -> None:
    """Log-probabilities, entropies, loss and gradient are the reference's, twice over."""
    logprobs, entropies, loss, norm = truth
    for num_parts, num in partitioned._ranks.partitioned():
        assert num_parts == num
    spec = LossSpec("vanilla", clip_low=0.2, clip_high=0.2, entropy_coef=ENTROPY_COEF)
    for _ in range(2):
        got, got_entropies = partitioned.logprobs(ragged)
        np.testing.assert_allclose(got, logprobs, atol=2e-5)
        np.testing.assert_allclose(got_entropies, entropies, atol=2e-5)
        metrics = partitioned.update([ragged], [0.0], spec)[0]
        assert metrics["loss"] == pytest.approx(loss, rel=RELATIVE)
        assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)


def test_ranks_that_wait_for_each_other_fail_in_time(new_trainer: Callable[..., Any], ragged: Batch) -> None:
    """The second rank is asked for nothing, so the first waits for it at its first parameter."""
    trainer = new_trainer(2, zero_stage=3)
    ranks = trainer._ranks
    ranks.answer_within_s = 3.0
    held = trainer.hold(ragged)
    held._call_ranks = lambda method, work, *rest: (
        ranks.connections[0].send((method, (work[0], *(each[0] for each in rest)))) or ranks.answers(method)
    )
    with pytest.raises(TimeoutError, match="rank 0, 1 did not answer logprobs"):
        held.logprobs()
    assert not ranks.pids
