"""Prompts chosen by what is known of them: by a rule, evenly over types and references; and what that moved."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

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


def select(
    store: PromptStore, run: str, rule: SelectionRule, *, num: int | None = None, seed: int = 0
) -> Selection:
    """At most ``num`` prompts of the rule's split, evenly over question types and over references within a type.

    Raises: BadInput where the rule asks for evidence that the store does not have.
    """
    if unknown := [one for one in rule.standings if one not in get_args(Standing)]:
        raise BadInput(f"{unknown[0]!r} is no standing: choose of {', '.join(get_args(Standing))}")
    prompts = store.query(
        "SELECT prompt_id, reference, coalesce(tags[1], kind) AS question_type FROM prompts "
        "WHERE run = ? AND split = ? ORDER BY prompt_id",
        [run, rule.split],
    ).to_pylist()
    if not prompts:
        raise BadInput(f"run {run} has no prompts of split {rule.split!r}")
    evidence = {row["prompt_id"]: row for row in believed(store, run, half_life=rule.half_life).to_pylist()}
    moved = _moved(store, run, rule.moves)
    dropped: Counter[str] = Counter()
    kept = []
    for prompt in prompts:
        why = _why_not(
            rule, prompt["question_type"], evidence.get(prompt["prompt_id"]), moved.get(prompt["prompt_id"])
        )
        if why is None:
            kept.append(prompt)
        else:
            dropped[why] += 1
    if dropped["not tried"] + dropped["too few samples"] == len(prompts):
        raise BadInput(
            f"no prompt of split {rule.split!r} has {counted(rule.min_samples, 'judged sample')} in run {run}: let a "
            "stage sample them, or ask for fewer"
        )
    chosen = [kept[i] for i in evenly([(one["question_type"], one["reference"]) for one in kept], num, seed)]
    if len(kept) > len(chosen):
        dropped["more than asked for"] = len(kept) - len(chosen)
    shares, warnings = _shift(prompts, chosen)
    return Selection(tuple(one["prompt_id"] for one in chosen), dict(dropped), shares, tuple(warnings))


def evenly(cells: Sequence[tuple[Hashable, Hashable]], num: int | None, seed: int) -> list[int]:
    """Indices of ``num`` items: one of each outer cell in turn, within it one of each inner cell in turn.

    Which item of a cell comes first hangs on the seed. All items, in that order, where ``num`` is none.
    """
    shuffled = list(range(len(cells)))
    random.Random(seed).shuffle(shuffled)
    return _in_turn(_in_turn(shuffled, lambda i: cells[i]), lambda i: cells[i][0])[:num]


def _in_turn(items: Sequence[int], group: Callable[[int], Hashable]) -> list[int]:
    """The first of each group, then the second of each; items of a group stay in their order."""
    seen: Counter[Hashable] = Counter()
    rank = {}
    for item in items:
        rank[item] = seen[group(item)]
        seen[group(item)] += 1
    return sorted(items, key=rank.__getitem__)


def _moved(store: PromptStore, run: str, moves: Sequence[str]) -> Mapping[str, set[str]]:
    """By prompt the moves it ever made. Raises: BadInput where there is no such move, or none was seen."""
    if not moves:
        return {}
    if unknown := [move for move in moves if move not in MOVES]:
        raise BadInput(f"{unknown[0]!r} is no move: choose of {', '.join(MOVES)}")
    rows = store.query(
        "SELECT DISTINCT prompt_id, move FROM turnover WHERE run = ? AND move <> 'first'", [run]
    )
    if not rows.num_rows:
        raise BadInput(f"no prompt of run {run} was tried by two policies: there are no moves to choose by")
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows.to_pylist():
        found[row["prompt_id"]].add(row["move"])
    return found


def _why_not(
    rule: SelectionRule, question_type: str, known: Mapping[str, Any] | None, moves: set[str] | None
) -> str | None:
    """The first condition that a prompt does not meet; None where it meets all."""
    low, high = rule.pass_rate
    if rule.question_types and question_type not in rule.question_types:
        return "other question type"
    if known is None:
        return "not tried"
    if known["n"] < rule.min_samples:
        return "too few samples"
    if not low <= known["mean"] <= high:
        return "pass rate"
    if rule.standings and known["standing"] not in rule.standings:
        return "standing"
    if known["spread"] < rule.min_spread:
        return "spread"
    if rule.moves and not (moves or set()) & set(rule.moves):
        return "move"
    return None


def _shift(
    before: Iterable[Mapping[str, str]], after: Iterable[Mapping[str, str]]
) -> tuple[dict[str, float], list[str]]:
    """How far the shares of references moved, by question type, and the references that were lost on the way."""
    whole, chosen = _references(before), _references(after)
    moved, warnings = {}, []
    for question_type, counts in chosen.items():
        of_whole, total, num = whole[question_type], whole[question_type].total(), counts.total()
        moved[question_type] = sum(abs(counts[ref] / num - of_whole[ref] / total) for ref in of_whole) / 2
        warnings += [
            f"{question_type}: no prompt with the reference {shown(ref, 40)!r} is left, which {count / total:.0%} have"
            for ref, count in of_whole.most_common()
            if count / total >= WARNED_SHARE and not counts[ref]
        ]
    warnings += [
        f"{name}: no prompt is left, of {counted(whole[name].total(), 'prompt')}"
        for name in whole
        if name not in chosen
    ]
    return moved, warnings


def _references(prompts: Iterable[Mapping[str, str]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for prompt in prompts:
        found[prompt["question_type"]][prompt["reference"]] += 1
    return found
