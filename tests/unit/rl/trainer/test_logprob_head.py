"""The head against formulas written out by hand in float64, whatever number of chunks it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import rl.trainer.models.policy_model
from rl.trainer.models.policy_model import LogprobHead, TeacherStates

TOKENS, HIDDEN, VOCAB = 40, 6, 11
FORBIDDEN = (1, 4)
TEMPERATURE = 0.7


class Case:
    """Hidden states, targets, and a gradient for each output."""

    def __init__(
        self, dtype: torch.dtype, *, tokens: int = TOKENS, vocab: int = VOCAB, seed: int = 0
    ) -> None:
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        self.linear = torch.nn.Linear(HIDDEN, vocab, bias=False, dtype=dtype)
        self.linear.weight.data = drawn(vocab, HIDDEN).to(dtype)
        self.hidden = drawn(tokens, HIDDEN).to(dtype).requires_grad_()
        allowed = [token for token in range(vocab) if token not in FORBIDDEN]
        self.targets = torch.tensor(allowed)[torch.randint(len(allowed), (tokens,), generator=generator)]
        self.of_logprobs, self.of_entropy = drawn(tokens), drawn(tokens)

    def run(self, *, with_entropy: bool = True, **settings: Any) -> list[torch.Tensor]:
        """Log-probabilities, entropies, and the gradients of hidden states and weight."""
        head = LogprobHead(self.linear, FORBIDDEN, **settings)
        logprobs, entropy, _ = head(self.hidden, self.targets, TEMPERATURE, with_entropy)
        outputs = [(logprobs, self.of_logprobs), *([(entropy, self.of_entropy)] if with_entropy else [])]
        value = sum((output * of.to(output.dtype)).sum() for output, of in outputs)
        gradients = torch.autograd.grad(value, (self.hidden, self.linear.weight))
        return [output.detach() for output, _ in outputs] + list(gradients)


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``chunks(rows)``: so many tokens at a time."""

    def set_rows(rows: int, vocab: int = VOCAB) -> None:
        monkeypatch.setattr(rl.trainer.models.policy_model, "LOGITS_PER_CHUNK", rows * vocab)

    return set_rows


def by_hand(case: Case, *, with_entropy: bool = True) -> list[np.ndarray]:
    """In float64 and token by token. With z the logits over the temperature, p their softmax and H its entropy:
    d log p[t] / d z = 1[t] - p and d H / d z = -p (log p + H)."""
    hidden, weight = case.hidden.detach().double().numpy(), case.linear.weight.detach().double().numpy()
    allowed = np.array([token not in FORBIDDEN for token in range(len(weight))])
    logprobs, entropies = [], []
    of_hidden, of_weight = np.zeros_like(hidden), np.zeros_like(weight)
    for i, target in enumerate(case.targets.tolist()):
        z = weight @ hidden[i] / TEMPERATURE
        log_p = z - np.log(np.exp(z[allowed]).sum())
        p = np.where(allowed, np.exp(log_p), 0.0)
        entropy = -(p * log_p).sum()
        logprobs.append(log_p[target])
        entropies.append(entropy)
        gradient = float(case.of_logprobs[i]) * ((np.arange(len(weight)) == target) - p)
        if with_entropy:
            gradient -= float(case.of_entropy[i]) * p * (log_p + entropy)
        of_hidden[i] = gradient @ weight / TEMPERATURE
        of_weight += np.outer(gradient, hidden[i]) / TEMPERATURE
    outputs = [np.array(logprobs), *([np.array(entropies)] if with_entropy else [])]
    return [*outputs, of_hidden, of_weight]


