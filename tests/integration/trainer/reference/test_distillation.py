"""The update of distillation, and of SFT that is held to a policy, against transformers in float64: the KL over the
vocabulary, written by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rl.algorithm.loss.losses import LossSpec

TEMPERATURE, COEF = 0.8, 1.7
RELATIVE = 1e-5


@pytest.fixture(scope="module")
def teachers(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two copies of the tiny model with other weights."""
    made = []
    for seed in (1, 2):
        path = tmp_path_factory.mktemp("teacher") / "hub"
        shutil.copytree(tiny_model, path)
        generator = torch.Generator().manual_seed(seed)
        weights = {
            name: one * (1 + 0.3 * torch.randn(one.shape, generator=generator))
            for name, one in load_file(path / "model.safetensors").items()
        }
        save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
        made.append(path)
    return made


@pytest.fixture(scope="module")
def named(case: Any, teachers: list[Path]) -> list[str]:
    """For each sequence its teacher: one of the two by its group, and every fourth has none."""
    names = [str(teachers[int(prompt_id[1:]) % 2]) for prompt_id in case.batch.prompt_ids]
    return ["" if index % 4 == 3 else name for index, name in enumerate(names)]


def tables(transformers: Any, case: Any, temperature: float = TEMPERATURE) -> list[torch.Tensor]:
    """For each sequence the log-probabilities [tokens learnt from, vocabulary]."""
    found = []
    for sample in case.samples:
        logits = sample.predictions(transformers.model)
        logits[:, case.forbidden] = -torch.inf
        found.append(torch.log_softmax(logits / temperature, dim=-1))
    return found


@pytest.fixture(scope="module")
def of_teachers(
    case: Any, teachers: list[Path], named: list[str], transformers_model: Callable[..., Any]
) -> list[torch.Tensor | None]:
    """Each sequence's teacher's log-probabilities, by transformers."""
    with torch.no_grad():
        found = {str(path): tables(transformers_model(path), case) for path in teachers}
    return [found[name][index] if name else None for index, name in enumerate(named)]


def kl_by_hand(policy: torch.Tensor, teacher: torch.Tensor, top_k: int | None) -> torch.Tensor:
    """A row at a time, over the tokens that may be said: the likeliest apart, the others together."""
    rows = []
    for of_policy, of_teacher in zip(policy, teacher, strict=True):
        allowed = torch.isfinite(of_policy).sum()
        order = of_policy.detach().argsort(descending=True)[:allowed]
        p, q = of_policy[order].exp(), of_teacher[order].exp()
        if top_k is not None:
            p = torch.cat([p[:top_k], p[top_k:].sum()[None]])
            q = torch.cat([q[:top_k], q[top_k:].sum()[None]])
        rows.append((p * (p / q).log()).sum())
    return torch.stack(rows)


@pytest.fixture(scope="module", params=[None, 5])
def truth(
    request: pytest.FixtureRequest,
    tiny_model: Path,
    case: Any,
    of_teachers: list[torch.Tensor | None],
    transformers_model: Callable[..., Any],
) -> tuple[int | None, float, float, float]:
    """top_k, and of the policy gradient and the KL together: the loss, its gradient's norm, the mean KL a token."""
    transformers = transformers_model(tiny_model)
    surrogates, kls = [], []
    for policy, teacher, sample in zip(tables(transformers, case), of_teachers, case.samples, strict=True):
        advantages = torch.from_numpy(case.batch.column("advantages")[sample.index]).double()
        now = policy[torch.arange(len(policy)), sample.targets]
        surrogates.append(-(now - now.detach()).exp() * advantages)  # a ratio of 1: on-policy, no clip
        kls.append(
            torch.zeros(len(policy)) if teacher is None else kl_by_hand(policy, teacher, request.param)
        )
    kl = torch.cat(kls)
    loss = (torch.cat(surrogates) + COEF * kl).mean()
    norm = transformers.gradient_norm(loss)
    assert float(kl.mean().detach()) > 0.1, "teachers that differ"
    return request.param, float(loss.detach()), norm, float(kl.mean().detach())


@pytest.fixture(
    params=[
        pytest.param((1, {"zero_stage": 1}), id="zero1"),
        pytest.param((1, {"zero_stage": 1, "layout": "packed"}), id="packed"),
        pytest.param((2, {"zero_stage": 2, "micro_batch_tokens": 1}), id="zero2-2ranks-one-sequence-each"),
        pytest.param((2, {"zero_stage": 3}), id="zero3-2ranks"),
        pytest.param((2, {"zero_stage": 3, "layout": "packed"}), id="zero3-2ranks-packed"),
    ],
    scope="module",
)
def distiller(request: pytest.FixtureRequest, trainer: Callable[..., Any], teachers: list[Path]) -> Any:
    num_ranks, settings = request.param
    found = trainer(num_ranks, **settings)
    found.load_frozen([str(path) for path in teachers])
    return found


