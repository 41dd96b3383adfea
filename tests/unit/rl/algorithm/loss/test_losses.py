"""Losses against their definitions in plain loops over float64: value, gradient, the same sum however cut."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rl.algorithm.loss.importance import importance_weights
from rl.algorithm.loss.loss_options import OF_ACTOR, OPTIONS, verl_config
from rl.algorithm.loss.losses import (
    SILENT_AT_ZERO,
    LossInputs,
    LossSpec,
    compute_loss,
    explained_variance,
    has_signal,
    value_loss,
)
from rl.data.batch import Batch, StepCounts
from rl.data.token_sequence import TokenSequence
from rl.recipe.rl_config import LossConfig

CLIP_LOW, CLIP_HIGH, DUAL_CLIP = 0.2, 0.28, 3.0
PPO = LossSpec("vanilla", clip_low=CLIP_LOW, clip_high=CLIP_HIGH)
SPECS = {
    "sft": LossSpec(),
    "ppo": PPO,
    "positive": dataclasses.replace(PPO, positive_nll_coef=0.7),
    "truncated": dataclasses.replace(PPO, importance="truncate", importance_cap=1.2),
    "masked": dataclasses.replace(PPO, importance="mask", importance_cap=1.3),
    "everything": dataclasses.replace(
        PPO, positive_nll_coef=0.3, importance="truncate", importance_cap=1.1, entropy_coef=0.2
    ),
    "dual clip": dataclasses.replace(PPO, options={"clip_ratio_c": 1.3}),
    "value": LossSpec("value"),
    "value clipped": LossSpec("value", value_clip=0.1),
}


def inputs(lengths: list[int], seed: int = 0) -> LossInputs:
    """Right-padded float64 columns with every clip crossed somewhere; some tokens and some sequences are masked."""
    rng = np.random.default_rng(seed)
    shape = len(lengths), max(lengths)
    inside = np.arange(shape[1]) < np.array(lengths)[:, None]
    mask = inside & (rng.random(shape) < 0.85)
    if len(lengths) > 2:
        mask[1] = False
    mask[0, 0] = True
    is_right = (np.arange(len(lengths)) % 2 == 0).astype(float)

    def column(scale: float) -> torch.Tensor:
        return torch.from_numpy(np.where(inside, scale * rng.normal(size=shape), 0.0))

    now = -column(1.0).abs()
    values = column(1.0)
    return LossInputs(
        mask=torch.from_numpy(mask.astype(float)),
        columns={
            "old_logprobs": now + column(0.5),
            "ref_logprobs": now + column(0.3),
            "sample_logprobs": now + column(0.5),
            "advantages": column(1.0),
            "old_values": values + column(0.2),
            "returns": column(1.0),
        },
        scalars={
            "kl_coef": torch.from_numpy(rng.random(len(lengths))),
            "is_right": torch.from_numpy(is_right),
        },
        counts=StepCounts(int(mask.sum()), int(mask.any(-1).sum()), int((mask * is_right[:, None]).sum())),
        data_parallel=1,
        logprobs=now,
        entropy=column(1.0).abs(),
        values=values,
    )


def each_tensor(given: LossInputs, change: Callable[[torch.Tensor], torch.Tensor]) -> LossInputs:
    """Mask, columns, scalars and the model's outputs, changed alike."""
    outputs = {name: change(getattr(given, name)) for name in ("mask", "logprobs", "entropy", "values")}
    columns = {name: change(column) for name, column in given.columns.items()}
    scalars = {name: change(scalar) for name, scalar in given.scalars.items()}
    return dataclasses.replace(given, **outputs, columns=columns, scalars=scalars)


def part(whole: LossInputs, indices: list[int], num_ranks: int) -> LossInputs:
    """Some of the sequences as another rank's micro-batch, with padding of its own; global counts stay."""
    width = max(int(whole.logprobs[index].count_nonzero()) for index in indices)
    cut = each_tensor(whole, lambda each: each[indices, :width] if each.ndim == 2 else each[indices])
    return dataclasses.replace(cut, data_parallel=num_ranks)


