"""What a reader decides about a prompt, from a form into the events of its run or prompt file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from recipes.report.shown_prompt import reference_of
from recipes.view.opened import Place, Snapshot
from sampler.store.decisions.curation_events import Action, CurationEvent
from verifiers.errors import BadInput, HoneError

MAX_FIELD_CHARS = 100_000


def decide(snapshot: Snapshot, form: Mapping[str, str], default_author: str) -> CurationEvent:
    """Append the event that a form asks for. Raises: BadInput with what is wrong with it."""
    place = snapshot.places.get(form.get("run", ""))
    if place is None:
        raise BadInput("no such run")
    prompt_id, action = form.get("id", ""), form.get("action", "")
    if action not in get_args(Action):
        raise BadInput(f"{action[:40]!r} is no action")
    row = place.prompts.rows([prompt_id]).get(prompt_id)
    if row is None:
        raise BadInput("the prompt is not in the data")
    value: Any = form.get("value", "").strip()
    if len(value) > MAX_FIELD_CHARS:
        raise BadInput("the value is too long")
    previous = None
    if action == "correct":
        previous = _reference_now(snapshot, place, row)
        value = corrected(value, row, previous)
    return place.events.append(
        prompt_id,
        action,  # type: ignore[arg-type]  # checked above
        None if action in ("accept", "reject") else value,
        author=form.get("author", "").strip() or default_author,
        reason=form.get("reason", "").strip(),
        previous=previous,
    )


def corrected(text: str, row: Mapping[str, Any], previous: Any) -> Any:
    """A new reference out of a form's text: JSON where the one before was no text. Raises: BadInput where the prompt's
    verifier does not take it."""
    value: Any = text
    if not isinstance(previous, str):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise BadInput("the reference was JSON: write the new one as JSON") from None
    if value == previous:
        raise BadInput("the reference is that already")
    _require_readable(value, row)
    return value


def _require_readable(value: Any, row: Mapping[str, Any]) -> None:
    """Built-in verifiers are asked; a prompt set may name any module, and looking at one must not import it."""
    from verifiers.registry import BUILT_IN, load_verifier

    name, options = str(row.get("verifier") or ""), row.get("verifier_options") or {}
    if name not in BUILT_IN:
        return
    try:
        judge = load_verifier(name, json.loads(options) if isinstance(options, str) else options)
        judge.prepare(value)
    except (HoneError, ValueError, TypeError) as why:
        raise BadInput(f"the verifier {name} does not take this reference: {why}") from why


def _reference_now(snapshot: Snapshot, place: Place, row: Mapping[str, Any]) -> Any:
    curation = snapshot.curation_of(place.name, str(row["prompt_id"]))
    if curation is not None and curation.reference is not None:
        return curation.reference
    return reference_of(dict(row))
