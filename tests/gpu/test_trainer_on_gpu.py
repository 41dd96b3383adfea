"""What the CPU stands in for, on one GPU: torch's flash kernels, the head in bfloat16, the fused optimizer."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from rl.families.varlen_attention import varlen_attention
from rl.recipe.trainer_config import TrainerConfig
from rl.trainer.models.policy_model import LogprobHead

LENGTHS = (1, 70, 257, 40)


@pytest.mark.parametrize("batch", [1, 3])
def test_flash_kernels_over_a_packed_row(batch: int) -> None:
    """Forward and backward as sdpa with a mask has them, in bfloat16, with fewer key heads than query heads."""
    generator = torch.Generator("cuda").manual_seed(0)

    def drawn(heads: int) -> torch.Tensor:
        shape = (batch, heads, sum(LENGTHS), 64)
        return torch.randn(shape, generator=generator, device="cuda", dtype=torch.bfloat16).requires_grad_()

    query, key, value = drawn(8), drawn(2), drawn(2)
    positions = torch.cat([torch.arange(length) for length in LENGTHS]).cuda().expand(batch, -1)
    sequence = (positions == 0).cumsum(1)
    mask = (sequence[:, :, None] == sequence[:, None]).tril()[:, None]
    wanted = scaled_dot_product_attention(query, key, value, mask, enable_gqa=True).transpose(1, 2)
    got, _ = varlen_attention(torch.nn.Identity(), query, key, value, None, position_ids=positions)
    torch.testing.assert_close(got, wanted, atol=2e-2, rtol=2e-2)
    gradient = torch.randn_like(wanted)
    for one, other in zip(
        torch.autograd.grad(got, (query, key, value), gradient),
        torch.autograd.grad(wanted, (query, key, value), gradient),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=5e-2, rtol=5e-2)


@pytest.mark.parametrize("in_float32", [False, True])
def test_the_head_of_a_real_vocabulary_fits(in_float32: bool) -> None:
    """4,096 tokens of 151,936 possible ones: 2.3 GiB of logits in float32, of which a chunk is held at a time."""
    linear = torch.nn.Linear(2048, 151_936, bias=False, dtype=torch.bfloat16, device="cuda")
    head = LogprobHead(linear, (7,), in_float32=in_float32).cuda()
    hidden = torch.randn(4096, 2048, dtype=torch.bfloat16, device="cuda", requires_grad=True)
    targets = torch.randint(8, 151_936, (4096,), device="cuda")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    logprobs, entropy, _ = head(hidden, targets, 1.0, True)
    assert entropy is not None
    (logprobs.sum() + entropy.sum()).backward()
    weights = 4 * linear.weight.numel() * (3 if in_float32 else 2)  # the copy, and gradients, in float32
    assert torch.cuda.max_memory_allocated() - before < weights + 2**30
    some = slice(0, 64)
    logits = hidden[some].double() @ linear.weight.double().T
    logits[:, 7] = -torch.inf
    truth = torch.log_softmax(logits, -1).gather(1, targets[some, None]).squeeze(1)
    torch.testing.assert_close(logprobs[some].double(), truth, atol=1e-4 if in_float32 else 3e-2, rtol=0)


def test_the_optimizer_is_fused_and_needs_no_compiler() -> None:
    from rl.trainer.models.deepspeed_model import deepspeed_config

    settings = deepspeed_config(TrainerConfig(), dtype="bfloat16", device="cuda")["optimizer"]["params"]
    assert settings["torch_adam"] and settings["fused"]
    parameter = torch.nn.Parameter(torch.ones(1000, device="cuda"))
    parameter.grad = torch.ones_like(parameter)
    torch.optim.AdamW([parameter], lr=0.1, fused=True).step()
    assert (parameter < 1).all()
