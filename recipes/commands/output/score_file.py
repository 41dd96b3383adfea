"""A file of answers with their prompts, scored by a reward model against each row's reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from reward_models.scoring_service import Compare
from rl.experience.exams.evaluation import win_rate
from sampler.atomic_file import write_atomically
from sampler.data.prompt_reader import PromptReader
from sampler.rows.dataset_rows import dataset_rows
from sampler.rows.row import DatasetRow
from verifiers.answer import FinalAnswer
from verifiers.counted import counted
from verifiers.errors import BadInput
from verifiers.reading.response import split_response

AT_ONCE = 512


def read_comparisons(file: Path, *, expects_thought: bool = True) -> list[AnswerComparison]:
    """Each row's answer (or the end of its response) against its reference. Raises: BadInput naming row and column."""
    reader = PromptReader(default_kind="general")
    comparisons, seen = [], set()
    for row in dataset_rows(file):
        prompt = reader.read(row)
        if not prompt.reference:
            raise BadInput(
                f"{row.location}, column 'reference': the reward model compares answers with it, give one"
            )
        name = str(row.values.get("id") or row.values.get("rollout_id") or row.location)
        if name in seen:
            raise BadInput(f"{row.location}, column 'id': {name!r} stands twice")
        seen.add(name)
        comparisons.append(
            AnswerComparison(
                name,
                prompt,
                _answer(row, expects_thought),
                FinalAnswer(prompt.reference_text),
                against_reference=True,
            )
        )
    if not comparisons:
        raise BadInput(f"{file}: the set has no rows")
    return comparisons


def scored(
    comparisons: Sequence[AnswerComparison], compare: Compare
) -> Iterator[tuple[AnswerComparison, Score]]:
    """In order, so many at a time that progress can be told."""
    for start in range(0, len(comparisons), AT_ONCE):
        part = comparisons[start : start + AT_ONCE]
        scores = compare(part)
        yield from ((one, scores[one.comparison_id]) for one in part)


def write_scores(path: Path, rows: Sequence[tuple[AnswerComparison, Score]]) -> None:
    """One JSON line a row, written whole or not at all."""
    lines = [json.dumps({"id": one.comparison_id, **score.to_json()}) for one, score in rows]
    write_atomically(path, "\n".join(lines) + "\n")


def words_of(rows: Sequence[tuple[AnswerComparison, Score]]) -> str:
    """The outcome in one line."""
    rates = win_rate(score for _, score in rows)
    if rates["win_rate"] is None:
        return f"none of {counted(len(rows), 'answer')} could be scored"
    judged = counted(sum(score.judged for _, score in rows), "answer")
    return (
        f"{judged}: win rate {rates['win_rate']:.1%} against the references, mean "
        f"probability {rates['win_probability']:.3f}, {rates['num_failed']:,} not scored"
    )


def _answer(row: DatasetRow, expects_thought: bool) -> FinalAnswer:
    for column in ("answer", "response"):
        text = row.values.get(column)
        if text is None:
            continue
        if not isinstance(text, str):
            raise BadInput(f"{row.location}, column {column!r}: expected text, got {type(text).__name__}")
        if column == "answer":
            return FinalAnswer(text)
        return split_response(text, expects_thought=expects_thought).answer
    raise BadInput(f"{row.location}: give a column 'answer', or 'response' with its thought")
