"""A foreign set becomes a prompt set: parts read by processes of their own, written together, what is wrong listed."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sampler.data.media.decode_budget import DecodeBudget
from sampler.data.packed_rows import in_processes
from sampler.data.row_columns import COLUMNS
from sampler.imports.answer_options import AnswerReading
from sampler.imports.import_reader import ImportReader
from sampler.imports.prompt_shard import MergedShards, ShardWriter, warm_up
from sampler.imports.set_survey import Part, SetSurvey, source_of, survey
from sampler.imports.verifier_proposal import VerifierProposal
from sampler.prompt import Prompt, PromptKind, content_id
from sampler.rows.dataset_rows import dataset_parts
from sampler.rows.known_format import format_of
from sampler.rows.row import DatasetRow
from sampler.rows.unread_column import UnreadColumn, UnreadColumns
from sampler.rows.wrong_rows import RowRemarks
from verifiers.errors import BadInput

MAX_DECODED = 2_000  # pictures and films, the first that a process reads; of others it reads header and end
BoxSpace = Literal["auto", "pixel", "norm1000"]


@dataclass(frozen=True)
class ImportPlan:
    """How a set is to be imported: what is not said is found out. ``images`` is the folder that paths of pictures count
    from, where it is not the set's own, ``answers`` how an answer names its option. With ``decodes_all`` no picture is
    looked at by its header and end alone."""

    columns: Mapping[str, str] = field(default_factory=dict)
    kind: PromptKind | None = None
    verifier: str | None = None
    verifier_options: Mapping[str, Any] = field(default_factory=dict)
    split: str | None = None
    limit: int | None = None
    boxes: BoxSpace = "auto"
    images: Path | None = None
    decodes_all: bool = False
    answers: AnswerReading | None = None

    def proposal_of(self, proposal: VerifierProposal) -> VerifierProposal:
        """What judges a source in the end, by what was asked for and what its references look like."""
        if self.boxes != "auto":
            proposal = replace(proposal, pixel_boxes=self.boxes == "pixel")
        if self.answers is not None:
            proposal = replace(proposal, answers=(self.answers,))
        if self.kind == "general":
            return replace(proposal, verifier=None, why="asked for", pixel_boxes=False)
        if self.verifier is not None:
            return replace(proposal, verifier=self.verifier, why="asked for")
        if self.kind == "verifiable" and proposal.verifier is None:
            return replace(proposal, verifier="string", why=f"asked for a rule; {proposal.why}")
        return proposal


class RejectedRow(NamedTuple):
    """A row that could not be imported, by file and row, and why."""

    location: str
    why: str


@dataclass
class ImportReport:
    """What was found and done. ``num_judged`` counts what was imported by source and verifier, None for a reward
    model; ``repeated`` are rows that say what an earlier one said."""

    survey: SetSurvey
    proposals: dict[str, VerifierProposal]
    num_imported: int = 0
    repeated: list[RejectedRow] = field(default_factory=list)
    num_judged: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    rejected: list[RejectedRow] = field(default_factory=list)
    remarks: RowRemarks = field(default_factory=RowRemarks)
    unread_columns: tuple[UnreadColumn, ...] = ()

    @property
    def num_of_source(self) -> Counter[str]:
        total = Counter[str]()
        for (source, _), count in self.num_judged.items():
            total[source] += count
        return total

    @property
    def num_duplicates(self) -> int:
        return len(self.repeated)


def import_prompts(
    source: str, out: Path | None, plan: ImportPlan, *, on_part: Callable[[int, int, int], None]
) -> ImportReport:
    """Read ``source``, a file, folder or hub id, and write what is right as a prompt set; without ``out`` it is only
    read. ``on_part`` is told how many parts of how many are done, and how many prompts that made. Raises: BadInput
    where the set cannot be read, or the plan names what is not there."""
    parts = _in_folder(dataset_parts(source, plan.split), plan.images)
    name = Path(source).stem if Path(source).exists() else source
    found = survey(parts, plan.columns)
    proposals = {key: plan.proposal_of(one) for key, one in found.proposals().items()}
    report = ImportReport(found, proposals)
    readers = _Readers(plan, proposals, name)
    readers.check()
    if out is not None:
        warm_up()
    unread = UnreadColumns(COLUMNS, plan.columns, format_of)
    seen: dict[str, _ReadRow] = {}
    with tempfile.TemporaryDirectory(prefix=".import-", dir=None if out is None else _folder(out)) as scratch:
        numbered = list(enumerate(parts))

        def read(part: tuple[int, Part]) -> _ReadPart:
            shard = None if out is None else Path(scratch, f"{part[0]}.arrow")
            return _read_part(part[1], shard, readers, plan.limit)

        with MergedShards(out) as merged:
            for done, part in enumerate(
                in_processes(read, numbered) if plan.limit is None else map(read, numbered), 1
            ):
                taken = _taken(part, seen, report, plan.limit)
                merged.add(part.shard, taken)
                report.rejected += part.rejected
                report.remarks.merge(part.remarks)
                unread.add(part.unread_columns)
                on_part(done, len(parts), report.num_imported)
                if report.num_imported == plan.limit:
                    break
            if not report.num_imported:
                merged.discard()
    report.unread_columns = unread.found
    return report


def _folder(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.parent


def _in_folder(parts: Sequence[Part], images: Path | None) -> list[Part]:
    """The parts, their pictures' paths counted from this folder."""
    if images is None:
        return list(parts)
    if not images.is_dir():
        raise BadInput(f"there is no folder {images}")

    return [partial(_moved, images, part) for part in parts]


