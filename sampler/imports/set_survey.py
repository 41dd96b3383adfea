"""A first look at a foreign set: in which formats its rows are, from which sources, and what may judge each source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sampler.data.packed_rows import in_processes
from sampler.imports.answer_options import AnswerReading, readings_that_fit
from sampler.imports.import_reader import ImportReader
from sampler.imports.pixel_boxes import Region, pixel_evidence, regions_of
from sampler.imports.verifier_proposal import VerifierProposal, propose
from sampler.prompt import Reference
from sampler.rows.known_format import format_of
from sampler.rows.row import DatasetRow, column_value
from verifiers.errors import BadInput

Part = Callable[[], Iterator[DatasetRow]]
LOOKED_AT = 2000  # rows of a set, from the beginning of each of its parts
MOST_OF_SOURCE = 500  # references by which a source is judged
MOST_SOURCES = 64  # more are no sources, but an address for each row: they are looked at together


class SeenReference(NamedTuple):
    """A reference as its row writes it, the regions in it, and the size of the row's one picture, where it has one."""

    reference: Reference
    regions: tuple[Region, ...]
    size: tuple[int, int] | None


@dataclass
class SetSurvey:
    """What was seen. ``references`` are those of rows that name no judge, by source; ``answers`` count rows with
    options by the readings that their answers allow, by source; of ``general_sources`` a row says that a reward model
    judges it."""

    formats: Counter[str] = field(default_factory=Counter)
    references: dict[str, list[SeenReference]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[str, Counter[tuple[AnswerReading, ...]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    formats_verifier: str | None = None
    general_sources: set[str] = field(default_factory=set)

    def merge(self, other: SetSurvey) -> None:
        """Add what another part of the set showed."""
        self.formats += other.formats
        self.formats_verifier = self.formats_verifier or other.formats_verifier
        self.general_sources |= other.general_sources
        for source, found in other.references.items():
            kept = self.references[source]
            kept += found[: MOST_OF_SOURCE - len(kept)]
        for source, counts in other.answers.items():
            self.answers[source].update(counts)

    def proposals(self) -> dict[str, VerifierProposal]:
        """By source, and under "" what fits rows of a source that was not seen."""
        together = [one for found in self.references.values() for one in found]
        groups = {"": together}
        if len(self.references) <= MOST_SOURCES:
            groups |= self.references
        answers = {"": sum(self.answers.values(), Counter()), **self.answers}
        return {
            source: replace(self._proposal(found), answers=readings_that_fit(answers.get(source, Counter())))
            for source, found in groups.items()
        }

    def _proposal(self, found: Sequence[SeenReference]) -> VerifierProposal:
        proposal = propose([one.reference for one in found], self.formats_verifier)
        if proposal.verifier not in ("bbox_iou", "point_distance", "point_in_box"):
            return proposal
        sized = [(one.regions, one.size) for one in found if one.regions and one.size is not None]
        evidence = pixel_evidence(sized)
        return replace(proposal, pixel_boxes=evidence.are_pixels, boxes=evidence.words)


def survey(parts: Sequence[Part], columns: Mapping[str, str]) -> SetSurvey:
    """Look at the first rows of each part. Raises: BadInput where no part can be read."""
    per_part = max(20, LOOKED_AT // max(1, len(parts)))

    def look(part: Part) -> SetSurvey | BadInput:
        return _look(part, columns, per_part)

    seen, faults = SetSurvey(), []
    for found in in_processes(look, parts):
        if isinstance(found, BadInput):
            faults.append(found)
        else:
            seen.merge(found)
    if len(faults) == len(parts) and faults:
        raise faults[0]
    return seen


def source_of(row: DatasetRow, columns: Mapping[str, str]) -> str:
    """What the row says it is from; nothing where it does not."""
    theirs = format_of(row.values)
    name = columns.get("source", "source")
    if name not in row.values and theirs is not None:
        name = theirs.columns.get("source", name)
    value = column_value(row.values, name)
    return value if isinstance(value, str) else ""


def _look(part: Part, columns: Mapping[str, str], num_rows: int) -> SetSurvey | BadInput:
    reader = ImportReader(
        columns=columns,
        kind="general",
        verifier=None,
        verifier_options={},
        source="",
        checks=False,
        max_decoded=0,  # the import does
    )
    seen = SetSurvey()
    try:
        for number, row in enumerate(part()):
            if number >= num_rows:
                break
            if row.fault is None:
                _see(seen, row, reader, columns)
    except BadInput as why:
        return seen if seen.formats else why
    return seen


def _see(seen: SetSurvey, row: DatasetRow, reader: ImportReader, columns: Mapping[str, str]) -> None:
    try:
        prompt = reader.read(row)
    except BadInput:
        return  # which the import tells
    seen.formats[_format_name(row, columns)] += 1
    if reader.readings:
        seen.answers[source_of(row, columns)][reader.readings] += 1
    seen.formats_verifier = seen.formats_verifier or reader.formats_verifier
    if row.values.get(columns.get("kind", "kind")) == "general":
        seen.general_sources.add(source_of(row, columns))
    elif prompt.verifier is None and prompt.reference:
        size = prompt.images[0].size if len(prompt.images) == 1 else None
        regions = regions_of(prompt.reference) if _may_hold_numbers(prompt.reference) else None
        found = SeenReference(prompt.reference, tuple(regions or ()), size)
        seen.references[source_of(row, columns)].append(found)


def _may_hold_numbers(reference: Any) -> bool:
    return not isinstance(reference, str) or any(mark in reference for mark in "[<{(")


def _format_name(row: DatasetRow, columns: Mapping[str, str]) -> str:
    theirs = format_of(row.values)
    if theirs is not None:
        renamed = {ours: name for ours, name in theirs.columns.items() if ours not in columns}
        return str(theirs._replace(columns={**renamed, **columns})).removeprefix("read in ")
    if columns:
        return "own columns (" + ", ".join(f"{theirs} as {ours}" for ours, theirs in columns.items()) + ")"
    messages = row.values.get("messages")
    parts = str(messages[:4])[:2000] if isinstance(messages, list) else ""
    return "OpenAI's messages with image_url parts" if "image_url" in parts else "Hone's own columns"
