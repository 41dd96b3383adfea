"""Prompts chosen by what is known of them: by a rule, evenly over types and references; and what that moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from sampler.store.belief import Standing, believed
from sampler.store.prompt_store import PromptStore
from verifiers.counted import counted
from verifiers.errors import BadInput
from verifiers.verifier import shown

MOVES = ("newly solved", "forgotten", "repaired")
WARNED_SHARE = 0.05  # of a type's prompts: a reference that this many have and no chosen one is named


@dataclass(frozen=True)
class SelectionRule:
    """Every condition must hold. ``pass_rate`` bounds the expected pass rate, ends included; ``min_samples`` is the
    least evidence; ``min_spread`` bounds the newest policy's best reward minus its mean; ``moves`` are of ``turnover``,
    at any time; ``standings`` as in ``sampler.store.belief``."""

    pass_rate: tuple[float, float] = (0.0, 1.0)
    min_samples: int = 4
    min_spread: float = 0.0
    standings: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    question_types: tuple[str, ...] = ()
    split: str = "train"
    half_life: float = 32.0


@dataclass(frozen=True)
class Selection:
    """The chosen prompts' ids, and how many were left out for which reason. ``moved`` tells by question type how far
    the references' shares went from those of the whole split (total variation, 0 to 1); ``warnings`` name what is lost.
    """

    prompt_ids: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


# The first condition that a prompt does not meet; none where it meets all.
_WEIGHED = """
    WITH asked AS (
        SELECT prompt_id, reference, coalesce(tags[1], kind) AS question_type
        FROM prompts WHERE run = $run AND split = $split
    ), moves AS (
        SELECT prompt_id, list(DISTINCT move) AS moves
        FROM turnover WHERE run = $run AND len($moves) > 0 GROUP BY prompt_id
    )
    SELECT asked.*, CASE
        WHEN len($types) > 0 AND NOT list_contains($types, asked.question_type) THEN 'other question type'
        WHEN n IS NULL THEN 'not tried'
        WHEN n < $min_samples THEN 'too few samples'
        WHEN mean < $low OR mean > $high THEN 'pass rate'
        WHEN len($standings) > 0 AND NOT list_contains($standings, standing) THEN 'standing'
        WHEN spread < $min_spread THEN 'spread'
        WHEN len($moves) > 0 AND NOT coalesce(list_has_any(moves, $moves), false) THEN 'move'
        END AS why
    FROM asked LEFT JOIN beliefs USING (prompt_id) LEFT JOIN moves USING (prompt_id)
"""
# One of each question type in turn, within it one of each reference in turn; which comes first hangs on the seed.
_EVENLY = """
    WITH drawn AS (SELECT *, md5(prompt_id || $seed) AS draw FROM weighed WHERE why IS NULL), of_reference AS (
        SELECT *, row_number() OVER (PARTITION BY question_type, reference ORDER BY draw) AS turn FROM drawn
    ),
    of_type AS (SELECT *, row_number() OVER (PARTITION BY question_type ORDER BY turn, draw) AS place FROM of_reference)
    SELECT prompt_id, question_type, reference FROM of_type ORDER BY place, draw LIMIT $num
"""
_REFERENCES = (
    "SELECT question_type, reference, count(*) AS num FROM {table} GROUP BY ALL ORDER BY num DESC, reference"
)


def select(
    store: PromptStore, run: str, rule: SelectionRule, *, num: int | None = None, seed: int = 0
) -> Selection:
    """At most ``num`` prompts of the rule's split, evenly over question types and over references within a type.

    Raises: BadInput where the rule asks for evidence that the store does not have.
    """
    _check(store, run, rule)
    beliefs = believed(store, run, half_life=rule.half_life).drop_columns(["question_type"])
    low, high = rule.pass_rate
    store.keep("weighed", _WEIGHED, {
        "run": run, "split": rule.split, "types": list(rule.question_types), "min_samples": rule.min_samples,
        "low": low, "high": high, "standings": list(rule.standings), "min_spread": rule.min_spread,
        "moves": list(rule.moves),
    }, beliefs=beliefs)  # fmt: skip
    counts = {
        row["why"]: row["num"]
        for row in store.query(
            "SELECT why, count(*) AS num FROM weighed GROUP BY why ORDER BY num DESC, why"
        ).to_pylist()
    }
    num_met = counts.pop(None, 0)
    if not num_met and counts.keys() <= {"not tried", "too few samples"}:
        raise BadInput(
            f"no prompt of split {rule.split!r} has {counted(rule.min_samples, 'judged sample')} in run {run}: let a "
            "stage sample them, or ask for fewer"
        )
    store.keep("chosen", _EVENLY, {"seed": f" {seed}", "num": num_met if num is None else num})
    chosen = store.query("SELECT prompt_id FROM chosen")["prompt_id"].to_pylist()
    if num_met > len(chosen):
        counts["more than asked for"] = num_met - len(chosen)
    return Selection(
        tuple(chosen), counts, *_shift(*(_references(store, table) for table in ("weighed", "chosen")))
    )


def _check(store: PromptStore, run: str, rule: SelectionRule) -> None:
    """Raises: BadInput where a word of the rule is none, or there is nothing to go by."""
    for noun, given, known in (("standing", rule.standings, get_args(Standing)), ("move", rule.moves, MOVES)):
        if unknown := [one for one in given if one not in known]:
            raise BadInput(f"{unknown[0]!r} is no {noun}: choose of {', '.join(known)}")
    if not store.query(
        "SELECT 1 FROM prompts WHERE run = ? AND split = ? LIMIT 1", [run, rule.split]
    ).num_rows:
        raise BadInput(f"run {run} has no prompts of split {rule.split!r}")
    moved = "SELECT 1 FROM turnover WHERE run = ? AND move <> 'first' LIMIT 1"
    if rule.moves and not store.query(moved, [run]).num_rows:
        raise BadInput(f"no prompt of run {run} was tried by two policies: there are no moves to choose by")


def _references(store: PromptStore, table: str) -> dict[str, Counter[str]]:
    """By question type how often each reference stands in a table."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in store.query(_REFERENCES.format(table=table)).to_pylist():
        found[row["question_type"]][row["reference"]] = row["num"]
    return found


def _shift(
    whole: Mapping[str, Counter[str]], chosen: Mapping[str, Counter[str]]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """How far the shares of references moved, by question type, and the references that were lost on the way."""
    moved, warnings = {}, []
    for question_type, before in sorted(whole.items()):
        total, after = before.total(), chosen.get(question_type)
        if after is None:
            warnings.append(f"{question_type}: no prompt is left, of {counted(total, 'prompt')}")
            continue
        moved[question_type] = (
            sum(abs(after[ref] / after.total() - count / total) for ref, count in before.items()) / 2
        )
        warnings += [
            f"{question_type}: no prompt with the reference {shown(ref, 40)!r} is left, which {count / total:.0%} have"
            for ref, count in before.items()
            if count / total >= WARNED_SHARE and not after[ref]
        ]
    return moved, tuple(warnings)
