"""Stages that say what a prompt is about, and take as many of each."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field, field_validator

from recipes.pipelines.stage import Outcome, PipelineStage, Profiler
from sampler.prompt import Prompt

# By capability; the first that a question matches is its first tag.
CAPABILITIES: dict[str, str] = {
    "grounding": r"bounding box|\bbbox\b|\blocate\b|point (?:to|at)|coordinates? of",
    "counting": r"how many|\bcount\b|number of",
    "text": r"\bread\b|\bwritten\b|what does (?:the|this) (?:sign|text|label)|transcribe|\bocr\b|\bspell",
    "chart": r"\bchart\b|\bgraph\b|\bplot\b|\baxis\b|\btable\b|\bdiagram\b",
    "geometry": r"\bangle\b|\btriangle\b|\bcircle\b|\barea\b|\bperimeter\b|\bradius\b|\bparallel\b|\blength of\b",
    "calculation": r"\bsum\b|\bdifference\b|\bproduct of\b|calculate|compute|\bequation\b|\bsolve\b",
    "comparison": r"\b(?:larger|smaller|largest|smallest|more|fewer|taller|shorter|compare|difference between)\b",
    "place": r"\b(?:left|right|above|below|behind|in front|next to|between)\b",
    "description": r"\bdescribe\b|\bcaption\b|what is (?:happening|shown)|\bexplain\b|\bstory\b",
    "colour": r"\bcolou?r\b",
}


class TagStage(PipelineStage):
    """Questions are tagged by what they ask for; the tag goes before those that are there."""

    patterns: dict[str, str] = Field(
        CAPABILITIES,
        description="by tag a regular expression over the question, in any case; the first that fits counts",
    )
    otherwise: str = Field("other", description="the tag of a question that none fits, where it has no tag")
    keep_own: bool = Field(True, description="a prompt that has a tag keeps it as its first")

    @field_validator("patterns")
    @classmethod
    def _patterns(cls, given: dict[str, str]) -> dict[str, str]:
        for tag, pattern in given.items():
            try:
                re.compile(pattern)
            except re.error as why:
                raise ValueError(f"the pattern of tag {tag!r} is no regular expression: {why}") from None
        return given

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        return Outcome([self._tagged(prompt) for prompt in prompts])

    def _tagged(self, prompt: Prompt) -> Prompt:
        if prompt.tags and self.keep_own:
            return prompt
        text = prompt.text
        fits = (tag for tag, pattern in self.patterns.items() if re.search(pattern, text, re.IGNORECASE))
        tag = next(fits, None) or ("" if prompt.tags else self.otherwise)
        return prompt if not tag else replace(prompt, tags=(tag, *(own for own in prompt.tags if own != tag)))


class StratifyStage(PipelineStage):
    """As many prompts of each tag as there are, and of each reference within a tag, at most ``num`` in all."""

    num: int = Field(..., ge=1, description="prompts kept at most")
    max_share: float = Field(1.0, gt=0, le=1, description="of these that one tag may have")
    seed: int = Field(0, description="another seed keeps others")

    def apply(self, prompts: Sequence[Prompt], profiler: Profiler) -> Outcome:
        """In turns: one of each tag, and of a tag one of each reference before a second, in an order that depends on
        the seed and the prompt ids alone; of a tag at most ``max_share`` of ``num``."""
        draws = [hashlib.sha256(f"{self.seed} {prompt.prompt_id}".encode()).hexdigest() for prompt in prompts]
        of_reference: Counter[tuple[str, str]] = Counter()
        by_tag: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        for place in sorted(range(len(prompts)), key=draws.__getitem__):
            tag, reference = prompts[place].question_type, prompts[place].reference_text
            by_tag[tag].append((of_reference[tag, reference], draws[place], place))
            of_reference[tag, reference] += 1
        most = max(1, int(self.max_share * self.num))
        turns = sorted(
            (turn, draw, place)
            for drawn in by_tag.values()
            for turn, (_, draw, place) in enumerate(sorted(drawn)[:most])
        )
        chosen = {place for _, _, place in turns[: self.num]}
        kept = [prompt for place, prompt in enumerate(prompts) if place in chosen]
        dropped = {
            prompt.prompt_id: "more of its tag than asked for"
            for place, prompt in enumerate(prompts)
            if place not in chosen
        }
        return Outcome(kept, dropped)
