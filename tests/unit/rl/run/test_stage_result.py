"""Results survive their manifest whole, and manifests of a run made at 61b5ed9 are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reward_models.preferences.preference_report import CalibrationBin, PairReport
from rl.run.results.evaluation_result import EvaluationResult
from rl.run.results.manifest import RESULTS, VERSION, result_of
from rl.run.results.stage_result import (
    HarvestResult,
    PolicyState,
    PrepareResult,
    Proof,
    RewardModelResult,
    RlResult,
    SftResult,
    StageResult,
)
from verifiers.errors import HoneError

OLD_RUN = Path(__file__).parents[3] / "data" / "run_of_61b5ed9"
RUN = Path("/runs/a")
POLICY = PolicyState(7, RUN / "stages" / "04-rl-r0" / "policy", "04-rl-r0")


@pytest.mark.parametrize(
    "result",
    [
        PrepareResult(policy=POLICY, paths={"train": "stages/00-prepare/train.parquet"}, num_train_prompts=3),
        SftResult(policy=POLICY, num_rows={"harvest": 2}, final_loss=0.25, proof=Proof(1e-6, 48)),
        RlResult(policy=POLICY, critic=RUN / "critic", mismatch_kl_max=1e-14, proof=Proof(0.0, 1)),
        EvaluationResult(after="rl", pass_at_1=0.5, general={"against_reference": {"win_rate": None}}),
        HarvestResult(rows=Path("/elsewhere/rows.parquet"), num_hard=3, num_kept=2, dropped={"balance": 1}),
        RewardModelResult(
            model=RUN / "model",
            report=PairReport(
                4, 0, 0.75, None, None, 0.1, 0.2, (CalibrationBin(0.5, 0.6, 4, 0.5, 1.0),), True
            ),
        ),
    ],
)
def test_what_is_read_is_what_was_written(result: StageResult) -> None:
    written = json.loads(json.dumps(result.to_json(RUN)))
    manifest = {"stage": "04-x-r1", "kind": result.kind, "round": 1, "result_version": VERSION}
    read = result_of({**manifest, "result": written}, RUN)
    assert type(read) is RESULTS[result.kind] is type(result)
    assert repr(read) == repr(result.model_copy(update={"stage": "04-x-r1", "round_index": 1}))
    assert str(RUN) not in json.dumps(written)


def test_every_stage_of_an_older_run_is_read() -> None:
    manifests = [json.loads(file.read_text()) for file in sorted(OLD_RUN.glob("stages/*/manifest.json"))]
    results = [result_of(manifest, OLD_RUN) for manifest in manifests]
    assert [result.kind for result in results] == [
        "prepare", "evaluate", "sft", "evaluate", "rl", "evaluate", "harvest", "sft", "evaluate", "rl", "evaluate",
    ]  # fmt: skip
    prepared, harvest, last = results[0], results[6], results[-1]
    assert isinstance(prepared, PrepareResult)
    assert isinstance(harvest, HarvestResult) and isinstance(last, EvaluationResult)
    assert prepared.policy.hub == OLD_RUN / "stages" / "00-prepare" / "policy"
    assert harvest.rows == OLD_RUN / "stages" / "06-collect-r0" / "rft_rows.parquet"
    assert (harvest.stage, harvest.num_kept, harvest.num_hard) == ("06-collect-r0", 11, 11)
    assert (last.round_index, last.pass_at_1, last.after) == (1, 7 / 24, "rl")
    assert [one.policy.version for one in results if isinstance(one, (SftResult, RlResult))] == [1, 6, 7, 12]


def test_a_kind_that_hone_does_not_know_keeps_its_name_and_round() -> None:
    read = result_of({"stage": "03-distil-r2", "kind": "distil", "round": 2, "result": {"loss": 1}}, RUN)
    assert (type(read), read.stage, read.round_index) == (StageResult, "03-distil-r2", 2)


def test_a_damaged_result_names_its_key_and_the_way_out() -> None:
    damaged = {"stage": "04-rl-r0", "kind": "rl", "round": 0, "result": {"policy": {"version": "seven"}}}
    with pytest.raises(HoneError, match=r"stage 04-rl-r0 is damaged \(result.policy.version.*delete"):
        result_of(damaged, RUN)


def test_the_gate_is_pass_at_1_or_without_rules_the_win_rate() -> None:
    general = {"num_prompts": 4, "against_reference": {"win_rate": 0.75}}
    assert EvaluationResult(num_prompts=2, pass_at_1=0.5, general=general).gate_figure == 0.5
    assert EvaluationResult(general=general).gate_figure == 0.75
    assert EvaluationResult().gate_figure == 0.0
