"""The one place where a response is split."""

import pytest

from verifiers.answer import FinalAnswer
from verifiers.reading.response import split_response


@pytest.mark.parametrize(
    ("response", "options", "thought", "text", "status"),
    [
        ("<think>3+5</think>\\boxed{8}", {}, "3+5", "\\boxed{8}", "ok"),
        ("<think></think>x", {}, "", "x", "ok"),
        (" \n<think> a </think> b ", {}, "a", "b", "ok"),
        ("3+5</think>8", {"prefilled_think": True}, "3+5", "8", "ok"),
        ("</think>8", {"prefilled_think": True}, "", "8", "ok"),
        ("<think>3</think>8", {"prefilled_think": True}, "3", "8", "malformed"),
        ("no close", {"prefilled_think": True}, "no close", "", "malformed"),
        ("8", {}, "", "8", "no_thought"),
        ("8", {"expects_thought": False}, "", "8", "ok"),
        ("<think>a</think>8", {"expects_thought": False}, "a", "8", "ok"),
        ("</think>8", {"expects_thought": False}, "", "8", "malformed"),
        ("<think>a", {}, "a", "", "malformed"),
        ("a</think>8", {}, "a", "8", "malformed"),
        ("hi <think>a</think>8", {}, "hi a", "8", "malformed"),
        ("<think>a</think>8</think>9", {}, "a</think>8", "9", "malformed"),
        ("<think><think>a</think>8", {}, "a", "8", "malformed"),
        ("<think>a</think>8<think>b", {}, "a", "8<think>b", "malformed"),
        ("<think>a</think>  ", {}, "a", "", "empty"),
        ("<think>a", {"finish_reason": "length"}, "a", "", "truncated"),
        ("<think>a</think>8", {"finish_reason": "length"}, "a", "8", "truncated"),
        ("<think>a</think>8", {"finish_reason": "stop"}, "a", "8", "ok"),
        ("[T]a[/T]8", {"open_tag": "[T]", "close_tag": "[/T]"}, "a", "8", "ok"),
        ("", {"expects_thought": False}, "", "", "empty"),
    ],
)
def test_split_response(response, options, thought, text, status):
    split = split_response(response, **options)
    assert split.answer == FinalAnswer(text, status)
    assert split.thought == thought


def test_an_answer_in_the_thought_never_reaches_the_final_text():
    split = split_response("<think>\\boxed{42}</think>I do not know")
    assert "42" not in split.answer.text


def test_unknown_status_is_refused():
    with pytest.raises(ValueError, match="not one of"):
        FinalAnswer("x", "fine")
