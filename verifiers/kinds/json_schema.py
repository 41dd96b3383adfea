"""`json_schema`: the answer is JSON that a schema accepts, and has a given value if one is given."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.answer import FinalAnswer
from verifiers.errors import BadReference
from verifiers.kinds.bounded_schema import BoundedSchema
from verifiers.reading.final_line import MAX_ANSWER_CHARS
from verifiers.verdict import Verdict
from verifiers.verifier import Example, LimitExceeded, NoAnswer, Verifier, shown

_FENCE = re.compile(
    r"(?:[^\n`{}\[\]]{0,200}:\s{1,8})?```(?:json)?[ \t\r]*\n(.*)\n```", re.DOTALL | re.IGNORECASE
)
MAX_JSON_CHARS = 200_000
MAX_DEPTH = 100
MAX_VALUES = 20_000


@dataclass(frozen=True)
class JsonOptions:
    """fence    a code fence (```json) around the whole answer is accepted, and a line before it that ends in a colon"""

    fence: bool = True


@dataclass(frozen=True)
class JsonTarget:
    """A schema; `has_value` tells a wanted null from no wanted value."""

    schema: BoundedSchema
    has_value: bool
    value: Any


class JsonSchemaVerifier(Verifier[JsonTarget, Any]):
    """Reference: a JSON schema (draft 2020-12) as a mapping or JSON text, or `{"schema": ..., "value":
    ...}`; with a value
    the answer must also equal it. The whole answer must be one JSON text: no prose around it, no NaN, no key twice.
    Only references inside the schema are followed; nothing is fetched. Validation by the jsonschema package,
    of patterns by the regex package, with limits on time and on the number of values.
    """

    kind = "json_schema"
    imports = ("jsonschema", "referencing", "regex")
    summary = "structured output: valid under a JSON schema, equal to a value"
    Config = JsonOptions
    example = Example(
        {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}, '{"name": "x"}'
    )

    def prepare(self, reference: Any) -> JsonTarget:
        """A compiled schema, and the value where the answer must equal one. Raises: BadReference for a schema that is
        none or forbids its own value, and for one that any answer would meet."""
        import jsonschema

        if isinstance(reference, str):
            try:
                reference = json.loads(reference)
            except (ValueError, RecursionError):
                raise BadReference(
                    "a reference of 'json_schema' is a schema, got text that is not JSON"
                ) from None
        if not isinstance(reference, Mapping):
            raise BadReference(f"a reference of 'json_schema' is a schema, got {shown(repr(reference), 60)}")
        wrapped = set(reference) <= {"schema", "value"} and bool(reference)
        schema = reference.get("schema", {}) if wrapped else reference
        known = set(jsonschema.Draft202012Validator.VALIDATORS)
        if not wrapped and not (isinstance(schema, Mapping) and set(schema) & known):
            raise BadReference(
                "a reference of 'json_schema' has no keyword of JSON schema: every answer would be right"
            )
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as why:
            raise BadReference(f"a reference of 'json_schema' is no valid schema: {why.message}") from None
        has_value = wrapped and "value" in reference
        target = JsonTarget(BoundedSchema(schema), has_value, reference.get("value") if wrapped else None)
        try:
            if has_value and target.schema.first_error(target.value) is not None:
                raise BadReference("the value of a 'json_schema' reference is not valid under its own schema")
        except LimitExceeded as why:
            raise BadReference(f"the value of a 'json_schema' reference exceeds a limit: {why}") from None
        return target

    def extract(self, answer: FinalAnswer) -> Any:
        text = answer.text.strip()
        if len(text) > MAX_ANSWER_CHARS:
            return NoAnswer.too_long(text)
        if self.config.fence and (fenced := _FENCE.fullmatch(text)):
            text = fenced.group(1).strip()
        if len(text) > MAX_JSON_CHARS or _depth(text) > MAX_DEPTH:
            return NoAnswer("limit", f"JSON of {len(text)} characters, or nested too deeply", limit=True)
        try:
            value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        except ValueError as why:
            return NoAnswer("not_json", f"the answer is not JSON: {shown(str(why), 80)}")
        if _num_values(value) > MAX_VALUES:
            return NoAnswer("limit", f"JSON of more than {MAX_VALUES} values", limit=True)
        return (value,)

    def compare(self, prepared: JsonTarget, extracted: Any) -> Verdict:
        value = extracted[0]
        written = shown(json.dumps(value))
        error = prepared.schema.first_error(value)
        if error is not None:
            where = "/".join(map(str, error.absolute_path)) or "the top"
            return Verdict.scored(
                0.0, "invalid", shown(f"at {where}: {error.message}"), extracted=written, tier="structure"
            )
        if prepared.has_value and not same_json(prepared.value, value):
            return Verdict.scored(
                0.0, "different", "valid, but another value", extracted=written, tier="structure"
            )
        return Verdict.scored(1.0, "valid", "valid under the schema", extracted=written, tier="structure")

    def reference_answers(self, reference: Any) -> list[str]:
        target = self.prepare(reference)
        if not target.has_value:
            return []
        text = json.dumps(target.value)
        return [text, f"```json\n{text}\n```"] if self.config.fence else [text]


def same_json(a: Any, b: Any) -> bool:
    """Equal as JSON values: true is not 1, and 1.0 is 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_json, a, b))
    return bool(a == b)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise ValueError(f"{number} is too large")
    return value


def _num_values(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_num_values, below))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _depth(text: str) -> int:
    """An upper bound of the nesting, brackets inside strings included."""
    depth = deepest = 0
    for char in text:
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest
