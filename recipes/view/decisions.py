"""What a reader decides about a prompt, from a form into the events of its run or prompt file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, get_args

from recipes.view.opened import Snapshot
from recipes.view.place import Place
from sampler.prompt import Prompt
from sampler.store.decisions.correction import correction_warning, with_text
from sampler.store.decisions.curation import Curation
from sampler.store.decisions.curation_events import Action, CurationEvent
from sampler.store.decisions.curation_table import as_judged
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
    value: Any = form.get("value", "").strip()
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
    )
    return Decided(event, warning)


def corrected(text: str, before: Prompt) -> Prompt:
    """With the reference of a form's text: JSON where the one before was no text, or what replaces its `answer`.
    Raises: BadInput where the prompt's verifier does not take it."""
    value: Any = text
    if not isinstance(before.reference, str):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = with_text(before.reference, text)
    if value == before.reference:
        raise BadInput("the reference is that already")
    after = replace(before, reference=value)
    _require_readable(after)
    return after


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
