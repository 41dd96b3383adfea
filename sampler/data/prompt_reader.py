"""One row of a data set becomes one `Prompt`, or an error that names the place, the column and the cure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sampler.data.dataset_rows import DatasetRow, column_value
from sampler.data.media_bytes import encoded_bytes, media_source
from sampler.data.prompt_messages import checked_text, read_messages
from sampler.data.video import check_video
from sampler.image import ANY_MODEL, ImageLimits, decode_image, image_size
from sampler.prompt import PROMPT_KINDS, Prompt, PromptKind
from sampler.vision_input import VisionInput, VisionKind
from verifiers.errors import BadInput, near_name, slip_of
from verifiers.registry import load_verifier
from verifiers.verifier import Verifier

COLUMNS = (
    "prompt_id",
    "messages",
    "images",
    "videos",
    "kind",
    "verifier",
    "verifier_options",
    "reference",
    "source",
    "tags",
)


class PromptReader:
    """Holds what all rows of a set share: column names, defaults, and the verifiers loaded so far."""

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        default_kind: PromptKind = "verifiable",
        default_verifier: str | None = None,
        default_verifier_options: Mapping[str, Any] | None = None,
        default_source: str = "",
        needs_reference: bool = True,
        limits: ImageLimits = ANY_MODEL,
        max_decoded: int | None = None,
    ) -> None:
        """`columns` maps Hone's names to the set's (`{"reference": "reward_model.ground_truth"}`: dots go inside).

        `needs_reference=False` is for supervised rows, which nobody judges; `limits` are the model's. The first
        `max_decoded` pictures and videos are decoded (None: all); of the others the header is read, and whether a
        picture is cut short.
        """
        for name in columns or {}:
            if name not in COLUMNS:
                raise BadInput(
                    f"unknown column {name!r}{near_name(name, COLUMNS)} (columns: {', '.join(COLUMNS)})"
                )
        self._columns = dict(columns or {})
        self._default_kind = default_kind
        self._default_verifier = default_verifier
        self._default_options = dict(default_verifier_options or {})
        self._default_source = default_source
        self._needs_reference = needs_reference
        self._limits = limits
        self._max_decoded = max_decoded
        self._num_vision_inputs = 0
        self._column = ""  # looked at last: where an error is
        self._verifiers: dict[tuple[str, str], Verifier[Any, Any]] = {}
        self._prepared: set[tuple[str, str, str]] = set()

    @property
    def num_not_decoded(self) -> int:
        """Pictures and videos looked at by their header only."""
        return 0 if self._max_decoded is None else max(0, self._num_vision_inputs - self._max_decoded)

    def read(self, row: DatasetRow) -> Prompt:
        """The row's prompt. Raises `BadInput`, never anything else, whatever the row holds."""
        try:
            return self._prompt(row)
        except BadInput as why:
            name = self._columns.get(self._column, self._column)
            raise BadInput(f"{row.location}, column {name!r}: {' '.join(str(why).split())}") from why

    def _prompt(self, row: DatasetRow) -> Prompt:
        images = self._vision_inputs(row, "images", "image")
        videos = self._vision_inputs(row, "videos", "video")
        messages = read_messages(self._required(row, "messages"), len(images), len(videos))
        kind = self._kind(row)
        verifier, options = self._verifier(row, kind)
        reference = self._reference(row, kind, verifier, options)
        return Prompt.build(
            prompt_id=self._text(row, "prompt_id") or None,
            messages=messages,
            images=images,
            videos=videos,
            kind=kind,
            verifier=verifier,
            verifier_options=options,
            reference=reference,
            source=self._default_source if self._value(row, "source") is None else self._text(row, "source"),
            tags=self._tags(row),
        )

    def _vision_inputs(self, row: DatasetRow, column: str, kind: VisionKind) -> list[VisionInput]:
        value = self._value(row, column)
        if value is None:
            return []
        given = value if isinstance(value, list) else [value]
        found = []
        for index, item in enumerate(given):
            try:
                found.append(self._vision_input(item, row, column, index, kind))
            except BadInput as why:
                raise BadInput(f"{kind} {index + 1} of {len(given)}: {why}") from None
        return found

    def _vision_input(
        self, value: Any, row: DatasetRow, column: str, index: int, kind: VisionKind
    ) -> VisionInput:
        encoded, size = encoded_bytes(value, row.folder, kind), None
        decode = self._max_decoded is None or self._num_vision_inputs < self._max_decoded
        self._num_vision_inputs += 1
        if kind == "image":
            size = decode_image(encoded, self._limits).size if decode else image_size(encoded, self._limits)
            self._limits.check_aspect(*size)
        else:
            check_video(encoded, self._limits, decode=decode)
        source = media_source(value, row, self._columns.get(column, column), index)
        return VisionInput.of(kind, encoded, source, size)

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
        name = given or (self._default_verifier if kind == "verifiable" else None)
        if name is None:
            if kind == "verifiable" and self._needs_reference:
                self._required(row, "verifier")
            return None, {}
        options = self._options(row)
        if options is None:
            options = self._default_options if given in (None, self._default_verifier) else {}
        self._column = "verifier"
        self._load(name, options)
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
        _as_json(options, "verifier options")
        return options

    def _reference(
        self, row: DatasetRow, kind: PromptKind, verifier: str | None, options: Mapping[str, Any]
    ) -> str:
        value = self._value(row, "reference")
        missing = value is None or (isinstance(value, str) and not value.strip())
        if missing:
            if kind == "verifiable" and self._needs_reference:
                self._required(row, "reference")
                raise BadInput("the reference is empty")
            return ""
        reference = checked_text(value if isinstance(value, str) else _as_json(value, "a reference"))
        if verifier is not None:
            self._prepare(verifier, options, reference)
        return reference

    def _load(self, name: str, options: Mapping[str, Any]) -> Verifier[Any, Any]:
        key = (name, _as_json(options, "verifier options"))
        if key not in self._verifiers:
            try:
                self._verifiers[key] = load_verifier(name, options)
            except BadInput:
                raise
            except Exception as why:
                raise BadInput(f"verifier {name!r} failed to load: {type(why).__name__}: {why}") from why
        return self._verifiers[key]

    def _prepare(self, name: str, options: Mapping[str, Any], reference: str) -> None:
        """Let the verifier refuse the reference now rather than an hour into the run."""
        key = (name, _as_json(options, "verifier options"), reference)
        if key in self._prepared:
            return
        try:
            self._load(name, options).prepare(reference)
        except BadInput:
            raise
        except Exception as why:
            raise BadInput(
                f"verifier {name!r} failed on this reference: {type(why).__name__}: {why}"
            ) from why
        self._prepared.add(key)

    def _tags(self, row: DatasetRow) -> tuple[str, ...]:
        value = self._value(row, "tags")
        tags = [value] if isinstance(value, str) else value or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadInput("tags are a list of texts")
        return tuple(map(checked_text, tags))

    def _text(self, row: DatasetRow, column: str) -> str:
        value = self._value(row, column)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadInput(f"expected text, got {type(value).__name__}")
        return checked_text(value)

    def _value(self, row: DatasetRow, column: str) -> Any:
        """The column's value, or None where the row has none; a mapped name may lead into a struct by dots."""
        self._column = column
        return column_value(row.values, self._columns.get(column, column))

    def _required(self, row: DatasetRow, column: str) -> Any:
        value = self._value(row, column)
        if value is not None:
            return value
        name = self._columns.get(column, column)
        if name in row.values:
            raise BadInput("the row has no value here")
        have = [str(key) for key in row.values]
        raise BadInput(
            f"there is no such column{slip_of(name, have)} (columns: {', '.join(have)[:200] or 'none'})"
        )


def _as_json(value: Any, what: str) -> str:
    """Numbers, lists and mappings as JSON text. Raises `BadInput` for what JSON cannot say."""
    if value == {}:
        return "{}"
    if isinstance(value, Decimal):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as why:
        raise BadInput(f"{what} must be text or JSON: {why}") from None
