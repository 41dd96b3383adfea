"""A foreign row becomes a prompt: its columns by their usual names, its reference where the assistant said it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sampler.data.media.decode_budget import DecodeBudget
from sampler.data.prompt_reader import PromptReader
from sampler.data.reference import read_reference
from sampler.imports.answer_options import (
    AnswerReading,
    answer_among,
    option_columns,
    options_of,
    readings_of,
    with_options,
)
from sampler.imports.pixel_boxes import in_thousandths, regions_of
from sampler.prompt import Prompt, PromptKind, Reference
from sampler.rows.known_format import PLAIN, KnownFormat, format_of
from sampler.rows.row import DatasetRow
from sampler.vision_input import MediaSource
from verifiers.errors import BadInput
from verifiers.files.dataset_check import ReferenceCheck
from verifiers.reading.final_line import stated_answer
from verifiers.reading.response import split_response


class ImportReader(PromptReader):
    """A ``PromptReader`` that takes sets as people have them. With ``pixel_boxes`` regions of references are turned
    from pixels into 0..999; ``answers`` are the ways in which an answer may name its option; with ``checks`` a
    reference must be right by its own verifier. Pictures stay in memory until they are written."""

    def __init__(
        self,
        *,
        columns: Mapping[str, str],
        kind: PromptKind,
        verifier: str | None,
        verifier_options: Mapping[str, Any],
        source: str,
        pixel_boxes: bool = False,
        answers: Sequence[AnswerReading] = (),
        checks: bool = True,
        max_decoded: int | DecodeBudget | None = None,
    ) -> None:
        super().__init__(
            columns=columns,
            default_kind=kind,
            default_verifier=verifier,
            default_verifier_options=verifier_options,
            default_source=source,
            needs_reference=checks,
            takes_answer=True,
            max_decoded=max_decoded,
        )
        self._pixel_boxes, self._check = pixel_boxes, ReferenceCheck() if checks else None
        self._answers = answers
        self._sound: set[tuple[str, str, str]] = set()
        self.formats_verifier: str | None = None  # of the row read last: what its format is judged by
        self.readings: tuple[
            AnswerReading, ...
        ] = ()  # of the row read last: how its answer may name its option

    def require_verifier(self, name: str, options: Mapping[str, Any]) -> None:
        """Raises: BadInput for a verifier that is not there, or not with these options."""
        self._references.load(name, options)

    def _prompt(self, row: DatasetRow) -> Prompt:
        prompt = super()._prompt(row)
        self.formats_verifier = self._theirs.verifier if self._theirs else None
        if self._check is not None and prompt.verifier is not None:
            self._require_sound(prompt.verifier, prompt.verifier_options, prompt.reference)
        return prompt

    def _format_of(self, row: DatasetRow) -> KnownFormat | None:
        found = format_of(row.values)
        self._choices: list[str] = []
        self.readings = ()
        if found is not None and found.name == PLAIN and option_columns(row.values):
            self._column = "options"
            self._choices = options_of(row.values)
        return found

    def _required(self, row: DatasetRow, column: str) -> Any:
        value = super()._required(row, column)
        if column == "messages" and self._choices and isinstance(value, str):
            return with_options(value, self._choices)
        return value

    def _tags(self, row: DatasetRow) -> tuple[str, ...]:
        value = self._value(row, "tags")
        return (str(value),) if type(value) in (int, float) else super()._tags(row)

    def _source(self, value: Any, row: DatasetRow, column: str, index: int) -> MediaSource | None:
        return None

    def _given_reference(self, row: DatasetRow) -> Reference | None:
        reference = super()._given_reference(row)
        if self._choices and isinstance(reference, str):
            named = readings_of(reference, self._choices)
            self.readings = tuple(named)
            if self._check is None and named:  # a survey looks at rows to find out which reading it is
                return {"answer": next(iter(named.values())), "options": list(self._choices)}
            return answer_among(reference, self._choices, self._answers)
        if reference is None and self.answer:
            self._column = "messages"
            said = split_response(self.answer, expects_thought=False).answer
            if not said.ok:
                raise BadInput(
                    f"the assistant's last turn is {said.status.replace('_', ' ')}: it has no answer"
                )
            reference = read_reference(stated_answer(said.text))
            self._remark(row, "the assistant's last turn is the reference")
        if self._pixel_boxes and reference is not None and (regions := regions_of(reference)):
            self._column = "reference"
            if len(self._images) != 1:
                raise BadInput(f"boxes in pixels are of one picture, and the row has {len(self._images)}")
            return in_thousandths(regions, self._images[0])
        return reference

    def _require_sound(self, verifier: str, options: Mapping[str, Any], reference: Reference) -> None:
        self._column = "reference"
        key = (verifier, repr(options), repr(reference))
        if key in self._sound:
            return
        assert self._check is not None
        if (problem := self._check.problem(verifier, options, reference)) is not None:
            raise BadInput(f"wrong by its own verifier {verifier!r}: {problem}")
        self._sound.add(key)
