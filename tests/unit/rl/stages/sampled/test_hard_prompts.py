"""Which prompts a harvest tries, and which of them are hard: by a probe, and by the rollout log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rl.recipe.sft_config import HarvestConfig
from rl.run.run_directory import RunDirectory
from rl.stages.sampled.hard_prompts import (
    Evidence,
    draw_candidates,
    hard_prompts,
    logged_evidence,
    probed_evidence,
)


def test_hard_prompts_are_solved_sometimes(prompt: Callable[..., Any], judged: Callable[..., Any]) -> None:
    values: dict[str, list[float | None]] = {
        "never": [0.0] * 4,
        "once": [0, 0, 1.0, 0],
        "three": [1.0, 1.0, 1.0, 0.0],
        "always": [1.0] * 4,
        "half of two": [1.0, 0.0, None, None],
        "unknown": [None] * 4,
        "near": [0.9, 0.9, 0.9, 0.9],
        "one decided": [1.0, None, None, None],
    }
    prompts = {name: prompt(name) for name in values}
    probed = [judged(prompts[name], i, value) for name, own in values.items() for i, value in enumerate(own)]
    config = HarvestConfig(min_pass_frac=0.0, max_pass_frac=0.75, min_score=1.0)
    hard = hard_prompts(probed_evidence(probed, config.min_score), list(prompts.values()), config)
    assert [one.prompt_id for one in hard] == ["once", "three", "half of two"]
    strict = HarvestConfig(min_pass_frac=0.25, max_pass_frac=0.5, min_score=0.9)
    again = hard_prompts(probed_evidence(probed, strict.min_score), list(prompts.values()), strict)
    assert [one.prompt_id for one in again] == ["half of two"]

    many = [prompt(f"p{i}") for i in range(30)]
    drawn = draw_candidates(many, 10, seed="1")
    assert drawn == draw_candidates(many, 10, seed="1") != draw_candidates(many, 10, seed="2")
    assert len({one.prompt_id for one in drawn}) == 10
    assert len(draw_candidates(many, 99, seed="1")) == 30
    known = {f"p{i}": Evidence(4, 2) for i in (3, 7, 20)}
    ahead = draw_candidates(many, 10, seed="1", known=known)
    assert {one.prompt_id for one in ahead[:3]} == known.keys() and len({*ahead}) == 10


def log(run: Path, stage: str, version: int, *, complete: bool = True, **rewards: list[float | None]) -> None:
    """A shard of a stage with the columns that are asked for."""
    folder = run / "rollouts" / stage
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"prompt_id": name, "policy_version": version, "verifier": "math", "reward": one, "stage": stage,
         "blind": "blind" in stage}
        for name, values in rewards.items() for one in values
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / f"step-{version:05d}.parquet")
    (run / "stages" / stage).mkdir(parents=True, exist_ok=True)
    if complete:
        (run / "stages" / stage / "manifest.json").write_text(json.dumps({"kind": "rl", "result": {}}))


def test_the_log_is_evidence(tmp_path: Path) -> None:
    """Older policies weigh less; answers without a decision, blind ones and those of a stage under way have no say."""
    log(tmp_path, "04-rl-r0", 2, a=[1.0, 1.0], b=[1.0] * 3)
    log(tmp_path, "04-rl-r0", 4, a=[0.0, 0.9, None, 1.0], c=[0.0] * 4)
    log(tmp_path, "05-profile-blind-r0", 4, a=[1.0] * 8)
    log(tmp_path, "06-harvest-r0", 4, complete=False, a=[1.0] * 8)
    config = HarvestConfig(probe="store", probe_samples=4, probe_half_life=2)
    found = logged_evidence(RunDirectory(tmp_path), config, policy_version=5)
    assert found == {
        "a": Evidence(4.0, 2.0),
        "c": Evidence(4.0, 0.0),
    }  # two of a's weigh half; b has 1.5 samples
    lenient = config.model_copy(update={"min_score": 0.9, "probe_samples": 1})
    again = logged_evidence(RunDirectory(tmp_path), lenient, policy_version=5)
    assert again == {"a": Evidence(4.0, 3.0), "b": Evidence(1.5, 1.5), "c": Evidence(4.0, 0.0)}
