"""`hone eval` and `hone reward-model train` are programs of one or two stages; here on fake engines."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from recipes import cli
from rl.fakes import FakeSampler, FakeTrainer, fake_engines
from rl.program import run_program
from rl.run.results.stage_result import RewardModelResult
from rl.run.run_record import RunRecord
from rl.runner import StageRunner
from sampler.prompt import Prompt

EASY = ["rl.max_response_tokens=40", "evaluation.num_prompts=8"]


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    rows = [
        {"messages": f"What is {i}?", "verifier": "math", "reference": str(i), "tags": ["echo"]}
        for i in range(8)
    ]
    file = tmp_path / "heldout.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


class TwoPolicies(FakeSampler):
    """The first knows even numbers, the second all but 0."""

    def __init__(self) -> None:
        super().__init__(self.say)

    def say(self, prompt: Prompt, seed: int) -> str:
        number = int(prompt.reference)
        knows = number > 0 if self.policy_version else number % 2 == 0
        return f"<think>.</think>\\boxed{{{prompt.reference if knows else -1}}}"


def test_two_policies_and_what_flipped(
    hub: Path,
    prompts: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sampler, trainer = TwoPolicies(), FakeTrainer()
    runner = partial(StageRunner, make_engines=fake_engines(sampler=sampler, trainer=trainer))
    monkeypatch.setattr("rl.runner.StageRunner", runner)
    out, run_dir = tmp_path / "figures.json", tmp_path / "run"
    command = ["eval", "digits_cpu", f"run_dir={run_dir}", *EASY, "--prompts", prompts, "--out", str(out)]
    assert cli.main([*command, "--policy", str(hub), "--policy", str(hub)]) == 0
    shown = capsys.readouterr().out
    assert "50.0%" in shown and "87.5%" in shown
    assert "4 prompts better, 1 worse, 3 as before" in shown
    before, after = json.loads(out.read_text())
    assert (before["pass_at_1"], after["pass_at_1"]) == (0.5, 0.875)
    assert not trainer.calls, "an evaluation needs no trainer"
    assert [plan.stage for plan, _ in sampler.asked] == ["eval", "eval"]

    assert cli.main([*command, "--policy", str(hub)]) == 0
    assert json.loads(out.read_text())["pass_at_1"] == 0.5
    assert "as before" not in capsys.readouterr().out


def test_a_policy_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", "digits_cpu", f"run_dir={tmp_path}"]) == 2
    assert "give --policy a checkpoint directory" in capsys.readouterr().err


def test_a_reward_model_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = FakeTrainer()
    monkeypatch.setattr(
        "rl.program.run_program", partial(run_program, make_engines=fake_engines(trainer=trainer))
    )
    run_dir = tmp_path / "rm"
    command: list[Any] = [
        "reward-model", "train", "digits_reward_cpu", f"run_dir={run_dir}", "sampler.max_model_len=256",
        "data.builder_options={num_train_prompts: 8, num_heldout_prompts: 4}", "metrics.tensorboard=false",
    ]  # fmt: skip
    assert cli.main(command) == 0
    (result,) = RunRecord.open(run_dir).results(RewardModelResult)
    assert result.model is not None and (run_dir / "model").resolve() == result.model.resolve()
    assert (run_dir / "model" / "tokenizer.json").is_file()
    assert json.loads((run_dir / "report.json").read_text())["num_pairs"] > 0
    assert trainer.calls[-1] == "shutdown"  # before the reward model was served
    num_calls = len(trainer.calls)
    assert cli.main(command) == 0
    assert len(trainer.calls) == num_calls
