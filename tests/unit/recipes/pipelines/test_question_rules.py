"""The rules on text, each by a table of cases."""

from __future__ import annotations

import time
from typing import Any

import pytest

from recipes.pipelines.rules.multi_question import asks_several, holds_several
from recipes.pipelines.rules.open_question import OpenQuestion, open_question, split_options
from recipes.pipelines.rules.phrase_answer import is_phrase

ONE = [
    "What is the sum of the digits in the picture?",
    "Find the length of AB.",
    "If x = 3 and y = 4, what is x + y?",
    "The triangle has sides of 3 cm, 4 cm and 5 cm. What is its area?",
    "1. All squares are blue. 2. This shape is a square. What colour is it?",
    "Statements: (1) the line rises; (2) the bar falls. How many statements are right?",
    "How many circles are red and larger than the square?",
    "Look at the chart. In which year did sales rise and costs fall?",
    "What is the value of f(1) when f(x) = 2x + 1?",
    "Which is longer?\nA. the red line\nB. the blue line",
    "Is the clock showing 3.30 p.m.?",
    "图中有多少个三角形？",
    "The scale reads 2.5 kg. How much more is needed for 4 kg?",
    "Read the number 1) from the dial, in volts.",
    "How many apples (not pears) are there?",
    "What is shown in part (b) of the figure?",
    'What does the sign that says "Why not?" advertise?',
    "Calculate the total of rows 1 and 2.",
    "Find the x-coordinate where the lines meet. Give one decimal.",
    "Point to the dog and not to the cat.",
]
SEVERAL = [
    "(1) What is the area? (2) What is the perimeter?",
    "a) Find x. b) Find y.",
    "What colour is the car? How many wheels does it have?",
    "What is the area of the square and what is its perimeter?",
    "Find the radius and calculate the area of the circle.",
    "1. Name the animal.\n2. Count its legs.",
    "(a) Count the dots. (b) Explain your answer.",
    "Part A: find the slope. Part B: find the intercept.",
    "What are the lengths of AB and CD, respectively?",
    "（1）求x的值；（2）求y的值。",
    "甲、乙两地的距离分别是多少？",
    "How many cups are there, and how many are empty?",
    "(i) State the mass. (ii) State the volume.",
    "Question 1: which bar is highest? Question 2: which is lowest?",
    "Is the door open? If so, what colour is it?",
    "Determine the speed and then find the distance travelled.",
    "What is the mean? And the median?",
    "Give the value of each of the following: A, B, C.",
    "What year is shown? What month?",
    "Which bar is the tallest, and what is its value?",
]


@pytest.mark.parametrize("question", ONE)
def test_one_question(question: str) -> None:
    assert asks_several(question) is None


@pytest.mark.parametrize("question", SEVERAL)
def test_several_questions(question: str) -> None:
    assert asks_several(question)


@pytest.mark.parametrize(
    ("reference", "several"),
    [
        ("9", False), ("(3, 4)", False), ("x = 3; y = 4", True), ("(1) 5 (2) 7", True), ("5 and 7", True),
        ("black and white", False), ("3 cm and 4 cm", True), ("(a) red (b) blue", True), ("2; 3", True),
        ("1,000", False), ("\\frac{1}{2}", False), ("[1, 2; ", False), ("3:4", False), ("5\n6", True),
        ("Marks and Spencer", False), ("12 apples", False), ("f(1) = 2", False), ("（1）3（2）4", True),
        ("-3 and 3", True), ("salt and 2 eggs", False),
    ],
)  # fmt: skip
def test_a_reference_of_several_answers(reference: str, several: bool) -> None:
    assert holds_several(reference) is several


@pytest.mark.parametrize(
    ("reference", "phrase"),
    [
        ("9", False), ("\\frac{3}{4}", False), ("\\boxed{12}", False), ("x = 2y + 1", False), ("5 cm", False),
        ("25 square centimeters", False), ("60 miles per hour", False), ("New York", False), ("red", False),
        ("isosceles triangle", False), ("(3, -2)", False), ("3:45 pm", False), ("\\sqrt{2}\\text{ units}", False),
        ("It is an isosceles triangle", True), ("because the lines are parallel", True), ("the red car", True),
        ("The area grows by a factor of four", True), ("5 apples and three green pears", True),
        ("\\text{the angle at B}", True), ("等腰三角形", True), ("红色", False), ("三角形", False),
        ("AB is parallel to CD", True), ("a b c d", False), ("don't know yet", True), ("", False),
        ("\\sin x + \\cos y", False), ("H2O", False), ("H_2SO_4", False),
    ],
)  # fmt: skip
def test_phrases(reference: str, phrase: bool) -> None:
    assert is_phrase(reference) is phrase


LINES = "How many cubes are there?\nA. 3\nB. 5\nC. 7\nD. 9"


