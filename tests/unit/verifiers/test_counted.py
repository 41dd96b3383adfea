"""A number agrees with its noun wherever a person reads it."""

from recipes.commands.eval import _win_lines
from recipes.commands.output.score_file import words_of
from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from sampler.prompt import Prompt
from verifiers.answer import FinalAnswer
from verifiers.counted import counted


def test_one_is_not_many():
    assert [counted(number, "row") for number in (0, 1, 2, 2000)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "2,000 rows",
    ]
    assert (counted(1, "batch"), counted(3, "batch"), counted(2, "guess")) == (
        "1 batch",
        "3 batches",
        "2 guesses",
    )


def test_outcomes_of_one_answer():
    one = AnswerComparison("c", Prompt.build(messages=[]), FinalAnswer("a"), FinalAnswer("b"))
    assert words_of([(one, Score.scored(0.75))]).startswith("1 answer: win rate 100.0%")
    assert words_of([(one, Score.failed("gone"))]) == "none of 1 answer could be scored"
    wins = {"num_comparisons": 1, "num_failed": 0, "win_rate": 1.0, "win_probability": 0.9}
    lines = _win_lines({"num_prompts": 1, "against_reference": wins})
    assert lines[0] == "win rate against references: 100.0% of 1 comparison on 1 general prompt"
