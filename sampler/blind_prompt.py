"""A prompt without its pictures and films, asked to find what can be answered from the text alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sampler.prompt import Prompt
from sampler.vision_input import VISION_KINDS


def without_vision(prompt: Prompt, caption: str | None = None) -> Prompt:
    """The same prompt by its id, with nothing to look at. ``caption`` stands where the first picture or film stood."""
    left = caption

    def shown(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        nonlocal left
        kept = []
        for part in parts:
            if part["type"] not in VISION_KINDS:
                kept.append(part)
            elif left is not None:
                kept.append({"type": "text", "text": f"[What is shown here: {left}]\n"})
                left = None
        return kept or [{"type": "text", "text": ""}]

    messages = tuple({**message, "content": shown(message["content"])} for message in prompt.messages)
    return replace(prompt, messages=messages, images=(), videos=())


def asked_to_describe(prompt: Prompt, instruction: str) -> Prompt:
    """A question for a description of what the prompt shows, under the prompt's id."""
    vision = [
        part for message in prompt.messages for part in message["content"] if part["type"] in VISION_KINDS
    ]
    message = {"role": "user", "content": [*vision, {"type": "text", "text": instruction}]}
    return replace(prompt, messages=(message,))
