"""Rows of several sequences through the attention that torch has for them, whose kernel is stood in for on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.families import varlen_attention
from rl.trainer.collator import Collator
from rl.trainer.models.policy_model import PolicyModel
from sampler.vision_input import VisionInput


def by_sequence(
    query: Any, key: Any, value: Any, starts: Any, _: Any, longest: int, __: int, **settings: Any
) -> torch.Tensor:
    """What `varlen_attn` computes, one sequence at a time: [tokens, heads, dim] with bounds of the sequences."""
    assert starts.dtype == torch.int32 and starts[0] == 0 and starts[-1] == len(query)
    assert longest == int(starts.diff().max())
    assert settings["window_size"] == (-1, 0) and settings["enable_gqa"]
    parts = []
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        part = [one[start:end].transpose(0, 1) for one in (query, key, value)]
        mixed = scaled_dot_product_attention(*part, is_causal=True, scale=settings["scale"], enable_gqa=True)
        parts.append(mixed.transpose(0, 1))
    return torch.cat(parts)


@pytest.fixture
def batch(tiny: Any, picture: Callable[..., bytes]) -> Batch:
    """Texts of several lengths, two of them behind a picture."""
    rng = np.random.default_rng(2)
    shown = VisionInput.of("image", picture(0))
    content = [{"type": "image"}, {"type": "text", "text": "the sum of the digits?"}]
    text = tiny.processor.apply_chat_template([{"role": "user", "content": content}])
    pictured = tiny.processor(text=[text], images=[torch.zeros(3, 32, 32)], return_tensors="np")["input_ids"][
        0
    ]
    sequences = []
    for index in range(5):
        prompt = pictured if index % 2 else rng.integers(0, 200, 3 + 2 * index)
        sequences.append(
            TokenSequence.of_response(
                f"r{index}",
                f"p{index}",
                prompt,
                rng.integers(0, 200, 4 + index),
                vision_inputs=(shown,) if index % 2 else (),
            )
        )
    return Batch.of(sequences)


@pytest.mark.parametrize("packed", [False, True])
def test_as_sdpa_computes_it(tiny: Any, batch: Batch, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen_attention, "varlen_attn", by_sequence)
    model = tiny.family.load_model(tiny.hub, dtype=torch.float32, attention=varlen_attention.NAME).eval()
    assert model.config.get_text_config()._attn_implementation == varlen_attention.NAME
    collate = Collator(
        tiny.family,
        tiny.processor,
        placeholder_ids=tiny.family.placeholder_ids(tiny.model.config),
        pad_token_id=tiny.processor.tokenizer.pad_token_id,
        packed=packed,
        always_picture=False,
        cache_bytes=2**20,
        device=torch.device("cpu"),
    )
    with torch.no_grad():
        got, wanted = (
            PolicyModel(tiny.family, one, tiny.forbidden)(collate(batch))[0] for one in (model, tiny.model)
        )
    torch.testing.assert_close(got, wanted, atol=2e-6, rtol=1e-5)
