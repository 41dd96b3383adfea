"""A rubric: criteria that an answer meets or not, what the judge of each may see, and what they are worth together."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from reward_models.quoted_answer import quoted
from reward_models.thought_tags import holds_thought
from sampler.atomic_file import write_atomically
from sampler.prompt import Prompt
from sampler.vision_input import VisionInput
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput, near_name
from verifiers.verifier import shown

Seen = Literal["question", "images", "answer", "reference"]
SEEN: tuple[Seen, ...] = get_args(Seen)
MET = ("1", "0")  # a judge's reply: the criterion is met, or not
RUBRIC_FILE = "rubric.json"
PART = "rubric/"  # before a criterion's name, in the parts of a score

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class CriterionQuery:
    """All that a judge sees of one criterion: what the criterion does not name is None or empty here, and there is no
    field through which it, or a thought, could come along. ``images``: pictures and videos, first to last."""

    query_id: str
    criterion: str
    answer: str
    question: str | None = None
    reference: str | None = None
    images: tuple[VisionInput, ...] = ()
    reference_first: bool = False

    def lines(self) -> list[str]:
        """The text, a part a line; answer and reference in the order that is asked."""
        reference = [] if self.reference is None else [f"Reference: {quoted(self.reference)}"]
        answer = [f"Response: {quoted(self.answer)}"]
        compared = [*reference, *answer] if self.reference_first else [*answer, *reference]
        question = [] if self.question is None else [self.question]
        return [*question, *compared, f"Criterion: {self.criterion}", "Is it met, 1 or 0?"]

    def to_prompt(self) -> Prompt:
        """For a judge that is served: the pictures, then the lines; its id is the query's."""
        parts: list[dict[str, Any]] = [{"type": one.kind} for one in self.images]
        parts.append({"type": "text", "text": "\n".join(self.lines())})
        return Prompt.build(
            messages=[{"role": "user", "content": parts}],
            images=[one for one in self.images if one.kind == "image"],
            videos=[one for one in self.images if one.kind == "video"],
            kind="general",
            prompt_id=self.query_id,
        )


@dataclass(frozen=True)
class Criterion:
    """Something that is so of an answer or not, put so that yes is good.

    name     of the part of the score, and of the metric: small letters, digits and _
    text     what is asked: `It says how many digits there are.`
    weight   against the other criteria that are no `must`
    must     where it is not met, the whole answer is worth 0
    sees     what its judge is shown beside the answer: `question`, `images` (and videos), `reference`
    """

    name: str
    text: str
    weight: float = 1.0
    must: bool = False
    sees: tuple[Seen, ...] = ("question", "answer")

    def __post_init__(self) -> None:
        """Raises: BadInput."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise BadInput(
                f"a criterion's name is small letters, digits and _, got {shown(repr(self.name), 60)}"
            )
        if not isinstance(self.text, str) or not self.text.strip():
            raise BadInput(f"criterion {self.name!r} has no text")
        weight = self.weight
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
            raise BadInput(f"criterion {self.name!r}: weight is a number above 0, got {weight!r}")
        if not isinstance(self.must, bool):
            raise BadInput(f"criterion {self.name!r}: must is true or false, got {self.must!r}")
        unknown = [one for one in self.sees if one not in SEEN]
        if unknown or "answer" not in self.sees:
            raise BadInput(
                f"criterion {self.name!r}: sees holds 'answer', and of {', '.join(SEEN)} what else is needed"
            )

    @classmethod
    def of(cls, given: Any) -> Criterion:
        """From a mapping of a recipe or a row, where null is what is not said. Raises: BadInput."""
        names = [field.name for field in fields(cls)]
        if isinstance(given, Mapping):
            given = {name: value for name, value in given.items() if value is not None}
        if not isinstance(given, Mapping) or not {"name", "text"} <= given.keys():
            raise BadInput(f"a criterion has a name and a text, got {shown(repr(given), 80)}")
        for name in given:
            if name not in names:
                raise BadInput(
                    f"a criterion has no {name!r}{near_name(str(name), names)}: {', '.join(names)}"
                )
        sees = given.get("sees", cls.sees)
        if isinstance(sees, str) or not isinstance(sees, Sequence):
            raise BadInput(f"criterion {given['name']!r}: sees is a list, got {sees!r}")
        return cls(**{**given, "sees": tuple(sees)})

    def query(self, query_id: str, prompt: Prompt, answer: FinalAnswer, **order: bool) -> CriterionQuery:
        """The one place where a judge's view is cut to what the criterion may see."""
        return CriterionQuery(
            query_id,
            self.text,
            answer.text,
            question=prompt.text if "question" in self.sees else None,
            reference=prompt.reference_text if "reference" in self.sees else None,
            images=prompt.vision_inputs if "images" in self.sees else (),
            **order,
        )