@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 7, TOKENS, 1000])
def test_values_and_gradients_by_hand(chunks: Callable[..., None], rows: int, with_entropy: bool) -> None:
    chunks(rows)
    for dtype, rtol in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        case = Case(dtype)
        wanted = by_hand(case, with_entropy=with_entropy)
        for got, want in zip(case.run(with_entropy=with_entropy), wanted, strict=True):
            np.testing.assert_allclose(got.double().numpy(), want, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("rows", [2, 100])
def test_gradients_by_finite_differences(chunks: Callable[..., None], rows: int, with_entropy: bool) -> None:
    """Of hidden states and weight; with tokens forbidden (probability 0) every gradient is finite."""
    chunks(rows)
    case = Case(torch.float64, tokens=5)
    head = LogprobHead(case.linear, FORBIDDEN)

    def outputs(hidden: torch.Tensor, weight: torch.Tensor) -> Any:
        head.weight.data = weight.detach()
        found = rl.trainer.models.policy_model._InChunks.apply(
            hidden,
            weight,
            lambda *given: rl.trainer.models.policy_model._columns(
                *given, forbidden=head.forbidden_ids, temperature=TEMPERATURE, with_entropy=with_entropy
            ),
            rows,
            case.targets,
        )
        return found

    assert torch.autograd.gradcheck(outputs, (case.hidden, case.linear.weight))


def test_one_chunk_is_bit_for_bit_what_autograd_makes_of_the_formula() -> None:
    case = Case(torch.float32, vocab=352, tokens=300)
    logits = case.linear(case.hidden)
    logits = logits.index_fill(1, torch.tensor(FORBIDDEN), -torch.inf) / TEMPERATURE
    logprobs = torch.log_softmax(logits, -1).gather(1, case.targets[:, None]).squeeze(1)
    value = (logprobs * case.of_logprobs.float()).sum()
    wanted = [logprobs.detach(), *torch.autograd.grad(value, (case.hidden, case.linear.weight))]
    for got, want in zip(case.run(with_entropy=False), wanted, strict=True):
        assert torch.equal(got, want)


def of_a_teacher(vocab: int = VOCAB, tokens: int = TOKENS, *, top_k: int | None = None) -> TeacherStates:
    """Of another width than the policy."""
    generator = torch.Generator().manual_seed(9)
    hidden, weight = (
        torch.randn(rows, HIDDEN + 2, generator=generator, dtype=torch.float64) for rows in (tokens, vocab)
    )
    return TeacherStates(hidden, weight, top_k)


@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_teachers_kl_by_hand(chunks: Callable[..., None], rows: int, top_k: int | None) -> None:
    """d KL / d z = p (log p - log q - KL), where tokens that are not told apart share one log-ratio."""
    chunks(2 * rows)
    case, teacher = Case(torch.float64), of_a_teacher(top_k=top_k)
    head = LogprobHead(case.linear, FORBIDDEN)
    kl = head(case.hidden, case.targets, TEMPERATURE, False, teacher).teacher_kl
    assert kl is not None
    gradients = torch.autograd.grad((kl * case.of_entropy).sum(), (case.hidden, case.linear.weight))

    hidden, weight = case.hidden.detach().numpy(), case.linear.weight.detach().numpy()
    allowed = np.array([token not in FORBIDDEN for token in range(VOCAB)])
    of_hidden, of_weight, found = np.zeros_like(hidden), np.zeros_like(weight), []
    for i in range(TOKENS):
        z, of_teacher = weight @ hidden[i] / TEMPERATURE, teacher.weight.numpy() @ teacher.hidden[i].numpy()
        p, q = (np.where(allowed, np.exp(one), 0.0) for one in (z, of_teacher / TEMPERATURE))
        p, q = p / p.sum(), q / q.sum()
        ratios = np.where(allowed, np.log(np.where(allowed, p, 1.0)) - np.log(np.where(allowed, q, 1.0)), 0.0)
        if top_k is not None:
            others = np.argsort(-p)[top_k:]
            ratios[others] = np.log(p[others].sum() / q[others].sum())
        found.append((p * ratios).sum())
        gradient = float(case.of_entropy[i]) * p * (ratios - found[-1])
        of_hidden[i] = gradient @ weight / TEMPERATURE
        of_weight += np.outer(gradient, hidden[i]) / TEMPERATURE
    for got, want in zip((kl.detach(), *gradients), (np.array(found), of_hidden, of_weight), strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-12)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, list | tuple) else [made]:
            if isinstance(one, torch.Tensor):
                self.numel = max(self.numel, one.numel())
        return made


def test_the_logits_of_all_tokens_never_exist(chunks: Callable[..., None]) -> None:
    """Neither forward nor backward makes a tensor larger than a chunk's logits."""
    tokens, vocab, rows = 200, 500, 20
    chunks(rows, vocab)
    with Largest() as largest:
        case = Case(torch.float32, tokens=tokens, vocab=vocab)
        case.run()
    assert largest.numel == rows * vocab
    largest, head = Largest(), LogprobHead(case.linear, FORBIDDEN)
    with largest:
        kl = head(case.hidden, case.targets, 1.0, True, of_a_teacher(vocab, tokens, top_k=4)).teacher_kl
        assert kl is not None
        kl.sum().backward()
    assert largest.numel <= rows * vocab


def test_in_float32(chunks: Callable[..., None]) -> None:
    """Logits that bfloat16 would round come out as float32 has them, and gradients are closer to the truth."""
    chunks(7)
    case = Case(torch.bfloat16)
    truth = by_hand(case)
    rounded, exact = case.run(), case.run(in_float32=True)
    assert [one.dtype for one in exact] == [torch.float32, torch.float32, torch.bfloat16, torch.bfloat16]
    errors = [
        [np.abs(got.double().numpy() - want).max() for got, want in zip(found, truth, strict=True)]
        for found in (rounded, exact)
    ]
    assert max(errors[1][:2]) < 1e-5 and min(errors[0][:2]) > 1e-3
    assert errors[1][2] < errors[0][2] and errors[1][3] < errors[0][3]


def test_the_weights_gradient_adds_up_in_float32(chunks: Callable[..., None]) -> None:
    """In bfloat16 a sum of 1,000 terms of one sign would stop growing at 256 times a term."""
    chunks(1)
    case = Case(torch.bfloat16, tokens=1000)
    with torch.no_grad():
        case.hidden.copy_(case.hidden[:1].expand_as(case.hidden))
    case.targets[:], case.of_logprobs[:] = 0, 1.0
    of_weight = case.run(with_entropy=False)[-1].double().numpy()
    np.testing.assert_allclose(of_weight, by_hand(case, with_entropy=False)[-1], rtol=0.02, atol=1.0)
