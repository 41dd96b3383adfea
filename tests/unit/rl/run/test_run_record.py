"""summary.json from manifests and metrics alone, hand-computed."""

import json
from pathlib import Path

import pytest

from rl.run.metrics_log import read_metrics
from rl.run.run_record import write_summary


def add_stage(run: Path, name: str, kind: str, result: dict[str, object], **fields: object) -> None:
    (run / "stages" / name).mkdir(parents=True)
    manifest = {
        "stage": name,
        "kind": kind,
        "round": 0,
        "title": f"round 0 · {kind}",
        "wall_s": 2.0,
        **fields,
    }
    manifest.setdefault("phase_s", {"generate": 1.5})
    (run / "stages" / name / "manifest.json").write_text(json.dumps({**manifest, "result": result}))


def metric_line(stage: str, step: int, **metrics: float) -> str:
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return json.dumps({"stage": stage, "kind": "rl", "round": 0, "step": step, "metrics": named}) + "\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "digits"
    run.mkdir()
    (run / "recipe.yaml").write_text("name: digits\nseed: 7\n")
    add_stage(
        run,
        "10-evaluate",
        "evaluate",
        {"after": "rl", "pass_at_1": 0.75, "by_tag": {}},
        packages={"torch": "2"},
    )
    add_stage(run, "02-evaluate", "evaluate", {"after": "sft", "pass_at_1": 0.5}, hardware={"cpus": 2})
    add_stage(run, "03-rl", "rl", {})
    (run / "stages" / "11-harvest").mkdir()  # under way: no manifest yet
    return run


def test_summary_is_built_from_complete_stages_in_their_order(run: Path) -> None:
    summary = write_summary(run)
    assert summary == json.loads((run / "summary.json").read_text())
    assert [one["stage"] for one in summary["stages"]] == ["02-evaluate", "03-rl", "10-evaluate"]
    assert [(one["after"], one["pass_at_1"]) for one in summary["heldout"]] == [("sft", 0.5), ("rl", 0.75)]
    assert (summary["name"], summary["seed"], summary["wall_s"]) == ("digits", 7, 6.0)
    assert summary["versions"] == {"torch": "2"} and summary["hardware"] == {"cpus": 2}
    assert [path.name for path in run.glob(".*tmp")] == []


def test_throughput_is_all_tokens_over_all_time(run: Path) -> None:
    lines = metric_line(
        "03-rl", 0, rollout__tokens_per_s=1000.0, time__generate_s=3.0, train__mismatch_kl=0.1
    )
    lines += metric_line(
        "03-rl", 1, rollout__tokens_per_s=4000.0, time__generate_s=1.0, train__mismatch_kl=0.3
    )
    (run / "metrics.jsonl").write_text(lines)
    summary = write_summary(run)
    assert summary["throughput"] == {"rollout_tokens_per_s": 7000.0 / 4.0, "train_tokens_per_s": None}
    assert summary["mismatch_kl"] == {"max": 0.3, "mean": pytest.approx(0.2)}


def test_status_is_kept_when_the_summary_is_remade(run: Path) -> None:
    assert write_summary(run)["status"] == "running"
    assert write_summary(run, status="complete")["status"] == "complete"
    assert write_summary(run)["status"] == "complete"
    (run / "summary.json").write_text("{torn")
    assert write_summary(run)["status"] == "running"


def test_a_killed_run_leaves_torn_and_repeated_metric_lines(run: Path) -> None:
    torn = metric_line("03-rl", 1, rollout__reward_mean=0.9)[:40]
    lines = metric_line("03-rl", 0, rollout__reward_mean=0.1) + metric_line(
        "03-rl", 1, rollout__reward_mean=0.2
    )
    lines += (
        torn
        + "\n"
        + metric_line("03-rl", 1, rollout__reward_mean=0.3)
        + metric_line("02-sft", 5)
        + '{"step": 1'
    )
    (run / "metrics.jsonl").write_text(lines)
    read = read_metrics(run)
    assert [(line["stage"], line["step"]) for line in read] == [("02-sft", 5), ("03-rl", 0), ("03-rl", 1)]
    assert read[-1]["metrics"] == {"rollout/reward_mean": 0.3}


def test_a_number_that_is_not_finite_becomes_null(run: Path) -> None:
    (run / "metrics.jsonl").write_text(metric_line("03-rl", 0, train__mismatch_kl=float("nan")))
    add_stage(run, "12-evaluate", "evaluate", {"after": "rl", "pass_at_1": float("inf")})
    summary = write_summary(run)
    assert summary["mismatch_kl"] == {"max": None, "mean": None}
    assert summary["heldout"][-1]["pass_at_1"] is None
    assert "NaN" not in (run / "summary.json").read_text()
