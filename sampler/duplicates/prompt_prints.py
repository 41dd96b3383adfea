"""A set of prompts made comparable: what each asks in normal form, which pictures it shows, what it expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sampler.duplicates.picture_print import PicturePrints
from sampler.duplicates.question_text import normal_text
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput


class PromptKey(NamedTuple):
    """Of one prompt: its normal text, the content hashes of what it shows in order, its normal reference."""

    text: str
    shown: tuple[str, ...]
    reference: str


@dataclass(frozen=True)
class PromptPrints:
    """Of a set, in its order; its pictures by content hash, and their prints."""

    keys: list[PromptKey]
    pictures: PicturePrints
    inputs: dict[str, VisionInput]

    @classmethod
    def of(cls, prompts: Sequence[Prompt]) -> PromptPrints:
        """Reads every picture once."""
        keys: list[PromptKey] = []
        shown: dict[str, VisionInput] = {}
        for prompt in prompts:
            inputs = prompt.vision_inputs
            hashes = tuple(one.content_hash for one in inputs)
            keys.append(PromptKey(normal_text(prompt.text), hashes, normal_text(prompt.reference_text)))
            shown.update((one.content_hash, one) for one in inputs)
        return cls(keys, PicturePrints.of(shown.values()), shown)
