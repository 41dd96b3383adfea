"""A prompt as token ids, its placeholders expanded, as the engines tokenise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from sampler.chat_text import chat_text
from sampler.data.media.video import clip_of, processed_clip
from sampler.prompt import Prompt
from sampler.vision_input import VISION_KINDS, VisionInput
from verifiers.errors import BadInput

BYTES_OF_A_BYTE = 11  # at most, after any normalisation of Unicode (unicode.org/faq/normalization)


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
        self.placeholders = {kind: getattr(self.processor, f"{kind}_token", None) for kind in VISION_KINDS}
        self.chat_template_kwargs = dict(chat_template_kwargs or {})
        self._tokens_of = lru_cache(4096)(self._num_tokens)  # of a picture, by height and width

    def __call__(self, prompt: Prompt) -> np.ndarray:
        """[prompt tokens] int32; equal to ``Rollout.prompt_token_ids`` of the same prompt."""
        text = self._text(prompt)
        images = [str(self.placeholders["image"]) * count for count in self._image_tokens(prompt)]
        text = _filled(text, self.placeholders["image"], images)
        text = _filled(text, self.placeholders["video"], self._videos(prompt))
        return np.asarray(self.tokenizer.encode(text, add_special_tokens=False), np.int32)

    def is_longer(self, prompt: Prompt, limit: int) -> bool:
        """Whether the prompt has more than ``limit`` tokens; most need no tokenizer for that, since no token is shorter
        than a byte."""
        if not prompt.videos:
            most = BYTES_OF_A_BYTE * len(self._text(prompt).encode()) + sum(self._image_tokens(prompt))
            if most <= limit:
                return False
        return len(self(prompt)) > limit

    def _text(self, prompt: Prompt) -> str:
        """With one placeholder for each picture and video. Raises: BadInput where the text has others."""
        text = chat_text(prompt, self.tokenizer, self.chat_template_kwargs)
        for kind, files in zip(VISION_KINDS, (prompt.images, prompt.videos), strict=True):
            placeholder = self.placeholders[kind]
            num_marks = text.count(placeholder) if placeholder else 0
            if num_marks != len(files):
                raise BadInput(
                    f"prompt {prompt.prompt_id} has {len(files)} {kind}s and its text {num_marks} placeholders: "
                    f"the chat template must write {placeholder} for each"
                )
        return text

    def _image_tokens(self, prompt: Prompt) -> list[int]:
        sizes = [image.image_size()[::-1] for image in prompt.images]
        return [self._tokens_of(size) for size in sizes]

    def _num_tokens(self, size: tuple[int, int]) -> int:
        (count,) = self.processor._get_num_multimodal_tokens(image_sizes=[size])["num_image_tokens"]
        return int(count)

    def shrunk_size(self, width: int, height: int) -> tuple[int, int] | None:
        """What a picture of more pixels than the processor takes is shrunk to, about; None where it is not."""
        unit = self.processor.image_processor.patch_size * self.processor.image_processor.merge_size
        whole = max(1, round(width / unit)) * max(1, round(height / unit))
        scale = (self._tokens_of((height, width)) / whole) ** 0.5
        return (round(width * scale), round(height * scale)) if scale < 1 else None

    def _videos(self, prompt: Prompt) -> list[str]:
        """Each as the processor writes it: for Qwen3-VL a frame is its time in words and its run of placeholders."""
        written = []
        for video in prompt.videos:
            clip = clip_of(video, self.processor.video_processor)
            features = processed_clip(clip, self.processor.video_processor)
            written.append(self.processor.replace_video_token(features, 0))
        return written

    def film_grid(self, video: VisionInput) -> tuple[int, int]:
        """How many pictures of a video the model tells apart, and the tokens of each."""
        processor = self.processor.video_processor
        features = processed_clip(clip_of(video, processor), processor)
        pictures, rows, columns = map(int, features["video_grid_thw"][0])
        return pictures, rows * columns // processor.merge_size**2

    def response(self, text: str) -> np.ndarray:
        """[response tokens] int32, the end-of-turn token last, as the sampler would have drawn it; a text that ends in
        it has it once."""
        end = self.tokenizer.eos_token
        text = text.rstrip().removesuffix(end) if text.rstrip().endswith(end) else text
        ids = [*self.tokenizer.encode(text, add_special_tokens=False), self.tokenizer.eos_token_id]
        return np.asarray(ids, np.int32)


def _filled(text: str, placeholder: str | None, contents: Sequence[str]) -> str:
    """``text`` with the n-th mark replaced by the n-th content."""
    pieces = text.split(placeholder) if contents else [text]
    return "".join(piece + content for piece, content in zip_longest(pieces, contents, fillvalue=""))
