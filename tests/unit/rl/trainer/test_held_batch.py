"""A batch on its ranks, which here compute simple numbers of real slices: order, steps, columns, and what travels."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.algorithm.loss.losses import LINEAR_LOSS, LossSpec
from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.recipe.trainer_config import TrainerConfig
from rl.stages.supervised.reward_objective import preference_step
from rl.trainer.held_batch import _joined
from rl.trainer.rank_work import HeldPart, RankWork
from rl.trainer.trainer import Trainer
from sampler.vision_input import VisionInput


class CountingRanks:
    """Stand where verl's ``RayWorkerGroup`` stands; each rank gets a pickled copy, as over the wire. Of a token learnt
    from the log-probability is minus its id, the entropy its id; a value is half of it."""

    def __init__(self, num_ranks: int) -> None:
        self.parts = [HeldPart() for _ in range(num_ranks)]
        self.sent: list[bytes] = []

    def _received(self, works: list[RankWork]) -> Any:
        for part, work in zip(self.parts, works, strict=True):
            self.sent.append(pickle.dumps(work))
            arrived: RankWork = pickle.loads(self.sent[-1])
            part.receive(arrived)
            yield part, arrived.steps

    def _tokens(self, works: list[RankWork]) -> list[list[Any]]:
        found = []
        for part, (step,) in self._received(works):
            batches = [part.micro_batch(indices) for indices in step.micro_batches if indices]
            found.append([batch.token_ids[batch.learnt].astype(np.float32) for batch in batches])
        return found

    def logprobs(self, works: list[RankWork], temperatures: Any) -> Any:
        return [([-tokens for tokens in rank], rank) for rank in self._tokens(works)]

    def values(self, works: list[RankWork]) -> Any:
        return [[tokens / 2 for tokens in rank] for rank in self._tokens(works)]

    def update(self, works: list[RankWork], losses: Any) -> Any:
        """The loss is the sum of coefficients x token ids x the sequence's weight over the step's counts."""
        outputs = []
        for part, steps in self._received(works):
            metrics = []
            for step in steps:
                total = 0.0
                for batch in (part.micro_batch(indices) for indices in step.micro_batches if indices):
                    of_sequence = np.repeat(batch.scalars["weight"], batch.loss_lengths)
                    total += float(
                        (batch.column("coefficients") * batch.token_ids[batch.learnt] * of_sequence).sum()
                    )
                metrics.append(
                    {
                        "loss": total / max(1, step.counts.num_loss_tokens),
                        "grad_norm": step.rate,
                        "nll_sum": total,
                    }
                )
            outputs.append(metrics)
        return outputs


def trainer_of(num_ranks: int, micro_batch_tokens: int = 20) -> Trainer:
    trainer = Trainer.__new__(Trainer)
    trainer.config = TrainerConfig(ranks_per_node=num_ranks, micro_batch_tokens=micro_batch_tokens)
    trainer.log_dir = Path()
    trainer._ranks = CountingRanks(num_ranks)
    return trainer


def batch_of(lengths: list[int], rng: np.random.Generator) -> Batch:
    """Gaps anywhere, nothing to learn from in some; three sequences a prompt, every second prompt with a picture."""
    sequences = []
    for index, length in enumerate(lengths):
        mask = (rng.random(length) < 0.6).astype(np.float32)
        mask[0] = 0
        shown = (VisionInput.of("image", picture(index // 3)),) if index // 3 % 2 == 0 else ()
        sequences.append(
            TokenSequence(
                f"s{index}",
                f"p{index // 3}",
                rng.integers(1, 1000, length).astype(np.int32),
                mask,
                scalars={"weight": float(rng.integers(1, 4))},
                vision_inputs=shown,
            )
        )
    return Batch.of(sequences)


def picture(index: int) -> bytes:
    return np.random.default_rng(index).bytes(4000)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(2, 12), min_size=1, max_size=14),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_what_ranks_compute_comes_back_in_order(
    lengths: list[int], num_ranks: int, num_steps: int, budget: int, seed: int
) -> None:
    """However steps, ranks and micro-batches cut it."""
    rng = np.random.default_rng(seed)
    batch = batch_of(lengths, rng)
    steps = [part.tolist() for part in np.array_split(rng.permutation(len(batch)), num_steps) if len(part)]
    held = trainer_of(num_ranks, budget).hold(batch, steps)
    learnt = batch.token_ids[batch.learnt]
    logprobs, entropies = held.logprobs()
    np.testing.assert_array_equal(logprobs, -learnt)
    np.testing.assert_array_equal(entropies, learnt)
    np.testing.assert_array_equal(held.values(), learnt / 2)
    where = rng.random(len(batch)) < 0.4
    asked = np.repeat(where, batch.loss_lengths)
    np.testing.assert_array_equal(held.logprobs(where=where)[0], np.where(asked, -learnt, 0))
    np.testing.assert_array_equal(held.logprobs(where=where)[1], np.where(asked, learnt, 0))
    for factor in (1.0, 2.0):  # the second time with columns and scalars that are new again
        batch = batch.with_columns(coefficients=factor * rng.normal(size=len(learnt)).astype(np.float32))
        batch = batch.with_scalars(weight=factor * batch.scalars["weight"])
        metrics = held.update(batch, [0.5] * len(steps), LossSpec(LINEAR_LOSS))
        for step, outcome in zip(steps, metrics, strict=True):
            part = batch.select(step)
            weights = np.repeat(part.scalars["weight"], part.loss_lengths)
            total = float((part.column("coefficients") * part.token_ids[part.learnt] * weights).sum())
            assert outcome["nll"] == pytest.approx(total / max(1, int(part.learnt.sum())), rel=1e-4, abs=1e-3)
            assert outcome["loss"] == pytest.approx(outcome["nll"])
            assert outcome["grad_norm"] == 0.5


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_a_picture_travels_once_a_step(num_ranks: int) -> None:
    """Log-probabilities, the reference's, values, the critic's and the policy's update: five calls, and each picture
    goes to a rank with the first alone. On a single rank: once at all."""
    batch = batch_of([8] * 12, np.random.default_rng(1))
    trainer = trainer_of(num_ranks)
    held = trainer.hold(batch, [range(6), range(6, 12)])
    old, _ = held.logprobs()
    held.logprobs(of=["reference"] * len(batch))
    held.values()
    batch = batch.with_columns(old_logprobs=old, coefficients=old)
    for _ in range(2):
        held.update(batch, [1e-3] * 2, LossSpec(LINEAR_LOSS))
    sent = trainer._ranks.sent
    assert len(sent) == 5 * num_ranks
    first, later = sent[:num_ranks], sent[num_ranks:]
    shown = [picture(index) for index in range(4) if index % 2 == 0]
    for each in shown:
        assert sum(work.count(each) for work in first) <= num_ranks
        assert all(work.count(each) <= 1 for work in first)
    assert sum(each in work for each in shown for work in first) >= len(shown)
    assert not any(each in work for each in shown for work in later)
    # Beside indices, later calls bring the columns that are new, and those once: the last update has none.
    columns = old.nbytes * 2
    with_columns = sum(map(len, sent[3 * num_ranks : 4 * num_ranks]))
    assert sum(map(len, sent[4 * num_ranks :])) + 0.9 * columns < with_columns
    assert max(map(len, later)) < min(map(len, first)) / 3


def test_a_preference_step_sends_its_pictures_once() -> None:
    sequences = [
        TokenSequence.of_response(
            f"a{i}",
            "p0",
            [1, 2, 3 + i],
            [7],
            scalars={"weight": 1.0},
            vision_inputs=(VisionInput.of("image", picture(0)),),
        )
        for i in range(3)
    ]
    trainer = trainer_of(1)
    preference_step(trainer, Batch.of(sequences), np.array([[0, 1], [2, 1]]), 1e-3)
    assert [work.count(picture(0)) for work in trainer._ranks.sent] == [1, 0]


def test_a_batch_whose_place_was_taken_is_refused() -> None:
    trainer, rng = trainer_of(1), np.random.default_rng(0)
    held = trainer.hold(batch_of([4, 5], rng))
    held.values()
    trainer.values(batch_of([6], rng))
    with pytest.raises(AssertionError, match="another batch has come in between"):
        held.values()


def test_a_figure_of_some_tokens_is_their_mean() -> None:
    """A KL of 0.7 on half of the tokens is 0.7; where no token has one there is no figure."""
    ranks = [
        {"nll_sum": 8.0, "kl_sum": 1.4, "kl_count": 2.0},
        {"nll_sum": 4.0, "kl_sum": 0.7, "kl_count": 1.0},
    ]
    assert _joined(ranks, 6) == pytest.approx({"nll": 2.0, "kl": 0.7})
    assert _joined([{"kl_sum": 0.0, "kl_count": 0.0}, {}], 6) == {}
