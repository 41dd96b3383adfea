"""One optimizer step of the DeepSpeed engine against a second implementation: transformers and torch, nothing else.

The reference feeds each sequence alone through `Qwen3VLMoeForConditionalGeneration.forward` in float64 (its own
positions, its own placement of image features, its own experts loop) and writes the losses out by hand.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rl.algorithm.loss.losses import LossSpec
from rl.stages.supervised.replay import REPLAY_BEFORE, REPLAY_METRIC, ReplayLoss
from sampler.vision_input import VisionInput

TEMPERATURE = 0.8
CLIP_LOW, CLIP_HIGH, DUAL_CLIP = 0.2, 0.28, 3.0
RELATIVE = 1e-5


class Reference:
    """Log-probabilities and losses by transformers and torch alone."""

    def __init__(self, transformers: Any, case: Any) -> None:
        self.case = case
        self.model = transformers.model
        self.dtype = self.model.dtype
        self.gradient_norm = transformers.gradient_norm

    def distributions(self, temperature: float) -> list[torch.Tensor]:
        """For each sequence the log-probabilities [tokens learnt from, vocabulary]."""
        found = []
        for sample in self.case.samples:
            logits = sample.predictions(self.model)
            logits[:, self.case.forbidden] = -torch.inf
            found.append(torch.log_softmax(logits / temperature, dim=-1))
        return found

    def logprobs(self, temperature: float) -> torch.Tensor:
        return torch.cat(
            [
                table[torch.arange(len(table)), sample.targets]
                for table, sample in zip(self.distributions(temperature), self.case.samples, strict=True)
            ]
        )

    def grpo_loss(self, batch: Any, entropy_coef: float = 0.0) -> torch.Tensor:
        """Dual-clip PPO with KL to a reference by k3 and an entropy bonus, token mean over the whole batch."""
        tables = self.distributions(TEMPERATURE)
        total = torch.zeros((), dtype=self.dtype)
        kl_coefs = batch.scalars["kl_coef"]
        for table, sample, kl_coef in zip(tables, self.case.samples, kl_coefs, strict=True):
            old, ref, advantage = (
                torch.from_numpy(batch.column(name)[sample.index]).to(self.dtype)
                for name in ("old_logprobs", "ref_logprobs", "advantages")
            )
            now = table[torch.arange(len(table)), sample.targets]
            for t in range(len(now)):
                ratio = torch.exp(now[t] - old[t])
                clipped = torch.clamp(ratio, 1 - CLIP_LOW, 1 + CLIP_HIGH)
                surrogate = torch.minimum(ratio * advantage[t], clipped * advantage[t])
                if advantage[t] < 0:
                    surrogate = torch.maximum(surrogate, DUAL_CLIP * advantage[t])
                k3 = torch.exp(ref[t] - now[t]) - (ref[t] - now[t]) - 1
                allowed = torch.isfinite(table[t])
                entropy = -(table[t][allowed].exp() * table[t][allowed]).sum()
                total = total - surrogate + float(kl_coef) * k3 - entropy_coef * entropy
        return total / float(batch.loss_mask.sum())

    def sft_loss(self, batch: Any) -> torch.Tensor:
        return -self.logprobs(1.0).mean()


@pytest.fixture(scope="module")
def reference(tiny_model: Path, case: Any, transformers_model: Callable[..., Any]) -> Reference:
    return Reference(transformers_model(tiny_model), case)


@pytest.fixture(scope="module")
def batch(reference: Reference, case: Any) -> Any:
    """The case with an old and a reference policy that differ from the current one, some ratios past every clip."""
    with torch.no_grad():
        now = reference.logprobs(TEMPERATURE).numpy()
    rng = np.random.default_rng(17)
    old = now + rng.normal(0, 0.4, len(now))
    old[::7] = now[::7] - 1.5  # ratio 4.5: past the dual clip where the advantage is negative
    ratio, advantages = np.exp(now - old), case.batch.column("advantages")
    assert (ratio > 1 + CLIP_HIGH)[advantages > 0].any()
    assert (ratio < 1 - CLIP_LOW)[advantages < 0].any()
    assert (ratio > DUAL_CLIP)[advantages < 0].any()
    ref = now + rng.normal(0, 0.3, len(now))
    return case.batch.with_columns(old_logprobs=old.astype(np.float32), ref_logprobs=ref.astype(np.float32))


def grpo(entropy_coef: float = 0.0) -> LossSpec:
    return LossSpec(
        "vanilla", clip_low=CLIP_LOW, clip_high=CLIP_HIGH, temperature=TEMPERATURE, entropy_coef=entropy_coef
    )


@pytest.fixture(scope="module")
def grpo_truth(reference: Reference, batch: Any) -> tuple[float, float]:
    loss = reference.grpo_loss(batch)
    return float(loss), reference.gradient_norm(loss)


LAYOUTS = [
    pytest.param(1, {"zero_stage": 1, "micro_batch_tokens": 10**6}, id="zero1-whole"),
    pytest.param(1, {"zero_stage": 1}, id="zero1"),
    pytest.param(1, {"zero_stage": 3}, id="zero3"),
    pytest.param(2, {"zero_stage": 1}, id="zero1-2ranks"),
    pytest.param(2, {"zero_stage": 2, "micro_batch_tokens": 1}, id="zero2-2ranks-one-sequence-each"),
    pytest.param(2, {"zero_stage": 3}, id="zero3-2ranks"),
    pytest.param(1, {"zero_stage": 1, "layout": "packed"}, id="packed"),
    pytest.param(1, {"zero_stage": 1, "gradient_checkpointing": True}, id="checkpointing"),
]


@pytest.mark.parametrize(("num_ranks", "settings"), LAYOUTS)
def test_grpo_loss_and_gradient(
    trainer: Callable[..., Any],
    batch: Any,
    grpo_truth: tuple[float, float],
    num_ranks: int,
    settings: dict[str, Any],
    record_property: Callable[[str, object], None],
) -> None:
    """However the batch is cut and the optimizer partitioned, loss and gradient norm are the reference's."""
    engine = trainer(num_ranks, **settings)
    held = engine.hold(batch)
    num_micro_batches = len(held._cut(held._whole)[0][0])
    metrics = engine.update([batch], [0.0], grpo())[0]
    loss, norm = grpo_truth
    differences = {"loss": abs(metrics["loss"] / loss - 1), "grad_norm": abs(metrics["grad_norm"] / norm - 1)}
    print(
        f"{num_micro_batches} micro-batches a rank, loss {metrics['loss']:.8f} ({differences['loss']:.1e}), "
        f"gradient norm {metrics['grad_norm']:.7f} ({differences['grad_norm']:.1e})"
    )
    record_property("relative_differences", differences)
    assert max(differences.values()) < RELATIVE
    assert num_micro_batches == 1 if settings.get("micro_batch_tokens") == 10**6 else num_micro_batches > 1


