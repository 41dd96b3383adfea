"""What a trainer carries from step to step: the optimizer against torch's own, weights in and out, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rl.algorithm.loss.losses import LossSpec
from rl.trainer.export import export_policy

RATES = [1e-3, 7e-4, 2e-4]
ADAM = {"adam_betas": (0.8, 0.95), "adam_eps": 1e-4, "weight_decay": 0.3, "clip_grad_norm": 0.5}


def plain_steps(path: Path, case: Any) -> dict[str, torch.Tensor]:
    """Supervised steps by transformers, `clip_grad_norm_` and `torch.optim.AdamW`, one sequence at a time."""
    from transformers import Qwen3VLMoeForConditionalGeneration

    model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(path, dtype=torch.float32)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": ADAM["weight_decay"]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        betas=ADAM["adam_betas"],
        eps=ADAM["adam_eps"],
    )
    norms = []
    for rate in RATES:
        optimizer.zero_grad()
        for sample in case.samples:
            logits = sample.predictions(model)
            logits[:, case.forbidden] = -torch.inf
            nll = torch.nn.functional.cross_entropy(logits, sample.targets, reduction="sum")
            (nll / float(case.batch.loss_mask.sum())).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, ADAM["clip_grad_norm"])))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    assert min(norms) > ADAM["clip_grad_norm"], "clipping must be at work"
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def exported(trainer: Any, directory: Path) -> dict[str, torch.Tensor]:
    trainer.export(directory)
    return load_file(directory / "model.safetensors")


@pytest.fixture(scope="module")
def truth(tiny_model: Path, case: Any) -> dict[str, torch.Tensor]:
    return plain_steps(tiny_model, case)


FUSED = {
    "deepspeed": {"optimizer": {"params": {"fused": True}}}
}  # as on a GPU, where the fused kernel is chosen


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        (1, {"zero_stage": 1}),
        (2, {"zero_stage": 1}),
        (2, {"zero_stage": 2}),
        (2, {"zero_stage": 3}),
        pytest.param(2, {"zero_stage": 1, **FUSED}, id="2-fused"),
        pytest.param(2, {"zero_stage": 3, **FUSED}, id="2-zero3-fused"),
        pytest.param(2, {"zero_stage": 2, "offload": "optimizer", **FUSED}, id="2-fused-offload"),
    ],
)
def test_parameters_after_steps_are_those_of_torch_adamw(
    new_trainer: Callable[..., Any],
    case: Any,
    truth: dict[str, torch.Tensor],
    tiny_model: Path,
    tmp_path: Path,
    num_ranks: int,
    settings: dict[str, Any],
) -> None:
    """Three steps with clipping, decay on matrices alone and a rate of their own; what a recipe adds to DeepSpeed's
    optimizer section leaves the rest of it as it was."""
    trainer = new_trainer(num_ranks, **settings, **ADAM)
    trainer.update([case.batch] * len(RATES), RATES, LossSpec())
    got, start = exported(trainer, tmp_path / "after"), load_file(tiny_model / "model.safetensors")
    assert got.keys() == truth.keys()
    worst, moved = 0.0, 0.0
    for name, parameter in truth.items():
        transposed = name.endswith(("experts.gate_up_proj", "experts.down_proj"))
        wanted = parameter.transpose(1, 2) if transposed else parameter
        worst = max(worst, float((got[name] - wanted).abs().max()))
        moved = max(moved, float((wanted - start[name]).abs().max()))
    print(f"largest difference {worst:.1e}, largest move {moved:.1e}")
    assert moved > 1e-3
    assert worst < 2e-3 * moved


def test_export_loads_in_transformers(
    new_trainer: Callable[..., Any], case: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """The exported directory is a whole checkpoint: transformers computes from it what the trainer computes."""
    from transformers import AutoProcessor, Qwen3VLMoeForConditionalGeneration

    trainer = new_trainer(2, zero_stage=3)
    trainer.update([case.batch], [3e-3], LossSpec())
    wanted, _ = trainer.logprobs(case.batch)
    export_policy(trainer, tiny_model, tmp_path / "policy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["policy"]
    assert {p.name for p in (tmp_path / "policy").iterdir()} == {p.name for p in tiny_model.iterdir()}
    AutoProcessor.from_pretrained(tmp_path / "policy")
    model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(tmp_path / "policy", dtype=torch.float32)
    before: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.float32)
    sample = case.samples[6]
    found = []
    with torch.no_grad():
        for each in (model, before):
            logits = sample.predictions(each)
            logits[:, case.forbidden] = -torch.inf
            found.append(torch.log_softmax(logits, -1)[torch.arange(len(logits)), sample.targets].numpy())
    np.testing.assert_allclose(found[0], wanted[sample.index], atol=2e-5)
    assert np.abs(found[1] - wanted[sample.index]).max() > 1e-2  # it did move


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [(1, {"zero_stage": 1}), (2, {"zero_stage": 3}), (2, {"zero_stage": 3, "keeps_small": True})],
)
def test_load_weights_gives_the_same_bits(
    new_trainer: Callable[..., Any],
    case: Any,
    tmp_path: Path,
    tiny_model: Path,
    num_ranks: int,
    settings: dict[str, Any],
) -> None:
    """Export, go on training, load: log-probabilities are those of the export, bit for bit, and so is a step after."""
    trainer = new_trainer(num_ranks, **settings)
    trainer.update([case.batch], [3e-3], LossSpec())
    export_policy(trainer, tiny_model, tmp_path / "policy")
    wanted, _ = trainer.logprobs(case.batch)
    trainer.reset_optimizer()
    first = trainer.update([case.batch], [1e-3], LossSpec())[0]
    after, _ = trainer.logprobs(case.batch)
    assert np.abs(after - wanted).max() > 1e-3
    trainer.load_weights(tmp_path / "policy")
    again, _ = trainer.logprobs(case.batch)
    assert again.tobytes() == wanted.tobytes()
    trainer.reset_optimizer()
    second = trainer.update([case.batch], [1e-3], LossSpec())[0]
    assert (second["loss"], second["grad_norm"]) == (first["loss"], first["grad_norm"])
    after_again, _ = trainer.logprobs(case.batch)
    assert after_again.tobytes() == after.tobytes()  # the optimizer's master copy followed


@pytest.mark.parametrize(("num_ranks", "zero_stage"), [(1, 1), (2, 3)])
def test_reset_optimizer_is_a_fresh_optimizer(
    new_trainer: Callable[..., Any], case: Any, tiny_model: Path, num_ranks: int, zero_stage: int
) -> None:
    """After steps, a reset and the old weights, two steps are those of a new trainer: moments and counts forgotten."""
    fresh = new_trainer(num_ranks, zero_stage=zero_stage)
    fresh.update([case.batch] * 2, RATES[:2], LossSpec())
    wanted, _ = fresh.logprobs(case.batch)
    used = new_trainer(num_ranks, zero_stage=zero_stage)
    used.update([case.batch] * 3, [3e-3] * 3, LossSpec())
    used.load_weights(tiny_model)
    used.reset_optimizer()
    used.update([case.batch] * 2, RATES[:2], LossSpec())
    got, _ = used.logprobs(case.batch)
    assert got.tobytes() == wanted.tobytes()
    used.load_weights(tiny_model)  # and without a reset they are not
    used.update([case.batch] * 2, RATES[:2], LossSpec())
    assert used.logprobs(case.batch)[0].tobytes() != wanted.tobytes()


@pytest.mark.parametrize(("num_ranks", "zero_stage"), [(1, 1), (2, 3)])
def test_checkpoint_goes_on_as_if_never_left(
    new_trainer: Callable[..., Any], case: Any, tmp_path: Path, num_ranks: int, zero_stage: int
) -> None:
    """Weights, moments and step counts: a new trainer from the checkpoint takes the same step to the last bit."""
    first = new_trainer(num_ranks, zero_stage=zero_stage)
    first.update([case.batch] * 2, RATES[:2], LossSpec())
    first.save_checkpoint(tmp_path / "checkpoint")
    wanted_metrics = first.update([case.batch], [1e-3], LossSpec())[0]
    wanted, _ = first.logprobs(case.batch)
    second = new_trainer(num_ranks, zero_stage=zero_stage)
    second.load_checkpoint(tmp_path / "checkpoint")
    metrics = second.update([case.batch], [1e-3], LossSpec())[0]
    assert (metrics["loss"], metrics["grad_norm"]) == (wanted_metrics["loss"], wanted_metrics["grad_norm"])
    assert second.logprobs(case.batch)[0].tobytes() == wanted.tobytes()


def test_reference_policy_stays(new_trainer: Callable[..., Any], case: Any, tiny_model: Path) -> None:
    """The reference's log-probabilities are the start's, whatever the policy becomes."""
    trainer = new_trainer(2, zero_stage=3)
    start, _ = trainer.logprobs(case.batch)
    trainer.load_frozen([str(tiny_model)])
    trainer.update([case.batch] * 2, [3e-3] * 2, LossSpec())
    held, _ = trainer.logprobs(case.batch, of=[str(tiny_model)] * len(case.batch))
    np.testing.assert_allclose(held, start, atol=1e-6)
    assert np.abs(trainer.logprobs(case.batch)[0] - held).max() > 1e-2
    both = trainer._ranks.partitioned()
    trainer.load_frozen([])
    for (num_parts, num), (_, of_policy) in zip(both, trainer._ranks.partitioned(), strict=True):
        assert num_parts == num == 2 * of_policy  # the reference is parted too


def test_weights_that_are_missing_stop_every_rank(
    new_trainer: Callable[..., Any], case: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """Rank 0 alone reads them, and the others do not wait for what never comes: the trainer still answers."""
    trainer = new_trainer(2, zero_stage=3)
    start, _ = trainer.logprobs(case.batch)
    weights = load_file(tiny_model / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(
        AssertionError, match=r"has no lm_head\.weight: is it a checkpoint of model\.family=qwen3_vl_moe"
    ):
        trainer.load_weights(tmp_path)
    assert trainer.logprobs(case.batch)[0].tobytes() == start.tobytes()


def test_learning_reduces_the_loss(new_trainer: Callable[..., Any], case: Any) -> None:
    """Twenty steps learn the batch by heart, pictures and all, on two ranks."""
    trainer = new_trainer(2, zero_stage=1)
    losses = [m["loss"] for m in trainer.update([case.batch] * 20, [3e-3] * 20, LossSpec())]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("float32_gradients", [False, True])
@pytest.mark.parametrize("zero_stage", [1, 3])
def test_bfloat16(
    new_trainer: Callable[..., Any],
    case: Any,
    tiny_model: Path,
    tmp_path: Path,
    zero_stage: int,
    float32_gradients: bool,
) -> None:
    """Steps too small for bfloat16 itself add up in the master copy; loaded weights reach the master copy too."""
    settings = {"zero_stage": zero_stage, "float32_gradients": float32_gradients}
    trainer = new_trainer(1, dtype="bfloat16", adam_eps=1e-4, **settings)
    start = load_file(tiny_model / "model.safetensors")
    trainer.load_weights(tiny_model)
    trainer.update([case.batch] * 20, [3e-5] * 20, LossSpec())
    moved = exported(trainer, tmp_path / "after")
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    assert moved[name].dtype == torch.bfloat16
    single, kept = start[name].bfloat16(), moved[name]
    # A weight of 0.1 has steps of 5e-4 in bfloat16: 3e-5 alone rounds away, twenty together often do not.
    large = (single.abs() > 0.07) & (single.abs() < 0.12)
    assert 0.02 < float((kept != single)[large].float().mean()) < 0.98
    found = []
    for _ in range(2):
        trainer.load_weights(tiny_model)
        trainer.reset_optimizer()
        metrics = trainer.update([case.batch], [1e-3], LossSpec())[0]
        found.append((metrics["loss"], metrics["grad_norm"], trainer.logprobs(case.batch)[0].tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_a_stage_in_bfloat16_starts_from_the_policy_that_was_left(
    new_trainer: Callable[..., Any], case: Any, tiny_model: Path, tmp_path: Path, zero_stage: int
) -> None:
    """The next stage in the same process takes the steps of one that loads the policy again after a kill."""
    trainer = new_trainer(1, zero_stage=zero_stage, dtype="bfloat16")

    def steps() -> bytes:
        trainer.reset_optimizer()
        trainer.update([case.batch] * 3, [1e-4] * 3, LossSpec())
        found, _ = trainer.logprobs(case.batch)
        return bytes(found.tobytes())

    trainer.update([case.batch] * 3, [1e-4] * 3, LossSpec())
    export_policy(trainer, tiny_model, tmp_path / "left")
    went_on = steps()
    trainer.load_weights(tmp_path / "left")
    assert steps() == went_on


@pytest.mark.parametrize("zero_stage", [1, 2, 3])
def test_gradients_add_up_in_float32(new_trainer: Callable[..., Any], case: Any, zero_stage: int) -> None:
    """Of the same sequence 300 times over, the mean gradient is that of one; in bfloat16 the later terms are lost in
    rounding, or rounded up."""
    one, copies = case.batch.select([3]), case.batch.select([3] * 300)
    settings = {"zero_stage": zero_stage, "dtype": "bfloat16", "micro_batch_tokens": 1}
    norms = []
    for float32_gradients in (True, False):
        trainer = new_trainer(1, float32_gradients=float32_gradients, **settings)
        wanted, got = (trainer.update([each], [0.0], LossSpec())[0]["grad_norm"] for each in (one, copies))
        norms.append(got / wanted)
    print(f"norm of 300 summed over norm of one: {norms[0]:.3f} in float32, {norms[1]:.3f} in bfloat16")
    assert abs(norms[0] - 1) < 0.005
    assert abs(norms[1] - 1) > 0.015
