"""Graded final answers to one prompt: what a reward model learns from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from reward_models.thought_tags import holds_thought
from sampler.atomic_file import written_whole
from sampler.data.prompt_messages import checked_text
from sampler.data.prompt_reader import PromptReader
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns, write_parquet
from sampler.image import ANY_MODEL, ImageLimits
from sampler.prompt import Prompt
from sampler.rows.dataset_rows import every_row
from sampler.rows.row import DatasetRow
from sampler.rows.wrong_rows import WrongRows
from sampler.vision_input import data_url
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput

GRADES = range(1, 6)

PREFERENCE_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    *PROMPT_FIELDS,
    ("answers", pa.list_(pa.string())),
    ("grades", pa.list_(pa.int64())),
    ("preference_source", pa.string()),  # `source` is the prompt's
    ("met", pa.string()),  # JSON: a mapping for each answer
)
OWN_COLUMNS = tuple(name for name, _ in PREFERENCE_FIELDS[len(PROMPT_FIELDS) :])


@dataclass(frozen=True)
class PreferenceList:
    """Answers to one prompt with a grade each, from 1 to 5, higher is better. Raises `BadInput`.

    Answers are what stands after the thought: one that still holds a thought's tags is refused, and so is one whose
    status is not `ok`, which no reward model is ever asked about.

    >>> prompt = Prompt.build(messages=[])
    >>> graded = PreferenceList(prompt, (FinalAnswer("9"), FinalAnswer("8")), (5, 3))
    >>> [(better.text, worse.text, difference) for better, worse, difference in graded.pairs()]
    [('9', '8', 2)]
    """

    prompt: Prompt
    answers: tuple[FinalAnswer, ...]
    grades: tuple[int, ...]
    source: str = ""
    met: tuple[
        Mapping[str, bool], ...
    ] = ()  # of each answer the criteria of a rubric that are known, by name

    def __post_init__(self) -> None:
        _check_reference(self.prompt.reference_text)
        _check_answers(self.answers)
        _check_grades(self.grades, self.answers)
        _check_met(self.met, self.answers)

    def pairs(self) -> Iterator[tuple[FinalAnswer, FinalAnswer, int]]:
        """(better, worse, difference of their grades) for all pairs of different grade, in list order."""
        for (one, grade), (other, other_grade) in combinations(
            zip(self.answers, self.grades, strict=True), 2
        ):
            if grade > other_grade:
                yield one, other, grade - other_grade
            elif other_grade > grade:
                yield other, one, other_grade - grade


def save_preferences(path: str | os.PathLike[str], lists: Sequence[PreferenceList]) -> Path:
    """Write as Parquet with `Image` features, or as JSON lines where the name ends in .jsonl. Returns the path."""
    target = Path(path)
    if target.suffix == ".parquet":
        return write_parquet(target, lists, _columns, PREFERENCE_FIELDS)
    if target.suffix != ".jsonl":
        raise BadInput(f"{target}: preferences are written as .parquet or .jsonl")
    return _write_jsonl(target, _columns(lists))


def _columns(lists: Sequence[PreferenceList]) -> dict[str, list[Any]]:
    return prompt_columns([one.prompt for one in lists]) | {
        "answers": [[answer.text for answer in one.answers] for one in lists],
        "grades": [list(one.grades) for one in lists],
        "preference_source": [one.source for one in lists],
        "met": [json.dumps([dict(of) for of in one.met]) if one.met else None for one in lists],
    }


def load_preferences(
    path_or_hub_id: str | os.PathLike[str],
    *,
    split: str | None = None,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    limits: ImageLimits = ANY_MODEL,
    max_decoded: int | None = None,
) -> list[PreferenceList]:
    """Read and check graded answers; a row needs `messages`, `answers` and `grades`, all else is optional.

    `columns` maps these names to the set's own. Raises `BadRows` naming file, row and column of rows that are wrong.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"limit is at least 1, got {limit}")
    own = {name: (columns or {}).get(name, name) for name in OWN_COLUMNS}
    reader = PromptReader(
        columns={name: theirs for name, theirs in (columns or {}).items() if name not in own},
        default_kind="general",
        needs_reference=False,
        limits=limits,
        max_decoded=max_decoded,
    )
    lists: list[PreferenceList] = []
    wrong = WrongRows()
    for row in wrong.sound(every_row(path_or_hub_id, split)):
        with wrong.collected(row.location):
            prompt = reader.read(row)
            with _at(row, (columns or {}).get("reference", "reference")):
                _check_reference(prompt.reference_text)
            lists.append(_preference_list(row, prompt, own))
        if len(lists) == limit:
            break
    wrong.raise_any()
    if not lists:
        raise BadInput(f"{path_or_hub_id}: the set has no rows")
    return lists


