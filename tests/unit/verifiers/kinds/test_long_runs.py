"""Long runs of one mark, as a policy in trouble writes them: every reader is linear in them, or refuses early."""

import time

import pytest

from verifiers.registry import load_verifier

RUNS = [
    "最终答案" + "$" * 60_000,
    "La respuesta final es " + "$" * 60_000,
    "\\boxed{1" + " " * 60_000,
    "\\boxed{1}" + " " * 60_000 + "\\boxed{2}",
    "*" * 60_000,
    "\\" * 60_000,
    "5 " + " " * 60_000 + " x",
    "answer: " + "\\, " * 1_300,
    "answer: " + "*" * 3_900,
    "3,[2" + "±" * 60_000,
    "Jul" + "difference" * 15_000,
    "\\boxed{1" + "\t" * 60_000 + "x",
    "\\boxed{1" + "\t" * 7_000 + "2}",
    "a, " * 20_000,
    " or " * 15_000,
    "1. a\n" * 12_000,
    "**1** " * 10_000,
]


@pytest.mark.parametrize("kind", ["math", "number", "count", "relaxed_accuracy", "string", "anls"])
def test_long_runs_are_quick(kind):
    verifier = load_verifier(kind)
    prepared = verifier.prepare("5")
    for text in RUNS:
        started = time.process_time()
        verdict = verifier.judge_prepared(prepared, text)
        assert time.process_time() - started < 2, text[:30]
        assert verdict.score in (0.0, None) or verdict.score < 1


def test_blanks_between_the_values_of_a_chart_are_skipped_in_linear_time():
    """Found by fuzzing: half a second for each of the texts that a list was looked for in."""
    started = time.process_time()
    assert load_verifier("relaxed_accuracy").judge("5, 6", "1, 2" + " " * 3_900 + "3").score == 0
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize("blank", [" ", "\n", "\r\n", "- ", ", "])
@pytest.mark.parametrize(
    "reference",
    [
        {"type": "graph_path", "edges": [["A", "B", 1], ["B", "D", 1]], "start": "A", "goal": "D"},
        {"type": "graph_colouring", "edges": [["A", "B"]], "colours": 2},
        {"type": "sorting", "items": [3, 1, 2]},
        {"type": "n_queens", "n": 4},
    ],
    ids=lambda reference: reference["type"],
)
def test_blanks_in_a_puzzle_are_skipped_in_linear_time(reference, blank):
    """Found by fuzzing: 12 s for a path in whose answer 50,000 blanks stand."""
    verifier = load_verifier("puzzle")
    prepared = verifier.prepare(reference)
    for text in ("A" + blank * 20_000 + "B", blank * 20_000, "A -> B" + blank * 20_000):
        started = time.process_time()
        assert verifier.judge_prepared(prepared, text).score == 0
        assert time.process_time() - started < 0.3