@pytest.mark.parametrize(("num_ranks", "zero_stage"), [(1, 1), (2, 1), (2, 3)])
def test_sequences_without_a_signal_count_but_are_not_computed(
    trainer: Callable[..., Any], batch: Any, reference: Reference, num_ranks: int, zero_stage: int
) -> None:
    """No advantage, no KL: loss and gradient are those of the whole batch. Without any signal both are 0, and no rank
    waits for another."""
    engine = trainer(num_ranks, zero_stage=zero_stage)
    silent = np.arange(len(batch)) % 3 > 0
    moved = np.repeat(~silent, batch.loss_lengths).astype(np.float32)
    quiet = batch.with_columns(advantages=batch.column("advantages") * moved)
    quiet = quiet.with_scalars(kl_coef=np.where(silent, 0, batch.scalars["kl_coef"]).astype(np.float32))
    loss = reference.grpo_loss(quiet)
    metrics = engine.update([quiet], [0.0], grpo())[0]
    assert metrics["no_signal_frac"] == pytest.approx(silent.mean())
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(reference.gradient_norm(loss), rel=RELATIVE)
    nothing = quiet.with_columns(advantages=0 * moved).with_scalars(kl_coef=0 * quiet.scalars["kl_coef"])
    metrics = engine.update([nothing], [0.0], grpo())[0]
    assert (metrics["no_signal_frac"], metrics["loss"], metrics["grad_norm"]) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("num_ranks", "zero_stage"), [(1, 1), (2, 3)])
def test_one_optimizer_step_needs_no_old_log_probabilities(
    trainer: Callable[..., Any], batch: Any, reference: Reference, num_ranks: int, zero_stage: int
) -> None:
    """Its own forward pass is that of the old policy: loss and gradient are those with the ratio at 1."""
    with torch.no_grad():
        now = reference.logprobs(TEMPERATURE).numpy()
    loss = reference.grpo_loss(batch.with_columns(old_logprobs=now))
    columns = {name: column for name, column in batch.columns.items() if name != "old_logprobs"}
    unaided = dataclasses.replace(batch, columns=columns)
    metrics = trainer(num_ranks, zero_stage=zero_stage).update([unaided], [0.0], grpo())[0]
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(reference.gradient_norm(loss), rel=RELATIVE)


