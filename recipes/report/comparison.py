"""The same held-out prompts before and after: which ones are shown, and how many got better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from recipes.report.record.attempt import Attempt
from recipes.report.record.rollout_table import RolloutTable
from recipes.report.record.shown_prompt import ShownPrompt

Change = Literal["better", "same", "worse"]
MAX_SHOWN = 16
# Per question type, in this order: what the page shows of a run must not be only what went well.
PER_TYPE: tuple[tuple[str, int], ...] = (("better", 2), ("not solved", 1))


@dataclass(frozen=True)
class Attempts:
    """The attempts at one prompt in one evaluation."""

    label: str
    attempts: tuple[Attempt, ...]

    @property
    def score_words(self) -> str:
        """What no judge decided on counts for nothing: "2 of 3 right, 1 not judged"; "1 of 4 won, 1 even"."""
        counts = Counter(attempt.outcome for attempt in self.attempts)
        num_judged = len(self.attempts) - counts["unjudged"]
        compared = any(attempt.compared for attempt in self.attempts)
        words = f"{counts['won'] if compared else counts['right']} of {num_judged} {'won' if compared else 'right'}"
        words += f", {counts['even']} even" if counts["even"] else ""
        return words + (f", {counts['unjudged']} not judged" if counts["unjudged"] else "")

    @property
    def typical(self) -> Attempt | None:
        """The first attempt that ended as most of them did; the first of all when that is undecided."""
        counts = Counter(attempt.outcome for attempt in self.attempts).most_common(2)
        if not counts:
            return None
        tied = len(counts) == 2 and counts[0][1] == counts[1][1]
        return self.attempts[0] if tied else next(a for a in self.attempts if a.outcome == counts[0][0])

    @property
    def others(self) -> list[Attempt]:
        """The attempts folded away beneath the typical one."""
        return [attempt for attempt in self.attempts if attempt is not self.typical]


@dataclass(frozen=True)
class ComparedPrompt:
    """One prompt with its attempts before and after (only `before` while there is one evaluation)."""

    prompt: ShownPrompt
    sides: tuple[Attempts, ...]

    @property
    def typical_attempts(self) -> list[Attempt]:
        """The attempt of each side that is shown unfolded, whose box is drawn on the picture."""
        return [side.typical for side in self.sides if side.typical is not None]


@dataclass(frozen=True)
class Comparison:
    """`num_changed` counts the prompts with a verifier by whether their mean reward rose, stayed or fell, and
    `num_compared_changed` the others by wins against the reference. Empty where there is no before and after.
    """

    shown: tuple[ComparedPrompt, ...]
    num_changed: dict[Change, int]
    num_compared_changed: dict[Change, int]

    @property
    def is_change(self) -> bool:
        return bool(self.num_changed or self.num_compared_changed)


@dataclass(frozen=True)
class _Change:
    prompt_id: str
    question_type: str
    compared: bool
    before: float
    after: float
    solved: bool  # at least half of the attempts after are right, or won

    @property
    def direction(self) -> Change:
        return "better" if self.after > self.before else "worse" if self.after < self.before else "same"

    @property
    def sort(self) -> str:
        if self.after > self.before:
            return "better" if self.solved else "not solved"
        return "not solved" if not self.solved else "same"


def compare(log: RolloutTable, stages: Sequence[tuple[str, str]]) -> Comparison:
    """`stages` are one or two pairs (stage, label): the cold start's evaluation, then the last one."""
    first, last = stages[0][0], stages[-1][0]
    changes = _changes(log, first, last)
    chosen = choose(changes)
    prompts = log.prompts([change.prompt_id for change in chosen])
    shown = []
    for change in chosen:
        if change.prompt_id not in prompts:
            continue
        attempts = log.attempts(change.prompt_id, [stage for stage, _ in stages])
        sides = tuple(
            Attempts(label, tuple(attempt for attempt in attempts if attempt.stage == stage))
            for stage, label in stages
        )
        shown.append(ComparedPrompt(prompts[change.prompt_id], sides))
    if first == last:
        return Comparison(tuple(shown), {}, {})
    return Comparison(
        tuple(shown),
        _counted([change for change in changes if not change.compared]),
        _counted([change for change in changes if change.compared]),
    )


def _counted(changes: Sequence[_Change]) -> dict[Change, int]:
    counts: dict[Change, int] = {"better": 0, "same": 0, "worse": 0}
    for change in changes:
        counts[change.direction] += 1
    return counts if changes else {}


def choose(changes: Sequence[_Change]) -> list[_Change]:
    """By rule: per question type the prompts of `PER_TYPE`, filled up with others, in the order of their ids."""
    by_type: dict[str, list[_Change]] = {}
    for change in changes:
        by_type.setdefault(change.question_type, []).append(change)
    per_type = sum(num for _, num in PER_TYPE)
    chosen = []
    for of_type in by_type.values():
        picked = [change for sort, num in PER_TYPE for change in [c for c in of_type if c.sort == sort][:num]]
        picked += [change for change in of_type if change not in picked][: per_type - len(picked)]
        chosen.append(picked)
    # One of each type in turn, so that a run with many question types shows as many as fit.
    order = [(rank, change) for picked in chosen for rank, change in enumerate(picked)]
    kept = [change for _, change in sorted(order, key=lambda pair: pair[0])[:MAX_SHOWN]]
    return sorted(kept, key=lambda change: change.question_type)


def _changes(log: RolloutTable, first: str, last: str) -> list[_Change]:
    """Mean worth per prompt in both stages; what a judge left without a reward does not count.

    Worth is the reward of a verifier; against a reference a win, since no two probabilities are ever the same.
    """
    sql = """
        SELECT prompt_id, any_value(question_type) AS question_type, any_value(compared) AS compared,
               avg(worth) FILTER (stage = $first) AS before, avg(worth) FILTER (stage = $last) AS after,
               avg(solved) FILTER (stage = $last) >= 0.5 AS solved
        FROM (SELECT *, CASE word WHEN 'right' THEN 1.0 WHEN 'won' THEN 1.0 WHEN 'even' THEN 0.5 ELSE 0.0 END AS solved,
                     CASE WHEN compared AND reward IS NOT NULL THEN solved ELSE reward END AS worth
              FROM rollouts WHERE stage IN ($first, $last))
        GROUP BY prompt_id HAVING before IS NOT NULL AND after IS NOT NULL
        ORDER BY question_type, prompt_id
    """
    rows = log.query(sql, {"first": first, "last": last})
    return [
        _Change(
            row["prompt_id"],
            str(row["question_type"]),
            row["compared"],
            float(row["before"]),
            float(row["after"]),
            bool(row["solved"]),
        )
        for row in rows
    ]
