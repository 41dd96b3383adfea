"""One prompt: what it shows and asks, every policy's pass rate, every answer, and what people decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recipes.report.attempt import Attempt
from recipes.report.comparison import Attempts
from recipes.report.drawing.places import Places
from recipes.report.rollout_table import RolloutTable
from recipes.report.shown_prompt import ShownPrompt, corrected_row, reference_text
from recipes.view.opened import Snapshot
from recipes.view.pages.prompt_table import Rates, histories_of, log_of
from recipes.view.place import Place
from recipes.view.vision_file import Film, films, shown_pictures
from sampler.store.belief import Belief
from sampler.store.decisions.curation import Curation
from sampler.store.decisions.curation_events import CurationEvent, in_force
from sampler.store.decisions.curation_table import Decisions

MAX_CHARS = 8000
_POLICIES = """
    SELECT policy_version, verifier, stage, n, num_right, reward_mean, spread, unjudged
    FROM attempts_in_force WHERE run = ? AND prompt_id = ? ORDER BY policy_version, verifier
"""
_MOVES = """
    SELECT policy_version, move FROM turnover WHERE run = ? AND prompt_id = ? AND move NOT IN ('first', 'same')
    ORDER BY policy_version
"""


@dataclass(frozen=True)
class PolicyLine:
    """What one policy made of the prompt; ``low`` and ``high`` hold its pass rate nine times of ten."""

    version: int
    label: str
    n: int
    num_right: float
    low: float
    high: float
    reward_mean: float | None
    spread: float | None
    unjudged: int

    @property
    def rate(self) -> float | None:
        return self.num_right / self.n if self.n else None


@dataclass(frozen=True)
class PromptPage:
    """All that the page of a prompt shows; ``version`` is the policy whose answers it lists, none for all. ``log`` is
    where its answers lie, for a set a run beside it."""

    place: Place
    log: Place
    prompt: ShownPrompt | None
    prompt_id: str
    row: Mapping[str, Any]
    policies: Sequence[PolicyLine]
    version: int | None
    sides: Sequence[tuple[int, Attempts]]
    history: Rates
    blind: tuple[float, int] | None  # right and judged samples without the picture
    moves: Sequence[tuple[int, str]]
    films: Sequence[Film]
    curation: Curation | None
    events: Sequence[tuple[CurationEvent, bool]]

    @property
    def attempts(self) -> list[Attempt]:
        """All that are shown, and so drawn on the pictures."""
        return [attempt for _, side in self.sides for attempt in side.attempts]

    @property
    def tags(self) -> tuple[str, ...]:
        """As people left them."""
        return self.prompt.tags if self.prompt else ()

    @property
    def reference_now(self) -> str:
        """In force: a correction, or what the set says."""
        if self.curation is not None and self.curation.reference is not None:
            return reference_text({"reference": self.curation.reference})
        return reference_text(dict(self.row)) if self.row else ""

    def places_of(self, attempt: Attempt) -> Places:
        """What an answer names, with how it agrees."""
        return self.prompt.places.of_answer(attempt.answer.text) if self.prompt else Places()


def prompt_page(
    snapshot: Snapshot, place: Place, prompt_id: str, version: int | str | None = "best"
) -> PromptPage | None:
    """None where neither data nor log know the prompt. ``version`` "best" is the best policy's that tried it."""
    row = place.prompts.rows([prompt_id]).get(prompt_id)
    log = log_of(snapshot, place, prompt_id)
    policies = _policies(snapshot, log, prompt_id)
    if row is None and not policies:
        return None
    curation = snapshot.curation_of(place.name, prompt_id)
    versions = [one.version for one in policies]
    chosen = _best(log, versions) if version == "best" else version
    prompt = None
    if row is not None:
        plain = corrected_row({**row, "images": [], "videos": []}, curation)
        prompt = replace(ShownPrompt.of(plain), pictures=shown_pictures(place.name, row))
    return PromptPage(
        place=place,
        log=log,
        prompt=prompt,
        prompt_id=prompt_id,
        row={name: value for name, value in (row or {}).items() if name not in ("images", "videos")},
        policies=policies,
        version=chosen if isinstance(chosen, int) else None,
        sides=_sides(snapshot, log, prompt_id, chosen if isinstance(chosen, int) else None),
        history=histories_of(snapshot, [prompt_id]).get((log.name, prompt_id), ()),
        blind=_blind(snapshot, log, prompt_id),
        moves=[(one["policy_version"], one["move"]) for one in snapshot.query(_MOVES, [log.name, prompt_id])],
        films=films(row or {}),
        curation=curation,
        events=_events(snapshot.decisions[place.name], prompt_id),
    )


def _policies(snapshot: Snapshot, place: Place, prompt_id: str) -> list[PolicyLine]:
    rows = snapshot.query(_POLICIES, [place.name, prompt_id])
    right = np.array([row["num_right"] or 0.0 for row in rows], np.float64)
    low, high = Belief(right, np.array([row["n"] for row in rows], np.float64) - right).interval()
    labels = policy_labels(place)
    return [
        PolicyLine(
            int(row["policy_version"]), labels.get(row["policy_version"], str(row["stage"])), int(row["n"]),
            float(row["num_right"] or 0.0), float(low[i]), float(high[i]), row["reward_mean"], row["spread"],
            int(row["unjudged"] or 0),
        )
        for i, row in enumerate(rows) if row["policy_version"] is not None
    ]  # fmt: skip


def _blind(snapshot: Snapshot, place: Place, prompt_id: str) -> tuple[float, int] | None:
    sql = "SELECT sum(num_right), sum(n)::BIGINT FROM blind_attempts_in_force WHERE run = ? AND prompt_id = ?"
    right, num = snapshot.query(sql, [place.name, prompt_id])[0].values()
    return (float(right or 0), int(num)) if num else None


def policy_labels(place: Place) -> dict[int, str]:
    """By version what an evaluated policy is called: "round 1 RL"."""
    from recipes.report.evaluation import evaluation_label

    evaluations = place.run.evaluations if place.run else []
    return {
        int(one["policy_version"]): evaluation_label(one) for one in evaluations if "policy_version" in one
    }


def _best(place: Place, versions: Sequence[int]) -> int | None:
    best = place.best.get("policy_version") if place.best else None
    return best if best in versions else max(versions, default=None)


def _sides(
    snapshot: Snapshot, place: Place, prompt_id: str, version: int | None
) -> list[tuple[int, Attempts]]:
    """The answers by policy and stage, in the order they were made, with the verdicts that count."""
    with RolloutTable(place.path, place.part.pass_score, snapshot.shards_of(place.name, prompt_id)) as log:
        attempts = log.attempts(prompt_id, max_chars=MAX_CHARS, version=version)
    sides: dict[tuple[str, int], list[Attempt]] = {}
    for attempt in snapshot.in_force(place.name, {prompt_id: attempts})[prompt_id]:
        sides.setdefault((attempt.stage, attempt.policy_version), []).append(attempt)
    return [(version, Attempts(stage, tuple(made))) for (stage, version), made in sides.items()]


def _events(decisions: Decisions, prompt_id: str) -> list[tuple[CurationEvent, bool]]:
    """Newest first, each with whether it is in force."""
    events = [event for event in decisions.events if event.prompt_id == prompt_id]
    valid = {event.event_id for event in in_force(events)}
    return [(event, event.event_id in valid) for event in reversed(events)]
