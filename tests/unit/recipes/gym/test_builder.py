"""Sets of the gym: what is held out is never trained on, by whatever seed; shares, difficulties and bytes as asked."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from recipes import cli
from recipes.gym import build_gym
from recipes.gym.builder import GymOptions, cold_start_rows, in_turn, is_held_out
from recipes.gym.catalogue import EXERCISES
from sampler.data.prompt_dataset import load_prompts
from sampler.data.sft_row import load_sft_rows
from verifiers.errors import BadInput
from verifiers.reading.response import split_response
from verifiers.registry import load_verifier

SMALL: dict[str, Any] = {
    "num_train_prompts": 150,
    "num_heldout_prompts": 40,
    "exercises": {"clock": 2, "gauge": 1},
    "max_difficulty": 0.2,
    "max_px": 112,
}


def test_held_out_questions_are_never_trained_on_whatever_the_seed(tmp_path: Path) -> None:
    """The split is by content: no other seed's training questions can be among those held out."""
    sets = [build_gym(tmp_path / str(seed), seed=seed, **SMALL) for seed in (1, 2)]
    train, heldout = (
        [{one.question_id for one in load_prompts(paths[name])} for paths in sets]
        for name in ("train", "heldout")
    )
    assert heldout[0] != heldout[1] and not (train[0] | train[1]) & (heldout[0] | heldout[1])
    for paths in sets:
        assert all(map(is_held_out, load_prompts(paths["heldout"])))
        assert not any(map(is_held_out, load_prompts(paths["train"])))
    assert list(sets[0]) == ["train", "heldout"]


def test_the_same_options_give_the_same_bytes_on_any_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = build_gym(tmp_path / "one", num_cold_start_rows=70, **SMALL)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    again = build_gym(tmp_path / "other", num_cold_start_rows=70, **SMALL)
    assert [path.read_bytes() for path in paths.values()] == [path.read_bytes() for path in again.values()]


def test_shares_difficulties_and_sides_are_as_asked(tmp_path: Path) -> None:
    options = SMALL | {"min_difficulty": 0.5, "max_difficulty": 0.6, "min_px": 272, "max_px": 288}
    prompts = load_prompts(build_gym(tmp_path, **options)["train"])
    assert Counter(one.question_type for one in prompts) == {"clock": 100, "gauge": 50}
    assert {0.5 <= float(one.tags[1]) <= 0.6 for one in prompts} == {True}
    assert {image.size[0] for one in prompts for image in one.pil_images()} == {272, 288}
    assert in_turn({"a": 3, "b": 1, "c": 0}, 400)[:4] == ["a", "a", "b", "a"]


def test_the_cold_start_is_of_mixed_quality(tmp_path: Path) -> None:
    options = SMALL | {
        "num_cold_start_rows": 300,
        "easy_frac": 0.4,
        "broken_frac": 0.2,
        "exercises": ["clock"],
    }
    rows = load_sft_rows(build_gym(tmp_path, **options)["cold_start"])
    answers = [split_response(row.response).answer for row in rows]
    broken = [answer is None or not answer.text for answer in answers]
    assert sum(broken) == pytest.approx(60, abs=25)
    assert sum("<think></think>" in row.response for row in rows) == pytest.approx(0.4 * 300, abs=40)
    for row, answer in zip(rows, answers, strict=True):
        assert not is_held_out(row.prompt)
        if answer is not None and answer.text:
            assert row.prompt.verifier is not None
            verifier = load_verifier(row.prompt.verifier, row.prompt.verifier_options)
            assert verifier.judge(row.prompt.reference, answer).score == 1
    assert next(cold_start_rows(GymOptions(**options))).prompt == rows[0].prompt


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"exercises": ["clok"]}, "unknown exercise 'clok'; did you mean 'clock'"),
        ({"exercises": {"clock": 0}}, "exercises are names"),
        ({"min_difficulty": 0.7, "max_difficulty": 0.3}, "0 <= min_difficulty <= max_difficulty <= 1"),
        ({"max_px": 500}, "112 <= min_px <= max_px <= 448"),
        ({"num_train_prompts": 0}, "num_train_prompts is at least 1"),
        ({"easy_frac": 2}, "easy_frac is between 0 and 1"),
    ],
)
def test_options_out_of_range_are_told(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as found:
        build_gym(tmp_path, **(SMALL | wrong))
    assert message in str(found.value)


def test_more_questions_than_there_are_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipes.gym.builder.MAX_DRAWS", 20)
    few: dict[str, Any] = {
        "exercises": ["maze"],
        "max_difficulty": 0.0,
        "num_train_prompts": 2000,
        "max_px": 112,
    }
    with pytest.raises(BadInput, match="cannot draw"):
        build_gym(tmp_path, **few)


def test_the_commands_write_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["gym", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in EXERCISES)
    for exercise in ("spot_difference", "direction"):
        assert (
            cli.main(["gym", "sample", exercise, "--difficulty", "0.4", "--num", "3", "--out", exercise]) == 0
        )
        prompts = load_prompts(Path(exercise, "prompts.jsonl"))
        assert [one.tags for one in prompts] == [(exercise, "0.40")] * 3
        assert Image.open(Path(exercise, "sheet.png")).width > 200
    assert len(prompts[0].videos) == 1
    given = ["num_train_prompts=5", "num_heldout_prompts=2", "exercises=[clock]", "seed=3"]
    assert cli.main(["gym", "build", "set", *given]) == 0
    assert len(load_prompts("set/train.parquet")) == 5
    capsys.readouterr()
    assert cli.main(["gym", "build", "other", "num_trian_prompts=5"]) == 2
    assert "num_train_prompts" in capsys.readouterr().err
    assert cli.main(["gym", "build", "set", "num_train_prompts=4"]) == 2
    assert "set is there already" in capsys.readouterr().err and len(load_prompts("set/train.parquet")) == 5
    assert cli.main(["gym", "sample", "clok"]) == 2


def test_a_puzzle_in_other_colours_is_on_the_same_side(tmp_path: Path) -> None:
    """There are 24 of the smallest mazes: of none is one picture trained on and another held out."""
    options = {"exercises": ["maze"], "max_difficulty": 0.0, "max_px": 112}
    paths = build_gym(tmp_path, num_train_prompts=300, num_heldout_prompts=40, **options)
    train, heldout = (
        {str(prompt.reference) for prompt in load_prompts(paths[name])} for name in ("train", "heldout")
    )
    assert len(train | heldout) == 24 and len(heldout) == 4
    assert not train & heldout
