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