@pytest.mark.parametrize(
    ("question", "reference", "asked", "expected", "verifier"),
    [
        (LINES, "B", "How many cubes are there?", "5", "math"),
        (LINES, {"answer": "c", "options": ["3", "5", "7", "9"]}, "How many cubes are there?", "7", "math"),
        (
            "How many?\n(A) 3 \n(B)  Five.", {"answer": "B", "options": {"A": "3", "B": "five"}},
            "How many?", "five", "string",
        ),
        (
            "Triangle with A: 3 cm and B: 4 cm as its legs. What is its area?", {"answer": "B", "options": [12, 6, 7]},
            "Triangle with A: 3 cm and B: 4 cm as its legs. What is its area?", "6", "math",
        ),
        (
            "How wide?\n(A) $3$ cm\n(B) $\\frac{1}{2}$\\text{cm}",
            {"answer": "A", "options": ["3cm", "\\frac{1}{2} cm"]}, "How wide?", "3cm", "math",
        ),
        (
            "What is it?\nA. A red cat\nB. a dog", {"answer": "A", "options": ["A. a red cat", "B. a dog"]},
            "What is it?", "a red cat", "string",
        ),
        (
            "A square of 13.5 cm. How many?", {"answer": "A", "options": ["13", "5"]},
            "A square of 13.5 cm. How many?", "13", "math",
        ),
        (
            "A 3 by 4 rectangle: its area?", {"answer": "B", "options": ["3", "12", "7"]},
            "A 3 by 4 rectangle: its area?", "12", "math",
        ),
        ("What is it?  \n(A) a cat\n(B) a dog", "(B)", "What is it?", "a dog", "string"),
        ("How wide is it? A) 3 cm B) 4 cm C) 5 cm", "A", "How wide is it?", "3 cm", "math"),
        ("What colour is the car? (A) red, (B) blue, (C) green", "C", "What colour is the car?", "green", "string"),
        (
            "Find x.\nOptions:\nA. $\\frac{1}{2}$\nB. $2$\nChoose the correct option.",
            "A", "Find x.", "$\\frac{1}{2}$", "math",
        ),
        (
            "What is 3 + 4? Answer with the option letter only.\nA: 6\nB: 7", "B", "What is 3 + 4?", "7", "math",
        ),
        ("图中有几个圆？\nA．2\nB．3", "B", "图中有几个圆？", "3", "math"),
        (
            "Vitamin A. is shown. What does the label read in total grams?\nA. 10\nB. 20", "A",
            "Vitamin A. is shown. What does the label read in total grams?", "10", "math",
        ),
    ],
)  # fmt: skip
def test_a_choice_becomes_open(
    question: str, reference: Any, asked: str, expected: str, verifier: str
) -> None:
    assert open_question(question, reference) == OpenQuestion(asked, expected, verifier)


@pytest.mark.parametrize(
    ("question", "reference", "why"),
    [
        ("How many cubes are there?", "B", "no options found"),
        ("How many cubes?\nA. 3", "A", "no options found"),
        (LINES, "AC", "not one right option"),
        (LINES, "E", "not one right option"),
        (LINES, ["A", "B"], "not one right option"),
        ("How many?\nA. 3\nB. 5\nC. All of the above", "A", "an option is about the others"),
        ("How many?\nA. 3\nB. 5\nC. None of these", "C", "an option is about the others"),
        ("How many?\nA. 3\nB. It cannot be determined", "A", "an option is about the others"),
        ("Which fits?\nA. Figure 1\nB. Figure 2", "A", "the options are pictures"),
        ("How many cubes?\nA. 3\nB. 3", "A", "two options say the same"),
        ("Which of the following is a cat?\nA. Tom\nB. Rex", "A", "asks about the options"),
        ("What is true of the chart? All except\nA. it rises\nB. it falls", "A", "asks about the options"),
        ("Which statement is correct and is true?\nA. it rises\nB. it falls", "A", "asks about the options"),
        ("下列说法正确的是\nA. 上升\nB. 下降", "A", "asks about the options"),
        (
            "How many? A. 3 B. 4 Look carefully.",
            {"answer": "A", "options": ["3", "4"]},
            "its text has other options",
        ),
        (
            "What is it?\nA. a cat\nB. a dog\nC. a cow",
            {"answer": "A", "options": ["a cat", "a dog"]},
            "its text has other options",
        ),
        (
            "How wide?\nA. **3** cm\nB. about 4 cm",
            {"answer": "B", "options": ["3 cm", "4.0 cm"]},
            "its text has other options",
        ),
        (
            "它是红色还是蓝色？",
            {"answer": "A", "options": ["红色", "蓝色"]},
            "the question names all options",
        ),
        (
            "Is the ball red or blue?",
            {"answer": "A", "options": ["red", "blue"]},
            "the question names all options",
        ),
        ("Choose one:\nA. 3\nB. 5", "A", "nothing is asked without the options"),
        ("A. 3\nB. 5", "A", "nothing is asked without the options"),
    ],
)
def test_what_has_no_open_form(question: str, reference: Any, why: str) -> None:
    assert open_question(question, reference) == why


def test_options_are_the_last_that_run_from_a() -> None:
    stem, options = split_options(
        "Points A. and B. lie on a line.\nHow far apart?\nA. 1\nB. 2\nC. 3\nGive one."
    )
    assert options == {"A": "1", "B": "2", "C": "3"}
    assert stem.splitlines()[:2] == ["Points A. and B. lie on a line.", "How far apart?"]
    assert split_options("A. 1\nC. 2") == ("A. 1\nC. 2", {})


def test_hostile_texts_take_no_time() -> None:
    for text in (
        "what " * 20_000,
        "(1) " * 20_000,
        "A. " * 20_000,
        "?" * 50_000,
        "choose " * 20_000,
        "\\text{" * 10_000,
        "a" * 200_000,
    ):
        start = time.perf_counter()
        asks_several(text)
        holds_several(text)
        is_phrase(text)
        open_question(text, "A")
        open_question(text, {"answer": "A", "options": [text, "5"]})
        assert time.perf_counter() - start < 5, text[:10]
