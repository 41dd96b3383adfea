"""A text in place of a reference, and of one that is more than a text."""

from __future__ import annotations

from typing import Any

import pytest

from sampler.store.decisions.correction import reference_typed, with_text
from verifiers.errors import BadInput


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("red", "blue", "blue"),
        ({"answer": "A", "options": ["red", "blue"]}, "B", {"answer": "B", "options": ["red", "blue"]}),
    ],
)
def test_a_text_replaces_what_is_the_answer(before: Any, text: str, after: Any) -> None:
    assert with_text(before, text) == after


@pytest.mark.parametrize("before", [{"type": "maze", "grid": []}, {"answer": ["A", "B"]}])
def test_what_a_text_cannot_replace_is_written_anew(before: Any) -> None:
    with pytest.raises(BadInput, match="the reference was a mapping: write the new one as JSON"):
        with_text(before, "B")


@pytest.mark.parametrize("text", ["5", "true", '"5"', "0.5", "B"])
def test_a_list_is_replaced_by_a_json_list_alone(text: str) -> None:
    with pytest.raises(BadInput, match=r'the reference was a list: write a JSON list, such as \["0.5"\]'):
        reference_typed(["1/3", "0.33"], text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("5", "5"), ('"5"', "5"), (' "a \\u00e9" ', "a é"), ("2.50", "2.50"), ('"a" or "b"', '"a" or "b"')],
)
def test_an_answer_may_stand_in_the_quotes_of_json(text: str, answer: str) -> None:
    assert reference_typed({"answer": "1"}, text) == {"answer": answer}


@pytest.mark.parametrize("text", [" ", '""', "[]", "null"])
def test_nothing_is_no_reference(text: str) -> None:
    assert reference_typed({"answer": "1"}, text) is reference_typed(["1"], text) is None


def test_what_is_typed_is_json_where_the_reference_was() -> None:
    assert reference_typed(["1/3", "0.33"], '["1/4"]') == ["1/4"]
    assert reference_typed("[1]", "[2]") == "[2]" and reference_typed("1/3", " ") is None
