"""Lists graded by a rule: right > wrong > wrong and unformatted, the same under the same seed."""

import json
import random

import pytest

from reward_models.preferences.synthetic_preferences import (
    AnswerCandidate,
    marks_of,
    perturbed_answers,
    sampled_answers,
    synthetic_preferences,
    unformatted,
)
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput
from verifiers.registry import load_verifier


def prompt(verifier, reference, **options):
    messages = [{"role": "user", "content": [{"type": "text", "text": f"{verifier} {reference}?"}]}]
    return Prompt.build(messages=messages, verifier=verifier, reference=reference, verifier_options=options)


PROMPTS = [
    prompt("math", "9"),
    prompt("math", "\\frac{12}{5}"),
    prompt("math", "x^2+31"),
    prompt("number", "1234.5"),
    prompt("string", "room 17"),
    prompt("bbox_iou", "<bbox>130 40 380 90</bbox>"),
    prompt("bbox_iou", "<bbox>130 40 380 90</bbox>", format="tag"),
    prompt(
        "puzzle", json.dumps({"type": "game_of_24", "numbers": [4, 7, 8, 8], "solution": "(7 - 8/8) * 4"})
    ),
    prompt("relaxed_accuracy", "340"),
    prompt("count", "4"),
]


def score(asked, text):
    verifier = load_verifier(asked.verifier, asked.verifier_options)
    return verifier.judge(asked.reference, FinalAnswer(text)).score


@pytest.mark.parametrize("asked", PROMPTS, ids=lambda asked: f"{asked.verifier}-{asked.reference[:12]}")
def test_right_scores_one_wrong_less_and_unformatted_has_no_mark(asked):
    grades_seen = set()
    for seed in range(12):
        graded = perturbed_answers(asked, random.Random(seed))
        assert graded is not None
        for answer, grade in zip(graded.answers, graded.grades, strict=True):
            grades_seen.add(grade)
            value = score(asked, answer.text)
            assert value == 1.0 if grade == 5 else value <= 0.5, answer
            assert bool(marks_of(answer.text)) == (grade > 1), answer
    assert grades_seen == {5, 3, 1}


def test_the_seed_and_the_prompt_alone_decide():
    lists = synthetic_preferences(PROMPTS, seed=3)
    assert lists == synthetic_preferences(PROMPTS, seed=3)
    assert lists[::-1] == synthetic_preferences(PROMPTS[::-1], seed=3)
    assert any(synthetic_preferences(PROMPTS, seed=seed) != lists for seed in range(4, 8))
    assert {one.source for one in lists} == {"synthetic/perturbed"}


def test_prompts_without_a_rule_or_a_near_miss_give_no_list():
    general = Prompt.build(messages=[{"role": "user", "content": []}], kind="general", reference="hello")
    instruction = prompt("instruction", '[{"id": "punctuation:no_comma"}]')
    assert synthetic_preferences([general, instruction], seed=0) == []


def test_a_bad_reference_names_the_prompt():
    broken = prompt("number", "many")
    with pytest.raises(BadInput, match=f"prompt {broken.prompt_id}: "):
        synthetic_preferences([broken], seed=0)


def test_a_near_miss_that_the_rule_accepts_is_never_called_wrong():
    tolerant = prompt("relaxed_accuracy", "1000")  # 5%: 1001 is right
    for seed in range(20):
        graded = perturbed_answers(tolerant, random.Random(seed))
        assert graded is None or all(
            (score(tolerant, answer.text) == 1.0) == (grade == 5)
            for answer, grade in zip(graded.answers, graded.grades, strict=True)
        )


def test_a_box_off_by_one_is_neither_right_nor_wrong():
    asked = prompt("bbox_iou", "<bbox>100 200 300 400</bbox>")
    near = "<bbox>100 200 300 401</bbox>"
    assert 0.99 < score(asked, near) < 1.0
    made = [perturbed_answers(asked, random.Random(seed)) for seed in range(12)]
    assert near not in {answer.text for one in made if one for answer in one.answers}
    given = candidates(("<bbox>100 200 300 400</bbox>", 1.0), (near, score(asked, near)))
    assert sampled_answers(asked, given, random.Random(0)) is None


def candidates(*pairs):
    return [AnswerCandidate(FinalAnswer(text), value) for text, value in pairs]


def test_candidates_are_classed_by_score_and_mark():
    asked = prompt("math", "9")
    given = candidates(("\\boxed{9}", 1.0), ("\\boxed{8}", 0.0), ("I say 7", 0.0), ("9", 1.0))
    graded = sampled_answers(asked, given, random.Random(0))
    assert [answer.text for answer in graded.answers] == ["\\boxed{9}", "\\boxed{8}", "I say 7"]
    assert (graded.grades, graded.source) == ((5, 3, 1), "synthetic/sampled")
    assert graded == sampled_answers(asked, given[::-1], random.Random(0))  # rollouts finish in any order


def test_candidates_that_prove_nothing_are_left_out():
    asked = prompt("math", "9")
    given = [
        *candidates(("\\boxed{9}", 1.0), ("\\boxed{8}", None), ("\\boxed{9.0}", 0.0), ("\\boxed{9.0}", 1.0)),
        *candidates(("<think>x</think>\\boxed{1}", 0.0)),
        AnswerCandidate(FinalAnswer("\\boxed{2}", "truncated"), 0.0),
    ]
    assert sampled_answers(asked, given, random.Random(0)) is None  # nothing is left that is surely wrong
    assert synthetic_preferences([asked], seed=0, candidates={}) == []
    given = [*given, *candidates(("7", 0.5))]
    (graded,) = synthetic_preferences([asked], seed=0, candidates={asked.prompt_id: given})
    assert graded.grades == (5, 1)


def test_a_mark_of_another_rule_is_no_format():
    asked = prompt("bbox_iou", "<bbox>10 20 110 220</bbox>")
    given = candidates(("<bbox>10 20 110 220</bbox>", 1.0), ("\\boxed{10 20 30 40}", 0.0))
    assert sampled_answers(asked, given, random.Random(0)).grades == (5, 1)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("\\boxed{8}", ["8", "\\boxed{8", "boxed 8", "8}"]),
        ("<bbox>1 2 3 4</bbox>", ["1 2 3 4", "<bbox>1 2 3 4", "1 2 3 4</bbox>"]),
        ("no mark", ["no mark"]),
    ],
)
def test_formats_are_broken_by_halves(text, broken):
    assert unformatted(text) == broken
    assert not any(map(marks_of, broken))
