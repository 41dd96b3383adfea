"""A verifier that hangs and a trainer rank that dies: PPO with a critic on one's own data files, with two ranks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt

pytestmark = pytest.mark.timeout(1800)
VERIFIER = "sleepy_number:SleepyNumber"


@pytest.fixture(scope="module")
def settings(undisturbed: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of two ranks from the policy after SFT; wrong answers to every sixth prompt hang the verifier."""
    prepared = undisturbed.run_dir / "stages" / "00-prepare" / "data"
    folder = tmp_path_factory.mktemp("data")
    paths = {}
    for name in ("train", "heldout"):
        prompts = [
            sleepy(p, folder, number % 6 == 0)
            for number, p in enumerate(load_prompts(prepared / f"{name}.parquet"))
        ]
        paths[name] = save_prompts(folder / f"{name}.parquet", prompts)
    return [
        "data.builder=null", f"data.train_prompts={paths['train']}", f"data.heldout_prompts={paths['heldout']}",
        f"model.path={undisturbed.run_dir / 'stages' / '02-sft-r0' / 'policy'}", "trainer.ranks_per_node=2",
        "judging.timeout_s=0.5", "judging.max_unjudged_frac=0.4", "rl.steps=4", "program.rounds=1",
        "rl.advantage=decoupled_gae", "rl.lambda_actor=length_adaptive", "rl.loss.positive_nll_coef=0.1",
        "critic.pretrain_steps=2", "critic.settle_window=0", "critic.schedule.lr=1e-3",
        "rl.loss.policy_loss=own_loss:clipped",
    ]  # fmt: skip


def sleepy(prompt: Prompt, folder: Path, hangs: bool) -> Prompt:
    options = {"hangs_if_wrong": hangs, "hangs_while": str(folder / "hang")}
    return dataclasses.replace(prompt, verifier=VERIFIER, verifier_options=options)


def test_hung_verifier_and_dead_rank(settings: list[str], new_run: Callable[..., Any]) -> None:
    run = new_run("faults", *settings).start()
    run.until(lambda: 1 in steps_logged(run, "03-rl-r0"))
    ranks = run.actors("TrainerRank")
    assert len(ranks) == 2
    ranks[0].kill()

    # Some verdicts timed out: those rollouts are counted and have no reward; all others are learnt from.
    rollouts = [row for row in run.rollouts().values() if row["stage"] == "03-rl-r0" and row["step"] < 2]
    timed_out = [row for row in rollouts if row["verdict_status"] == "timeout"]
    assert timed_out and len(rollouts) == 2 * 12 * 4
    assert all(row["reward"] is None and row["verifier"] == VERIFIER for row in timed_out)
    assert not [row for row in rollouts if row["reward"] is None and row["verdict_status"] != "timeout"]
    for step in (0, 1):
        metrics = run.metrics()["03-rl-r0", step]
        mine = [row for row in rollouts if row["step"] == step]
        decided = [row["reward"] for row in mine if row["reward"] is not None]
        assert metrics["verifier/timeout_frac"] == pytest.approx(1 - len(decided) / len(mine))
        assert metrics["rollout/reward_mean"] == pytest.approx(sum(decided) / len(decided))
        assert metrics["train/own_loss"] == pytest.approx(1.0)  # the ranks found the user's own loss

    # The critic learnt before the actor moved, and goes on learning beside it.
    for stage in ("02-critic-r0", "03-rl-r0"):
        for step in (0, 1):
            metrics = run.metrics()[stage, step]
            assert metrics["critic/loss"] > 0 and metrics["critic/grad_norm"] > 0
            assert metrics["critic/explained_variance"] <= 1
    assert (run.run_dir / "stages" / "02-critic-r0" / "critic" / "value_head.safetensors").is_file()

    # A rank of two is dead: no hang, one line, and the other rank does not stay behind.
    assert run.wait() == 1
    assert_one_line(run, r"the process of a TrainerRank (pid ")
    assert "trainer-rank-*.log" in run.text and "driver.log" in run.text
    assert "ActorDiedError" in (run.run_dir / "logs" / "driver.log").read_text()
    assert not run.survivors()

    # The same command goes on; now the verifier hangs on everything, which is more than the recipe allows.
    hang = Path(settings[1].partition("=")[2]).with_name("hang")
    hang.touch()
    done = [*run.manifests()]
    again = new_run("faults", *settings).start()
    assert again.wait() == 1
    assert again.text.count("(done before)") == len(done)
    assert_one_line(again, "rollouts could not be judged, more than judging.max_unjudged_frac=0.4: ")
    assert VERIFIER in again.text and "did not finish within 0.5 s" in again.text
    assert not again.survivors()


def steps_logged(run: Any, stage: str) -> list[int]:
    file = run.run_dir / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return [row["step"] for row in rows if row["stage"] == stage]


def assert_one_line(run: Any, words: str) -> None:
    """The run's last line is the error, there is one of it, and no traceback."""
    *before, last = run.text.splitlines()
    assert last.startswith("hone: error: ") and words in last
    assert not [line for line in before if "hone: error" in line or "Traceback" in line]
