"""Second implementations and edge cases of the parts that several kinds share."""

import random
from fractions import Fraction

import pytest

from verifiers.errors import BadInput, BadOption, BadReference, UnknownVerifier
from verifiers.reading.assignment import best_assignment, matched_score
from verifiers.reading.places.box import Box, giou, iou
from verifiers.reading.quantity import read_quantity
from verifiers.registry import BUILT_IN, load_verifier, verifier_class


def test_assignment_agrees_with_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    rng = random.Random(0)
    for _ in range(60):
        rows, columns = rng.randint(1, 7), rng.randint(1, 7)
        weight = [[rng.random() for _ in range(columns)] for _ in range(rows)]
        pairs = best_assignment(weight)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == min(rows, columns)
        i, j = optimize.linear_sum_assignment(weight, maximize=True)
        best = sum(weight[a][b] for a, b in zip(i, j, strict=True))
        assert sum(weight[a][b] for a, b in pairs) == pytest.approx(best)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1.0, 2.0])
def test_what_is_no_share_is_worth_nothing(weight):
    assert matched_score([weight], 1, 1) == 0.0
    side = 1e-200  # an area that is 0 for a float
    assert iou(Box(0, 0, side, side), Box(0, 0, side, side)) == 0.0
    assert giou(Box(0, 0, side, side), Box(0, 0, side, side)) == -1.0


def test_iou_by_counting_cells():
    rng = random.Random(1)
    for _ in range(40):
        boxes = []
        for _ in range(2):
            x1, y1 = rng.randint(0, 8), rng.randint(0, 8)
            boxes.append(Box(x1, y1, x1 + rng.randint(1, 6), y1 + rng.randint(1, 6)))
        cells = [{(x, y) for x in range(b.x1, b.x2) for y in range(b.y1, b.y2)} for b in boxes]
        expected = len(cells[0] & cells[1]) / len(cells[0] | cells[1])
        assert iou(*boxes) == pytest.approx(expected)
        assert -1 <= giou(*boxes) <= iou(*boxes) + 1e-12


@pytest.mark.parametrize(
    ("text", "value", "unit", "percent"),
    [
        ("1,234.5", Fraction("1234.5"), "", False),
        ("1.234,5", Fraction("1234.5"), "", False),
        ("1,22", Fraction("1.22"), "", False),
        ("1,234", Fraction(1234), "", False),
        ("0,111", Fraction("0.111"), "", False),
        ("12 %", Fraction(12), "", True),
        ("-3/4", Fraction(-3, 4), "", False),
        ("2 1/2", Fraction(5, 2), "", False),
        ("1.5e3 km", Fraction(1500), "km", False),
        ("$5.00", Fraction(5), "$", False),
        ("٤٢", Fraction(42), "", False),
    ],
)
def test_quantities(text, value, unit, percent):
    found = read_quantity(text)
    assert (found.value, found.unit, found.percent) == (value, unit, percent)


@pytest.mark.parametrize("text", ["", "a", "1 2", "1,2,3", "3 or 4", "1/0", "1e9999", "--", "9" * 5000])
def test_what_is_no_quantity(text):
    assert read_quantity(text) is None


@pytest.mark.parametrize("kind", list(BUILT_IN))
def test_examples_score_what_they_say(kind):
    example = verifier_class(kind).example
    assert (
        load_verifier(kind, example.options).judge(example.reference, example.answer).score == example.score
    )


def test_names_and_paths():
    with pytest.raises(UnknownVerifier, match="did you mean 'math'"):
        load_verifier("maths")
    with pytest.raises(UnknownVerifier, match="cannot be imported"):
        load_verifier("no_such_package:Verifier")
    with pytest.raises(BadInput, match="not a subclass"):
        load_verifier("pathlib:Path")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("all_of", {}),
        ("all_of", {"parts": [{"verifier": "number"}, {"verifier": "number"}]}),
        ("weighted", {"parts": [{"verifier": "number", "weight": 0}]}),
        ("gate", {"parts": [{"verifier": "number"}]}),
        ("cascade", {"parts": [{"verifer": "number"}]}),
        ("bbox_iou", {"threshold": 2}),
        ("bbox_iou", {"max_ratio": float("inf")}),
        *[("gate", {"parts": [{"verifier": "number"}] * 2, "threshold": value}) for value in (0, -1, 2)],
        ("number", {"rel_tol": "x"}),
        ("code", {"timeout_s": 0}),
    ],
)
def test_bad_options(kind, options):
    with pytest.raises(BadOption):
        load_verifier(kind, options)


