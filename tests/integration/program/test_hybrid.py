"""Hybrid RL whole: rules and a reward model in one batch, one critic; a reward worker and the driver are killed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from sampler.data.prompt_dataset import load_prompts

pytestmark = pytest.mark.timeout(1800)
STAGES = [
    "00-prepare", "01-evaluate-r0", "02-sft-r0", "03-reward-model-r0", "04-evaluate-r0", "05-critic-r0",
    "06-rl-r0", "07-evaluate-r0",
]  # fmt: skip
RL = "06-rl-r0"


@pytest.fixture(scope="module")
def hybrid(new_run: Callable[..., Any]) -> Any:
    """A run whose reward-model worker is killed in step 1 or later, and whose driver is killed after that."""
    run = new_run("hybrid", recipe="tiny_hybrid").start()
    run.until(lambda: logged(run) > 0)
    reward_worker(run).kill()
    seen = logged(run)
    run.until(lambda: logged(run) > seen + 1)
    run.kill()
    again = new_run("hybrid", recipe="tiny_hybrid").start()
    assert again.wait() == 0, again.text
    assert again.text.count("(done before)") == len(STAGES) - 2
    return again


def logged(run: Any) -> int:
    """Steps of RL in the log."""
    file = run.run_dir / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return sum(f'"{RL}"' in line for line in lines)


def reward_worker(run: Any) -> psutil.Process:
    """The last rollout worker that started: the reward model's pool comes after the policy's."""
    return max(run.actors("RolloutWorker"), key=lambda process: process.create_time())


def test_every_stage_and_both_judges(hybrid: Any) -> None:
    assert [*hybrid.manifests()] == STAGES
    rows = [row for row in hybrid.rollouts().values() if row["stage"] == RL]
    general = [row for row in rows if row["kind"] == "general"]
    ruled = [row for row in rows if row["kind"] == "verifiable"]
    assert general and ruled
    # A dead reward worker costs no score, and no score became a low one.
    assert all(row["reward"] is not None for row in rows)
    for row in general:
        assert row["verifier"] is None and row["verdict_status"] is None
        if row["answer_status"] == "ok":
            assert row["score_status"] == "scored" and row["reward"] == row["score_probability"]
        else:
            assert row["score_status"] is None and row["reward"] == 0
    asked = [json.loads(row["score_parts"]) for row in general if row["score_parts"] not in (None, "{}")]
    assert asked and all({"as_first", "as_second"} == set(parts) for parts in asked)
    for own, samples in ((general, 1), (ruled, 4)):
        counts = Counter((row["prompt_id"], row["step"]) for row in own)
        assert set(counts.values()) == {samples}


def test_metrics_are_kept_by_kind_and_no_step_twice(hybrid: Any) -> None:
    metrics = {key: value for key, value in hybrid.metrics().items() if key[0] == RL}
    assert sorted(step for _, step in metrics) == list(range(6))
    for one in metrics.values():
        assert one["kind/general/num_rollouts"] + one["kind/verifiable/num_rollouts"] > 16
        assert one["kind/general/unjudged_frac"] == 0
        assert "critic/explained_variance" in one
    assert metrics[RL, 0]["kind/general/kl_token_mean"] == pytest.approx(0, abs=1e-5)  # still the reference
    assert abs(metrics[RL, 5]["kind/general/kl_token_mean"]) > 1e-5


def test_general_prompts_show_films(hybrid: Any) -> None:
    """Sampled, judged and trained on: the rollouts above are answers to them, and the report shows their frames."""
    prompts = load_prompts(hybrid.run_dir / "stages" / "00-prepare" / "data" / "train.parquet")
    assert {(one.kind, len(one.images), len(one.videos)) for one in prompts} == {
        ("general", 0, 1),
        ("verifiable", 1, 0),
    }
    assert 'class="picture film"' in (hybrid.run_dir / "report.html").read_text()


def test_win_rates_are_reported(hybrid: Any) -> None:
    manifests = hybrid.manifests()
    start, after_sft, after_rl = (
        manifests[name]["result"]["general"] for name in STAGES if "evaluate" in name
    )
    assert start["num_prompts"] == 0 and start["against_reference"]["win_rate"] is None
    assert after_sft["against_reference"]["num_comparisons"] == 8 * 4 and "against_previous" not in after_sft
    assert after_rl["against_previous"]["opponent"] == "04-evaluate-r0"
    assert 0 <= after_rl["against_previous"]["win_rate"] <= 1
    report = manifests["03-reward-model-r0"]["result"]["report"]
    assert report["num_failed"] == 0 and 0 <= report["accuracy"] <= 1
    assert (hybrid.run_dir / "reward-model" / "config.json").is_file()
    assert "win rate" in hybrid.text
