"""What an SFT forgets: sources are valid recipes, records come back, the table counts by hand, an SFT is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from recipes.benchmarks.learning.arm import changed_recipe
from recipes.benchmarks.learning.first_round import FirstRound
from recipes.benchmarks.learning.forgetting import (
    KL_COEF,
    PLAIN,
    SOURCES,
    ForgettingRecord,
    forgotten,
    read_records,
    run_forgetting,
)
from recipes.benchmarks.learning.forgetting_page import loss, page, plot, skill, table
from recipes.settings.recipe_file import load_recipe
from rl.data.run_data import RunData
from rl.run.progress import ProgressDisplay
from rl.run.results.stage_result import PolicyState
from rl.runner import StageRunner
from verifiers.errors import BadInput

ONE = ForgettingRecord("demo", "cold start", 500, 1, 500, 0.80, 0.70, 0.10, 0.30, "abc")
RECORDS = [
    ONE,
    replace(ONE, seed=2, after=0.72, replay_loss_after=0.40),
    replace(ONE, asked=2000, num_rows=1900, after=0.84),
    replace(ONE, source="right rollouts of RL", num_rows=285, after=0.78, replay_loss_after=0.05),
]


def test_every_source_is_a_valid_recipe() -> None:
    for name, keys in SOURCES.items():
        recipe = load_recipe(
            "digits_cpu", ["sft.start_from=base", "sft.later_kl_coef=3", "sft.later_replay_rows=9"]
        )
        sft = changed_recipe(recipe, {"sft": {**PLAIN, **keys(500, 0.025)}}).sft
        assert sft.start_from == "previous" and sft.later_kl_coef in (0, KL_COEF)
        assert (sft.later_cold_start_frac, sft.later_replay_rows) in {(0.025, None), (0.0, 500)}, name
        assert bool(sft.later_kl_coef) == name.endswith("KL"), name


def test_records_come_back(tmp_path: Path) -> None:
    for one in RECORDS:
        one.save(tmp_path)
    assert sorted(read_records(tmp_path), key=str) == sorted(RECORDS, key=str)


def test_table_and_curves() -> None:
    few, many, right = table(RECORDS).splitlines()[2:]
    # t(0.975, 1) = 12.706; the two differences are -10 and -8 points.
    assert few == "| cold start | 500 | 2 | -9.0 (-21.7 to +3.7) | 0.100, 0.350 |"
    assert many == "| cold start | 1,900 | 1 | +4.0 | 0.100, 0.300 |"
    assert right.startswith("| right rollouts of RL | 285 | 1 | -2.0 |")
    cold, rollouts, level = skill(RECORDS).series
    assert [round(y, 9) for _, y in cold.points] == [-0.09, 0.04] and len(rollouts.points) == 1
    assert level.points == ((cold.points[0][0], 0.0), (cold.points[1][0], 0.0))
    assert [round(y, 9) for _, y in loss(RECORDS).series[0].points] == [0.25, 0.2]
    html = page(RECORDS, "<Forgetting>")
    assert "<Forgetting>" not in html and html.count("<svg") == 2 and "A small dot" not in html
    ElementTree.fromstring(plot(RECORDS))


def test_an_sft_of_the_rl_policy_is_measured() -> None:
    base, sft, rl = (PolicyState(i, Path(name), name) for i, name in enumerate(("base", "sft", "rl")))
    recipe, stages = load_recipe("digits_cpu"), list[tuple[str, str]]()

    def run(stage: Any, policy: PolicyState) -> Any:
        stages.append((type(stage).__name__, policy.stage))
        return SimpleNamespace(
            policy=PolicyState(9, Path("left"), "left"),
            num_rows={"cold start": 400, "replay": 90},
            replay_loss_before=0.1,
            replay_loss_after=0.2,
            pass_at_1=0.75,
        )

    run.recipe = recipe  # type: ignore[attr-defined]
    first = FirstRound(recipe, base, sft, rl, cast(RunData, None))
    found = forgotten(cast(StageRunner, run), first, "cold start", 500, 0.8)
    assert stages == [("SftStage", "rl"), ("EvaluateStage", "left")]
    assert (found.before, found.after, found.num_rows) == (0.8, 0.75, 490)
    assert (found.replay_loss_before, found.replay_loss_after, found.seed) == (0.1, 0.2, recipe.seed)


def test_an_rl_that_left_nothing_to_measure_by_is_told() -> None:
    base = PolicyState(0, Path("base"), "base")
    rl, recipe = PolicyState(1, Path("rl"), "04-rl-r0"), load_recipe("digits_cpu")
    nothing = SimpleNamespace(policy=base, num_rows={}, replay_loss_before=None, replay_loss_after=None)
    first = FirstRound(recipe, base, base, rl, cast(RunData, None))
    with pytest.raises(BadInput, match="04-rl-r0 left no right rollouts"):
        forgotten(cast(StageRunner, lambda *_: nothing), first, "cold start", 500, 0.8)


def test_nothing_runs_where_all_records_are_there_or_a_source_is_unknown(tmp_path: Path) -> None:
    ONE.save(tmp_path)
    asked: dict[str, Any] = {
        "numbers": [500], "seeds": [1], "overrides": [], "display": ProgressDisplay(),
    }  # fmt: skip
    run_forgetting(Path("no/demo"), tmp_path / "out", tmp_path, sources=["cold start"], **asked)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadInput, match="did you mean 'cold start'"):
        run_forgetting(Path("no/demo"), tmp_path, tmp_path, sources=["cold stat"], **asked)
    with pytest.raises(BadInput, match="none"):
        run_forgetting(tmp_path / "none", tmp_path, tmp_path, sources=["cold start, KL"], **asked)
