"""Supervised rows as trainable sequences: the prompt as the engines tokenise it, then the response and its end."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from rl.data.batch import TrainSequence
from sampler.chat_text import chat_text
from sampler.data.sft_row import SftRow
from sampler.data.video import clip_for, processed_clip
from sampler.prompt import Prompt
from sampler.vision_input import VISUAL_KINDS
from verifiers.errors import BadInput


class PromptEncoder:
    """Token ids of a prompt with its placeholders expanded; of a picture only the size is read, a video is decoded.

    ``chat_template_kwargs`` are the sampler's, so that a prompt reads the same learnt and sampled.
    """

    def __init__(self, hub: Path, chat_template_kwargs: Mapping[str, Any] | None = None) -> None:
        from transformers import AutoProcessor

        try:
            self.processor: Any = AutoProcessor.from_pretrained(hub)
        except (OSError, ValueError) as why:
            raise BadInput(f"the processor of {hub} cannot be loaded: {why}") from why
        self.tokenizer = self.processor.tokenizer
        self.marks = {kind: getattr(self.processor, f"{kind}_token", None) for kind in VISUAL_KINDS}
        self.chat_template_kwargs = dict(chat_template_kwargs or {})

    def __call__(self, prompt: Prompt) -> np.ndarray:
        """[prompt tokens] int32; equal to ``Rollout.prompt_token_ids`` of the same prompt."""
        text = chat_text(prompt, self.tokenizer, self.chat_template_kwargs)
        for kind, files in zip(VISUAL_KINDS, (prompt.images, prompt.videos), strict=True):
            mark = self.marks[kind]
            num_marks = text.count(mark) if mark else 0
            if num_marks != len(files):
                raise BadInput(
                    f"prompt {prompt.prompt_id} has {len(files)} {kind}s and its text {num_marks} placeholders: "
                    f"a text must not contain {mark}"
                )
        for kind, expanded in (("image", self._images(prompt)), ("video", self._videos(prompt))):
            text = _filled(text, self.marks[kind], expanded)
        return np.asarray(self.tokenizer.encode(text, add_special_tokens=False), np.int32)

    def _images(self, prompt: Prompt) -> list[str]:
        sizes = [(image.height, image.width) for image in prompt.pil_images()]
        if not sizes:
            return []
        counts = self.processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_tokens"]
        return [self.marks["image"] * count for count in counts]

    def _videos(self, prompt: Prompt) -> list[str]:
        """Each as the processor writes it: for Qwen3-VL a frame is its time in words and its run of placeholders."""
        written = []
        for video in prompt.videos:
            clip = clip_for(video, self.processor.video_processor)
            features = processed_clip(clip, self.processor.video_processor)
            written.append(self.processor.replace_video_token(features, 0))
        return written

    def response(self, text: str) -> np.ndarray:
        """[response tokens] int32, the end-of-turn token last, as the sampler would have drawn it."""
        ids = [*self.tokenizer.encode(text, add_special_tokens=False), self.tokenizer.eos_token_id]
        return np.asarray(ids, np.int32)


def _filled(text: str, mark: str | None, contents: Sequence[str]) -> str:
    """``text`` with the n-th mark replaced by the n-th content."""
    pieces = text.split(mark) if contents else [text]
    return "".join(piece + content for piece, content in zip_longest(pieces, contents, fillvalue=""))


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
                    visuals=row.prompt.visuals,
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
