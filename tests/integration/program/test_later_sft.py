"""A later SFT with all that it may be asked for, on real engines: killed inside, it ends bit for bit as one that was
not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

STAGE = "03-sft-r1"
OVERRIDES = (
    "program.function=two_sfts:program", "rl.steps=2", "sft.epochs=1", "sft.later_epochs=1.5", "sft.later_lr=5e-3",
    "sft.checkpoint_every_steps=4", "sft.later_kl_coef=0.1", "sft.later_validation_prompts=8",
    "sft.later_validate_every_steps=3", "sft.later_patience=4", "sft.later_replay_rows=5",
)  # fmt: skip
pytestmark = pytest.mark.timeout(1800)  # three starts in a row, on a machine that may be busy


def left(run: Any) -> list[Any]:
    """What the later SFT left: result, weights and all files, metrics, rollouts."""
    manifest = run.manifests()[STAGE]
    files = {name: digest for name, digest in manifest["outputs"].items() if not name.startswith("rollouts/")}
    metrics = {step: figures for step, figures in run.metrics().items() if step[0] == STAGE}
    rollouts = {name: row for name, row in run.rollouts().items() if row["stage"] == STAGE}
    return [manifest["result"], files, metrics, rollouts]


def test_a_later_sft_that_is_killed(new_run: Callable[..., Any]) -> None:
    whole = new_run("later-whole", *OVERRIDES).start()
    assert whole.wait() == 0, whole.text
    result, files, metrics, rollouts = left(whole)

    steps = [one["step"] for one in result["validations"]]
    passed = [one["pass_at_1"] for one in result["validations"]]
    assert steps[:3] == [3, 6, 9] and len(set(passed)) > 1, passed
    assert {name.split("/")[2] for name in files} == {"policy"}, "the best ones kept meanwhile are gone"
    held = [figures["train/ref_kl"] for figures in metrics.values()]
    assert abs(held[0]) < 1e-6 and max(held) > 1e-4  # the first step is taken from the policy it is held to
    assert {row["step"] + 1 for row in rollouts.values()} == set(steps)
    versions = {(row["step"], row["policy_version"]) for row in rollouts.values()}
    assert len(versions) == len(steps) == len({version for _, version in versions})

    best = max(result["validations"], key=lambda one: one["pass_at_1"])  # the first of them
    measured = [metrics[STAGE, step]["replay/nll"] for step in (best["step"] - 1, steps[-1] - 1)]
    assert result["num_rows"]["replay"] > 0 and result["replay_loss_after"] == measured[0]
    assert 0 < result["replay_loss_before"] == metrics[STAGE, 0]["replay/nll_before"] != measured[1]

    killed = new_run("later-killed", *OVERRIDES).start()
    cursor = killed.until_file(f"stages/{STAGE}/cursor.json")
    killed.kill()
    assert json.loads(cursor.read_text())["source"]["validations"]
    assert STAGE not in killed.manifests()
    again = new_run("later-killed", *OVERRIDES).start()
    assert again.wait() == 0, again.text
    assert left(again) == [result, files, metrics, rollouts]
