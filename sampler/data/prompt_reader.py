"""One row of a data set becomes one `Prompt`, or an error that names the place, the column and the cure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sampler.data.media.decode_budget import DecodeBudget
from sampler.data.media.media_bytes import encoded_bytes, media_items, media_source, refuse_name
from sampler.data.media.video import check_video
from sampler.data.prepared_reference import PreparedReferences, options_text
from sampler.data.prompt_messages import checked_text, held_media, read_messages, spoken
from sampler.data.reference import read_reference, reference_of_json, require_shallow
from sampler.data.row_columns import RowColumns
from sampler.image import ANY_MODEL, ImageLimits, decode_image, image_size
from sampler.prompt import PROMPT_KINDS, Prompt, PromptKind, Reference
from sampler.rows.row import DatasetRow
from sampler.vision_input import MediaSource, VisionInput, VisionKind
from verifiers.errors import BadInput, near_name
from verifiers.verifier import shown

MAX_SAID_CHARS = 600  # of what is wrong with a row, which may quote it


class PromptReader(RowColumns):
    """Holds what all rows of a set share: column names, defaults, and the verifiers loaded so far. `remarks` are what
    was odd about rows that were read."""

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        default_kind: PromptKind = "verifiable",
        default_verifier: str | None = None,
        default_verifier_options: Mapping[str, Any] | None = None,
        default_source: str = "",
        needs_reference: bool = True,
        takes_answer: bool = False,
        limits: ImageLimits = ANY_MODEL,
        max_decoded: int | DecodeBudget | None = None,
    ) -> None:
        """`columns` maps Hone's names to the set's (`{"reference": "reward_model.ground_truth"}`: dots go inside).

        `needs_reference=False` is for supervised rows, which nobody judges; with `takes_answer` their messages may end
        in the assistant's, which is then `answer` and no part of the prompt. `limits` are the model's. The first
        `max_decoded` pictures and videos are decoded (None: all; a budget that readers share: the first of all of
        them); of the others the header is read, and whether a picture is cut short.
        """
        super().__init__(columns)
        self._default_kind = default_kind
        self._default_verifier = default_verifier
        self._default_options = dict(default_verifier_options or {})
        self._default_source = default_source
        self._needs_reference = needs_reference
        self._takes_answer = takes_answer
        self._limits = limits
        self._budget = max_decoded if isinstance(max_decoded, DecodeBudget) else DecodeBudget(max_decoded)
        self.num_not_decoded = 0  # pictures and videos looked at by their header only
        self._references = PreparedReferences()
        self._images: list[VisionInput] = []  # of the row at work
        self._is_guess = False  # whether its verifier is that format's
        self.answer: str | None = None  # of the row read last

    def read(self, row: DatasetRow) -> Prompt:
        """The row's prompt. Raises `BadInput`, never anything else, whatever the row holds."""
        if row.fault is not None:
            raise row.fault
        try:
            return self._prompt(row)
        except BadInput as why:
            name = self._name_of(self._column, row)
            said = shown(" ".join(str(why).split()), MAX_SAID_CHARS)
            raise BadInput(f"{row.location}, column {name!r}: {said}") from why

    def _prompt(self, row: DatasetRow) -> Prompt:
        self._theirs = self._format_of(row)
        for remark in row.remarks:
            self.remarks.add(row.location, f": {remark}")
        images = self._images = self._vision_inputs(row, "images", "image")
        videos = self._vision_inputs(row, "videos", "video")
        asked = self._required(row, "messages")
        try:
            messages, self.answer, remarks = read_messages(asked, len(images), len(videos))
        except BadInput as why:
            raise BadInput(f"{why}{self._slip(row, 'images')}") from None
        for remark in remarks:
            self._remark(row, remark)
        if self.answer is not None and not self._takes_answer:
            if self._theirs is None:
                raise BadInput("the last message is the assistant's: a prompt ends before the response")
            self._remark(row, "the assistant's last turn is left out of the prompt")
        kind = self._kind(row)
        verifier, options = self._verifier(row, kind)
        reference = self._reference(row, kind, verifier, options)
        tags = self._tags(row)
        if videos and self._limits.films is not None:
            schedule = self._limits.films.schedule(tags[0] if tags else kind)
            videos = [replace(video, schedule=schedule) for video in videos]
        return Prompt.build(
            prompt_id=self._id(row),
            messages=messages,
            images=images,
            videos=videos,
            kind=kind,
            verifier=verifier,
            verifier_options=options,
            reference=reference,
            source=self._default_source if self._value(row, "source") is None else self._text(row, "source"),
            tags=tags,
        )

    def _vision_inputs(self, row: DatasetRow, column: str, kind: VisionKind) -> list[VisionInput]:
        held = held_media(self._value(row, "messages"), kind)
        value = self._value(row, column)
        if held and value is not None:
            raise BadInput(f"the parts of the messages hold {kind}s too: give each {kind} once")
        column = self._column = "messages" if held else column
        given, found = held or ([] if value is None else media_items(value)), []
        for index, item in enumerate(given):
            try:
                found.append(self._vision_input(item, row, column, index, kind))
            except BadInput as why:
                raise BadInput(f"{kind} {index + 1} of {len(given)}: {why}") from None
        return found

    def _vision_input(
        self, value: Any, row: DatasetRow, column: str, index: int, kind: VisionKind
    ) -> VisionInput:
        if row.folder is None:
            refuse_name(value, kind)
        encoded, size = encoded_bytes(value, row.folder, kind), None
        decode = self._budget.take()
        self.num_not_decoded += not decode
        if kind == "image":
            size = decode_image(encoded, self._limits).size if decode else image_size(encoded, self._limits)
            self._limits.check_aspect(*size)
        else:
            check_video(encoded, self._limits, decode=decode)
        return VisionInput.of(kind, encoded, self._source(value, row, column, index), size)

    def _source(self, value: Any, row: DatasetRow, column: str, index: int) -> MediaSource | None:
        return media_source(value, row, self._name_of(column, row), index)

    def _kind(self, row: DatasetRow) -> PromptKind:
        kind = self._text(row, "kind") or self._default_kind
        for known in PROMPT_KINDS:
            if kind == known:
                return known
        raise BadInput(
            f"kind is {' or '.join(PROMPT_KINDS)}, got {kind[:40]!r}{near_name(kind, PROMPT_KINDS)}"
        )

    def _verifier(self, row: DatasetRow, kind: PromptKind) -> tuple[str | None, dict[str, Any]]:
        given = self._text(row, "verifier") or None
        default = self._default_verifier or (self._theirs.verifier if self._theirs else None)
        name = given or (default if kind == "verifiable" else None)
        self._is_guess = given is None and name is not None and name != self._default_verifier
        if self._is_guess:
            self._remark(row, f"none is named, so {name!r} judges")
        if name is None:
            if kind == "verifiable" and self._needs_reference:
                self._required(row, "verifier")
                raise BadInput("no verifier is named")
            own = self._options(row) or {}
            return None, {"rubric": own["rubric"]} if "rubric" in own else {}
        options = self._options(row)
        if options is None:
            options = self._default_options if given in (None, self._default_verifier) else {}
        self._column = "verifier"
        self._references.load(name, options)
        return name, dict(options)

    def _options(self, row: DatasetRow) -> dict[str, Any] | None:
        value = self._value(row, "verifier_options")
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.strip() else None
            except (ValueError, RecursionError) as why:
                raise BadInput(f"not valid JSON: {why}") from None
        if value is None:
            return None
        if not isinstance(value, dict):
            raise BadInput(
                f"verifier options are a mapping (or JSON text of one), got {type(value).__name__}"
            )
        options = {name: item for name, item in value.items() if item is not None}
        require_shallow(options)
        options_text(options)
        return options

    def _reference(
        self, row: DatasetRow, kind: PromptKind, verifier: str | None, options: Mapping[str, Any]
    ) -> Reference:
        reference = self._given_reference(row)
        if reference is None:
            if kind == "verifiable" and self._needs_reference:
                self._required(row, "reference")
                raise BadInput("the reference is empty")
            return ""
        if str(reference).strip().casefold() in ("nan", "none", "null", "<na>"):
            self._remark(row, f"the reference is the text {reference!r}: is there none?")
        if self._is_guess and not isinstance(reference, str):
            raise BadInput(
                "the reference is a list or a mapping: name the verifier, such as bbox_iou for a box"
            )
        if verifier is not None:
            self._references.prepare(verifier, options, reference)
            if self._references.takes_list_for_text(verifier, options, reference):
                self._remark(
                    row,
                    "the list is one text: for a list of accepted answers give a list, or 'reference_json'",
                )
        elif self._needs_reference and not isinstance(reference, str):
            raise BadInput(f"without a verifier a reference is one text, got a {type(reference).__name__}")
        return reference

    def _given_reference(self, row: DatasetRow) -> Reference | None:
        text = self._text(row, "reference_json")
        if text and (reference := reference_of_json(text)) is not None:
            return reference
        return read_reference(spoken(self._value(row, "reference")), is_typed=row.is_typed)

    def _id(self, row: DatasetRow) -> str | None:
        """Text, or a whole number's digits."""
        value = self._value(row, "prompt_id")
        return str(value) if type(value) is int else self._text(row, "prompt_id") or None

    def _tags(self, row: DatasetRow) -> tuple[str, ...]:
        value = self._value(row, "tags")
        tags = [value] if isinstance(value, str) else value or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadInput("tags are a list of texts")
        return tuple(map(checked_text, tags))