def policy_by_hand(spec: LossSpec, given: LossInputs) -> float:
    """PPO with dual clip, KL by k3, importance weights, likelihood of right responses, entropy: token by token."""
    total = right = 0.0
    for row in range(len(given.mask)):
        for t in range(given.mask.shape[1]):
            if not given.mask[row, t]:
                continue
            now, old, ref, sample, advantage = (
                float(column[row, t])
                for column in (
                    given.logprobs,
                    given.columns["old_logprobs"],
                    given.columns["ref_logprobs"],
                    given.columns["sample_logprobs"],
                    given.columns["advantages"],
                )
            )
            ratio = math.exp(now - old)
            surrogate = min(ratio * advantage, min(max(ratio, 1 - CLIP_LOW), 1 + CLIP_HIGH) * advantage)
            if advantage < 0:
                surrogate = max(surrogate, spec.options.get("clip_ratio_c", DUAL_CLIP) * advantage)
            weight = math.exp(old - sample)
            if spec.importance == "truncate":
                surrogate *= min(weight, spec.importance_cap)
            elif spec.importance == "mask":
                surrogate *= weight if 1 / spec.importance_cap <= weight <= spec.importance_cap else 0.0
            kl = math.exp(ref - now) - (ref - now) - 1
            total += -surrogate + float(given.scalars["kl_coef"][row]) * kl
            total -= spec.entropy_coef * float(given.entropy[row, t])
            right -= now if given.scalars["is_right"][row] else 0.0
    loss = total / int(given.mask.sum())
    num_right = int((given.mask * given.scalars["is_right"][:, None]).sum())
    return loss + spec.positive_nll_coef * right / max(1, num_right)


LENGTHS = [5, 3, 8, 1, 6, 4, 2]


@pytest.mark.parametrize("name", ["ppo", "positive", "truncated", "masked", "dual clip", "everything"])
@pytest.mark.parametrize("seed", range(3))
def test_policy_losses_by_hand(name: str, seed: int) -> None:
    given = inputs(LENGTHS, seed)
    loss, _ = compute_loss(SPECS[name], given)
    assert float(loss) == pytest.approx(policy_by_hand(SPECS[name], given), rel=1e-9)


def test_sft_with_a_kl_by_hand() -> None:
    """The mean NLL and so many times the mean KL, over the loss tokens."""
    given = inputs(LENGTHS)
    kl = torch.rand(given.mask.shape, dtype=torch.float64)
    loss, sums = compute_loss(LossSpec(teacher_coef=0.4), dataclasses.replace(given, teacher_kl=kl))
    inside = given.mask.numpy() > 0
    nll, mean_kl = -given.logprobs.numpy()[inside].mean(), kl.numpy()[inside].mean()
    assert float(loss) == pytest.approx(nll + 0.4 * mean_kl, rel=1e-12)
    assert sums["teacher_kl_sum"] == pytest.approx(mean_kl * inside.sum())
    assert float(compute_loss(LossSpec(), given)[0]) == pytest.approx(nll, rel=1e-12)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_value_loss_by_hand(clip: float | None) -> None:
    """0.5 max of two squares, mean over the loss tokens; figures of the critic as numpy has them."""
    given = inputs(LENGTHS)
    loss, sums = compute_loss(LossSpec("value", value_clip=clip), given)
    inside = given.mask.numpy() > 0
    now, old, returns = (
        column.numpy()[inside]
        for column in (given.values, given.columns["old_values"], given.columns["returns"])
    )
    squares = (now - returns) ** 2
    clipped = squares if clip is None else (np.clip(now, old - clip, old + clip) - returns) ** 2
    assert float(loss) == pytest.approx(0.5 * np.maximum(squares, clipped).mean(), rel=1e-12)
    means = {name.removesuffix("_sum"): value / inside.sum() for name, value in sums.items()}
    assert means["value_clip_frac"] == pytest.approx((clipped > squares).mean())
    assert (means["value_clip_frac"] > 0) == (clip is not None)
    assert means["value"] == pytest.approx(now.mean())
    assert means["return"] == pytest.approx(returns.mean())
    assert explained_variance(means) == pytest.approx(1 - (returns - now).var() / returns.var(), rel=1e-9)


