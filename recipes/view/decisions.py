"""What a reader decides about a prompt, from a form into the events of its run or prompt file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, get_args

from recipes.report.shown_prompt import corrected_row, reference_text
from recipes.view.opened import Snapshot
from recipes.view.place import Place
from sampler.prompt import Prompt
from sampler.store.decisions.correction import correction_warning, reference_typed
from sampler.store.decisions.curation import Curation
from sampler.store.decisions.curation_events import Action, CurationEvent
from sampler.store.decisions.curation_table import Decisions, as_judged
from verifiers.errors import BadInput, HoneError

MAX_FIELD_CHARS = 100_000


class Decided(NamedTuple):
    """An event that was written; ``warning`` is what to know of it, or empty."""

    event: CurationEvent
    warning: str = ""


def decide(snapshot: Snapshot, form: Mapping[str, str], default_author: str) -> Decided:
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
    value: Any = _as_typed(form.get("value", ""))
    if len(value) > MAX_FIELD_CHARS:
        raise BadInput("the value is too long")
    previous, warning = None, ""
    if action == "correct":
        before = _judged_now(snapshot, place, row)
        after = corrected(value, before)
        previous, value, warning = before.reference, after.reference, correction_warning(before, after)
    event = place.events.append(
        prompt_id,
        action,  # type: ignore[arg-type]  # checked above
        None if action in ("accept", "reject") else value,
        author=form.get("author", "").strip() or default_author,
        reason=form.get("reason", "").strip(),
        previous=previous,
        beside=place.part.event_files,
    )
    return Decided(event, warning)


def left_by_people(snapshot: Snapshot, form: Mapping[str, str]) -> dict[str, Any]:
    """What is in force of a prompt that a form just decided about, as the row of the table shows it."""
    place, prompt_id = snapshot.places[form["run"]], form["id"]
    curation = Decisions.of(place.part.event_files).of_prompt(prompt_id)
    (row,) = place.prompts.rows([prompt_id]).values()
    return {
        "decision": curation.decision,
        "reference": reference_text(corrected_row(row, curation)),
        "is_corrected": curation.revision > 0,
    }


def corrected(text: str, before: Prompt) -> Prompt:
    """With the reference of a form's text, which is JSON where the one before was no text. Raises: BadInput where it is
    the one before, or the prompt's verifier does not take it."""
    value, now = reference_typed(before.reference, text), before.reference
    if value is None:
        raise BadInput("the reference is empty")
    if value == (_as_typed(now) if isinstance(now, str) else now):
        raise BadInput("the reference is that already")
    after = replace(before, reference=value)
    _require_readable(after)
    return after


def _as_typed(text: str) -> str:
    """As a form shows it and sends it back: browsers end lines their own way."""
    return text.replace("\r\n", "\n").strip()


def _require_readable(prompt: Prompt) -> None:
    """Built-in verifiers are asked; a prompt set may name any module, and looking at one must not import it."""
    from verifiers.registry import BUILT_IN, load_verifier

    if prompt.verifier not in BUILT_IN:
        return
    try:
        load_verifier(prompt.verifier, prompt.verifier_options).prepare(prompt.reference)
    except (HoneError, ValueError, TypeError) as why:
        raise BadInput(f"the verifier {prompt.verifier} does not take this reference: {why}") from why


def _judged_now(snapshot: Snapshot, place: Place, row: Mapping[str, Any]) -> Prompt:
    """What judges a prompt of a set, as people decided. Raises: BadInput where the set says it in no readable form."""
    options = row.get("verifier_options")
    as_text = {"verifier_options": options if isinstance(options, str) else json.dumps(options or {})}
    known = dict.fromkeys(("verifier", "reference", "reference_json", "tags")) | dict(row) | as_text
    curation = snapshot.curation_of(place.name, str(row["prompt_id"])) or Curation()
    try:
        return curation.applied(as_judged(known))
    except ValueError as why:
        raise BadInput(f"the prompt's own reference or options cannot be read: {why}") from why
