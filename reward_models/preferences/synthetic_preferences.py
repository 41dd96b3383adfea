"""Preference lists whose grades a rule gives: right and formatted > wrong and formatted > wrong and unformatted.

Seed1.5-VL (2505.07062, section 4.2) orders its synthetic lists so.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reward_models.preferences.preference import PreferenceList
from reward_models.thought_tags import holds_thought
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput
from verifiers.kit.mutation_pack import near_misses
from verifiers.reading.final_line import boxes
from verifiers.registry import load_verifier
from verifiers.verifier import Verifier

RIGHT, WRONG, WRONG_UNFORMATTED = 5, 3, 1
# Above it an answer is neither: a box that is off by one (IoU 0.99) looks right to any judge, and would teach noise.
WRONG_AT_MOST = 0.5
PERTURBED, SAMPLED = "synthetic/perturbed", "synthetic/sampled"

_BOX = "boxed"
_TAGS = ("bbox", "point", "time", "answer")
_TAGGED = {tag: re.compile(rf"<{tag}>([^<]*)</{tag}>") for tag in _TAGS}


@dataclass(frozen=True, slots=True)
class AnswerCandidate:
    """A policy's final answer and its verdict's score; None where the verifier failed on it."""

    answer: FinalAnswer
    score: float | None


def synthetic_preferences(
    prompts: Iterable[Prompt],
    *,
    seed: int,
    candidates: Mapping[str, Sequence[AnswerCandidate]] | None = None,
) -> list[PreferenceList]:
    """One list for each prompt that allows one; from `candidates` (by prompt id), or else by perturbation.

    The same prompt gets the same list under the same seed, whatever stands beside it. Prompts without a verifier are
    left out. Raises `BadInput` where a verifier is unknown or refuses a reference.
    """
    lists = []
    for prompt in prompts:
        rng = random.Random(f"{seed}/{prompt.prompt_id}")
        if candidates is None:
            graded = perturbed_answers(prompt, rng)
        else:
            graded = sampled_answers(prompt, candidates.get(prompt.prompt_id, ()), rng)
        if graded is not None:
            lists.append(graded)
    return lists


def perturbed_answers(prompt: Prompt, rng: random.Random) -> PreferenceList | None:
    """A list made without any policy; None where the rule has no right answer in a format, or no near miss.

    Right is one of the verifier's own reference answers, wrong a near miss of it, unformatted the near miss without its
    mark or with half of it. Every one of them is judged: right scores 1, both others at most `WRONG_AT_MOST`.
    """
    if prompt.verifier is None:
        return None
    judge = _Judge(prompt)
    rights = [text for text in judge.written if is_formatted(text, judge.marks) and judge.score(text) == 1.0]
    if not rights:
        return None
    right = rng.choice(rights)
    missed = near_misses(right, judge.verifier.mutations).values()
    wrongs = [text for text in missed if is_formatted(text, judge.marks) and judge.is_wrong(text)]
    if not wrongs:
        return None
    wrong = rng.choice(wrongs)
    bare = [text for text in unformatted(wrong) if judge.is_wrong(text)]
    graded = [(right, RIGHT), (wrong, WRONG), *((text, WRONG_UNFORMATTED) for text in _one(bare, rng))]
    return _preference_list(prompt, graded, PERTURBED)


def sampled_answers(
    prompt: Prompt, candidates: Sequence[AnswerCandidate], rng: random.Random
) -> PreferenceList | None:
    """One candidate of each of the three classes that has any; None where fewer than two have.

    Left out: candidates without a score, with one between `WRONG_AT_MOST` and 1, not sound (no reward model is asked
    about those), right but unformatted, or with a thought's tags. A text that ever scored 1 is never called wrong.
    """
    if prompt.verifier is None:
        return None
    marks = _Judge(prompt).marks
    score_of: dict[str, float] = {}
    for one in candidates:
        if one.score is not None and one.answer.ok and not holds_thought(one.answer.text):
            score_of[one.answer.text] = max(one.score, score_of.get(one.answer.text, 0.0))
    classes: dict[int, list[str]] = {RIGHT: [], WRONG: [], WRONG_UNFORMATTED: []}
    for text, score in score_of.items():
        if score <= WRONG_AT_MOST:
            classes[WRONG if is_formatted(text, marks) else WRONG_UNFORMATTED].append(text)
        elif score == 1.0 and is_formatted(text, marks):
            classes[RIGHT].append(text)
    # Sorted: rollouts finish in any order, and the list must not depend on it.
    graded = [(text, grade) for grade, texts in classes.items() for text in _one(sorted(texts), rng)]
    return _preference_list(prompt, graded, SAMPLED) if len(graded) > 1 else None


def marks_of(text: str) -> frozenset[str]:
    r"""The complete answer marks that stand in a text: `boxed` for `\boxed{...}`, and the names of tags."""
    found = {tag for tag, pattern in _TAGGED.items() if pattern.search(text)}
    return frozenset(found | ({_BOX} if any(content for _, _, content in boxes(text)) else set()))


def is_formatted(text: str, marks: frozenset[str]) -> bool:
    """Whether the text carries one of the marks that its rule's right answers carry."""
    return bool(marks_of(text) & marks)


def unformatted(text: str) -> list[str]:
    r"""The same answer bare, and with half of its mark: `\boxed{8}` gives `8`, `\boxed{8`, `boxed 8`, `8}`."""
    contents = [content for _, _, content in boxes(text) if content]
    if contents:
        bare = ", ".join(contents)
        broken = [bare, f"\\boxed{{{bare}", f"boxed {bare}", f"{bare}}}"]
    else:
        bare = text
        for pattern in _TAGGED.values():
            bare = pattern.sub(r"\1 ", bare)
        closing = re.sub(r"</\w+>", " ", text)
        broken = [bare.strip(), closing.strip(), re.sub(r"<\w+>", " ", text).strip()]
    return [one for one in dict.fromkeys(broken) if one.strip() and not marks_of(one)]


class _Judge:
    """A prompt's rule with its reference prepared; remembers nothing else."""

    def __init__(self, prompt: Prompt) -> None:
        assert prompt.verifier is not None
        try:
            self.verifier = _loaded(prompt.verifier, json.dumps(prompt.verifier_options, sort_keys=True))
            self._prepared = self.verifier.prepare(prompt.reference)
            written = self.verifier.reference_answers(prompt.reference)
        except BadInput as why:
            raise BadInput(f"prompt {prompt.prompt_id}: {why}") from why
        marks = frozenset[str]().union(*map(marks_of, written))
        self.marks = marks or frozenset({_BOX})
        self.written = written if marks else [f"\\boxed{{{text}}}" for text in written]

    def score(self, text: str) -> float | None:
        return self.verifier.judge_prepared(self._prepared, FinalAnswer(text)).score

    def is_wrong(self, text: str) -> bool:
        """The rule decided, and clearly: where it failed nothing is known."""
        score = self.score(text)
        return score is not None and score <= WRONG_AT_MOST


@lru_cache(maxsize=64)
def _loaded(name: str, options: str) -> Verifier[Any, Any]:
    return load_verifier(name, json.loads(options))


def _one(texts: Sequence[str], rng: random.Random) -> list[str]:
    return [rng.choice(texts)] if texts else []


def _preference_list(prompt: Prompt, graded: Sequence[tuple[str, int]], source: str) -> PreferenceList:
    answers = tuple(FinalAnswer(text) for text, _ in graded)
    return PreferenceList(prompt, answers, tuple(grade for _, grade in graded), source)
