"""Every exercise: its reference passes, its text gives nothing away, difficulty is real, seeds draw the same again."""

from __future__ import annotations

import io
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import mean
from typing import Any

import pytest
from PIL import Image

from recipes.gym.boards import pattern
from recipes.gym.canvas import Canvas
from recipes.gym.catalogue import EXERCISES, exercise_named
from recipes.gym.exercise import LEAST_PX, MOST_PX, Exercise, Question
from recipes.gym.films import film
from sampler.data.media.video import check_video
from verifiers.answer import FinalAnswer
from verifiers.errors import BadInput
from verifiers.registry import load_verifier
from verifiers.verifier import Verifier

NUM_QUESTIONS = 150  # to guess from, and as many to be tried on


def made(exercise: Exercise, seed: object, difficulty: float, px: int = LEAST_PX) -> Question:
    return exercise.make(random.Random(f"{exercise.name} {seed}"), difficulty, px)


def verifier_of(exercise: Exercise) -> Verifier[Any, Any]:
    return load_verifier(exercise.verifier, exercise.verifier_options)


@pytest.fixture(params=EXERCISES)
def exercise(request: pytest.FixtureRequest) -> Exercise:
    return EXERCISES[request.param]


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn: what is asked does not hang on it."""
    for method in ("line", "box", "disc", "polygon", "sector", "text", "image"):
        monkeypatch.setattr(Canvas, method, lambda *_, **__: None)
    monkeypatch.setattr(Canvas, "png", lambda _: b"png")
    monkeypatch.setattr(film, "film_of", lambda *_: b"gif")
    monkeypatch.setattr(Exercise, "least_px", lambda self, difficulty: LEAST_PX)


def test_the_gym_has_what_it_says() -> None:
    assert len(EXERCISES) >= 14 and len({one.verifier for one in EXERCISES.values()}) >= 10
    with pytest.raises(BadInput, match="did you mean 'clock'"):
        exercise_named("clok")
    for difficulty, px in ((1.1, LEAST_PX), (0.5, MOST_PX + 1)):
        with pytest.raises(BadInput):
            EXERCISES["clock"].make(random.Random(), difficulty, px)


@pytest.mark.parametrize("difficulty", [0.0, 0.35, 0.7, 1.0])
def test_the_answer_and_the_reference_pass_and_the_pictures_fit(
    exercise: Exercise, difficulty: float
) -> None:
    verifier = verifier_of(exercise)
    for seed in range(10):
        question = made(exercise, seed, difficulty, MOST_PX if seed == 9 else LEAST_PX)
        target = verifier.prepare(question.reference)
        for answer in (question.answer, *verifier.reference_answers(question.reference)):
            extracted = verifier.extract(FinalAnswer(answer))
            assert verifier.compare(target, extracted).score == pytest.approx(1), (question.text, answer)
        assert question.images or question.videos
        for encoded in question.images:
            size = Image.open(io.BytesIO(encoded)).size
            assert size[0] == size[1] and LEAST_PX <= size[0] <= MOST_PX and size[0] % 16 == 0
            assert seed < 9 or size[0] == MOST_PX
        for encoded in question.videos:
            check_video(encoded)


def test_the_same_seed_draws_the_same(exercise: Exercise) -> None:
    for difficulty in (0.1, 0.8):
        first, again, other = (made(exercise, seed, difficulty) for seed in (1, 1, 2))
        assert first == again != other


def test_difficulty_is_more_to_look_at(exercise: Exercise, blank: None) -> None:
    loads = [mean(made(exercise, seed, at).load for seed in range(40)) for at in (0, 0.25, 0.5, 0.75, 1)]
    assert loads == sorted(loads) and loads[0] < loads[2] < loads[4], loads


def test_the_text_tells_nothing_of_the_answer(exercise: Exercise, blank: None) -> None:
    """Whoever fits a constant guess to each text does no better than the best constant guess for all texts."""
    verifier = verifier_of(exercise)
    rng = random.Random(f"difficulties of {exercise.name}")
    drawn = [made(exercise, f"guess {seed}", rng.random()) for seed in range(2 * NUM_QUESTIONS)]
    known, tried = drawn[:NUM_QUESTIONS], drawn[NUM_QUESTIONS:]
    scores = Scores(verifier, drawn)
    best = max(scores.mean(answer, tried) for answer in frequent(known))
    overall = scores.best_guess(known)
    bound = best + 3.5 * (0.25 / NUM_QUESTIONS) ** 0.5 * (2 * max(best * (1 - best), 0.02) ** 0.5)
    for told in (str, masked):
        by_text = defaultdict(list)
        for question in known:
            by_text[told(question.text)].append(question)
        guesses = {text: scores.best_guess(alike) for text, alike in by_text.items()}
        reached = mean(scores(guesses.get(told(one.text), overall), one) for one in tried)
        assert reached <= bound, (reached, best)
    assert best < 0.6


def frequent(questions: Sequence[Question]) -> list[str]:
    """The answers that are given most often."""
    return [answer for answer, _ in Counter(one.answer for one in questions).most_common(20)]


def masked(text: str) -> str:
    """The wording without names and numbers."""
    return re.sub(r"(?<=\s)[A-Z][a-z]*|\d+", "_", text)


class Scores:
    """Of an answer on a question, each asked of the verifier once."""

    def __init__(self, verifier: Verifier[Any, Any], questions: Sequence[Question]) -> None:
        self.verifier = verifier
        self.targets = {id(one): verifier.prepare(one.reference) for one in questions}
        self.known: dict[tuple[str, int], float] = {}

    def __call__(self, answer: str, question: Question) -> float:
        key = (answer, id(question))
        if key not in self.known:
            extracted = self.verifier.extract(FinalAnswer(answer))
            self.known[key] = self.verifier.compare(self.targets[id(question)], extracted).score or 0.0
        return self.known[key]

    def mean(self, answer: str, questions: Sequence[Question]) -> float:
        return mean(self(answer, one) for one in questions)

    def best_guess(self, questions: Sequence[Question]) -> str:
        return max(frequent(questions), key=lambda answer: self.mean(answer, questions))


@pytest.mark.parametrize("difficulty", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_a_pattern_is_to_be_read_whole(difficulty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves the row out finds four options of which none is nearer to the others than any; no one place of
    the row holds what comes next, and to be in the row says little of an option."""
    drawn: list[Any] = []
    monkeypatch.setattr(pattern, "_picture", lambda px, row, options: drawn.append((row, options)) or b"")
    asked = [pattern.draw(random.Random(f"{n}"), difficulty, LEAST_PX).reference for n in range(400)]
    places = Counter(asked)
    assert set(places) == set("ABCD") and min(places.values()) > 60
    right = [options["ABCD".index(letter)] for letter, (_, options) in zip(asked, drawn, strict=True)]
    for place in (0, 1, 2, 3, -1, -2, -3):
        assert mean(row[place] == one for one, (row, _) in zip(right, drawn, strict=True)) < 0.6
    alone = [[one for one in options if one in row] for row, options in drawn]
    assert mean(held == [one] for one, held in zip(right, alone, strict=True)) < 0.4
    for _, options in drawn:
        alike = [sum(a == b for other in options for a, b in zip(one, other, strict=True)) for one in options]
        assert len(set(alike)) == 1 and len(set(options)) == 4
