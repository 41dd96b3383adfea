"""Which answers a policy gives beside which are right, by question type; and what one constant answer would score."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.attempt import ShownText
from recipes.report.exam_table import Cell, WordTable
from recipes.report.prompts.proportion import share_words
from recipes.report.rollout_table import RolloutTable
from rl.run.run_record import RunRecord
from sampler.store.prompt_store import PromptStore
from verifiers.answer import FinalAnswer
from verifiers.errors import HoneError

MAX_DIFFERENT = 40  # references of a type; of more the shares say nothing
MAX_ROWS = 8  # answers of a type
NUM_CONSTANTS, MAX_JUDGED = 3, 200

# What the verifier read out of an answer; where it read nothing, how the response ended.
_ANSWERS = """
    SELECT question_type, coalesce(verdict_extracted, '(' || coalesce(answer_status, 'none') || ')') AS answer,
           count(*) AS num
    FROM rollouts WHERE verifier IS NOT NULL GROUP BY ALL
"""
_REFERENCES = """
    SELECT split, coalesce(tags[1], kind) AS question_type, verifier, verifier_options, reference,
           coalesce(reference_json, to_json(reference)::VARCHAR) AS as_json, count(*) AS num
    FROM prompts WHERE verifier IS NOT NULL GROUP BY ALL ORDER BY num DESC, reference
"""
_CONSTANTS = f"""
    SELECT * FROM ({_REFERENCES}) WHERE split = 'train'
    QUALIFY row_number() OVER (PARTITION BY question_type ORDER BY num DESC, reference) <= {NUM_CONSTANTS}
"""
_JUDGED = f"""
    SELECT prompt_id, coalesce(tags[1], kind) AS question_type, verifier, verifier_options,
           coalesce(reference_json, to_json(reference)::VARCHAR) AS as_json
    FROM prompts WHERE split = 'heldout' AND verifier IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY question_type ORDER BY prompt_id) <= {MAX_JUDGED}
"""


@dataclass(frozen=True)
class AnswerShares:
    """One question type: held-out references, training references and the policy's answers, side by side. ``moved`` is
    the total variation between answers and held-out references, 0 to 1."""

    table: WordTable
    moved: float


def answer_shares(run: RunRecord, store: PromptStore) -> list[AnswerShares]:
    """Of the last evaluation, for question types with few different references."""
    if not run.evaluations:
        return []
    stage = run.evaluations[-1]["stage"]
    files = sorted((run.path / "rollouts" / stage).glob("*.parquet"))
    with RolloutTable(run.path, run.pass_score, files) as log:
        answers: dict[str, Counter[str]] = defaultdict(Counter)
        for row in log.query(_ANSWERS):
            answers[str(row["question_type"])][str(row["answer"])] += row["num"]
    references = _references(store)
    return [
        _shares(name, references["heldout"][name], references["train"].get(name, Counter()), answers[name])
        for name in sorted(answers)
        if 0 < len(references["heldout"].get(name, ())) <= MAX_DIFFERENT
    ]


def _references(store: PromptStore) -> dict[str, dict[str, Counter[str]]]:
    """By split and question type how often each reference stands in the set, as its verifier reads an answer that says
    it."""
    found: dict[str, dict[str, Counter[str]]] = {"heldout": {}, "train": {}}
    for row in store.query(_REFERENCES).to_pylist():
        of_type = found.setdefault(row["split"], {}).setdefault(str(row["question_type"]), Counter())
        if len(of_type) <= MAX_DIFFERENT:  # of more nobody wants to see the shares
            of_type[_as_read(row) or str(row["reference"])] += row["num"]
    return found


def _as_read(row: Mapping[str, Any]) -> str | None:
    """None where the verifier does not say."""
    judge = _judge(row)
    if judge is None:
        return None
    try:
        reference = json.loads(row["as_json"])
        return str(judge.judge(reference, judge.reference_answers(reference)[0]).extracted)
    except (HoneError, ValueError, TypeError, IndexError):
        return None


def _judge(row: Mapping[str, Any]) -> Any:
    """One of Hone's own that runs no code; else None: a set may name any module, which a report must not import."""
    from verifiers.registry import BUILT_IN, load_verifier

    if row["verifier"] not in BUILT_IN or row["verifier"] == "code":
        return None
    try:
        return load_verifier(row["verifier"], json.loads(row["verifier_options"] or "{}"))
    except (HoneError, ValueError, TypeError):
        return None


def _shares(name: str, held: Counter[str], trained: Counter[str], answers: Counter[str]) -> AnswerShares:
    shown = sorted({*held, *answers}, key=lambda one: (-max(_share(held, one), _share(answers, one)), one))
    rows = {
        ShownText.of(one, limit=40).text: tuple(
            Cell(share_words(counts[one], counts.total()) if counts else "–")
            for counts in (held, trained, answers)
        )
        for one in shown[:MAX_ROWS]
    }
    apart = math.fsum(abs(_share(held, one) - _share(answers, one)) for one in {*held, *answers})
    moved = min(1.0, apart / 2)
    columns = ("held-out references", "training references", "answers")
    return AnswerShares(WordTable(name, columns, rows), moved)


def _share(counts: Counter[str], one: str) -> float:
    return counts[one] / counts.total() if counts else 0.0


def blind_baseline(run: RunRecord, store: PromptStore) -> WordTable | None:
    """By question type what the best of the training set's commonest references would score, given as the answer to
    every held-out prompt and judged by their own verifiers. None without both sets."""
    constants: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in store.query(_CONSTANTS).to_pylist():
        constants[str(row["question_type"])].append(row)
    asked: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in store.query(_JUDGED).to_pylist():
        asked[str(row["question_type"])].append(row)
    final = run.evaluations[-1] if run.evaluations else {}
    rows = {}
    for name in sorted(set(asked) & set(constants)):
        scored = [
            (num, str(one["reference"]))
            for one in constants[name]
            if (num := _num_right(one, asked[name], run.pass_score)) is not None
        ]
        if scored:
            num, best = max(scored)
            reached = ((final.get("by_tag") or {}).get(name) or {}).get("pass_at_1")
            rows[name] = (
                Cell(ShownText.of(best, limit=40).text),
                Cell(share_words(num, len(asked[name]))),
                Cell("–" if reached is None else f"{reached:.0%}"),
            )
    columns = ("the constant answer", "it is right for, 95% interval", "the policy")
    return WordTable("question type", columns, rows) if rows else None


def _num_right(
    constant: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], pass_score: float
) -> int | None:
    """Of how many prompts a reference is a right answer, said as its verifier has it said; None where a verifier is not
    asked or does not take it."""
    judges = {(row["verifier"], row["verifier_options"]): _judge(row) for row in [constant, *rows]}
    if None in judges.values():
        return None
    try:
        own = judges[constant["verifier"], constant["verifier_options"]]
        said = FinalAnswer(own.reference_answers(json.loads(constant["as_json"]))[0])
        verdicts = [
            judges[row["verifier"], row["verifier_options"]].judge(json.loads(row["as_json"]), said)
            for row in rows
        ]
    except (HoneError, ValueError, TypeError, IndexError):
        return None
    return sum((verdict.score or 0.0) >= pass_score for verdict in verdicts)