def test_cascade_asks_the_second_only_where_the_first_is_unsure():
    verifier = load_verifier("cascade", {"parts": [{"verifier": "math"}, {"verifier": "string"}]})
    assert verifier.judge("7", "7").parts["num_asked"] == 1
    unsure = verifier.judge("1/3", "0.333333")
    assert (unsure.parts["num_asked"], unsure.score) == (2, 0.0)


def test_a_part_without_a_score_is_no_zero():
    verifier = load_verifier("all_of", {"parts": [{"verifier": "number"}, {"verifier": "string"}]})
    number = verifier.parts[0][1]
    number.compare = lambda prepared, extracted: 1 / 0
    verdict = verifier.judge("7", "7")
    assert (verdict.status, verdict.score) == ("error", None)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "sudoku", "grid": [[1, 1, 0, 0]] + [[0] * 4] * 3},
        {"type": "maze", "grid": ["S#G"]},
        {"type": "countdown", "numbers": [1, 2], "target": 3, "solution": "1*2"},
        {"type": "graph_path", "edges": [["A", "B"]], "start": "A", "goal": "C"},
        {"type": "n_queens", "n": 3},
        {"type": "sorting", "items": []},
        {"type": "sudokuu", "grid": []},
        {"type": "maze", "gird": ["SG"]},
        {"type": "maze", "grid": ["S1G"]},
        {"type": "maze", "grid": ["S█G"]},
        {"type": "maze", "grid": ["SX", "XG"]},
        {"type": "n_queens", "n": 6, "fixed": {"a": 1}},
        {"type": "n_queens", "n": 6, "fixed": [1, 2]},
        {"type": "n_queens", "n": 6, "fixed": {"9": 1}},
        {"type": "n_queens", "n": 6, "fixed": {"1": "x"}},
        {"type": "graph_colouring", "edges": [["A", "B"]], "colours": 2, "nodes": 5},
        {"type": "graph_colouring", "edges": [["A", "a"]], "colours": 2},
        {"type": "graph_colouring", "edges": [["A", "B"]], "colours": 2, "nodes": ["a", "B"]},
    ],
)
def test_impossible_puzzles_are_refused(spec):
    with pytest.raises(BadReference):
        load_verifier("puzzle").prepare(spec)


@pytest.mark.parametrize(
    ("kind", "reference", "cure"),
    [
        ("number", ["4", "four"], "use 'any_of' with the option verifier: number"),
        ("count", [4, 5], "use 'any_of' with the option verifier: count"),
        ("relaxed_accuracy", ["4", "four"], "use 'any_of' with the option verifier: relaxed_accuracy"),
        ("choice", "birch", "give a mapping {answer: ..., options: [...]}"),
        ("choice", ["A", "birch"], "give a mapping {answer: ..., options: [...]}"),
        ("choice", 2, "a number is no letter: the first option is A"),
        (
            "choice",
            {"answer": 1, "options": ["oak", "birch"]},
            "a number is no letter: the first option is A",
        ),
        (
            "choice",
            {"answer": "elm", "options": ["oak", "birch"]},
            "the letters are A, B, and no option has this text",
        ),
    ],
)
def test_a_refused_reference_says_what_to_write(kind, reference, cure):
    with pytest.raises(BadReference) as refused:
        load_verifier(kind, {}).prepare(reference)
    assert str(refused.value).endswith(cure)


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [
        ("3.5", "35", False),
        (".5", "5", False),
        ("-5", "5", False),
        ("1/2", "12", False),
        ("12:30", "1230", False),
        ("x+y", "x-y", False),
        ("xy", "x - y", False),
        ("2(x+1)", "2x+1", False),
        ("10-20", "1020", False),
        ("C", "C++", False),
        ("1,234,567.5", "1234567.5", True),
        ("well-known", "wellknown", True),
        ("covid-19", "covid19", True),
        ("x-ray", "xray", True),
        ("item(s)", "items", True),
        ("No. 5", "no 5", True),
        ("the (big) cat", "a **big** cat!", True),
        ("−5", "(-5)", True),
    ],
)
def test_a_loose_match_keeps_what_says_something_of_a_number(reference, answer, equal):
    assert load_verifier("string", {"match": "loose"}).judge(reference, answer).score == float(equal)
    assert (load_verifier("token_f1").judge(reference, answer).score == 1.0) == equal


