"""A text in place of a reference, and of one that is more than a text."""

from __future__ import annotations

from typing import Any

import pytest

from sampler.store.decisions.correction import with_text
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


@pytest.mark.parametrize("before", [["red", "blue"], {"type": "maze", "grid": []}, {"answer": ["A", "B"]}])
def test_what_a_text_cannot_replace_is_written_anew(before: Any) -> None:
    with pytest.raises(BadInput, match=r"the reference was a (list|mapping): write the new one as JSON"):
        with_text(before, "B")
