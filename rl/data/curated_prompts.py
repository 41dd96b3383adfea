"""What a run obeys of people's decisions: rejected prompts left out, corrected ones judged by what was corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rl.recipe.data_config import DataConfig
from sampler.data.packed_rows import PackedRows
from sampler.data.prepared_reference import PreparedReferences
from sampler.data.set_reading import DescribedSet, SetReading
from sampler.prompt import Prompt
from sampler.store.decisions.curation import Curation
from sampler.store.decisions.curation_events import CurationEvent
from sampler.store.decisions.event_log import EventLog, merged_events
from verifiers.counted import counted
from verifiers.errors import BadInput

PROMPT_SETS = ("train", "heldout")


@dataclass(frozen=True)
class CuratedPrompts:
    """The prompts that are left, in order, and how many were changed: nothing is said where none was."""

    prompts: PackedRows[Prompt]
    locations: Mapping[str, str]
    num_rejected: int
    num_corrected: int
    num_tagged: int

    def __str__(self) -> str:
        counts = {"rejected": self.num_rejected, "corrected": self.num_corrected, "tagged": self.num_tagged}
        said = ", ".join(f"{num:,} {what}" for what, num in counts.items() if num)
        return f"by curation {said}" if said else ""


def curated_prompts(
    prompts: PackedRows[Prompt], locations: Mapping[str, str], curated: Mapping[str, Curation]
) -> CuratedPrompts:
    """Prompts as curation leaves them; a prompt keeps its id, and so its history and its seeds. ``locations`` are by
    the prompts' ids, in their order.

    Raises: BadInput for a corrected reference that its verifier refuses, and where no prompt is left."""
    indices = {name: index for index, name in enumerate(locations) if name in curated} if curated else {}
    if not indices:
        return CuratedPrompts(prompts, locations, 0, 0, 0)
    rejected = {name for name in indices if curated[name].accepted is False}
    references = PreparedReferences()
    changed: dict[int, Prompt] = {}
    num_corrected = num_tagged = 0
    for name, index in indices.items():
        if name in rejected:
            continue
        before = prompts[index]
        after = curated[name].applied(before)
        if after == before:
            continue
        if after.revision != before.revision:
            _require_judged(references, after, locations[name])
        num_corrected += after.revision != before.revision
        num_tagged += after.tags != before.tags
        changed[index] = after
    kept = [index for index, name in enumerate(locations) if name not in rejected]
    if prompts and not kept:
        raise BadInput(f"curation rejects all {counted(len(prompts), 'prompt')}: undo some of it")
    left = prompts.with_rows(changed).select(kept)
    places = {name: where for name, where in locations.items() if name not in rejected}
    return CuratedPrompts(left, places, len(rejected), num_corrected, num_tagged)


def chosen_events(config: DataConfig, paths: Mapping[str, str]) -> list[CurationEvent]:
    """The events of ``data.curation`` and those beside the prompt sets, in the order of `merged_events`.

    Raises: BadInput for a file that is named and not there, and for a damaged line."""
    return merged_events(event_logs(config, paths))


def event_logs(config: DataConfig, paths: Mapping[str, str]) -> list[EventLog]:
    """Those that are there. Raises: BadInput as ``chosen_events``."""
    sets = (DescribedSet.of(paths[name], SetReading()) for name in PROMPT_SETS if name in paths)
    beside = (EventLog.beside(one.path_or_hub_id) for one in sets)
    found = {log.path.absolute(): log for log in beside if log.path.is_file()}
    if config.curation is not None:
        path = Path(config.curation)
        named = EventLog.beside(path) if path.is_dir() else EventLog(path)
        if not named.path.is_file():
            raise BadInput(f"data.curation={config.curation}: {named.path} is not there")
        found.setdefault(named.path.absolute(), named)
    return list(found.values())


def later_events(
    config: DataConfig, paths: Mapping[str, str], began_with: EventLog | None
) -> list[CurationEvent]:
    """Events that came after a run took its copy of them. Raises: BadInput as ``chosen_events``."""
    known = {event.event_id for event in began_with.events()} if began_with is not None else set()
    return [event for event in chosen_events(config, paths) if event.event_id not in known]


def _require_judged(references: PreparedReferences, prompt: Prompt, location: str) -> None:
    try:
        if prompt.verifier is not None:
            references.prepare(prompt.verifier, prompt.verifier_options, prompt.reference)
        elif not isinstance(prompt.reference, str):
            raise BadInput("without a verifier a reference is one text")
    except BadInput as why:
        raise BadInput(f"{location}, as corrected (prompt {prompt.prompt_id}): {why}") from None
