"""Stages that go by what is asked and expected: they run no model."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from recipes.pipelines.rules.multi_question import asks_several, holds_several
from recipes.pipelines.rules.open_question import open_question
from recipes.pipelines.rules.phrase_answer import is_phrase
from recipes.pipelines.stage import Outcome, PipelineStage, Profiler, sifted
from sampler.prompt import Prompt

REGIONS = (
    "bbox",
    "point",
    "polygon",
    "spot",
)  # verifiers whose references are places, whatever text they stand in


class OpenEndedStage(PipelineStage):
    """Multiple choice becomes open-ended: the options go, the right one's text is the reference."""

    verifiers: tuple[str, ...] = Field(
        ("choice",), description="prompts of these verifiers are multiple choice"
    )
    keep_others: bool = Field(False, description="keep multiple choice that has no open-ended form")

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        kept, dropped, rewritten = [], {}, {}
        for prompt in prompts:
            if prompt.verifier not in self.verifiers:
                kept.append(prompt)
            elif isinstance(found := self._opened(prompt), Prompt):
                kept.append(found)
                rewritten[prompt.prompt_id] = found.prompt_id
            elif self.keep_others:
                kept.append(prompt)
            else:
                dropped[prompt.prompt_id] = found
        return Outcome(kept, dropped, rewritten)

    def _opened(self, prompt: Prompt) -> Prompt | str:
        texts = [part for part in prompt.messages[-1]["content"] if part["type"] == "text"]
        if len(texts) != 1:
            return "the question stands in several parts"
        found = open_question(texts[0]["text"], prompt.reference)
        if isinstance(found, str):
            return found
        content = [
            {**part, "text": found.question} if part["type"] == "text" else part
            for part in prompt.messages[-1]["content"]
        ]
        return Prompt.build(
            messages=[*prompt.messages[:-1], {**prompt.messages[-1], "content": content}],
            images=prompt.images,
            videos=prompt.videos,
            kind=prompt.kind,
            verifier=found.verifier,
            reference=found.reference,
            source=prompt.source,
            tags=prompt.tags,
        )


class OneQuestionStage(PipelineStage):
    """Prompts that ask several things at once, or expect several answers, are dropped."""

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        return sifted(prompts, _several)


class ShortAnswerStage(PipelineStage):
    """Prompts whose reference is a phrase, which no rule compares fairly, are dropped."""

    max_words: int = Field(
        2, ge=1, description="words that an answer may have; a quantity's unit counts for none"
    )

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        return sifted(prompts, self._phrase)

    def _phrase(self, prompt: Prompt) -> str | None:
        if (
            prompt.verifier is None
            or not isinstance(prompt.reference, str)
            or prompt.verifier.startswith(REGIONS)
        ):
            return None
        return "the answer is a phrase" if is_phrase(prompt.reference, max_words=self.max_words) else None


class BoxedStage(PipelineStage):
    """Questions whose answer a rule reads are told to give it in a box."""

    instruction: str = Field(
        "Put the final answer in \\boxed{}.", description="added to a question that does not ask for a box"
    )
    verifiers: tuple[str, ...] = Field(("math", "number", "string"), description="prompts of these verifiers")

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        kept, rewritten = [], {}
        for prompt in prompts:
            told = (
                self._told(prompt)
                if prompt.verifier in self.verifiers and "boxed" not in prompt.text
                else prompt
            )
            kept.append(told)
            if told is not prompt:
                rewritten[prompt.prompt_id] = told.prompt_id
        return Outcome(kept, {}, rewritten)

    def _told(self, prompt: Prompt) -> Prompt:
        last = prompt.messages[-1]
        content = [*last["content"], {"type": "text", "text": f"\n{self.instruction}"}]
        fields = {
            name: getattr(prompt, name)
            for name in (
                "images",
                "videos",
                "kind",
                "verifier",
                "verifier_options",
                "reference",
                "source",
                "tags",
            )
        }
        return Prompt.build(messages=[*prompt.messages[:-1], {**last, "content": content}], **fields)


def _several(prompt: Prompt) -> str | None:
    if prompt.verifier is None:
        return None  # a general prompt may ask what it likes
    if prompt.verifier != "choice" and (why := asks_several(prompt.text)) is not None:
        return why
    if isinstance(prompt.reference, str) and prompt.verifier in ("math", "number", "string"):
        return "the reference holds several answers" if holds_several(prompt.reference) else None
    return None
