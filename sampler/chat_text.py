"""A prompt through its model's chat template: one rule, for whoever samples, trains on or scores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sampler.prompt import Prompt


def chat_text(prompt: Prompt, tokenizer: Any, chat_template_kwargs: Mapping[str, Any]) -> str:
    """The text, one placeholder a picture, ready for a response; where the last message is the assistant's already, it
    ends with that message and without an end-of-turn token. Raises: ValueError where the template leaves it out."""
    answered = prompt.messages[-1]["role"] == "assistant"
    text: str = tokenizer.apply_chat_template(
        list(prompt.messages),
        tokenize=False,
        add_generation_prompt=not answered,
        continue_final_message=answered,
        **chat_template_kwargs,
    )
    return text
