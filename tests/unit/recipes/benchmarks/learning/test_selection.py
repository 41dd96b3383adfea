"""Rollouts to a target: interpolated by hand, paired by seed; legs on engines that compute nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.benchmarks.learning.arm import changed_recipe
from recipes.benchmarks.learning.first_round import FirstRound
from recipes.benchmarks.learning.records import paired
from recipes.benchmarks.learning.selection import (
    ARMS,
    UNIFORM,
    SelectionRecord,
    legs,
    run_selection,
)
from recipes.benchmarks.learning.selection_page import page, plot, share_interval, table
from recipes.settings.recipe_file import load_recipe
from rl.data.run_data import RunData
from rl.experience.prompt_source import prompt_source_of
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.stage_result import PolicyState
from rl.runner import StageRunner
from verifiers.errors import BadInput

ONE = SelectionRecord("demo", UNIFORM, 1, ((0, 0.6), (1000, 0.7), (2000, 0.9)), "abc")
RECORDS = [
    ONE,
    replace(ONE, seed=2, curve=((0, 0.6), (1000, 0.8), (2000, 0.8))),
    replace(ONE, arm="band", curve=((0, 0.6), (1000, 0.85), (2000, 0.91))),
    replace(ONE, arm="band", seed=2, curve=((0, 0.6), (1000, 0.7), (2000, 0.7))),
    replace(ONE, arm="band", seed=3, curve=((0, 0.6), (1000, 0.7), (2000, 0.9))),  # no control (yet)
]


def test_every_arm_is_a_valid_recipe_with_its_source(prompt: Any) -> None:
    for name, changes in ARMS.items():
        recipe = changed_recipe(load_recipe("digits_cpu"), {"rl": {"later_lr": None, **changes}})
        source = prompt_source_of([prompt("a")], recipe.rl, seed="s")
        assert [one.prompt_id for one in source.draw(1) or []] == ["a"], name


@pytest.mark.parametrize(
    ("target", "rollouts"),
    [(0.5, 0.0), (0.6, 0.0), (0.65, 500.0), (0.7, 1000.0), (0.8, 1500.0), (0.95, None)],
)
def test_rollouts_to_a_target(target: float, rollouts: float | None) -> None:
    found = ONE.rollouts_to(target)
    assert found is None if rollouts is None else found == pytest.approx(rollouts)


def test_records_come_back(tmp_path: Path) -> None:
    for one in RECORDS:
        one.save(tmp_path)
    assert sorted(SelectionRecord.read_all(tmp_path), key=str) == sorted(RECORDS, key=str)


def test_table_and_page() -> None:
    assert [(one.seed, control.seed) for one, control in paired(RECORDS, "band", UNIFORM)] == [
        (1, 1),
        (2, 2),
    ]
    control, band = table(RECORDS, 0.8).splitlines()[2:]
    assert control == "| uniform | 2 | 2 of 2 | 1,250 |  |  |"
    # Seed 1: 800 of 1,500. Seed 2 never reaches it: all its 2,000 of 1,000. Their geometric mean, and t(0.975, 1).
    logs = [math.log(800 / 1500), math.log(2.0)]
    mean, half = sum(logs) / 2, 12.706 * abs(logs[1] - logs[0]) / 2
    cells = [cell.strip() for cell in band.split("|")[1:-1]]
    assert cells[:4] == ["band", "3", "2 of 3", "1,500"]
    low, high = (f"{math.exp(mean + sign * half):.0%}" for sign in (-1, 1))
    assert (
        cells[4].startswith(f"{math.exp(mean):.0%} ({low} to ")
        and abs(float(cells[4].split(" to ")[1][:-2]) / float(high[:-1]) - 1) < 0.01
    )
    assert cells[5].startswith("-4.5 (")  # +1 and -10 points
    html = page(RECORDS, 0.8, "<Selection>")
    assert "<Selection>" not in html and html.count("<svg") == 2
    assert "demo, seed 1, band" in html
    assert plot(RECORDS, 0.8).startswith("<svg")
    assert share_interval([]) == ""


class Recorder:
    """Stands for a `StageRunner`: a leg logs two shards of ten rollouts; evaluations get better."""

    def __init__(self, recipe: Recipe, path: Path) -> None:
        self.recipe, self.stages = recipe, list[tuple[str, int, str]]()
        self.kept: list[bool | None] = []
        self.directory = SimpleNamespace(path=path)

    def __call__(self, stage: Any, policy: PolicyState) -> Any:
        self.stages.append((type(stage).__name__, stage.round_index, policy.stage))
        self.kept.append(getattr(stage, "keeps_optimizer", None))
        name = f"{len(self.stages):02d}"
        for shard in range(2):
            file = self.directory.path / "rollouts" / name / f"step-{shard:05d}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"reward": [1.0] * 10}), file)
        left = PolicyState(9, Path(name), name)
        return SimpleNamespace(policy=left, stage=name, pass_at_1=0.5 + len(self.stages) / 100)


def test_legs_go_on_from_each_other(tmp_path: Path) -> None:
    base, sft, rl = (PolicyState(i, Path(name), name) for i, name in enumerate(("base", "sft", "rl")))
    recipe = load_recipe("digits_cpu")
    run = Recorder(recipe, tmp_path)
    curve = legs(cast(StageRunner, run), FirstRound(recipe, base, sft, rl, cast(RunData, None)), 0.5, 2)
    assert run.stages == [
        ("RlStage", 0, "sft"), ("EvaluateStage", 0, "01"), ("RlStage", 1, "01"), ("EvaluateStage", 1, "03"),
    ]  # fmt: skip
    assert run.kept == [False, None, True, None]
    assert curve == ((0, 0.5), (20, 0.52), (40, 0.54))


def test_nothing_runs_where_all_records_are_there_or_an_arm_is_unknown(tmp_path: Path) -> None:
    for one in RECORDS:
        one.save(tmp_path)
    asked: dict[str, Any] = {
        "seeds": [1, 2], "num_legs": 2, "steps": 2, "overrides": [], "display": ProgressDisplay(),
    }  # fmt: skip
    run_selection(Path("no/demo"), tmp_path / "out", tmp_path, arms=[UNIFORM, "band"], **asked)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadInput):  # a record of fewer legs is not what was asked for: it goes to run
        run_selection(Path("no/demo"), tmp_path / "out", tmp_path, arms=[UNIFORM], **asked | {"num_legs": 3})
    replace(ONE, steps=4).save(tmp_path)
    with pytest.raises(BadInput):
        run_selection(Path("no/demo"), tmp_path / "out", tmp_path, arms=[UNIFORM], **asked)
    run_selection(Path("no/demo"), tmp_path / "out", tmp_path, arms=[UNIFORM], **asked | {"steps": 4})
    with pytest.raises(BadInput, match="did you mean 'band'"):
        run_selection(Path("no/demo"), tmp_path, tmp_path, arms=["bandd"], **asked)
    with pytest.raises(BadInput):
        run_selection(tmp_path / "none", tmp_path, tmp_path, arms=[UNIFORM], **asked)