def test_metrics_of_the_loss(trainer: Callable[..., Any], batch: Any, reference: Reference) -> None:
    """Means over the step's loss tokens, not over micro-batches: clips, likelihood; of some, the KL."""
    metrics = trainer(2, zero_stage=1).update([batch], [0.0], grpo())[0]
    with torch.no_grad():
        now = reference.logprobs(TEMPERATURE).numpy()
    old, ref, advantages = (batch.column(name) for name in ("old_logprobs", "ref_logprobs", "advantages"))
    ratio, kl = np.exp(now - old), np.exp(ref - now) - (ref - now) - 1
    clipped = np.where(advantages > 0, ratio > 1 + CLIP_HIGH, (ratio < 1 - CLIP_LOW))
    assert metrics["pg_clipfrac"] == pytest.approx(clipped.mean(), rel=1e-5)
    assert metrics["ppo_kl"] == pytest.approx((old - now).mean(), rel=1e-4)
    assert metrics["nll"] == pytest.approx(-now.mean(), rel=1e-5)
    held = np.repeat(batch.scalars["kl_coef"] > 0, batch.loss_lengths)
    assert metrics["ref_kl"] == pytest.approx(kl[held].mean(), rel=1e-4)


def test_entropy_bonus(trainer: Callable[..., Any], batch: Any, reference: Reference) -> None:
    """A large coefficient, so that the entropy's gradient is a good part of the whole."""
    loss = reference.grpo_loss(batch, entropy_coef=0.7)
    norm = reference.gradient_norm(loss)
    metrics = trainer(1, zero_stage=1).update([batch], [0.0], grpo(entropy_coef=0.7))[0]
    assert metrics["loss"] == pytest.approx(float(loss), rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_sft_loss_and_gradient(
    trainer: Callable[..., Any], case: Any, reference: Reference, num_ranks: int
) -> None:
    loss = reference.sft_loss(case.batch)
    norm = reference.gradient_norm(loss)
    metrics = trainer(num_ranks, zero_stage=3 if num_ranks == 2 else 1).update(
        [case.batch], [0.0], LossSpec()
    )[0]
    assert metrics["loss"] == pytest.approx(float(loss), rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_replay_loss(trainer: Callable[..., Any], case: Any, reference: Reference, num_ranks: int) -> None:
    """What SFT says of rollouts of the RL before it: the mean over their tokens."""
    measured = ReplayLoss(trainer(num_ranks, zero_stage=3 if num_ranks == 2 else 1), case.batch)
    with torch.no_grad():
        truth = float(reference.sft_loss(case.batch))
    before, now = measured.before[REPLAY_BEFORE], measured.now()[REPLAY_METRIC]
    assert before == now == pytest.approx(truth, rel=RELATIVE)


@pytest.mark.parametrize("aggregation", ["seq-mean-token-sum", "seq-mean-token-mean"])
def test_sequence_means(
    trainer: Callable[..., Any], case: Any, reference: Reference, aggregation: str
) -> None:
    """The other aggregations are normalised by the step's sequences, on two ranks as by hand."""
    with torch.no_grad():
        nll = -reference.logprobs(1.0).numpy()
    rows = [nll[sample.index] for sample in case.samples]
    each = [row.mean() if aggregation.endswith("mean") else row.sum() for row in rows]
    metrics = trainer(2, zero_stage=1).update([case.batch], [0.0], LossSpec(aggregation=aggregation))[0]
    assert metrics["loss"] == pytest.approx(np.mean(each), rel=RELATIVE)


def test_frozen_encoder_is_out_of_the_gradient(
    new_trainer: Callable[..., Any], case: Any, reference: Reference
) -> None:
    """Blocks and embeddings of the encoder are frozen, its mergers are trained."""
    trainer = new_trainer(1, zero_stage=1, freeze_vision=True)
    metrics = trainer.update([case.batch], [0.0], LossSpec())[0]
    loss = reference.sft_loss(case.batch)
    whole = reference.gradient_norm(loss)
    frozen = ("model.visual.patch_embed.", "model.visual.pos_embed.", "model.visual.blocks.")
    norm = reference.gradient_norm(reference.sft_loss(case.batch), frozen)
    assert abs(norm / whole - 1) > 1e-3  # the encoder's part is no rounding
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)
    assert trainer.model_sizes["num_trained_parameters"] == sum(
        parameter.numel()
        for name, parameter in reference.model.named_parameters()
        if not name.startswith(frozen)
    )


@pytest.mark.parametrize("num_ranks", [1, 2])
@pytest.mark.parametrize("zero_stage", [1, 3])
def test_logprobs_and_entropy(
    trainer: Callable[..., Any], case: Any, reference: Reference, num_ranks: int, zero_stage: int
) -> None:
    """In the batch's order, whatever the cutting: log-probabilities and entropies over the allowed tokens."""
    with torch.no_grad():
        tables = reference.distributions(TEMPERATURE)
        wanted = reference.logprobs(TEMPERATURE).numpy()
    entropy = torch.cat([-(table.exp() * table.nan_to_num(neginf=0.0)).sum(-1) for table in tables]).numpy()
    got, got_entropy = trainer(num_ranks, zero_stage=zero_stage).logprobs(case.batch, temperature=TEMPERATURE)
    np.testing.assert_allclose(got, wanted, atol=2e-5)
    np.testing.assert_allclose(got_entropy, entropy, atol=2e-5)


def test_fewer_sequences_than_ranks(trainer: Callable[..., Any], case: Any, reference: Reference) -> None:
    """A rank with nothing to do still takes part: the same result, no hang."""
    one = case.batch.select([4])
    index = case.samples[4].index
    with torch.no_grad():
        wanted = reference.logprobs(1.0).numpy()[index]
    for zero_stage in (1, 3):
        engine = trainer(2, zero_stage=zero_stage)
        np.testing.assert_allclose(engine.logprobs(one)[0], wanted, atol=2e-5)
        metrics = engine.update([one], [0.0], LossSpec())[0]
        assert metrics["loss"] == pytest.approx(-wanted.mean(), rel=RELATIVE)


def test_steps_of_different_sizes_in_one_call(trainer: Callable[..., Any], case: Any) -> None:
    """A later step that leaves a rank idle: each step gives what it gives alone."""
    engine = trainer(2, zero_stage=1)
    steps = [case.batch, case.batch.select([4]), case.batch.select([0, 12, 7])]
    together = engine.update(steps, [0.0] * 3, LossSpec())
    for step, metrics in zip(steps, together, strict=True):
        alone = engine.update([step], [0.0], LossSpec())[0]
        assert (metrics["loss"], metrics["grad_norm"]) == (alone["loss"], alone["grad_norm"])


def test_text_alone_beside_pictures(trainer: Callable[..., Any], case: Any, reference: Reference) -> None:
    """One rank's micro-batch has pictures and the other's has none; the gradient is the reference's."""
    with_picture, text_only = 0, 3
    pair = case.batch.select([with_picture, text_only])
    samples = [case.samples[with_picture], case.samples[text_only]]
    logprobs = reference.logprobs(1.0)
    loss = -torch.cat([logprobs[sample.index] for sample in samples]).mean()
    norm = reference.gradient_norm(loss)
    for zero_stage in (1, 2, 3):
        metrics = trainer(2, zero_stage=zero_stage).update([pair], [0.0], LossSpec())[0]
        assert metrics["loss"] == pytest.approx(float(loss), rel=RELATIVE)
        assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)


def test_pictures_matter(trainer: Callable[..., Any], case: Any) -> None:
    """With another picture every log-probability of the group moves, and no other group's does."""
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), (250, 10, 10)).save(picture, "PNG")
    engine = trainer(1, zero_stage=1)
    before, _ = engine.logprobs(case.batch)
    other = (VisionInput.of("image", picture.getvalue()),)
    changed = dataclasses.replace(
        case.batch,
        vision_inputs=tuple(
            other if prompt_id == "p0" else shown
            for prompt_id, shown in zip(case.batch.prompt_ids, case.batch.vision_inputs, strict=True)
        ),
    )
    after, _ = engine.logprobs(changed)
    in_group = np.repeat([prompt_id == "p0" for prompt_id in case.batch.prompt_ids], case.batch.loss_lengths)
    assert np.abs(after - before)[in_group].min() > 1e-4
    np.testing.assert_allclose(after[~in_group], before[~in_group], atol=1e-5)
