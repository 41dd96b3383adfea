"""A run made at 61b5ed9, whose harvest was called collect, opens in the report and in the browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recipes.report.page import render_report
from recipes.report.rollout_table import RolloutTable
from recipes.view.opened import Opened
from recipes.view.pages.rollout_page import RolloutFilter, rollout_page
from rl.run.results.stage_result import HarvestResult
from rl.run.run_record import RunRecord, write_summary

OLD_RUN = Path(__file__).parents[3] / "data" / "run_of_61b5ed9"


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD_RUN, tmp_path / "run"))


def test_the_report_tells_the_whole_story(old_run: Path) -> None:
    page = render_report(RunRecord.open(old_run))
    assert "SFT → RL → harvest → SFT → RL" in page
    for words in ("round 0 · harvest", "29.2%", "hard ones", "round 1 RL"):
        assert words in page, words


def test_results_and_summary(old_run: Path) -> None:
    run = RunRecord.open(old_run)
    (harvest,) = run.results(HarvestResult)
    assert harvest.num_kept == 11 and harvest.rows is not None and harvest.rows.is_file()
    assert [one["pass_at_1"] for one in run.evaluations] == pytest.approx(
        [0.0, 13 / 48, 15 / 48, 11 / 48, 14 / 48]
    )
    assert (run.cold_start or {})["stage"] == "03-evaluate-r0" and (run.final or {})[
        "stage"
    ] == "10-evaluate-r1"
    assert write_summary(old_run)["stages"][6]["stage"] == "06-collect-r0"


def test_the_browser_shows_its_rollouts(old_run: Path) -> None:
    with RolloutTable(old_run) as log:
        assert log.query("SELECT count(*) AS n FROM rollouts", {})[0]["n"] == 5 * 48 + 108
    snapshot = Opened([old_run]).snapshot()
    page = rollout_page(snapshot, snapshot.places[old_run.name], RolloutFilter(stage="06-collect-r0"))
    assert page.num == 108 and page.stages[-1] == "10-evaluate-r1"