def _preference_list(row: DatasetRow, prompt: Prompt, columns: Mapping[str, str]) -> PreferenceList:
    with _at(row, columns["answers"]):
        texts = _listed(row, columns["answers"], "texts, the final answers")
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise BadInput(f"answer {number} of {len(texts)}: expected text, got {type(text).__name__}")
            checked_text(text)
        answers = tuple(FinalAnswer(text) for text in texts)
        _check_answers(answers)
    with _at(row, columns["grades"]):
        grades = tuple(_listed(row, columns["grades"], "whole numbers, one for each answer"))
        _check_grades(grades, answers)
    with _at(row, columns["preference_source"]):
        source = row.values.get(columns["preference_source"])
        if source is not None and not isinstance(source, str):
            raise BadInput(f"expected text, got {type(source).__name__}")
    with _at(row, columns["met"]):
        met = row.values.get(columns["met"])
        try:
            met = json.loads(met) if isinstance(met, str) else met
        except (ValueError, RecursionError):
            raise BadInput("not valid JSON") from None
        truths = tuple(map(_known, met)) if isinstance(met, list) else met or ()
        _check_met(truths, answers)
    return PreferenceList(prompt, answers, grades, checked_text(source or ""), truths)


def _listed(row: DatasetRow, column: str, what: str) -> list[Any]:
    value = row.values.get(column)
    if not isinstance(value, list):
        got = "nothing" if value is None else type(value).__name__
        raise BadInput(f"expected a list of {what}, got {got}")
    return value


def _check_answers(answers: Sequence[FinalAnswer]) -> None:
    if len(answers) < 2:
        raise BadInput(f"a preference needs at least 2 answers, got {len(answers)}")
    for number, answer in enumerate(answers, 1):
        location = f"answer {number} of {len(answers)}"
        if not answer.ok:
            raise BadInput(f"{location} is {answer.status}: only sound final answers are compared")
        if not answer.text.strip():
            raise BadInput(f"{location} is empty")
        if holds_thought(answer.text):
            raise BadInput(
                f"{location} holds a thought's tags: a judge sees the final answer only, so cut the thought away "
                "(verifiers.reading.response.split_response)"
            )


def _check_grades(grades: Sequence[Any], answers: Sequence[FinalAnswer]) -> None:
    if len(grades) != len(answers):
        raise BadInput(f"{len(grades)} grades for {len(answers)} answers")
    for grade in grades:
        if type(grade) is not int or grade not in GRADES:
            raise BadInput(
                f"a grade is a whole number from {GRADES[0]} to {GRADES[-1]}, got {str(grade)[:40]!r}"
            )
    grade_of: dict[str, int] = {}
    for answer, grade in zip(answers, grades, strict=True):
        if grade_of.setdefault(answer.text, grade) != grade:
            raise BadInput(f"the same answer has grades {grade_of[answer.text]} and {grade}")


def _known(met: Any) -> Any:
    """Without what a typed column fills in for what is not said."""
    return {name: said for name, said in met.items() if said is not None} if isinstance(met, Mapping) else met


def _check_met(met: Any, answers: Sequence[FinalAnswer]) -> None:
    if not met:
        return
    sound = isinstance(met, tuple) and all(
        isinstance(one, Mapping) and all(isinstance(said, bool) for said in one.values()) for one in met
    )
    if not sound or len(met) != len(answers):
        raise BadInput("expected for each answer a mapping of criterion to true or false")


def _check_reference(reference: str) -> None:
    if holds_thought(reference):
        raise BadInput("the reference holds a thought's tags: a judge sees final answers only")


@contextmanager
def _at(row: DatasetRow, column: str) -> Iterator[None]:
    """Puts the place and the column before an error's text."""
    try:
        yield
    except BadInput as why:
        raise BadInput(f"{row.location}, column {column!r}: {why}") from None


def _write_jsonl(target: Path, columns: Mapping[str, list[Any]]) -> Path:
    """Pictures and videos as `data:` URLs."""
    with written_whole(target) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            for column in ("images", "videos"):
                row[column] = [data_url(one["bytes"]) for one in row[column]]
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return target
