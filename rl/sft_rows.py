"""Supervised rows as trainable sequences: the prompt as the engines tokenise it, then the response and its end."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl.batch import TrainSequence
from sampler.chat_text import chat_text
from sampler.prompt import Prompt
from sampler.sft_row import SftRow
from verifiers.errors import BadInput


class PromptEncoder:
    """Token ids of a prompt with its image placeholders expanded, without decoding a picture's pixels.

    ``chat_template_kwargs`` are the sampler's, so that a prompt reads the same learnt and sampled.
    """

    def __init__(self, hub: Path, chat_template_kwargs: Mapping[str, Any] | None = None) -> None:
        from transformers import AutoProcessor

        try:
            self.processor: Any = AutoProcessor.from_pretrained(hub)
        except (OSError, ValueError) as why:
            raise BadInput(f"the processor of {hub} cannot be loaded: {why}") from why
        self.tokenizer = self.processor.tokenizer
        self.image_token: str = self.processor.image_token
        self.chat_template_kwargs = dict(chat_template_kwargs or {})

    def __call__(self, prompt: Prompt) -> np.ndarray:
        """[prompt tokens] int32; equal to ``Rollout.prompt_token_ids`` of the same prompt."""
        text = chat_text(prompt, self.tokenizer, self.chat_template_kwargs)
        pieces = text.split(self.image_token)
        if len(pieces) - 1 != len(prompt.images):
            raise BadInput(
                f"prompt {prompt.prompt_id} has {len(prompt.images)} images and its text {len(pieces) - 1} "
                f"placeholders: a text must not contain {self.image_token}"
            )
        sizes = [(image.height, image.width) for image in prompt.pil_images()]
        counts = (
            self.processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_tokens"] if sizes else []
        )
        expanded = "".join(
            piece + self.image_token * (counts[i] if i < len(counts) else 0) for i, piece in enumerate(pieces)
        )
        return np.asarray(self.tokenizer.encode(expanded, add_special_tokens=False), np.int32)

    def response(self, text: str) -> np.ndarray:
        """[response tokens] int32, the end-of-turn token last, as the sampler would have drawn it."""
        ids = [*self.tokenizer.encode(text, add_special_tokens=False), self.tokenizer.eos_token_id]
        return np.asarray(ids, np.int32)


def sft_sequences(
    rows: Sequence[SftRow], encoder: PromptEncoder, *, max_tokens: int
) -> tuple[list[TrainSequence], int]:
    """Sequences of the rows, and how many rows were dropped because they are longer than ``max_tokens``."""
    sequences = []
    for number, row in enumerate(rows):
        prompt_ids, response_ids = encoder(row.prompt), encoder.response(row.response)
        if len(prompt_ids) + len(response_ids) <= max_tokens:
            sequences.append(
                TrainSequence(
                    sequence_id=f"sft-{number}",
                    prompt_id=row.prompt.prompt_id,
                    token_ids=np.concatenate([prompt_ids, response_ids]),
                    num_prompt_tokens=len(prompt_ids),
                    images=row.prompt.images,
                )
            )
    return sequences, len(rows) - len(sequences)


def epochs_of(num_items: int, *, seed: str) -> Iterator[int]:
    """Places of an endless row of epochs, each a new shuffle that hangs on the seed alone."""
    epoch = 0
    while True:
        order = list(range(num_items))
        random.Random(f"{seed} epoch {epoch}").shuffle(order)
        yield from order
        epoch += 1
