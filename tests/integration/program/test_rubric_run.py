"""Hybrid RL with a judge by rubric: trained in the run on what descriptions meet, asked criterion by criterion."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1200)
PARTS = {"rubric/true", "rubric/counts", "rubric/alike", "orders_disagree_frac"}


@pytest.fixture(scope="module")
def run(new_run: Callable[..., Any]) -> Any:
    run = new_run("rubric", recipe="tiny_rubric").start()
    assert run.wait() == 0, run.text
    return run


def test_rewards_are_made_of_the_criteria_and_parts_are_kept(run: Any) -> None:
    rows = [row for row in run.rollouts().values() if row["kind"] == "general" and row["score_status"]]
    assert rows
    for row in rows:
        parts = json.loads(row["score_parts"])
        assert row["score_status"] == "scored" and set(parts) == PARTS
        others = (parts["rubric/counts"] + parts["rubric/alike"]) / 2
        assert row["reward"] == pytest.approx(others if parts["rubric/true"] >= 0.5 else 0.0)


def test_figures_and_report_name_the_criteria(run: Any) -> None:
    names = {f"rubric/{name}_met_mean" for name in ("true", "counts", "alike")}
    assert all(names <= set(one) for (stage, _), one in run.metrics().items() if stage == "06-rl-r0")
    result = run.manifests()["03-reward-model-r0"]["result"]
    assert 0 < result["criteria_right_frac"] <= 1 and result["report"]["one_at_a_time"]
    assert "by its rubric: true" in (run.run_dir / "report.html").read_text()


def test_policies_are_compared_by_their_scores(run: Any) -> None:
    after = run.manifests()["07-evaluate-r0"]["result"]["general"]["against_previous"]
    assert after["num_failed"] == 0 and 0 <= after["win_rate"] <= 1
