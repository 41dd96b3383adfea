"""What people decided about the prompts of one run, as tables, and which revision of a corrected prompt counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sampler.data.reference import reference_of_json
from sampler.prompt import Prompt, Reference
from sampler.store.decisions.curation import Curation, JudgedBy
from sampler.store.decisions.curation_events import CurationEvent, curation_of, in_force
from sampler.store.decisions.event_log import EventLog, merged_events
from sampler.store.sql_text import table_without_rows

SCHEMA = pa.schema(
    [("run", pa.string()), ("prompt_id", pa.string()), ("accepted", pa.bool_()), ("tags_added", pa.list_(pa.string())),
     ("tags_removed", pa.list_(pa.string())), ("correction", pa.int64()), ("reference", pa.string()),
     ("verifier", pa.string()), ("revision", pa.string())]
)  # fmt: skip

_OF_EVENT = ("event_id", "author", "prompt_id", "action", "value", "previous", "reason")
EVENT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("run", "decided_at", *_OF_EVENT)] + [("in_force", pa.bool_())]
)


@dataclass(frozen=True)
class Decisions:
    """All events, oldest first, and by prompt id what they come to."""

    events: Sequence[CurationEvent]
    curated: Mapping[str, Curation]

    @classmethod
    def of(cls, files: Sequence[Path]) -> Decisions:
        """Of several files of events, in the order of `merged_events`. Raises: BadInput naming a damaged line."""
        events = merged_events(map(EventLog, files))
        return cls(events, curation_of(events))

    def with_events(self, events: Iterable[CurationEvent]) -> Decisions:
        """With later ones."""
        joined = [*self.events, *events]
        return Decisions(joined, curation_of(joined))

    @property
    def corrected(self) -> frozenset[str]:
        """The prompts that were ever corrected, whether that is undone or not."""
        return frozenset(event.prompt_id for event in self.events if event.action == "correct")

    @property
    def corrections(self) -> Mapping[str, tuple[Reference | None, JudgedBy | None]]:
        """By prompt id the reference and the verifier that corrections put in force; of the others none. An undo of an
        older one may change them too, so the number of the newest does not tell them apart."""
        return {name: (one.reference, one.verifier) for name, one in self.curated.items() if one.revision}

    def of_prompt(self, prompt_id: str) -> Curation:
        """What the prompt's events come to; of one without events nothing."""
        return self.curated.get(prompt_id, Curation())

    def log(self, run: str) -> pa.Table:
        """A row an event; values of any JSON as text."""
        kept = {event.event_id for event in in_force(self.events)}
        rows = [
            {"run": run, "decided_at": event.at, "in_force": event.event_id in kept}
            | {name: _as_text(getattr(event, name)) for name in _OF_EVENT}
            for event in self.events
        ]
        return pa.Table.from_pylist(rows, schema=EVENT_SCHEMA) if rows else table_without_rows(EVENT_SCHEMA)

    def table(self, run: str, prompts: Iterable[Mapping[str, Any]]) -> pa.Table:
        """A row for each prompt with an event. ``prompts`` are rows of the sets, of at least those ever corrected: of
        these ``revision`` tells which is in force, as the rollout log names it."""
        in_sets, corrected, rows = {row["prompt_id"]: as_judged(row) for row in prompts}, self.corrected, []
        for prompt_id, curation in self.curated.items():
            prompt = in_sets.get(prompt_id) if prompt_id in corrected else None
            now = None if prompt is None else curation.applied(prompt)
            rows.append(
                {
                    "run": run, "prompt_id": prompt_id, "accepted": curation.accepted,
                    "tags_added": curation.tags_added, "tags_removed": curation.tags_removed,
                    "correction": curation.revision,
                    "reference": None if now is None or not curation.revision else now.reference_text,
                    "verifier": None if curation.verifier is None else curation.verifier.name,
                    "revision": None if now is None else now.revision,
                }
            )  # fmt: skip
        return pa.Table.from_pylist(rows, schema=SCHEMA) if rows else table_without_rows(SCHEMA)


_UNASKED = Prompt("", ())


def as_judged(row: Mapping[str, Any]) -> Prompt:
    """A prompt of the store's view without what it asks and shows: what it is judged by, and its tags."""
    as_json = row["reference_json"]
    reference = row["reference"] if as_json is None else reference_of_json(as_json)
    return replace(
        _UNASKED,
        prompt_id=row["prompt_id"],
        verifier=row["verifier"],
        verifier_options=json.loads(row["verifier_options"] or "{}"),
        reference=reference or "",
        tags=tuple(row["tags"] or ()),
    )


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
