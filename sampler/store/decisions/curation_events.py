"""What people decided about prompts: accepted, rejected, tagged, corrected; and what that comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sampler.data.prompt_messages import checked_text
from sampler.data.reference import read_reference
from sampler.store.decisions.curation import Curation, JudgedBy
from verifiers.errors import BadInput

Action = Literal["accept", "reject", "tag", "untag", "correct", "undo"]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True)
class CurationEvent:
    """One decision of one person.

    ``value`` is the tag, the new reference (any JSON) or the id of the event undone; ``previous`` the reference before.
    A correction may also change who judges: ``verifier`` and ``previous_verifier`` are none where it does not. ``at``
    is ISO 8601, UTC.
    """

    event_id: str
    at: str
    author: str
    prompt_id: str
    action: Action
    value: Any = None
    previous: Any = None
    reason: str = ""
    verifier: JudgedBy | None = None
    previous_verifier: JudgedBy | None = None

    def __post_init__(self) -> None:
        """Raises: BadInput for what is no event, whoever wrote it."""
        for name in ("event_id", "at", "author", "prompt_id", "reason"):
            if not isinstance(getattr(self, name), str):
                raise BadInput(f"{name} is text")
            checked_text(getattr(self, name))
        for name in ("event_id", "author", "prompt_id"):
            if not getattr(self, name).strip():
                raise BadInput(f"{name} is empty")
        if self.action not in ACTIONS:
            raise BadInput(f"{str(self.action)[:40]!r} is no action: choose of {', '.join(ACTIONS)}")
        if self.action == "correct":
            if read_reference(self.value) != self.value:
                raise BadInput(
                    "a corrected reference is text, or a list or a mapping of plain JSON, and not empty"
                )
        elif self.verifier is not None:
            raise BadInput(f"a verifier goes with a correction, not with {self.action!r}")
        elif self.action in ("accept", "reject"):
            if self.value is not None:
                raise BadInput(f"{self.action!r} takes no value")
        elif not isinstance(self.value, str) or not self.value.strip():
            raise BadInput(
                f"{self.action!r} needs {'the event to undo' if self.action == 'undo' else 'a tag'}"
            )
        else:
            checked_text(self.value)


def in_force(events: Sequence[CurationEvent]) -> list[CurationEvent]:
    """The events that no undo took back, undos included, wherever it stands: between files a clock may have run ahead.
    An undo that was itself undone takes nothing back."""
    known = {event.event_id: event for event in events}
    undos: dict[str, list[CurationEvent]] = defaultdict(list)
    in_turn = []
    for event in known.values():
        if event.action == "undo" and event.value in known:
            undos[event.value].append(event)
        else:
            in_turn.append(event)
    for event in in_turn:  # grows: each event before its undos
        in_turn += undos[event.event_id]
    undone, kept = set[str](), set[str]()
    for event in reversed(in_turn):
        if event.event_id not in undone:
            kept.add(event.event_id)
            if event.action == "undo":
                undone.add(event.value)
    return [event for event in events if event.event_id in kept]


def curation_of(events: Sequence[CurationEvent]) -> dict[str, Curation]:
    """What ``events``, oldest first, come to, by prompt id; also a prompt whose events are all undone is there."""
    revisions: Counter[str] = Counter()
    number = {}
    for event in events:
        if event.action == "correct":
            revisions[event.prompt_id] += 1
            number[event.event_id] = revisions[event.prompt_id]
    found = {event.prompt_id: Curation() for event in events}
    for event in in_force(events):
        found[event.prompt_id] = _after(found[event.prompt_id], event, number.get(event.event_id, 0))
    return found


def _after(before: Curation, event: CurationEvent, revision: int) -> Curation:
    def without(tags: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(tag for tag in tags if tag != event.value)

    match event.action:
        case "accept" | "reject":
            return replace(before, accepted=event.action == "accept")
        case "tag":
            added = (*without(before.tags_added), event.value)
            return replace(before, tags_added=added, tags_removed=without(before.tags_removed))
        case "untag":
            removed = (*without(before.tags_removed), event.value)
            return replace(before, tags_added=without(before.tags_added), tags_removed=removed)
        case "correct":
            # A correction says all of it: one that names no verifier leaves the verifier of the one before.
            verifier = event.verifier or before.verifier
            return replace(before, reference=event.value, verifier=verifier, revision=revision)
    return before
