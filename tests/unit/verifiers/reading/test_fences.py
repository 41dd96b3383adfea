"""What wraps an answer: code fences, JSON."""

import pytest

from verifiers.reading.final_line import stated_answer, tagged_answer, unfenced


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ('```json\n{"reason": "tall", "answer": "oak"}\n```', "oak"),
        ('{"Final Answer": 1.50}', "1.50"),
        ('{"answer": ["A", "C"]}', "A, C"),
        ("The expression:\n```text\n3 * 9\n```", "3 * 9"),
        ("```7```", "7"),
    ],
)
def test_the_wrapper_is_taken_off(text, stated):
    assert stated_answer(text) == stated


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "a", "final_answer": "b"}',
        '{"answer": {"x": "1"}}',
        '{"answer": "a", "answer": "b"}',
        '{"width": 3}',
        "```\na\n```\nor\n```\nb\n```",
        "```\na\n``` and so on",
    ],
)
def test_what_names_no_single_answer_stays(text):
    assert tagged_answer(text) is None
    assert unfenced(text) == text
