"""Second rounds: records come back as they were saved; the table pairs by run and seed; intervals are Student's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from recipes.benchmarks.learning.arm import changed_recipe
from recipes.benchmarks.learning.first_round import FirstRound
from recipes.benchmarks.learning.records import paired, points
from recipes.benchmarks.learning.rounds import ARMS, GO_ON, RoundRecord, run_rounds
from recipes.benchmarks.learning.rounds_page import page, plot, table
from recipes.settings.recipe_file import load_recipe
from rl.data.run_data import RunData
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.stage_result import PolicyState
from rl.runner import StageRunner
from verifiers.errors import BadInput

OTHER = "SFT on the harvest"
ONE = RoundRecord("demo", GO_ON, 1, 0.88, 0.88, 0.90, {"sum": 0.8}, 25088, 196, 0, "abc")
RECORDS = [
    ONE,
    replace(ONE, seed=2, end=0.91),
    replace(ONE, arm=OTHER, before_rl=0.82, end=0.92, num_rows=900),
    replace(ONE, arm=OTHER, seed=2, before_rl=0.84, end=0.94, num_rows=900),
    replace(ONE, arm=OTHER, seed=3, before_rl=0.84, end=0.10, num_rows=900),  # its control is not there (yet)
]


def test_every_arm_is_a_valid_recipe() -> None:
    for name, arm in ARMS.items():
        assert changed_recipe(load_recipe("digits_cpu"), arm.changes), name


class Recorder:
    """Stands for a `StageRunner`: keeps the stages, each of which leaves a policy of its own."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.stages: list[tuple[str, PolicyState]] = []
        self.directory = SimpleNamespace(metrics=SimpleNamespace(of_stage=lambda stage: [{}] * 7))

    def __call__(self, stage: Any, policy: PolicyState) -> Any:
        self.stages.append((type(stage).__name__, policy))
        left = PolicyState(9, Path(f"left-{len(self.stages)}"), f"{len(self.stages):02d}")
        return SimpleNamespace(
            policy=left, stage=left.stage, rows=Path("rows"), num_rollouts=5000, num_rows={"harvest": 300}
        )


@pytest.mark.parametrize(
    ("arm", "stages", "between"),
    [
        (GO_ON, [], (0, 0, 0)),
        ("SFT on the harvest", [("HarvestStage", "rl"), ("SftStage", "rl")], (5000, 7, 300)),
        ("distillation", [("DistillStage", "sft")], (5120, 40, 0)),
        (
            "SFT on the harvest, distillation",
            [("HarvestStage", "rl"), ("SftStage", "rl"), ("DistillStage", "left-2")],
            (10120, 47, 300),
        ),
        # The 32 x 512 rollouts of the first RL are still to be had.
        ("a longer first SFT", [("SftStage", "sft")], (-16384, 7, 300)),
    ],
)
def test_what_an_arm_does_before_its_rl(
    arm: str, stages: list[tuple[str, str]], between: tuple[int, int, int]
) -> None:
    recipe = changed_recipe(load_recipe("digits_cpu"), ARMS[arm].changes)
    base, sft, rl = (PolicyState(i, Path(name), name) for i, name in enumerate(("base", "sft", "rl")))
    first = FirstRound(recipe, base, sft, rl, cast(RunData, None))
    run = Recorder(recipe)
    did = ARMS[arm].between(cast(StageRunner, run), first)
    assert [(stage, policy.hub.name) for stage, policy in run.stages] == stages
    assert (did.num_rollouts, did.num_steps, did.num_rows) == between
    assert did.policy.hub.name == (f"left-{len(stages)}" if stages else "rl")


def test_records_come_back(tmp_path: Path) -> None:
    for one in RECORDS:
        one.save(tmp_path)
    assert sorted(RoundRecord.read_all(tmp_path), key=str) == sorted(RECORDS, key=str)


def test_table_and_page() -> None:
    assert [(one.seed, control.seed) for one, control in paired(RECORDS, OTHER, GO_ON)] == [(1, 1), (2, 2)]
    control, other = table(RECORDS).splitlines()[2:]
    assert control == "| RL goes on | 2 |  | 90.5% |  | 25,088 | 196 |"
    # Before RL: -6, -4, -4: mean -4.67, s 1.155, t(0.975, 2) = 4.303. At the end: +2 and +3, t(0.975, 1) = 12.706.
    assert other == (
        "| SFT on the harvest | 3 | -4.7 (-7.5 to -1.8) | 65.3% | +2.5 (-3.9 to +8.9) | 25,088 | 196 |"
    )
    html = page(RECORDS, "<Rounds>")
    assert "<Rounds>" not in html and html.count("<svg") == 2
    assert "demo, seed 2, SFT on the harvest: 3.0%" in html
    circles = ElementTree.fromstring(plot(RECORDS)).iter("{http://www.w3.org/2000/svg}circle")
    assert sum("dot" in one.get("class", "") for one in circles) == 6  # two arms: two seeds and their median


def test_one_pair_has_no_points() -> None:
    assert points([0.015]) == "+1.5" and points([]) == ""


def test_nothing_runs_where_all_records_are_there_or_an_arm_is_unknown(tmp_path: Path) -> None:
    for one in RECORDS:
        one.save(tmp_path)
    asked: dict[str, Any] = {
        "seeds": [1, 2],
        "num_rollouts": 25088,
        "overrides": [],
        "display": ProgressDisplay(),
    }
    run_rounds(Path("no/demo"), tmp_path / "out", tmp_path, arms=[GO_ON, OTHER], **asked)
    assert not (tmp_path / "out").exists()
    replace(ONE, num_asked=25088).save(tmp_path)
    run_rounds(Path("no/demo"), tmp_path / "out", tmp_path, arms=[GO_ON], **asked)
    with pytest.raises(BadInput):  # of other rollouts there is no record: it goes to run
        run_rounds(Path("no/demo"), tmp_path / "out", tmp_path, arms=[GO_ON], **asked | {"num_rollouts": 512})
    with pytest.raises(BadInput, match="RL goes on"):
        run_rounds(Path("no/demo"), tmp_path, tmp_path, arms=["RL goes off"], **asked)
    with pytest.raises(BadInput):
        run_rounds(tmp_path / "none", tmp_path, tmp_path, arms=[GO_ON], **asked)