def _moved(images: Path, part: Part) -> Iterator[DatasetRow]:
    for row in part():
        yield replace(row, folder=images)


class _ReadRow(NamedTuple):
    """Of a prompt: its id, what identifies its content, where it stands, its source in the set, and its verifier."""

    prompt_id: str
    content: str
    location: str
    source: str
    verifier: str | None


class _ReadPart(NamedTuple):
    shard: Path | None
    rows: list[_ReadRow]
    rejected: list[RejectedRow]
    remarks: RowRemarks
    unread_columns: tuple[UnreadColumn, ...]


class _Readers:
    """A reader for each source, made when a row of it comes."""

    def __init__(self, plan: ImportPlan, proposals: Mapping[str, VerifierProposal], name: str) -> None:
        self.plan, self._proposals, self._name = plan, proposals, name
        self._readers: dict[str, ImportReader] = {}
        self._budget = DecodeBudget(None if plan.decodes_all else MAX_DECODED)

    def check(self) -> None:
        """Raises: BadInput for a column or a verifier that is not there."""
        reader = self.of("")
        if self.plan.verifier is not None:
            reader.require_verifier(self.plan.verifier, self.plan.verifier_options)

    def of(self, source: str) -> ImportReader:
        """The reader of a source's rows, made when first asked for: by the source's own proposal, else by that of rows
        without one."""
        key = source if source in self._proposals else ""
        if key not in self._readers:
            proposal = self._proposals[key]
            self._readers[key] = ImportReader(
                columns=self.plan.columns,
                kind="general" if proposal.verifier is None else "verifiable",
                verifier=proposal.verifier,
                verifier_options=self.plan.verifier_options
                if proposal.verifier == self.plan.verifier
                else {},
                source=self._name,
                pixel_boxes=proposal.pixel_boxes,
                answers=proposal.answers,
                max_decoded=self._budget,
            )
        return self._readers[key]

    def remarks(self) -> RowRemarks:
        """Of the rows read since they were last asked for."""
        found = RowRemarks()
        for reader in self._readers.values():
            found.merge(reader.remarks)
            reader.remarks = RowRemarks()
        return found


def _read_part(part: Part, shard: Path | None, readers: _Readers, limit: int | None) -> _ReadPart:
    columns = readers.plan.columns
    rows: list[_ReadRow] = []
    rejected: list[RejectedRow] = []
    unread = UnreadColumns(COLUMNS, columns, format_of)
    with ShardWriter(shard) as writer:
        try:
            for row in part():
                unread.see(row)
                try:
                    source = source_of(row, columns)
                    prompt = readers.of(source).read(row)
                except BadInput as why:
                    rejected.append(RejectedRow(row.location, _told(str(why), row.location)))
                    continue
                writer.add(prompt)
                content = _content(prompt, columns, row)
                rows.append(_ReadRow(prompt.prompt_id, content, row.location, source, prompt.verifier))
                if len(rows) == limit:
                    break
        except BadInput as why:
            rejected.append(RejectedRow("", str(why)))
    return _ReadPart(shard, rows, rejected, readers.remarks(), unread.found)


def _content(prompt: Prompt, columns: Mapping[str, str], row: DatasetRow) -> str:
    """The id itself, where it is one of the content."""
    if row.values.get(columns.get("prompt_id", "prompt_id")) is None:
        return prompt.prompt_id
    return content_id(prompt.messages, prompt.images, prompt.videos, prompt.verifier, prompt.reference)


def _told(why: str, location: str) -> str:
    return why.removeprefix(location).lstrip(",: ")


def _taken(part: _ReadPart, seen: dict[str, _ReadRow], report: ImportReport, limit: int | None) -> list[bool]:
    """Which of the part's prompts are new; an id that says something else than before is a rejected row."""
    taken = []
    for row in part.rows:
        earlier = seen.get(row.prompt_id)
        is_new = earlier is None and report.num_imported != limit
        if earlier is not None and earlier.content != row.content:
            report.rejected.append(
                RejectedRow(row.location, f"the id {row.prompt_id[:60]!r} is also that of {earlier.location}")
            )
        elif earlier is not None:
            report.repeated.append(RejectedRow(row.location, f"repeats {earlier.location}"))
        elif is_new:
            seen[row.prompt_id] = row
            report.num_imported += 1
            report.num_judged[row.source, row.verifier] += 1
        taken.append(is_new)
    return taken
