"""Two final answers to one prompt, put to a generative judge as a question with one word for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reward_models.quoted_answer import quoted
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput

INDICATORS = ("1", "2")  # the judge's answer: which response is better


@dataclass(frozen=True)
class AnswerComparison:
    """``first`` and ``second`` are final answers: there is no field through which a thought could reach the judge.

    >>> Comparison("c", Prompt.build(messages=[]), FinalAnswer("a"), FinalAnswer("b")).swapped().first.text
    'b'
    """

    comparison_id: str
    prompt: Prompt
    first: FinalAnswer
    second: FinalAnswer
    against_reference: bool = (
        False  # `second` is the prompt's: a judge that needs no second may leave it aside
    )

    def swapped(self) -> AnswerComparison:
        """The same two answers in the other order."""
        return replace(self, first=self.second, second=self.first)

    def to_prompt(self) -> Prompt:
        """The judge's prompt: the pictures, the question, both answers; its id is the comparison's."""
        text = (
            f"{self.prompt.text}\n"
            f"Response 1: {quoted(self.first.text)}\n"
            f"Response 2: {quoted(self.second.text)}\n"
            "Which response is better?"
        )
        pictures: list[Mapping[str, Any]] = [{"type": "image"} for _ in self.prompt.images]
        videos: list[Mapping[str, Any]] = [{"type": "video"} for _ in self.prompt.videos]
        return Prompt.build(
            messages=[{"role": "user", "content": [*pictures, *videos, {"type": "text", "text": text}]}],
            images=self.prompt.images,
            videos=self.prompt.videos,
            kind="general",
            source=self.prompt.source,
            tags=self.prompt.tags,
            prompt_id=self.comparison_id,
        )


def indicator_token_ids(tokenizer: Any, words: tuple[str, str] = INDICATORS) -> tuple[int, int]:
    """The tokens a judge answers with. Raises: BadInput where one is not a single token of its own."""
    ids = [tokenizer.encode(word, add_special_tokens=False) for word in words]
    if any(len(one) != 1 for one in ids) or ids[0] == ids[1]:
        raise BadInput(f"the reward model's tokenizer has no single tokens for {' and '.join(words)}")
    return ids[0][0], ids[1][0]
