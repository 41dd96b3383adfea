"""`instruction`: does the answer follow its formal instructions?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference, near_name
from verifiers.instructions.constraint import CONSTRAINTS, holds
from verifiers.plain_value import whole_number
from verifiers.verdict import Verdict
from verifiers.verifier import Example, LimitExceeded, NoAnswer, Verifier, shown

MAX_CHARS = 200_000


@dataclass(frozen=True)
class InstructionOptions:
    """score    `all`: 1 when every instruction is followed (prompt level); `mean`: the share that is
             (instruction level)
    mode     `strict`, or `loose`: also without the first or last line, or without asterisks, as in IFEval
    """

    score: Literal["all", "mean"] = "all"
    mode: Literal["strict", "loose"] = "strict"


@dataclass(frozen=True)
class Instruction:
    """An IFEval id, and its arguments without those that are null."""

    name: str
    arguments: Mapping[str, Any]


class InstructionVerifier(Verifier[tuple[Instruction, ...], str]):
    """Reference: a list of `{"id": ..., <arguments>}`, or IFEval's own columns `{"instruction_id_list":
    [...], "kwargs":
    [{...}, ...]}`; besides IFEval's 25 ids there is `regex` with `pattern` and `match` (true or false). Language
    detection is seeded; matching time is bounded. Source: Zhou et al. 2023 (arXiv 2311.07911).
    """

    kind = "instruction"
    imports = ("regex", "langdetect")
    mutations = ()
    hostile_may_score = True
    summary = "formal instructions: the IFEval set, and regular expressions"
    Config = InstructionOptions
    example = Example(
        [{"id": "punctuation:no_comma"}, {"id": "change_case:english_lowercase"}],
        "all lower case and no pause",
    )

    def prepare(self, reference: Any) -> tuple[Instruction, ...]:
        if isinstance(reference, str):
            try:
                reference = json.loads(reference)
            except (ValueError, RecursionError):
                raise BadReference(
                    "a reference of 'instruction' is a list of instructions, got plain text"
                ) from None
        return tuple(_instruction(item) for item in _items(reference))

    def extract(self, answer: FinalAnswer) -> str | NoAnswer:
        if len(answer.text) > MAX_CHARS:
            return NoAnswer(
                "limit", f"the answer has {len(answer.text)} characters, at most {MAX_CHARS}", limit=True
            )
        return answer.text if answer.text.strip() else NoAnswer("no_answer", "the answer is empty")

    def compare(self, prepared: tuple[Instruction, ...], extracted: str) -> Verdict:
        """The score is the share of instructions followed, or 1 where all are; loosely, where a loose variant of the
        answer follows one."""
        variants = [extracted] if self.config.mode == "strict" else loose_variants(extracted)
        parts: dict[str, float] = {}
        for position, instruction in enumerate(prepared):
            followed = any(variant.strip() and _follows(variant, instruction) for variant in variants)
            parts[f"{position}:{instruction.name}"] = float(followed)
        missed = [name for name, value in parts.items() if not value]
        mean = sum(parts.values()) / len(parts)
        return Verdict.scored(
            float(not missed) if self.config.score == "all" else mean,
            "followed" if not missed else "not_followed",
            shown(
                f"not followed: {', '.join(missed)}" if missed else f"all {len(parts)} instructions followed"
            ),
            extracted=shown(extracted),
            parts=parts,
            tier="text",
        )

    def reference_answers(self, reference: Any) -> list[str]:
        self.prepare(reference)
        return []


def _follows(text: str, instruction: Instruction) -> bool:
    try:
        return CONSTRAINTS[instruction.name][0](text, instruction.arguments)
    except LimitExceeded:
        return False


def loose_variants(text: str) -> list[str]:
    """IFEval's eight: without the first line, the last, both; each with and without asterisks."""
    lines = text.split("\n")
    bases = [text, "\n".join(lines[1:]), "\n".join(lines[:-1]), "\n".join(lines[1:-1])]
    return [*bases, *(base.replace("*", "") for base in bases)]


def _items(reference: Any) -> list[Mapping[str, Any]]:
    if isinstance(reference, Mapping) and "instruction_id_list" in reference:
        ids, kwargs = reference["instruction_id_list"], reference.get("kwargs") or []
        if not isinstance(ids, (list, tuple)) or (kwargs and len(kwargs) != len(ids)):
            raise BadReference(
                "instruction_id_list and kwargs of an 'instruction' reference have equal lengths"
            )
        filled = kwargs or [{}] * len(ids)
        reference = [
            {"id": name, **{key: value for key, value in (args or {}).items() if value is not None}}
            for name, args in zip(ids, filled, strict=True)
        ]
    if isinstance(reference, Mapping):
        reference = [reference]
    if not isinstance(reference, (list, tuple)) or not reference:
        raise BadReference("a reference of 'instruction' is a list of instructions, at least one")
    return list(reference)


def _instruction(item: Any) -> Instruction:
    name = item.get("id") if isinstance(item, Mapping) else None
    if not isinstance(name, str):
        raise BadReference(f"an instruction is a mapping with a key 'id', got {shown(repr(item), 60)}")
    if name not in CONSTRAINTS:
        raise BadReference(f"unknown instruction {name!r}{near_name(name, CONSTRAINTS)}")
    _, needed, optional = CONSTRAINTS[name]
    arguments = {key: _whole(value) for key, value in item.items() if key != "id"}
    missing, unknown = set(needed) - set(arguments), set(arguments) - set(needed) - set(optional)
    if missing or unknown:
        raise BadReference(
            f"instruction {name!r} needs {', '.join(needed) or 'no arguments'}, got {sorted(arguments)}"
        )
    _check_arguments(name, arguments)
    return Instruction(name, arguments)


def _whole(value: Any) -> Any:
    """3 for 3.0, as Parquet gives back a column of whole numbers that has gaps; anything else as it is."""
    whole = whole_number(value) if isinstance(value, float) else None
    return value if whole is None else whole


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    for key, value in arguments.items():
        if key in ("keywords", "forbidden_words"):
            good = (
                isinstance(value, (list, tuple))
                and bool(value)
                and all(isinstance(v, str) and v for v in value)
            )
        elif key.startswith(("num_", "nth_")) or key.endswith("frequency"):
            good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        elif key == "match":
            good = isinstance(value, bool)
        else:
            good = isinstance(value, str) and bool(value.strip())
        if not good:
            raise BadReference(f"argument {key!r} of instruction {name!r} has a wrong value: {value!r}")
        if key.endswith("relation"):
            try:
                holds(0, value, 0)
            except ValueError as why:
                raise BadReference(f"instruction {name!r}: {why}") from None
    if name == "regex":
        import regex  # type: ignore[import-untyped]

        try:
            regex.compile(arguments["pattern"])
        except regex.error as why:
            raise BadReference(
                f"the pattern of a 'regex' instruction is no regular expression: {why}"
            ) from None
