"""Distillation's two forms against formulas written out in float64, against each other, and where they are silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rl.algorithm.distillation import Distillation, of_prompt, reverse_kl, teacher_advantages
from rl.algorithm.old_logprobs import old_logprobs_source
from rl.recipe.distillation_config import DistillationConfig
from rl.recipe.rl_config import LossConfig, RlConfig
from rl.recipe.trainer_config import ScheduleConfig
from sampler.prompt import Prompt
from verifiers.errors import BadInput

ROWS, VOCAB = 7, 12
FORBIDDEN = [3, 8]


def drawn(seed: int, spread: float = 1.0) -> torch.Tensor:
    """Logits [rows, vocabulary] in float64."""
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(ROWS, VOCAB, generator=generator, dtype=torch.float64)


def logprobs_of(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.index_fill(1, torch.tensor(FORBIDDEN), -torch.inf), dim=-1)


def by_hand(policy: torch.Tensor, teacher: torch.Tensor, top_k: int) -> np.ndarray:
    """Token by token: the k likeliest, then what is left of both distributions."""
    found = []
    for p, q in zip(policy.exp().numpy(), teacher.exp().numpy(), strict=True):
        order = np.argsort(-p)
        kept, others = order[:top_k], order[top_k:]
        pairs = [(p[i], q[i]) for i in kept] + [(p[others].sum(), q[others].sum())]
        found.append(sum(a * np.log(a / b) for a, b in pairs if a > 0))
    return np.array(found)


@pytest.mark.parametrize("top_k", [None, 1, 2, 5, VOCAB - 3, VOCAB - 1, VOCAB, VOCAB + 3])
def test_values_by_hand(top_k: int | None) -> None:
    policy, teacher = logprobs_of(drawn(1)), logprobs_of(drawn(2))
    found = reverse_kl(policy, teacher, top_k).numpy()
    np.testing.assert_allclose(found, by_hand(policy, teacher, min(top_k or VOCAB, VOCAB)), rtol=1e-12)
    whole = reverse_kl(policy, teacher).numpy()
    assert (found <= whole + 1e-12).all() and (found > 0).all()


@pytest.mark.parametrize("top_k", [None, 3, VOCAB - 1])
def test_gradients_by_finite_differences(top_k: int | None) -> None:
    """Of the policy's logits, with tokens forbidden; none reaches the teacher's where it holds none."""
    teacher = logprobs_of(drawn(2))
    logits = drawn(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: reverse_kl(logprobs_of(z), teacher, top_k), (logits,))


def test_the_sampled_form_descends_the_same_kl() -> None:
    """Over all tokens that the policy may say, each as often as it says it: the policy gradient of the advantages is
    the gradient of the KL, and their mean is minus the KL."""
    logits, teacher = drawn(1).requires_grad_(), logprobs_of(drawn(2))
    policy = logprobs_of(logits)
    allowed = [token for token in range(VOCAB) if token not in FORBIDDEN]
    now = policy.detach()[:, allowed]
    advantages = torch.from_numpy(teacher_advantages(now.numpy(), teacher[:, allowed].numpy()))
    np.testing.assert_allclose((now.exp() * advantages).sum(-1), -reverse_kl(policy, teacher).detach())
    (of_sampled,) = torch.autograd.grad(
        -(now.exp() * advantages * policy[:, allowed]).sum(), logits, retain_graph=True
    )
    (of_kl,) = torch.autograd.grad(reverse_kl(policy, teacher).sum(), logits)
    np.testing.assert_allclose(of_sampled, of_kl, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("top_k", [None, 4])
def test_a_teacher_that_is_the_policy_is_silent(top_k: int | None) -> None:
    """Exactly 0 everywhere: mean and spread of the advantages, the KL, and its gradient to rounding."""
    logits = drawn(1).float().requires_grad_()
    policy = logprobs_of(logits)
    said = policy.detach().max(-1).values.numpy()
    assert not teacher_advantages(said, said.copy()).any()
    kl = reverse_kl(policy, policy.detach(), top_k)
    assert not kl.detach().any()
    kl.sum().backward()
    assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-6


@pytest.mark.parametrize("size", [1e-3, 1e-1, 1.0])
def test_a_teacher_that_is_not_the_policy_has_a_spread(size: float) -> None:
    """A perturbed copy: sampled advantages scatter, and their mean is -KL within four standard errors."""
    logits = drawn(1)
    policy, teacher = logprobs_of(logits), logprobs_of(logits + drawn(2, size))
    tokens = torch.multinomial(
        policy.exp(), 4000, replacement=True, generator=torch.Generator().manual_seed(3)
    )
    advantages = teacher_advantages(policy.gather(1, tokens).numpy(), teacher.gather(1, tokens).numpy())
    assert advantages.std() > 0.1 * size
    error = advantages.mean() + float(reverse_kl(policy, teacher).mean())
    assert abs(error) < 4 * advantages.std() / np.sqrt(advantages.size)


def prompt(kind: str, *tags: str) -> Prompt:
    return Prompt("p", (), kind=kind, tags=tags)  # type: ignore[arg-type]


def test_a_teacher_for_every_prompt() -> None:
    """By question type, which is the first tag; then by kind; then the one for all."""
    teachers = {"sum": "a", "general": "b", "all": "c"}
    asked = [prompt("verifiable", "sum", "hard"), prompt("general"), prompt("verifiable", "hard", "sum")]
    assert [of_prompt(one, teachers) for one in asked] == ["a", "b", "c"]
    assert of_prompt(asked[2], {"sum": "a"}) == ""


@pytest.mark.parametrize("form", ["sampled", "full"])
def test_rewards_and_a_teacher_by_their_weights(form: str) -> None:
    """GRPO of rewards 1 and 0 is +-1/sqrt(2); 0.5 of it, and 2 of the teacher's, which in full form is the loss's."""
    config = DistillationConfig(form=form, coef=2.0, reward_coef=0.5, top_k=3)  # type: ignore[arg-type]
    algorithm = Distillation(RlConfig(), config, {"all": "teacher"})
    of_teacher = [np.float32([0.25, -1.0]), np.float32([0.5])]
    found = algorithm.estimate([1.0, 0.0], ["p", "p"], [2, 1], of_teacher=of_teacher).advantages
    own = 0.5 / np.sqrt(2)
    wanted = [[own + 0.5, own - 2.0], [-own + 1.0]]
    assert algorithm.needs_groups and algorithm.needs_rewards
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4)
    loss = algorithm.policy_loss
    assert (loss.teacher_coef, loss.teacher_top_k) == (2.0 if form == "full" else 0.0, 3)


def test_a_teacher_alone_needs_neither_groups_nor_a_reference() -> None:
    """Nor a critic, nor rewards that differ; without one, all advantages are 0."""
    rl = RlConfig(
        advantage="decoupled_gae",
        dynamic_sampling=True,
        rollouts_per_step=64,
        loss=LossConfig(kl_coef_general=0.1),
    )
    config = DistillationConfig(prompts_per_step=16, samples_per_prompt=1, steps=3)
    algorithm = Distillation(rl, config, {"sum": "teacher"})
    assert not (algorithm.needs_groups or algorithm.needs_critic or algorithm.needs_rewards)
    assert not algorithm.needs_reference(["general", "verifiable"]) and not algorithm.max_refills
    assert algorithm.left_out([1.0, 1.0, None], ["p", "p", "q"]) == [None] * 3
    assert not np.concatenate(algorithm.estimate([1.0, 0.0], ["p", "q"], [2, 3]).advantages).any()
    used = algorithm.config
    assert (used.steps, used.prompts_per_step, used.rollouts_per_step) == (3, 16, None)
    assert used.samples_per_prompt == used.samples_per_general_prompt == 1
    algorithm.check([prompt("verifiable", "sum")])
    with pytest.raises(BadInput, match=r"nobody teaches on 1 training prompt .*name a teacher for where"):
        algorithm.check([prompt("verifiable", "sum"), prompt("verifiable", "where")])
    with pytest.raises(BadInput, match="nobody teaches"):
        Distillation(rl, config, {})


def test_its_own_schedule_is_that_of_every_round() -> None:
    """The later rate of ``rl`` would start it at 1e-6 and let it rise to 1e-5; without a schedule it counts."""
    rl = RlConfig(schedule=ScheduleConfig(lr=3e-6), later_lr=1e-6)
    own = DistillationConfig(schedule=ScheduleConfig(lr=1e-4, min_lr=1e-5)).applied_to(rl)
    assert own.schedule.peaking_at(own.later_lr).lr == 1e-4
    as_rl = DistillationConfig().applied_to(rl)
    assert as_rl.schedule.peaking_at(as_rl.later_lr).lr == 1e-6


@pytest.mark.parametrize("form", ["sampled", "full"])
def test_what_it_makes_of_the_section_rl_is_such_a_section(form: str) -> None:
    config = DistillationConfig(form=form, schedule=ScheduleConfig(lr=1e-4, min_lr=1e-5))  # type: ignore[arg-type]
    applied = config.applied_to(RlConfig(later_lr=1e-6, dynamic_sampling=True, rollouts_per_step=64))
    assert RlConfig.model_validate(applied.model_dump()) == applied
    assert old_logprobs_source(applied, in_float32=True) == ("trainer" if form == "sampled" else "sampler")