def test_value_loss_within_the_clip_is_plain_and_counts_nothing() -> None:
    """In float32 too, where old + (new - old) would not be new."""
    values = torch.rand(4, 50) * 0.2
    counts = {"dp_size": 1, "batch_num_tokens": 200, "global_batch_size": 4}
    columns = values, torch.rand(4, 50) * 0.2, torch.rand(4, 50), torch.ones(4, 50)
    loss, sums = value_loss(*columns, 0.2, counts)
    plain, _ = value_loss(*columns, None, counts)
    assert loss == plain
    assert sums["value_clip_frac_sum"] == 0


def test_explained_variance_of_equal_returns_is_0() -> None:
    means = {"value_error": 0.1, "value_error_squared": 0.2, "return": 0.3, "return_squared": 0.09}
    assert explained_variance(means) == 0.0


@pytest.mark.parametrize("name", SPECS)
def test_padding_changes_nothing(name: str) -> None:
    given = inputs(LENGTHS)
    wide = each_tensor(given, lambda each: torch.nn.functional.pad(each, (0, 7)) if each.ndim == 2 else each)
    loss, sums = compute_loss(SPECS[name], given)
    padded_loss, padded_sums = compute_loss(SPECS[name], wide)
    assert float(padded_loss) == pytest.approx(float(loss), rel=1e-12)
    assert padded_sums == pytest.approx(sums, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SPECS)),
    st.lists(st.integers(1, 9), min_size=1, max_size=9),
    st.integers(0, 99),
    st.data(),
)
def test_parts_add_up_to_the_whole(name: str, lengths: list[int], seed: int, data: st.DataObject) -> None:
    """Over ranks and micro-batches in any cut: loss, gradient and every sum of the metrics."""
    whole, num_ranks = inputs(lengths, seed), data.draw(st.integers(1, 3))
    moved = "values" if name.startswith("value") else "logprobs"
    column = getattr(whole, moved).requires_grad_()
    loss, sums = compute_loss(SPECS[name], whole)
    (gradient,) = torch.autograd.grad(loss, column)
    cut = data.draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths)))
    total, added = torch.zeros(()), dict.fromkeys(sums, 0.0)
    for micro_batch in set(cut):
        indices = [index for index, at in enumerate(cut) if at == micro_batch]
        value, part_sums = compute_loss(SPECS[name], part(whole, indices, num_ranks))
        total = total + value / num_ranks
        for key, addend in part_sums.items():
            added[key] += addend
    assert total.item() == pytest.approx(loss.item(), rel=1e-6, abs=1e-9)
    (parts_gradient,) = torch.autograd.grad(total, column)
    np.testing.assert_allclose(parts_gradient, gradient, rtol=1e-6, atol=1e-9)
    assert added == pytest.approx(sums, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_gradients_by_finite_differences(name: str) -> None:
    given = inputs(LENGTHS, 3)
    moved = "values" if name.startswith("value") else "logprobs"

    def loss_of(column: torch.Tensor) -> torch.Tensor:
        return compute_loss(SPECS[name], dataclasses.replace(given, **{moved: column}))[0]

    column = getattr(given, moved).clone().requires_grad_()
    assert torch.autograd.gradcheck(loss_of, (column,), eps=1e-6, atol=1e-8, rtol=1e-6)


def test_positive_nll_is_a_mean_over_right_tokens_whatever_the_rest() -> None:
    """Its metric too, though all metrics are divided by the step's loss tokens."""
    given = inputs(LENGTHS)
    plain, _ = compute_loss(PPO, given)
    loss, sums = compute_loss(SPECS["positive"], given)
    right = (given.mask * given.scalars["is_right"][:, None]).numpy() > 0
    mean = -given.logprobs.numpy()[right].mean()
    assert float(loss - plain) == pytest.approx(0.7 * mean)
    assert sums["positive_nll"] == pytest.approx(mean)


def test_no_right_response_adds_nothing() -> None:
    given = inputs(LENGTHS)
    wrong = dataclasses.replace(
        given,
        scalars={**given.scalars, "is_right": torch.zeros(len(LENGTHS))},
        counts=dataclasses.replace(given.counts, num_right_tokens=0),
    )
    assert compute_loss(SPECS["positive"], wrong)[0] == compute_loss(PPO, wrong)[0]


def test_importance_weights_by_hand() -> None:
    weights = torch.tensor([0.1, 0.5, 1.0, 1.9, 2.1, 40.0], dtype=torch.float64)
    sample = torch.full_like(weights, -1.0)
    old = (sample + weights.log()).requires_grad_()
    truncated, above = importance_weights(old, sample, "truncate", 2.0)
    assert truncated.tolist() == pytest.approx([0.1, 0.5, 1.0, 1.9, 2.0, 2.0])
    assert above.tolist() == [0, 0, 0, 0, 1, 1]
    masked, outside = importance_weights(old, sample, "mask", 2.1 - 1e-6)
    assert masked.tolist() == pytest.approx([0.0, 0.5, 1.0, 1.9, 0.0, 0.0])
    assert outside.tolist() == [1, 0, 0, 0, 1, 1]
    assert not truncated.requires_grad and not masked.requires_grad
    far, _ = importance_weights(torch.tensor([0.0]), torch.tensor([-1e4]), "mask", 2.0)
    assert far.tolist() == [0.0]


def test_metrics_of_the_importance_weights() -> None:
    given = inputs(LENGTHS)
    weight = np.exp((given.columns["old_logprobs"] - given.columns["sample_logprobs"]).numpy())
    inside = given.mask.numpy() > 0
    _, sums = compute_loss(SPECS["truncated"], given)
    assert sums["importance_weight_sum"] == pytest.approx(np.minimum(weight, 1.2)[inside].sum())
    assert sums["importance_outside_frac_sum"] == (weight > 1.2)[inside].sum() > 0
    _, sums = compute_loss(SPECS["masked"], given)
    outside = (weight > 1.3) | (weight < 1 / 1.3)
    assert sums["importance_weight_sum"] == pytest.approx((weight * ~outside)[inside].sum())
    assert sums["importance_outside_frac_sum"] == outside[inside].sum() > 0


def test_equal_sampler_and_trainer_need_no_correction() -> None:
    given = inputs(LENGTHS)
    columns = {**given.columns, "sample_logprobs": given.columns["old_logprobs"]}
    same = dataclasses.replace(given, columns=columns)
    for name in ("truncated", "masked"):
        assert compute_loss(SPECS[name], same)[0] == compute_loss(PPO, same)[0]


AGGREGATIONS = ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", sorted(SILENT_AT_ZERO))
def test_without_an_advantage_a_loss_is_silent(name: str, aggregation: str) -> None:
    """In float64, with ratios past every clip: the rows without an advantage have a gradient of exactly 0, and that of
    the others is the same without them."""
    given = inputs(LENGTHS)
    silent = [0, 2, 4]
    given.columns["advantages"][silent] = 0.0
    del given.columns["ref_logprobs"]
    now = given.logprobs.clone().requires_grad_()
    spec = LossSpec(name, clip_low=CLIP_LOW, clip_high=CLIP_HIGH, aggregation=aggregation)

    def gradient(whole: LossInputs, logprobs: torch.Tensor) -> torch.Tensor:
        loss, _ = compute_loss(spec, dataclasses.replace(whole, logprobs=logprobs))
        return torch.autograd.grad(loss, logprobs)[0]

    whole = gradient(given, now)
    assert whole[silent].abs().max() == 0.0
    rest = [index for index in range(len(LENGTHS)) if index not in silent]
    kept = each_tensor(given, lambda each: each[rest])
    alone = gradient(kept, now.detach()[rest].requires_grad_())
    assert (alone - whole[rest]).abs().max() <= 1e-12 * whole.abs().max()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (PPO, [True, True, False, False]),
        (dataclasses.replace(PPO, positive_nll_coef=0.1), [True, True, True, False]),
        (dataclasses.replace(PPO, entropy_coef=0.1), [True] * 4),
        (LossSpec("kl_cov"), [True] * 4),
        (LossSpec("mine.losses:odd"), [True] * 4),
        (LossSpec(), [True] * 4),
        (LossSpec("value"), [True] * 4),
    ],
)
def test_which_sequences_move_the_policy(spec: LossSpec, expected: list[bool]) -> None:
    """The first by its KL to the reference, the second by its advantages, the third by being right."""
    batch = Batch.of(
        [
            TokenSequence.of_response(f"r{i}", "p", [1], [2, 3], scalars={"kl_coef": kl, "is_right": right})
            for i, (kl, right) in enumerate([(0.1, 0.0), (0.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
        ]
    )
    batch = batch.with_columns(advantages=np.float32([0, 0, 0, -0.5, 0, 0, 0, 0]))
    assert has_signal(spec, batch).tolist() == expected


def gradient_of(spec: LossSpec, given: LossInputs) -> torch.Tensor:
    assert given.logprobs is not None
    now = given.logprobs.clone().requires_grad_()
    loss, _ = compute_loss(spec, dataclasses.replace(given, logprobs=now))
    return torch.autograd.grad(loss, now)[0]


def test_sapo_by_hand() -> None:
    """-4/tau sigmoid(tau (r - 1)) A with its two taus, a mean over the tokens of each sequence, then over sequences."""
    given, options = inputs(LENGTHS), {"tau_pos": 2.0, "tau_neg": 0.5}
    del given.columns["ref_logprobs"]
    rows = []
    for row in range(len(LENGTHS)):
        inside = given.mask[row] > 0
        if inside.any():
            ratio = (given.logprobs - given.columns["old_logprobs"])[row][inside].exp().numpy()
            advantage = given.columns["advantages"][row][inside].numpy()
            tau = np.where(advantage > 0, options["tau_pos"], options["tau_neg"])
            rows.append(np.mean(-4 / tau / (1 + np.exp(-tau * (ratio - 1))) * advantage))
    loss, _ = compute_loss(LossSpec("sapo", aggregation="seq-mean-token-mean", options=options), given)
    assert float(loss) == pytest.approx(np.mean(rows), rel=1e-7)  # verl adds 1e-8 to a count


def test_the_numbers_of_losses_are_verls() -> None:
    """Without options verl's section has the values that are documented."""
    config = verl_config(0.2, 0.2, "token-mean", ())
    for option, value in (pair for options in OPTIONS.values() for pair in options.items()):
        assert getattr(config if option in OF_ACTOR else config.policy_loss, option) == value
    given = verl_config(0.2, 0.2, "token-mean", (("clip_cov_ratio", 0.1), ("tau_pos", 3.0)))
    assert (given.policy_loss.clip_cov_ratio, given.tau_pos) == (0.1, 3.0)


def test_the_kl_that_is_shown_is_of_the_tokens_that_are_held_to_the_reference() -> None:
    """k3 by hand over the sequences with a coefficient; of none it has no tokens."""
    given = inputs(LENGTHS)
    given.scalars["kl_coef"][::2] = 0.0
    _, sums = compute_loss(PPO, given)
    held = (given.mask * (given.scalars["kl_coef"] > 0)[:, None]).numpy() > 0
    away = (given.columns["ref_logprobs"] - given.logprobs).numpy()[held]
    assert sums["ref_kl_sum"] == pytest.approx((np.exp(away) - 1 - away).sum(), rel=1e-9)
    assert sums["ref_kl_count"] == held.sum() < given.mask.sum()
    given.scalars["kl_coef"][:] = 0.0
    _, sums = compute_loss(PPO, given)
    assert sums["ref_kl_count"] == 0


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p || q) of log-probabilities."""
    return (p.exp() * (p - q)).sum()


@pytest.mark.parametrize("estimator", ["k2", "k1+", "k3+", "k3", "k1", "abs"])
def test_which_kl_an_estimator_in_the_loss_descends(estimator: str) -> None:
    """Every token that the policy may say, as often as it says it, against autograd of the whole distribution."""
    logits = torch.tensor([0.9, -0.3, 0.2, -1.0], dtype=torch.float64, requires_grad=True)
    policy = logits.log_softmax(-1)
    reference = torch.tensor([-0.2, 0.1, 0.5, 0.0], dtype=torch.float64).log_softmax(-1)
    size, now = len(policy), policy.detach()
    zeros = torch.zeros(size, 1, dtype=torch.float64)
    given = LossInputs(
        mask=zeros + 1,
        columns={"old_logprobs": now[:, None], "ref_logprobs": reference[:, None], "advantages": zeros},
        scalars={"kl_coef": now.exp() * size},  # the mean over the tokens divides by their number
        counts=StepCounts(size, size),
        data_parallel=1,
        logprobs=policy[:, None],
    )
    loss, _ = compute_loss(dataclasses.replace(PPO, kl_estimator=estimator), given)
    (found,) = torch.autograd.grad(loss, logits, retain_graph=True)
    wanted = kl(policy, reference)
    if estimator == "k3":
        wanted = kl(reference, policy)
    elif estimator == "abs":
        wanted = (policy.exp() - reference.exp()).abs().sum()
    (gradient,) = torch.autograd.grad(wanted, logits)
    np.testing.assert_allclose(found, 0 * gradient if estimator == "k1" else gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("estimator", ["k1", "abs"])
def test_an_estimator_without_the_gradient_is_refused_in_the_loss(estimator: str) -> None:
    with pytest.raises(
        ValidationError, match=rf"kl_estimator={estimator} in the loss .* use k2, k1\+ or k3\+"
    ):
        LossConfig(kl_estimator=estimator)
    assert LossConfig(kl_estimator=estimator, kl_in="reward").kl_estimator == estimator
    assert LossConfig(kl_estimator=estimator, kl_coef_general=0.0).kl_estimator == estimator


POLICY_LOSSES = [*sorted(SILENT_AT_ZERO), "geo_mean", "clip_cov", "kl_cov"]


@pytest.mark.parametrize("importance", ["none", "truncate"])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", POLICY_LOSSES)
def test_before_the_first_step_the_old_policy_is_the_one_that_computes(
    name: str, aggregation: str, importance: str
) -> None:
    """In float64: without a column of old log-probabilities the gradient is that with the policy's own."""
    spec = LossSpec(
        name, clip_low=CLIP_LOW, clip_high=CLIP_HIGH, aggregation=aggregation, importance=importance
    )
    given = inputs(LENGTHS)
    columns = dict(given.columns) | {"old_logprobs": given.logprobs}
    torch.manual_seed(0)  # clip_cov draws the tokens that it leaves out
    with_column = gradient_of(spec, dataclasses.replace(given, columns=columns))
    del columns["old_logprobs"]
    torch.manual_seed(0)
    without = gradient_of(spec, dataclasses.replace(given, columns=columns))
    assert with_column.abs().max() > 0 and torch.equal(without, with_column)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", sorted(SILENT_AT_ZERO))
def test_the_sampler_s_log_probabilities_change_a_gradient_by_no_more_than_they_differ(
    name: str, aggregation: str
) -> None:
    """In float64, 4e-7 apart, as float32 rounds (``mismatch_kl`` 1e-13): 1e-6 of the gradient."""
    spec = LossSpec(name, clip_low=CLIP_LOW, clip_high=CLIP_HIGH, aggregation=aggregation)
    given, rng = inputs(LENGTHS), np.random.default_rng(3)
    rounding = torch.from_numpy(rng.uniform(-4e-7, 4e-7, given.mask.shape))
    of_sampler = dict(given.columns) | {"old_logprobs": given.columns["old_logprobs"] + rounding}
    exact, close = gradient_of(spec, given), gradient_of(spec, dataclasses.replace(given, columns=of_sampler))
    assert 0 < (close - exact).abs().max() <= 1e-6 * exact.abs().max() or name == "gpg"  # has no ratio


def test_where_the_kl_has_no_coefficient_the_reference_need_not_be_asked() -> None:
    given = inputs(LENGTHS)
    given.scalars["kl_coef"][::2] = 0.0
    asked = gradient_of(PPO, given)
    given.columns["ref_logprobs"][::2] = 1000.0  # k3 of it is infinite
    assert torch.equal(gradient_of(PPO, given), asked)
