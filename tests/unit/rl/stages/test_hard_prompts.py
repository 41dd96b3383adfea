"""Which prompts a harvest tries, and which of them are hard: by a probe, and by the rollout log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rl.recipe.sft_config import HarvestConfig
from rl.run.run_directory import RunDirectory
from rl.stages.hard_prompts import draw_candidates, hard_prompts, logged_evidence, probed_evidence
from sampler.store.recent_evidence import Evidence


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


def log(folder: Path, prompt_id: str, version: int, rewards: list[float | None], **more: Any) -> None:
    """A shard with the columns that are asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"prompt_id": prompt_id, "policy_version": version, "reward": one, **more} for one in rewards]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"step-{len(list(folder.iterdir())):05d}.parquet")


def test_the_log_of_the_newest_policies_is_evidence(tmp_path: Path) -> None:
    """Older policies, blind answers, answers without a decision and later stages have no say."""
    logs = tmp_path / "rollouts"
    log(logs / "04-rl-r0", "a", 3, [1.0] * 4)
    log(logs / "04-rl-r0", "a", 4, [1.0, 0.0, None, 0.0], blind=False)
    log(logs / "04-rl-r0", "a", 5, [0.0, 0.9])
    log(logs / "04-rl-r0", "b", 5, [1.0] * 3)
    log(logs / "05-profile-blind-r0", "a", 5, [1.0] * 8, blind=True)
    log(logs / "10-rl-r1", "a", 5, [1.0] * 8)
    run = RunDirectory(tmp_path)
    config = HarvestConfig(probe="store", probe_samples=4, probe_versions=2)
    found = logged_evidence(run, run.stage("06-harvest-r0"), config, policy_version=6)
    assert found == {"a": Evidence(5, 1)}
    lenient = config.model_copy(update={"min_score": 0.9, "probe_samples": 3, "probe_versions": 9})
    again = logged_evidence(run, run.stage("06-harvest-r0"), lenient, policy_version=6)
    assert again == {"a": Evidence(9, 6), "b": Evidence(3, 3)}
    assert logged_evidence(RunDirectory(tmp_path / "no"), run.stage("06-x"), config, policy_version=6) == {}
