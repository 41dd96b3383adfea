"""`hone prompts fix`: a prompt's reference or verifier corrected, by an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recipes.commands.prompts.deciding.mark import Author, Reason, Undo
from recipes.commands.prompts.opened_store import PromptId, RunOrSet, opened, row_of, whole_ids

if TYPE_CHECKING:
    from sampler.prompt import Prompt
    from sampler.store.decisions.curation_events import CurationEvent
    from sampler.store.decisions.event_log import EventLog


def fix(
    prompt_id: PromptId,
    run_or_set: RunOrSet,
    reference: Annotated[str | None, typer.Option(help="The right reference, as text.")] = None,
    reference_json: Annotated[str | None, typer.Option(help="The same as JSON: a list or a mapping.")] = None,
    verifier: Annotated[
        str | None, typer.Option(help="Who judges from now on; the reference may stay.")
    ] = None,
    option: Annotated[list[str] | None, typer.Option(help="key=value of the verifier; repeatable.")] = None,
    author: Author = None,
    reason: Reason = "",
    undo: Undo = False,
) -> None:
    """Correct a prompt's reference. The prompt keeps its id and its history; what was judged before counts no more
    until `hone prompts rejudge` has judged the stored answers again. The prompt set itself is not changed."""
    from recipes.commands.output.console import plain_console
    from recipes.commands.prompts.deciding.mark import author_of, undo_newest
    from sampler.store.decisions.correction import correction_warning
    from sampler.store.decisions.curation_table import as_judged
    from sampler.store.decisions.event_log import EventLog
    from verifiers.verifier import shown

    log, by, console = EventLog.beside(run_or_set), author_of(author), plain_console()
    with opened(run_or_set) as (store, run):
        row = row_of(store, *whole_ids(store, [prompt_id]))
        whole, curation = row["prompt_id"], store.decisions[run].of_prompt(row["prompt_id"])
        files = store.parts[run].event_files
    if undo:
        undo_newest(log, files, whole, ("correct",), by, reason)
        with opened(run_or_set) as (store, run):
            now = store.decisions[run].of_prompt(whole).applied(as_judged(row))
        console.print(f"{whole}: undone; its reference is {said(now)}")
        return
    before = curation.applied(as_judged(row))
    after = _corrected(before, _reference(reference, reference_json), verifier, option)
    append_correction(log, before, after, by, reason)
    console.print(f"{whole}: {shown(row['question'], 200)}")
    console.print(f"  was {said(before)}")
    console.print(f"  now {said(after)}")
    if warning := correction_warning(before, after):
        console.print(f"! {warning}")
    console.print(f"in {log.path}; `hone prompts rejudge` judges stored answers by it")


def append_correction(
    log: EventLog, before: Prompt, after: Prompt, author: str, reason: str = ""
) -> CurationEvent:
    """Raises: BadInput where nothing changes, and for a reference that its verifier refuses, or that does not score 1
    against itself."""
    from sampler.store.decisions.curation import JudgedBy
    from verifiers.errors import BadInput

    if after.revision == before.revision:
        raise BadInput(f"{after.prompt_id} is judged so already: {said(before)}")
    _require_sound(after)
    then, now = (
        None if one.verifier is None else JudgedBy(one.verifier, one.verifier_options)
        for one in (before, after)
    )
    return log.append(
        after.prompt_id,
        "correct",
        after.reference,
        author=author,
        reason=reason,
        previous=before.reference,
        verifier=None if now == then else now,
        previous_verifier=None if now == then else then,
    )


def _reference(text: str | None, as_json: str | None) -> Any:
    """None where none is given. Raises: BadInput."""
    from verifiers.errors import BadInput

    if text is not None and as_json is not None:
        raise BadInput("give --reference or --reference-json, not both")
    if text is None and as_json is None:
        return None
    return reference_given(text or as_json or "", as_json=as_json is not None)


def reference_given(text: str, *, as_json: bool) -> Any:
    """As a prompt holds it. Raises: BadInput where there is none."""
    from sampler.data.reference import read_reference, reference_of_json
    from verifiers.errors import BadInput

    found = reference_of_json(text) if as_json else read_reference(text)
    if found is None:
        raise BadInput("the reference is empty")
    return found


def _corrected(before: Prompt, reference: Any, verifier: str | None, option: list[str] | None) -> Prompt:
    from dataclasses import replace

    from recipes.commands.verify import parse_options
    from sampler.store.decisions.correction import with_text
    from verifiers.errors import BadInput

    if reference is None and verifier is None and not option:
        raise BadInput("say what is right: --reference, --reference-json, --verifier or --option")
    name = verifier or before.verifier
    if option and name is None:
        raise BadInput("no verifier judges this prompt: --option needs --verifier")
    kept = before.verifier_options if name == before.verifier and not option else {}
    if isinstance(reference, str) and name == before.verifier:
        reference = with_text(before.reference, reference)
    return replace(
        before,
        reference=before.reference if reference is None else reference,
        verifier=name,
        verifier_options=parse_options(option) if option else kept,
    )


def _require_sound(prompt: Prompt) -> None:
    from verifiers.errors import BadInput
    from verifiers.files.dataset_check import ReferenceCheck

    if prompt.verifier is None:
        if not isinstance(prompt.reference, str):
            raise BadInput("without a verifier a reference is one text")
    elif problem := ReferenceCheck().problem(prompt.verifier, prompt.verifier_options, prompt.reference):
        raise BadInput(f"this reference cannot be used: {problem}")


def said(prompt: Prompt) -> str:
    """What judges it, for a person."""
    from verifiers.verifier import shown

    options = "".join(f", {name}={value!r}" for name, value in prompt.verifier_options.items())
    return f"{shown(prompt.reference_text, 200)!r}, judged by {prompt.verifier or 'a reward model'}{options}"
