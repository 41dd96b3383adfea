"""Values that are named without being stated; the golden tables hold what `math` and `number` make of them."""

import time

import pytest

from verifiers.expression.text.doubt.unstated import preferred, withdrawn
from verifiers.registry import load_verifier

RUNS = [
    "besides ", "if x is ", "doubt that it is ", "12 would be ", "would ", "} ", "rather than 12 ", "12 rather than ",
    "I doubt it. ", "some say that the answer is ", "-ish ", "one might say\n",
    "no value of x other than ", "nobody doubts that ", "none of ", "no ", "if the side a is ", "if we say that ",
    "let angle ", "upper bound ", "if only ",
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "I doubt it is 5",
        "if x were 5, it would fail",
        "5 fails",
        "close to 5",
        "hardly $5$",
        "5 is the maximum",
        "5ish",
        "no value other than 5 fails",
        "it is false that no value other than 5 works",
        "no doubt every value other than 5 works",
        "no number close to 5 works",
        "if angle A is 5",
        "if we take x = 5",
        "let us say it is 5",
        "we may assume x = 5",
        "the upper bound is 5",
    ],
)
def test_what_is_doubted_or_supposed_is_withdrawn(text):
    assert withdrawn(text)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "about 5",
        "no doubt it is 5",
        "equality holds if x = 5",
        "5 students failed",
        "the maximum is 5",
        "Since 4 fails, the answer is B.",
        "I doubt it is 4; it is 5",
        "no value at all",
        "no value other than 5 works",
        "there is no number but 5",
        "nothing except $5$",
        "nobody doubts that the answer is 5",
        "no one doubts it is 5",
        "if added together there are 5",
        "if so the total is 5",
        "let me count there are 5",
        "the least upper bound is 5",
    ],
)
def test_what_is_said_stays(text):
    assert not withdrawn(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("4 rather than 5", "4"),
        ("$4$ instead of $5$.", "$4$."),
        ("four as opposed to five dogs", "four"),
        ("sine rather than cosine gives 5", "sine rather than cosine gives 5"),
        ("rather than 5", "rather than 5"),
    ],
)
def test_what_stands_before_rather_than_is_preferred(text, kept):
    assert preferred(text) == kept


@pytest.mark.parametrize("kind", ["math", "number", "count"])
def test_long_runs_of_such_words_are_quick(kind):
    verifier = load_verifier(kind)
    for run in RUNS:
        for text in (run * (60_000 // len(run)), run + " " * 50_000 + "12", run * (3_900 // len(run)) + "12"):
            started = time.process_time()
            verifier.judge("5", text)
            assert time.process_time() - started < 1, text[:30]
