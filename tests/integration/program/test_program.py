"""The undisturbed program: what it leaves, and that nothing of it is done twice."""

from __future__ import annotations

import json
import random
import resource
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from sampler.data.prompt_dataset import load_prompts

pytestmark = pytest.mark.timeout(1200)

STAGES = [
    "00-prepare", "01-evaluate-r0", "02-sft-r0", "03-evaluate-r0", "04-rl-r0", "05-evaluate-r0", "06-harvest-r0",
    "07-sft-r1", "08-evaluate-r1", "09-rl-r1", "10-evaluate-r1",
]  # fmt: skip


def test_every_stage_is_complete_and_proven(undisturbed: Any) -> None:
    manifests = undisturbed.manifests()
    assert [*manifests] == STAGES
    for name, manifest in manifests.items():
        assert manifest["outputs"] or "evaluate" in name
        if manifest["kind"] in ("sft", "rl"):
            proof = manifest["result"]["proof"]
            assert proof["num_tokens"] > 0
            assert 0 <= proof["max_difference"] < 1e-4
    # A version a sync: SFT makes one, RL one a step; every stage starts from what the one before it left.
    versions = [m["result"]["policy"]["version"] for m in manifests.values() if "policy" in m["result"]]
    assert versions == [0, 1, 6, 7, 12]
    assert manifests["06-harvest-r0"]["result"]["num_kept"] > 0
    rows = manifests["07-sft-r1"]["result"]["num_rows"]
    assert rows == {"cold_start": 240, "harvest": manifests["06-harvest-r0"]["result"]["num_kept"]}


def test_what_a_person_finds(undisturbed: Any) -> None:
    run_dir: Path = undisturbed.run_dir
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["status"] == "complete"
    assert [one["stage"] for one in summary["heldout"]] == [name for name in STAGES if "evaluate" in name]
    assert summary["mismatch_kl"]["max"] < 1e-6
    assert summary["throughput"]["rollout_tokens_per_s"] > 0
    assert (run_dir / "report.html").stat().st_size > 10_000
    assert (run_dir / "policy").resolve() == (run_dir / "stages" / "09-rl-r1" / "policy").resolve()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        f.name for f in (run_dir / "policy").iterdir()
    }
    recipe = yaml.safe_load((run_dir / "recipe.yaml").read_text())
    assert (recipe["rl"]["steps"], recipe["sft"]["batch_size"]) == (5, 16)
    shown = undisturbed.text
    assert "round 1 · RL" in shown
    assert "Traceback" not in shown and "WARNING" not in shown
    assert not undisturbed.survivors(), "processes of a run that has ended"
    for process in undisturbed.seen:
        assert not list(Path("/dev/shm").glob(f"hone-weights-*-{process.pid}-*"))


def test_no_rollout_is_lost_or_doubled_and_prompts_come_in_seeded_order(undisturbed: Any) -> None:
    """`rollouts()` itself refuses a rollout that is logged twice."""
    rollouts = undisturbed.rollouts().values()
    per_step = Counter((row["stage"], row["step"]) for row in rollouts)
    steps_of = {name: [per_step[name, step] for step in range(5)] for name in STAGES if "-rl-" in name}
    assert steps_of == {"04-rl-r0": [48] * 5, "09-rl-r1": [48] * 5}
    assert {per_step[name, 0] for name in STAGES if "evaluate" in name} == {12 * 4}
    result = undisturbed.manifests()["06-harvest-r0"]["result"]
    assert per_step["06-harvest-r0", 0] == 16 * 4
    assert per_step["06-harvest-r0", 1] == result["num_hard"] * 4

    prompts = load_prompts(undisturbed.run_dir / "stages" / "00-prepare" / "data" / "train.parquet")
    for round_index, name in enumerate(steps_of):
        drawn = expected_draws([p.prompt_id for p in prompts], f"3 rl round {round_index}", 5, 12)
        for step, expected in enumerate(drawn):
            seen = Counter(
                row["prompt_id"] for row in rollouts if (row["stage"], row["step"]) == (name, step)
            )
            assert seen == dict.fromkeys(expected, 4)
        versions = {(row["step"], row["policy_version"]) for row in rollouts if row["stage"] == name}
        first = undisturbed.manifests()[name]["inputs"]["policy"]["version"]
        assert versions == {(step, first + step) for step in range(5)}


def expected_draws(ids: list[str], seed: str, num_steps: int, per_step: int) -> list[set[str]]:
    """A second writing of the rule: epochs in an order that hangs on the seed; no prompt twice within a step."""
    queue: list[str] = []
    epoch = 0
    draws = []
    for _ in range(num_steps):
        drawn: set[str] = set()
        while len(drawn) < per_step:
            if not queue:
                queue = ids.copy()
                random.Random(f"{seed} epoch {epoch}").shuffle(queue)
                epoch += 1
            drawn.add(queue.pop(0))
        draws.append(drawn)
    return draws


def test_metrics_of_every_step_show_one_policy_in_sampler_and_trainer(undisturbed: Any) -> None:
    metrics = undisturbed.metrics()
    steps = Counter(stage for stage, _ in metrics)
    assert steps == {"02-sft-r0": 30, "04-rl-r0": 5, "07-sft-r1": 8, "09-rl-r1": 5}
    rl = [values for (stage, _), values in metrics.items() if "-rl-" in stage]
    assert all(0 <= values["train/mismatch_kl"] < 1e-8 for values in rl)
    assert all(values["train/mismatch_max"] < 1e-4 for values in rl)
    assert any(values["train/grad_norm"] > 0 for values in rl)
    losses = [values["train/loss"] for (stage, _), values in metrics.items() if stage == "02-sft-r0"]
    assert losses[-1] < 0.2 * losses[0]


def test_the_same_command_again_does_nothing_and_says_so(undisturbed: Any) -> None:
    before = {file: file.stat().st_mtime_ns for file in undisturbed.run_dir.rglob("*/manifest.json")}
    metrics = (undisturbed.run_dir / "metrics.jsonl").read_bytes()
    report = (undisturbed.run_dir / "report.html").stat().st_mtime_ns
    spent = -cpu_seconds_of_children()
    again = type(undisturbed)(undisturbed.run_dir)
    assert again.start().wait() == 0, again.text
    assert spent + cpu_seconds_of_children() < 5, (
        "2.3 s on a quiet machine; Ray and torch would take it to 10"
    )
    assert (undisturbed.run_dir / "report.html").stat().st_mtime_ns == report
    assert again.text.count("(done before)") == len(STAGES)
    assert {file: file.stat().st_mtime_ns for file in undisturbed.run_dir.rglob("*/manifest.json")} == before
    assert (undisturbed.run_dir / "metrics.jsonl").read_bytes() == metrics


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
