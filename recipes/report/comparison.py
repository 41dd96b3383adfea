"""The same held-out prompts before and after: which ones are shown, and how many got better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.attempt import Attempt
from recipes.report.in_force import RunInForce
from recipes.report.rollout_table import RolloutTable
from recipes.report.shown_prompt import ShownPrompt
from sampler.store.prompt_store import PromptStore

MAX_SHOWN = 16
NUM_BETTER, NUM_WORSE, NUM_UNSOLVED = (
    2,
    1,
    1,
)  # of each question type: what the page shows must not be only what went well

NUM_CHOSEN = NUM_BETTER + NUM_WORSE + NUM_UNSOLVED

# Mean worth per prompt in both stages; what a judge left without a reward does not count. Worth is the reward of a
# verifier; against a reference a win, since no two probabilities are ever the same. Chosen by rule: per question type
# some that got better and are solved (half of the attempts after are right, or won), some that got worse, some that are
# not solved, then others, in the order of their ids.
_CHANGES = f"""
    WITH worths AS ({{worths}}), prompts AS (
        SELECT prompt_id, any_value(question_type) AS question_type, any_value(compared) AS compared,
               avg(worth) FILTER (stage = $first) AS before, avg(worth) FILTER (stage = $last) AS after,
               avg(solved) FILTER (stage = $last) >= 0.5 AS is_solved
        FROM worths GROUP BY prompt_id HAVING before IS NOT NULL AND after IS NOT NULL
    ), changes AS (
        SELECT *, CASE WHEN after > before THEN 'better' WHEN after < before THEN 'worse' ELSE 'same' END AS direction,
               CASE WHEN after < before THEN 'worse' WHEN NOT is_solved THEN 'not solved'
                    WHEN after > before THEN 'better' ELSE 'other' END AS sort,
               row_number() OVER (PARTITION BY question_type, sort ORDER BY prompt_id) AS rank_in_sort,
               CASE WHEN sort = 'better' AND rank_in_sort <= {NUM_BETTER} THEN 1
                    WHEN sort = 'worse' AND rank_in_sort <= {NUM_WORSE} THEN 2
                    WHEN sort = 'not solved' AND rank_in_sort <= {NUM_UNSOLVED} THEN 3 ELSE 4 END AS choice
        FROM prompts
    )
    SELECT *, row_number() OVER (PARTITION BY question_type ORDER BY choice, prompt_id) AS rank FROM changes
    ORDER BY rank, question_type
"""
_BY_LOG = """
    SELECT *, CASE WHEN word IN ('right', 'won') THEN 1.0 WHEN word = 'even' THEN 0.5 ELSE 0.0 END AS solved,
           CASE WHEN compared AND reward IS NOT NULL THEN solved ELSE reward END AS worth
    FROM rollouts WHERE stage IN ($first, $last)
"""
_IN_FORCE = """
    SELECT * EXCLUDE (worth), verifier IS NULL AS compared, coalesce(worth, 0.0) AS solved,
           CASE WHEN compared THEN worth ELSE reward END AS worth
    FROM answers_in_force WHERE stage IN ($first, $last)
"""
_OTHERWISE = """
    SELECT count(DISTINCT prompt_id) AS num FROM answers_in_force AS now
    JOIN rollouts AS logged USING (run, stage, prompt_id, rollout_id)
    WHERE stage IN ($first, $last) AND now.worth IS DISTINCT FROM logged.worth
"""


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
        good = "won" if any(attempt.compared for attempt in self.attempts) else "right"
        words = f"{counts['won'] if good == 'won' else counts['right']} of {num_judged} {good}"
        words += f", {counts['even']} even" if counts["even"] else ""
        return words + (f", {counts['unjudged']} not judged" if counts["unjudged"] else "")

    @property
    def num_otherwise(self) -> int:
        """How many are judged otherwise than the log says."""
        return sum(bool(attempt.logged) for attempt in self.attempts)

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
    Of `num_otherwise` prompts an answer is judged otherwise than the log says; None where that is not known.
    """

    shown: tuple[ComparedPrompt, ...]
    num_changed: dict[str, int]
    num_compared_changed: dict[str, int]
    num_otherwise: int | None = 0

    @property
    def is_change(self) -> bool:
        return bool(self.num_changed or self.num_compared_changed)


def compare(
    log: RolloutTable, stages: Sequence[tuple[str, str]], store: PromptStore | None = None
) -> Comparison:
    """`stages` are one or two pairs (stage, label): the cold start's evaluation, then the last one. By the verdicts in
    force, which a `store` of the log's run alone has; without one by the log's."""
    first, last = stages[0][0], stages[-1][0]
    named = {"first": first, "last": last}
    if store is None:
        now, changes, num_otherwise = None, log.query(_CHANGES.format(worths=_BY_LOG), named), 0
    else:
        (run,) = store.parts
        now = RunInForce.of(store, run)
        changes = store.query(_CHANGES.format(worths=_IN_FORCE), named).to_pylist()
        num_otherwise = store.query(_OTHERWISE, named).to_pylist()[0]["num"]
    # One of each type in turn, so that a run with many question types shows as many as fit.
    chosen = [change for change in changes if change["rank"] <= NUM_CHOSEN][:MAX_SHOWN]
    chosen.sort(key=lambda change: str(change["question_type"]))
    prompts = log.prompts([change["prompt_id"] for change in chosen], now.curated if now else {})
    ids = [change["prompt_id"] for change in chosen if change["prompt_id"] in prompts]
    logged = {name: log.attempts(name, [stage for stage, _ in stages]) for name in ids}
    attempts = now.attempts(logged) if now else logged
    shown = []
    for prompt_id in ids:
        sides = (
            Attempts(label, tuple(one for one in attempts[prompt_id] if one.stage == stage))
            for stage, label in stages
        )
        shown.append(ComparedPrompt(prompts[prompt_id], tuple(sides)))
    verified, compared = (
        [one for one in changes if one["compared"] == by_model] for by_model in (False, True)
    )
    if first == last:
        verified = compared = []
    return Comparison(tuple(shown), _counted(verified), _counted(compared), num_otherwise)


def _counted(changes: Sequence[dict[str, Any]]) -> dict[str, int]:
    counts = Counter(change["direction"] for change in changes)
    return {direction: counts[direction] for direction in ("better", "same", "worse")} if changes else {}