def test_whole_numbers_that_come_as_floats_are_read():
    instructions = load_verifier("instruction")
    first = {"id": "length_constraints:nth_paragraph_first_word", "first_word": "b", "nth_paragraph": 2.0}
    assert instructions.judge([{**first, "num_paragraphs": 2.0}], "a\n\nb").score == 1.0
    with pytest.raises(BadReference):
        instructions.prepare([{**first, "num_paragraphs": 2.5}])
    queens = {"type": "n_queens", "n": 4.0, "fixed": {"0": 1.0}}
    with pytest.raises(BadReference):
        load_verifier("puzzle").prepare(queens)
    assert load_verifier("puzzle").judge({**queens, "n": 4}, "1 3 0 2").score == 1.0


def test_nodes_whose_names_differ_in_case_alone():
    reference = {"type": "graph_path", "edges": [["a", "A"], ["A", "b"]], "start": "a", "goal": "b"}
    assert load_verifier("puzzle").judge(reference, "a -> A -> b").score == 1.0
    assert load_verifier("puzzle").judge(reference, "a -> b").score == 0.0
    alike = {**reference, "edges": [["a", "c"], ["c", "b"]]}
    assert load_verifier("puzzle").judge(alike, "A -> C -> B").score == 1.0


@pytest.mark.parametrize("text", ["red hat|", "|", "red hat|.|cap"])
def test_an_accepted_text_that_is_empty_is_refused(text):
    with pytest.raises(BadReference, match="empty"):
        load_verifier("spot_difference").prepare([{"text": text, "box": [1, 2, 3, 4]}])


CUPS = {"answer": "B", "options": ["red", "blue", "green", "teal"]}


@pytest.mark.parametrize(
    "answer",
    [
        "Answer: B; D",
        "Answer: B D",
        "Answer: B [D]",
        "Answer: B\nD",
        "The answer is B.\n\n(D)",
        "答案是B或C",
        "I choose B; C; D",
    ],
)
def test_a_second_letter_behind_a_stated_one_is_named_too(answer):
    assert load_verifier("choice").judge("B", answer).score == 0.0
    assert load_verifier("choice").judge(CUPS, answer).score == 0.0


@pytest.mark.parametrize(
    "answer", ["B. blue or green", "B. blue, green", "B) a blue; teal", "The answer is B. blue and red"]
)
def test_another_option_s_text_beside_the_right_one_is_named_too(answer):
    assert load_verifier("choice").judge(CUPS, answer).score == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "Answer: B\nA is red, so it is wrong.",
        "Answer: B\n\nA. red is wrong",
        "Answer: B I think",
        "Answer: B\nA cup is blue",
        "Answer: B\nFinal answer: B",
        "Answer: B [blue]",
        "B. blue or a shade of it",
    ],
)
def test_what_follows_a_stated_letter_and_names_none(answer):
    assert load_verifier("choice").judge(CUPS, answer).score == 1.0


COLOURING = {"type": "graph_colouring", "edges": [["A", "B"], ["B", "C"]], "colours": 2}


@pytest.mark.parametrize(
    ("kind", "reference", "answer", "score"),
    [
        ("bbox_iou", [100, 100, 200, 200], "<answer>100 100 200 200</answer>", 1.0),
        ("bbox_iou", [100, 100, 200, 200], "100 100 200 200", 0.0),
        ("bbox_iou", [100, 100, 200, 200], "[5, 5, 9, 9]. Final answer: [100, 100, 200, 200]", 1.0),
        ("bbox_iou", [100, 100, 200, 200], "[100, 100, 200, 200]. Final answer: [5, 5, 9, 9]", 0.0),
        ("bbox_iou", [100, 100, 200, 200], '{"result": [[5, 5, 9, 9], [100, 100, 200, 200]]}', 0.0),
        ("bbox_iou", [100, 100, 200, 200], "```json\n[5, 5, 9, 9]\n``` Corrected: [100, 100, 200, 200]", 1.0),
        ("point_in_box", [100, 100, 200, 200], r"\boxed{150 150}", 1.0),
        ("temporal_iou", [12.5, 20], "12.5 20", 1.0),
        ("temporal_iou", [12.5, 20], "<answer>12.5 s 20 s</answer>", 1.0),
        ("temporal_iou", [12.5, 20], "12.5 20 30", 0.0),
        ("puzzle", COLOURING, "A - red\nB - blue\nC - red", 1.0),
        ("puzzle", COLOURING, "- A – red\n- B – blue\n- C – red", 1.0),
        ("puzzle", COLOURING, "A - red\nB - red\nC - blue", 0.0),
    ],
)
def test_forms_in_which_models_write_them(kind, reference, answer, score):
    assert load_verifier(kind).judge(reference, answer).score == score
