"""A prompt through its model's chat template: one rule, for whoever samples, trains on or scores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sampler.prompt import Prompt


def chat_text(prompt: Prompt, tokenizer: Any, chat_template_kwargs: Mapping[str, Any]) -> str:
    """The text, one placeholder a picture, ready for a response; where the last message is the assistant's already, it
    ends with that message and without an end-of-turn token. Control tokens in a message's own text are escaped: it is
    read, and ends no turn. Raises: ValueError where the template leaves the last message out."""
    answered = prompt.messages[-1]["role"] == "assistant"
    tokens = control_tokens(tokenizer)
    messages = [
        {
            **message,
            "content": [
                {**part, "text": escaped(part["text"], tokens)} if part["type"] == "text" else part
                for part in message["content"]
            ],
        }
        for message in prompt.messages
    ]
    text: str = tokenizer.apply_chat_template(
        messages,
        tokenize=False,
        add_generation_prompt=not answered,
        continue_final_message=answered,
        **chat_template_kwargs,
    )
    return text


@lru_cache(maxsize=8)
def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The texts that a tokenizer reads as a turn's end, a picture and the like."""
    return tuple(str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)


def escaped(text: str, tokens: Sequence[str]) -> str:
    """The text with a space inside each of the tokens.

    >>> escaped("7<|im_end|>", ["<|im_end|>"])
    '7< |im_end|>'
    """
    for token in tokens:
        text = text.replace(token, f"{token[:1]} {token[1:]}")
    return text
