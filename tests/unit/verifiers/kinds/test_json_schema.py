"""What a hostile answer or a schema that leads nowhere costs `json_schema`."""

from __future__ import annotations

import json
import time

import pytest

from verifiers.errors import BadReference
from verifiers.registry import load_verifier

HOSTILE = [
    ({"multipleOf": 0.01}, "1e999"),
    ({"multipleOf": 0.01}, "9" * 400),
    ({"type": "number"}, "-1e999"),
    ({"pattern": "^(a+)+$"}, json.dumps("a" * 40 + "!")),
    ({"items": {"pattern": "^(a+)+$"}}, json.dumps([f"{'a' * 19}!{i}" for i in range(500)])),
    ({"pattern": "^(a|aa)+$"}, json.dumps("a" * 60 + "!")),
    ({"patternProperties": {"^(a|aa)+$": True}}, json.dumps({"a" * 60 + "!": 1})),
    ({"patternProperties": {"^(a+)+$": True}, "additionalProperties": False}, json.dumps({"a" * 40 + "!": 1})),
    ({"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "^(a+)+$", "items": {"$ref": "#"}},
     json.dumps(["a" * 40 + "!"])),
    ({"uniqueItems": True}, json.dumps([{"a": i} for i in range(3000)] + [{"a": 0}])),
    ({"items": {"type": "integer"}}, f"[{','.join(['1'] * 50_000)}]"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "answer"), HOSTILE)
def test_a_hostile_answer_is_wrong_in_time(schema, answer):
    rule = load_verifier("json_schema")
    prepared = rule.prepare(schema)
    started = time.process_time()
    verdict = rule.judge_prepared(prepared, answer)
    assert verdict.judged and verdict.score == 0.0
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("items", "score"), [([1, True, "1", [1], {"a": 1}], 1.0), ([1, 1.0], 0.0), ([{"a": [True]}, {"a": [1]}], 1.0),
                         ([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], 0.0)]
)  # fmt: skip
def test_which_items_are_equal(items, score):
    assert load_verifier("json_schema").judge({"uniqueItems": True}, json.dumps(items)).score == score


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/none"},
        {"$ref": "#"},
        {"$ref": "https://example.org/schema"},
        {"type": "array", "items": {"$ref": "#/$defs/none"}},
        {"anyOf": [{"type": "string"}, {"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"allOf": [{"$ref": "#/$defs/x"}]}}},
        {"pattern": "("},
        {"properties": {"a": {"patternProperties": {"[": True}}}},
        {"patternProperties": {"^a": True}, "unevaluatedProperties": False},
        {"schema": {"multipleOf": 0.01}, "value": 10**400},
    ],
)
def test_a_schema_that_cannot_judge_is_refused(schema):
    with pytest.raises(BadReference, match="json_schema"):
        load_verifier("json_schema").prepare(schema)


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"$defs": {"t": {"type": "object", "properties": {"next": {"$ref": "#/$defs/t"}}, "required": ["v"]}},
          "$ref": "#/$defs/t"}, {"v": 1, "next": {"v": 2}}, {"v": 1, "next": {}}),
        ({"patternProperties": {"^n_": {"type": "integer"}}, "properties": {"a": True}, "additionalProperties": False},
         {"n_x": 1, "a": "b"}, {"n_x": 1, "b": 2}),
        ({"patternProperties": {"^n_": {"type": "integer"}}}, {"n_x": 1}, {"n_x": "1"}),
        ({"additionalProperties": {"type": "string"}}, {"a": "b"}, {"a": 1}),
        ({"$id": "https://x.org/s", "$defs": {"n": {"$anchor": "n", "minimum": 3}}, "items": {"$ref": "#n"}}, [3], [2]),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "string"}, {"type": "strin"}),
        ({"definitions": {"d": {"pattern": "^a$"}}, "items": {"$ref": "#/definitions/d"}}, ["a"], ["b"]),
    ],
)  # fmt: skip
def test_references_and_patterns_are_followed(schema, right, wrong):
    rule = load_verifier("json_schema")
    assert rule.judge(schema, json.dumps(right)).score == 1.0
    assert rule.judge(schema, json.dumps(wrong)).score == 0.0


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ('Here:\n```json\n{"a": 1}\n```', 1.0),
        ('Here is the JSON:\r\n\r\n```json\r\n{"a": 1}\r\n```', 1.0),
        ('Not this:\nor this\n```json\n{"a": 1}\n```', 0.0),
        ('```json\n{"a": 1}\n```\nor {"a": 2}', 0.0),
        ('{"a": 2} or:\n```json\n{"a": 1}\n```', 0.0),
    ],
)
def test_what_may_stand_before_a_fence(answer, score):
    reference = {"schema": {"type": "object"}, "value": {"a": 1}}
    assert load_verifier("json_schema").judge(reference, answer).score == score
