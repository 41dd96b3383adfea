"""On-policy distillation: how much likelier a teacher finds what the policy said, and how far the two are apart.

The policy's own rollouts are learnt from, so that it is corrected in the states it gets into (GKD, Agarwal et al.,
2306.13649; "On-Policy Distillation", Thinking Machines, 2025). Both forms descend KL(policy || teacher) token by token:
``reverse_kl`` sums over the vocabulary, ``teacher_advantages`` asks about the sampled token alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rl.data.token_sequence import Floats

if TYPE_CHECKING:
    import torch

NEVER = -1e4  # a log-probability whose probability is 0 in every dtype: 0 x this is 0, which 0 x -inf is not


def teacher_advantages(logprobs: Floats, teacher_logprobs: Floats) -> Floats:
    """A_t = log p_teacher(y_t) - log p_policy(y_t), in nats, of sampled tokens [n].

    Over the policy's own samples their mean is -KL(policy || teacher), and the gradient of the policy is that of
    ``reverse_kl``. A teacher that is the policy gives 0 at every token: no mean and no spread. Any other gives a
    spread, and a mean below 0.
    """
    return teacher_logprobs - logprobs


def reverse_kl(
    logprobs: torch.Tensor, teacher_logprobs: torch.Tensor, top_k: int | None = None
) -> torch.Tensor:
    """KL(policy || teacher) = sum of p (log p - log q) over the vocabulary, in nats: [n, vocabulary] each to [n].

    ``top_k`` tells only the policy's k likeliest tokens apart and takes the others for one: this is at most the whole
    KL, and the whole where k reaches the vocabulary. Tokens that neither may say (-inf) add nothing, also to gradients.
    """
    logprobs, teacher_logprobs = logprobs.clamp(min=NEVER), teacher_logprobs.clamp(min=NEVER)
    if top_k is not None and top_k < logprobs.shape[-1]:
        kept = logprobs.detach().topk(top_k, dim=-1).indices
        logprobs, teacher_logprobs = _with_rest(logprobs, kept), _with_rest(teacher_logprobs, kept)
    return (logprobs.exp() * (logprobs - teacher_logprobs)).sum(-1)


def _with_rest(logprobs: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """[n, vocabulary] to [n, k + 1]: the tokens that are kept, and all others as one."""
    import torch

    rest = logprobs.scatter(-1, kept, float("-inf")).logsumexp(-1, keepdim=True)
    return torch.cat([logprobs.gather(-1, kept), rest], dim=-1)