def criteria_of(given: Any) -> tuple[Criterion, ...]:
    """The criteria of a recipe's or a row's list. Raises: BadInput."""
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise BadInput(f"a rubric is a list of criteria, got {shown(repr(given), 80)}")
    criteria = tuple(map(Criterion.of, given))
    names = [one.name for one in criteria]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise BadInput(f"two criteria are named {', '.join(sorted(repeated))}")
    return criteria


@dataclass(frozen=True)
class Rubric:
    """The criteria of every prompt: its own (`verifier_options: {"rubric": [...]}` of its row), else those of its
    question type, else those of its kind."""

    by_type: Mapping[str, tuple[Criterion, ...]]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rubric:
        """From lists of criteria by question type or kind. Raises: BadInput."""
        return cls({name: criteria_of(criteria) for name, criteria in given.items()})

    def criteria(self, prompt: Prompt) -> tuple[Criterion, ...]:
        """Raises: BadInput where there are none, or one needs a reference that the prompt lacks."""
        if "rubric" in prompt.verifier_options:
            found = criteria_of(prompt.verifier_options["rubric"])
        else:
            found = self.by_type.get(prompt.question_type) or self.by_type.get(prompt.kind) or ()
        if not found:
            raise BadInput(
                f"prompt {prompt.prompt_id}: neither its row nor the recipe has criteria for it (question type "
                f"{prompt.question_type!r}, kind {prompt.kind!r}): see judging.reward_model.rubric.criteria"
            )
        for one in found:
            if "reference" in one.sees and (not prompt.reference or holds_thought(prompt.reference_text)):
                what = "a thought's tags in its" if prompt.reference else "no"
                raise BadInput(
                    f"prompt {prompt.prompt_id} has {what} reference, which criterion {one.name!r} sees"
                )
        return found


def save_rubric(hub_directory: Path, rubric: Rubric) -> None:
    """Beside the weights of a judge that learnt to answer it: whoever serves them knows what to ask."""
    given = {name: [asdict(one) for one in criteria] for name, criteria in rubric.by_type.items()}
    write_atomically(hub_directory / RUBRIC_FILE, json.dumps(given, indent=2, ensure_ascii=False) + "\n")


def load_rubric(hub_directory: Path) -> Rubric | None:
    """None where the checkpoint is no judge by rubric."""
    file = hub_directory / RUBRIC_FILE
    return Rubric.of(json.loads(file.read_text())) if file.is_file() else None


def rubric_score(criteria: Sequence[Criterion], met: Mapping[str, float]) -> float:
    """What an answer is worth in [0, 1], of the probability (by name) that each criterion is met.

    0 where a `must` is not met (a probability under 0.5). Else sum(weight x probability) / sum(weight) over the others,
    and 1 where there are none: the explicit aggregation of Rubrics as Rewards (Gunjal et al., arXiv 2507.17746, section
    3), whose criteria are met or not, with a gate before it.

    >>> complete, short = Criterion("complete", "All is named.", 3.0), Criterion("short", "It is short.")
    >>> rubric_score([complete, short], {"complete": 1.0, "short": 0.0})
    0.75
    """
    if any(met[one.name] < 0.5 for one in criteria if one.must):
        return 0.0
    others = [one for one in criteria if not one.must]
    if not others:
        return 1.0
    return sum(one.weight * met[one.name] for one in others) / sum(one.weight for one in others)
