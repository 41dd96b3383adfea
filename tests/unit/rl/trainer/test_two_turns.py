"""Two turns with a masked gap between them: loss and every gradient against transformers in float64."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rl.algorithm.loss.losses import LossInputs, LossSpec, compute_loss
from rl.data.batch import Batch
from rl.data.token_sequence import TokenSequence
from rl.trainer.collator import Collator
from rl.trainer.models.policy_model import PolicyModel
from sampler.vision_input import VisionInput


@pytest.fixture(scope="module")
def two_turns(tiny: Any, picture: Callable[..., bytes]) -> tuple[TokenSequence, dict[str, Any]]:
    """A question with a picture, a response, a tool's answer with another picture, a response; and transformers' inputs
    of the same. Responses are learnt from, but for one token in the middle of the first."""
    rng = np.random.default_rng(8)
    allowed = [i for i in range(len(tiny.processor.tokenizer)) if i not in tiny.forbidden]
    encoded = [picture(1, 32, 48), picture(2, 64, 32)]
    tokens, mask, turns = [], [], []
    for number, response_length in enumerate((9, 6)):
        content = [{"type": "image"}, {"type": "text", "text": ("the sum?", "Look closer.")[number]}]
        text = tiny.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        image = Image.open(io.BytesIO(encoded[number]))
        turns.append(tiny.processor(text=[text], images=[image], return_tensors="pt"))
        asked, response = turns[-1]["input_ids"][0].numpy(), rng.choice(allowed, response_length)
        tokens += [asked, response]
        mask += [np.zeros(len(asked)), np.ones(response_length)]
    mask[1][4] = 0
    sequence = TokenSequence(
        "s",
        "p",
        np.concatenate(tokens).astype(np.int32),
        np.concatenate(mask).astype(np.float32),
        vision_inputs=tuple(VisionInput.of("image", each) for each in encoded),
    )
    input_ids = torch.from_numpy(sequence.token_ids.astype(np.int64))[None]
    inputs = {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "mm_token_type_ids": (input_ids == tiny.model.config.image_token_id).long(),
        "pixel_values": torch.cat([turn["pixel_values"] for turn in turns]).double(),
        "image_grid_thw": torch.cat([turn["image_grid_thw"] for turn in turns]),
    }
    return sequence, inputs


def reference(tiny: Any, sequence: TokenSequence, inputs: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Mean negative log-likelihood of the tokens learnt from, and each parameter's gradient."""
    from transformers import Qwen3VLMoeForConditionalGeneration

    model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(
        tiny.hub, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
    )
    learnt = torch.from_numpy(np.flatnonzero(sequence.loss_mask))
    logits = model(**inputs).logits[0, learnt - 1].clone()
    logits[:, list(tiny.forbidden)] = -torch.inf
    loss = torch.nn.functional.cross_entropy(logits, inputs["input_ids"][0, learnt])
    loss.backward()
    return float(loss.detach()), {name: one.grad for name, one in model.named_parameters()}


@pytest.mark.parametrize("packed", [False, True])
def test_loss_and_gradients(tiny: Any, two_turns: tuple[TokenSequence, dict[str, Any]], packed: bool) -> None:
    """Beside a sequence of which nothing is learnt."""
    sequence, inputs = two_turns
    wanted, gradients = reference(tiny, sequence, inputs)
    silent = TokenSequence("t", "q", sequence.token_ids[-20:], np.zeros(20, np.float32))
    batch = Batch.of([silent, sequence])
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
    tensors = collate(batch)
    assert tensors.targets.tolist() == sequence.token_ids[sequence.loss_mask > 0].tolist()
    tiny.model.zero_grad()
    logprobs = PolicyModel(tiny.family, tiny.model, tiny.forbidden)(tensors).logprobs
    given = LossInputs(
        mask=tensors.matrix(torch.ones(len(logprobs))),
        columns={},
        scalars={},
        counts=batch.counts,
        data_parallel=1,
        logprobs=tensors.matrix(logprobs),
    )
    loss, _ = compute_loss(LossSpec(), given)
    loss.backward()
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    largest = max(float(each.abs().max()) for each in gradients.values() if each is not None)
    for name, parameter in tiny.model.named_parameters():
        got = torch.zeros(()) if parameter.grad is None else parameter.grad.double()
        truth = torch.zeros(()) if gradients[name] is None else gradients[name]
        assert float((got - truth).abs().max()) < 1e-5 * largest, name
    tiny.model.zero_grad()


def test_nothing_to_learn_from_at_all(tiny: Any) -> None:
    """A micro-batch of silent sequences: a loss of 0 that can be differentiated, as every rank must."""
    policy = PolicyModel(tiny.family, tiny.model, tiny.forbidden)
    collate = Collator(
        tiny.family,
        tiny.processor,
        placeholder_ids=tiny.family.placeholder_ids(tiny.model.config),
        pad_token_id=tiny.processor.tokenizer.pad_token_id,
        packed=False,
        always_picture=True,
        cache_bytes=0,
        device=torch.device("cpu"),
    )
    batch = Batch.of([TokenSequence("s", "p", np.arange(4, dtype=np.int32), np.zeros(4, np.float32))])
    tensors = collate(batch)
    logprobs, entropy, _ = policy(tensors, 1.0, True)
    assert (len(logprobs), len(entropy), tensors.matrix(logprobs).shape) == (0, 0, (1, 1))
    tensors.matrix(logprobs).sum().backward()
    assert not any(one.grad.any() for one in tiny.model.parameters() if one.grad is not None)
    tiny.model.zero_grad()