def test_loss_and_gradient(
    distiller: Any, case: Any, named: list[str], truth: tuple[int | None, float, float, float]
) -> None:
    """However the batch is cut; also a token at a time, when one rank's head takes more chunks than the other's."""
    top_k, loss, norm, kl = truth
    old, _ = distiller.logprobs(case.batch, temperature=TEMPERATURE)
    spec = LossSpec("vanilla", temperature=TEMPERATURE, teacher_coef=COEF, teacher_top_k=top_k)
    for logits_per_chunk in (1, 2**25):
        distiller._ranks.patch("rl.trainer.models.policy_model", "LOGITS_PER_CHUNK", logits_per_chunk)
        metrics = distiller.update([case.batch.with_columns(old_logprobs=old)], [0.0], spec, named)[0]
        assert metrics["loss"] == pytest.approx(loss, rel=RELATIVE)
        assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)
        assert metrics["teacher_kl"] == pytest.approx(kl, rel=RELATIVE)


@pytest.fixture(scope="module")
def held_truth(
    tiny_model: Path, case: Any, teachers: list[Path], transformers_model: Callable[..., Any]
) -> tuple[float, float, float, float]:
    """Of SFT that is held to the first of the two: the loss, its gradient's norm, and a token's mean NLL and KL."""
    transformers = transformers_model(tiny_model)
    with torch.no_grad():
        before = tables(transformers_model(teachers[0]), case, temperature=1.0)
    now = tables(transformers, case, temperature=1.0)
    nll = torch.cat(
        [-policy[range(len(policy)), one.targets] for policy, one in zip(now, case.samples, strict=True)]
    ).mean()
    kl = torch.cat([kl_by_hand(*pair, None) for pair in zip(now, before, strict=True)]).mean()
    norm = transformers.gradient_norm(nll + COEF * kl)
    return float((nll + COEF * kl).detach()), norm, float(nll.detach()), float(kl.detach())


def test_sft_that_is_held_to_a_policy(
    distiller: Any, case: Any, teachers: list[Path], held_truth: tuple[float, float, float, float]
) -> None:
    """NLL + coefficient x KL(policy || the one before), each a mean over the response tokens; the NLL stays apart."""
    loss, norm, nll, kl = held_truth
    assert kl > 0.1, "policies that differ"
    spec, names = LossSpec(teacher_coef=COEF), [str(teachers[0])] * len(case.batch)
    metrics = distiller.update([case.batch], [0.0], spec, names)[0]
    assert metrics["loss"] == pytest.approx(loss, rel=RELATIVE)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=RELATIVE)
    assert metrics["nll"] == pytest.approx(nll, rel=RELATIVE)
    assert metrics["teacher_kl"] == pytest.approx(kl, rel=RELATIVE)


def test_logprobs_of_each_sequences_teacher(
    distiller: Any, case: Any, named: list[str], of_teachers: list[torch.Tensor | None]
) -> None:
    """In the batch's order; where there is no teacher, the policy's own."""
    found, _ = distiller.logprobs(case.batch, temperature=TEMPERATURE, of=named)
    own, _ = distiller.logprobs(case.batch, temperature=TEMPERATURE)
    for sample, teacher in zip(case.samples, of_teachers, strict=True):
        wanted = own[sample.index]
        if teacher is not None:
            wanted = teacher[torch.arange(len(teacher)), sample.targets].numpy()
        np.testing.assert_allclose(found[sample.index], wanted, atol=2e-5)


def test_a_teacher_that_is_the_policy(distiller: Any, case: Any, tiny_model: Path) -> None:
    """No token has an advantage, the KL is 0, and so is its gradient, to rounding."""
    distiller.load_frozen([str(tiny_model)])
    same = [str(tiny_model)] * len(case.batch)
    own, _ = distiller.logprobs(case.batch)
    np.testing.assert_array_equal(distiller.logprobs(case.batch, of=same)[0], own)
    batch = case.batch.with_columns(old_logprobs=own, advantages=np.zeros_like(own))
    metrics = distiller.update([batch], [0.0], LossSpec("vanilla", teacher_coef=1.0), same)[0]
    assert abs(metrics["teacher_kl"]) < 1e-7 and metrics["grad_norm"] < 1e-5
