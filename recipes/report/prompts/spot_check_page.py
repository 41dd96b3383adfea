"""A harvest's spot check as a page: kept and dropped responses with their pictures and the reasons, to be read before
the next round learns from the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recipes.report.attempt import Attempt, ShownText, without_control
from recipes.report.drawing.template import template
from recipes.report.shown_prompt import ShownPrompt, ShownPrompts
from reward_models.score import PARITY_TOLERANCE
from rl.run.results.stage_result import HarvestResult
from rl.run.run_record import RunRecord
from sampler.atomic_file import write_atomically
from verifiers.counted import counted
from verifiers.errors import BadInput
from verifiers.reading.response import split_response

MAX_CHARS = 8000
NUMBERS = ("reward", "policy_version", "num_response_tokens")


class CheckedRow(NamedTuple):
    """One response. ``prompt`` is none where the run's data no longer holds it: then the row's own words are shown."""

    prompt: ShownPrompt | None
    question: ShownText
    reference: ShownText
    question_type: str
    attempt: Attempt


@dataclass(frozen=True)
class CheckedGroup:
    """The kept rows, or those that were dropped for one reason."""

    title: str
    rows: tuple[CheckedRow, ...]


def write_spot_checks(run: RunRecord, report: Path, on_warning: Callable[[str], None]) -> dict[str, Path]:
    """Write a page beside the report for each harvest of the run that left a spot check, and return them by stage.
    ``on_warning`` is told once of those whose file is damaged, or whose page cannot be written: these are left out."""
    pages, failures = {}, []
    for result in run.results(HarvestResult):
        if result.spot_check is not None and result.spot_check.is_file():
            page = report.with_name(f"{report.stem}_{result.stage}_spot_check.html")
            try:
                write_atomically(page, spot_check_page(run, result.stage, result.spot_check))
            except (BadInput, OSError) as why:
                failures.append(str(why))
            else:
                pages[result.stage] = page
    if failures:
        on_warning(f"{counted(len(failures), 'spot check')} without a page: {failures[0]}")
    return pages


def spot_check_page(run: RunRecord, stage: str, file: Path) -> str:
    """One file that needs nothing else. Everything that data or a model said is escaped. Raises: BadInput for a damaged
    file, OSError for one that cannot be read."""
    rows = _rows(file)
    prompts = ShownPrompts.of(run.path).find(list(dict.fromkeys(row["prompt_id"] for row in rows)))
    groups: dict[str, list[CheckedRow]] = {}
    for row in rows:
        checked = _checked(row, prompts.get(row["prompt_id"]), stage, run.pass_score)
        groups.setdefault("" if row["kept"] else str(row["reason"]), []).append(checked)
    shown = [CheckedGroup(_title(reason), tuple(groups[reason])) for reason in sorted(groups)]  # kept first
    page: str = template("spot_check.html.j2").render(run=run, stage=stage, groups=shown, file=file.name)
    return without_control(page)


def _title(reason: str) -> str:
    return f"dropped: {reason.replace('_', ' ')}" if reason else "kept"


def _rows(file: Path) -> Sequence[Mapping[str, Any]]:
    try:
        # By line feeds alone: JSON leaves other ends of lines, such as U+2028, as they are.
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except (ValueError, RecursionError) as why:
        raise BadInput(f"{file} is no spot check of a harvest: {why}") from why
    if not all(_is_row(row) for row in rows):
        raise BadInput(
            f"{file} is no spot check of a harvest: a row lacks prompt_id, response, kept or reason, or has odd ones"
        )
    return rows


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and {"prompt_id", "response", "kept", "reason"} <= row.keys()
        and isinstance(row["prompt_id"], str)
        and all(type(row.get(name)) in (int, float, type(None)) for name in NUMBERS)
    )


def _checked(row: Mapping[str, Any], prompt: ShownPrompt | None, stage: str, pass_score: float) -> CheckedRow:
    compared = prompt is not None and not prompt.verifier
    thought, answer = split_response(str(row["response"]), expects_thought=False)
    attempt = Attempt.from_row(
        {
            "rollout_id": row.get("rollout_id") or "",
            "stage": stage,
            "policy_version": row.get("policy_version"),
            "thought": thought,
            "answer": answer.text,
            "word": _word(row.get("reward"), compared, pass_score),
            "compared": compared,
            "reward": row.get("reward"),
            "verifier": "" if prompt is None else prompt.verifier,
            "verdict_score": row.get("reward"),
            "verdict_reason": row.get("judge"),
            "score_reason": row.get("judge"),
            "num_response_tokens": row.get("num_response_tokens"),
        },
        MAX_CHARS,
    )
    question, reference = (ShownText.of(str(row.get(name) or "")) for name in ("question", "reference"))
    return CheckedRow(prompt, question, reference, str(row.get("question_type") or ""), attempt)


def _word(reward: float | None, compared: bool, pass_score: float) -> str:
    """As in the rollout table: of a reward model's probability parity is a tie."""
    if reward is None:
        return "not judged"
    if not compared:
        return "right" if reward >= pass_score else "wrong"
    if abs(reward - 0.5) <= PARITY_TOLERANCE:
        return "even"
    return "won" if reward > 0.5 else "lost"
