"""Which of several wrappers holds the answer, as the manual says."""

from __future__ import annotations

import pytest

from verifiers import load_verifier


@pytest.mark.parametrize("verifier", ["string", "number", "math"])
@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (r"<answer>3</answer> so \boxed{4}", "3"),
        (r"\boxed{4} so <answer>3</answer>", "3"),
        (r"\boxed{4}, <answer>so \boxed{3}</answer>", "3"),
        ("\\boxed{4}. Wait, I counted one twice.\n\nIt is \\boxed{3}", "3"),
        ("<answer>4</answer> no, <answer>3</answer>", "3"),
    ],
)
def test_a_tag_comes_before_a_box_and_the_last_of_each_counts(verifier: str, answer: str, read: str) -> None:
    rule = load_verifier(verifier)
    assert rule.judge(reference=read, answer=answer).score == 1.0
    assert rule.judge(reference="4", answer=answer).score == 0.0


@pytest.mark.parametrize("join", [" or ", ", ", " and ", ", or ", "$ or $", " "])
@pytest.mark.parametrize(
    ("verifier", "reference", "wrong", "right"),
    [
        ("number", "6", "5", "6"),
        ("count", "6", "5", "6"),
        ("string", "6", "5", "6"),
        ("anls", "paris", "rome", "paris"),
        ("relaxed_accuracy", "6", "5", "6"),
        ("choice", "B", "A", "B"),
        ("bbox_iou", [1, 2, 30, 40], "[5, 5, 9, 9]", "[1, 2, 30, 40]"),
        ("point_in_box", [1, 2, 30, 40], "(90, 90)", "(5, 5)"),
        ("temporal_iou", [3, 9], "1 - 2", "3 - 9"),
        ("puzzle", {"type": "game_of_24", "numbers": [4, 7, 8, 8]}, "4*7-8-8", "4*(7-8/8)"),
    ],
)
def test_boxes_joined_by_a_word_or_a_comma_are_one_answer(verifier, reference, wrong, right, join) -> None:
    rule = load_verifier(verifier)
    assert rule.judge(reference, rf"\boxed{{{wrong}}}{join}\boxed{{{right}}}").score == 0.0
    assert rule.judge(reference, rf"\boxed{{{right}}}{join}\boxed{{{right}}}").score == 1.0
    assert rule.judge(reference, rf"\boxed{{{wrong}}}. No: \boxed{{{right}}}").score == 1.0
