"""A JSON schema whose work on a hostile answer is bounded, and whose references lead somewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from verifiers.errors import BadReference
from verifiers.verifier import LimitExceeded

MATCHING_S = 0.5  # for all patterns over one answer
_IN_PLACE = (
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
)  # they judge the same value


class BoundedSchema:
    """A validator of jsonschema's (draft 2020-12) that matches patterns within a time limit (the `regex` package) and
    finds equal items in linear time.

    Raises `BadReference` for a pattern that is none, and for a `$ref` to nowhere or back to itself.
    """

    def __init__(self, schema: Any) -> None:
        import jsonschema
        from referencing import Registry

        if isinstance(
            schema, Mapping
        ):  # else it would be judged by jsonschema's own class wherever it is referred to
            schema = {key: value for key, value in schema.items() if key != "$schema"}
        _check_references(schema)
        self._until = 0.0
        keywords = {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "uniqueItems": _unique_items,
        }
        extend: Any = jsonschema.validators.extend
        bounded = extend(jsonschema.Draft202012Validator, keywords)
        self._validator = bounded(schema, registry=Registry())

    def first_error(self, value: Any) -> Any:
        """jsonschema's error, or None for a value that is valid. Raises `LimitExceeded`."""
        self._until = time.monotonic() + MATCHING_S
        try:
            return next(iter(self._validator.iter_errors(value)), None)
        except OverflowError as why:
            raise LimitExceeded(f"a number is too large: {why}") from None

    def _found(self, pattern: str, text: str) -> bool:
        import regex  # type: ignore[import-untyped]

        try:
            return regex.search(pattern, text, timeout=max(1e-3, self._until - time.monotonic())) is not None
        except TimeoutError:
            raise LimitExceeded(f"matching the schema's patterns took over {MATCHING_S} s") from None

    def _pattern(self, validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
        from jsonschema import ValidationError

        if validator.is_type(instance, "string") and not self._found(pattern, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    def _pattern_properties(self, validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[Any]:
        if validator.is_type(instance, "object"):
            for pattern, subschema in patterns.items():
                for key, value in instance.items():
                    if self._found(pattern, key):
                        yield from validator.descend(value, subschema, path=key, schema_path=pattern)

    def _additional_properties(
        self, validator: Any, others: Any, instance: Any, schema: Any
    ) -> Iterator[Any]:
        if validator.is_type(instance, "object"):
            named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
            for key, value in instance.items():
                if key not in named and not any(self._found(pattern, key) for pattern in patterns):
                    yield from validator.descend(value, others, path=key)


def _unique_items(validator: Any, wanted: Any, instance: Any, _: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if wanted and validator.is_type(instance, "array") and len(set(map(_hashable, instance))) < len(instance):
        yield ValidationError("the array has non-unique elements")


def _hashable(value: Any) -> Any:
    """Equal for equal JSON values alone: true is not 1, and 1.0 is."""
    if isinstance(value, Mapping):
        return ("object", frozenset((key, _hashable(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_hashable, value)))
    return (isinstance(value, bool), value)


def _check_references(schema: Any) -> None:
    """Raises `BadReference`."""
    import regex
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    whole = DRAFT202012.create_resource(schema)
    try:
        _check(whole, REGISTRY.resolver_with_root(whole))
    except Unresolvable as why:
        raise BadReference(f"a $ref of a 'json_schema' reference leads nowhere: {why.ref!r}") from None
    except regex.error as why:
        raise BadReference(
            f"a pattern of a 'json_schema' reference is no regular expression: {why}"
        ) from None


def _check(resource: Any, resolver: Any) -> None:
    """Follow every reference and compile every pattern at and below a subschema."""
    import regex

    contents = resource.contents
    if isinstance(contents, Mapping):
        patterns = contents.get("patternProperties", {})
        if patterns and "unevaluatedProperties" in contents:
            raise BadReference("a 'json_schema' reference has unevaluatedProperties beside patternProperties")
        for pattern in [*patterns, *([contents["pattern"]] if "pattern" in contents else [])]:
            regex.compile(pattern)
        _follow(contents, resolver, ())
    for below in resource.subresources():
        _check(below, resolver.in_subresource(below))


def _follow(contents: Any, resolver: Any, above: Sequence[int]) -> None:
    """Through everything that judges the same value: what comes back to itself would never end."""
    if not isinstance(contents, Mapping):
        return
    if id(contents) in above:
        raise BadReference("a $ref of a 'json_schema' reference leads back to itself")
    for key in ("$ref", "$dynamicRef"):
        if key in contents:
            found = resolver.lookup(contents[key])
            _follow(found.contents, found.resolver, (*above, id(contents)))
    for key in _IN_PLACE:
        below = contents.get(key, [])
        several = below.values() if key == "dependentSchemas" and below else below
        for one in [several] if isinstance(several, (Mapping, bool)) else several:
            _follow(one, resolver, (*above, id(contents)))
