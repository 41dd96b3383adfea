"""Two runs compared: equal ones, a value changed in each part, what was added, and stages under their earlier name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from tools import compare_runs, run_digest

HARVEST = "06-harvest-r0"


def write_run(run: Path, *, harvest: str = HARVEST, **changes: Any) -> Path:
    """A run in little: one step of RL, one harvest of one row. `changes` replace or add a value in the named place."""
    stage = run / "stages" / harvest
    rollouts = run / "rollouts" / harvest
    for folder in (stage / "policy", rollouts):
        folder.mkdir(parents=True)
    metrics = {"train/loss": 0.5, "train/ratio": float("nan"), "time/step_s": 1.0}
    line = {"stage": "03-rl-r0", "kind": "rl", "round": 0, "step": 2, "time": 1.0}
    line["metrics"] = metrics | changes.get("metrics", {})
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    rollout_id = f"{harvest}-1-p0-3"
    row = {"rollout_id": rollout_id, "stage": harvest, "step": 1, "response": "9", "judge_s": 0.1}
    write_rows(rollouts / "step-00001.parquet", row | changes.get("rollout", {}))
    verdict = json.dumps({"code": "right"} | changes.get("verdict", {}))
    pictures = [{"bytes": b"png", "path": None}]
    sft_row = {"rollout_id": rollout_id, "images": pictures, "verdict": verdict}
    write_rows(stage / "rft_rows.parquet", sft_row | changes.get("harvested", {}))
    result = {"num_kept": 1, "by_tag": {"count": 1}, "tokens_per_s": 7.0} | changes.get("result", {})
    (stage / "manifest.json").write_text(json.dumps({"stage": harvest, "result": result}))
    weights = {"a": np.zeros(2, np.float32), "b": np.ones((2, 1), np.float32)}
    save_file(weights | changes.get("weights", {}), stage / "policy" / "model.safetensors")
    return run


def write_rows(file: Path, row: dict[str, Any]) -> None:
    pq.write_table(pa.Table.from_pylist([row]), file)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return write_run(tmp_path / "before")


@pytest.fixture
def compare(before: Path, tmp_path: Path) -> Callable[..., compare_runs.Comparison]:
    """Of the run with one that is written with the given changes."""

    def with_changes(**changes: Any) -> compare_runs.Comparison:
        after = write_run(tmp_path / "after", **changes)
        return compare_runs.compare(run_digest.digest_of(before), run_digest.digest_of(after))

    return with_changes


def differences(comparison: compare_runs.Comparison) -> list[str]:
    return [one for part in comparison.differences.values() for one in part]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metrics": {"time/step_s": 2.0, "rollout/tokens_per_s": 3.0}},
        {"rollout": {"judge_s": 9.0}},
        {"result": {"tokens_per_s": 8.0}},
        {"harvest": "06-collect-r0"},
    ],
)
def test_clocks_and_the_earlier_name_of_a_stage_are_no_change(
    compare: Callable[..., compare_runs.Comparison], changes: dict[str, Any]
) -> None:
    comparison = compare(**changes)
    assert not differences(comparison) and not comparison.added
    assert {part: equal["records"] for part, equal in comparison.equal.items()} == {
        "metrics": 1, "rollouts": 1, "harvested": 1, "results": 1, "weights": 1,
    }  # fmt: skip
    assert comparison.equal["metrics"]["values"] == 4  # loss, ratio, kind, round


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metrics": {"train/loss": 0.5000000000000001}}, "03-rl-r0 step 2: train/loss: 0.5 != 0.5000000000000001"),
        ({"rollout": {"response": "8"}}, f'{HARVEST} step 1 rollout {HARVEST}-1-p0-3: response: "9" != "8"'),
        ({"verdict": {"code": "wrong"}}, f'{HARVEST} row 0: verdict.code: "right" != "wrong"'),
        ({"result": {"by_tag": {"count": 2}}}, f"{HARVEST}: by_tag.count: 1 != 2"),
        ({"result": {"by_tag": {"sum": 1}}}, f"{HARVEST}: by_tag.count: missing, was 1"),
    ],
)  # fmt: skip
def test_a_difference_names_its_place_and_both_values(
    compare: Callable[..., compare_runs.Comparison], changes: dict[str, Any], expected: str
) -> None:
    assert differences(compare(**changes)) == [expected]


@pytest.mark.parametrize(
    "weights",
    [
        {"a": np.ones(2, np.float32)},
        {"a": np.zeros((2, 1), np.float32)},
        {"a": np.zeros(2, np.int32)},
        {"c": np.zeros(1)},
    ],
    ids=["bytes", "shape", "dtype", "name"],
)
def test_weights_differ_by_name_dtype_shape_and_bytes(
    compare: Callable[..., compare_runs.Comparison], weights: dict[str, Any]
) -> None:
    (found,) = differences(compare(weights=weights))
    assert found.startswith(f"stages/{HARVEST}/policy/model.safetensors: sha256: ")


def test_a_picture_differs_by_its_bytes(compare: Callable[..., compare_runs.Comparison]) -> None:
    (found,) = differences(compare(harvested={"images": [{"bytes": b"PNG", "path": None}]}))
    assert "images: " in found


def test_long_values_are_shown_where_they_part(before: Path) -> None:
    digest = run_digest.digest_of(before)
    old, new = ({**digest, "results": {"s": {"key": "x" * 500 + end + "y" * 500}}} for end in "ab")
    (found,) = differences(compare_runs.compare(old, new))
    assert found == f"s: key: ...{'x' * 40}a{'y' * 59}... != ...{'x' * 40}b{'y' * 59}..."


def test_what_only_the_later_run_has_is_added(compare: Callable[..., compare_runs.Comparison]) -> None:
    comparison = compare(metrics={"train/new": 1.0}, rollout={"why": "x"}, verdict={"more": 1})
    assert not differences(comparison)
    assert comparison.added == {"metrics: train/new": 1, "rollouts: why": 1, "harvested: verdict.more": 1}


def test_what_only_the_earlier_run_has_is_a_difference(before: Path, tmp_path: Path) -> None:
    richer = write_run(tmp_path / "richer", metrics={"train/old": 1.0})
    comparison = compare_runs.compare(run_digest.digest_of(richer), run_digest.digest_of(before))
    assert differences(comparison) == ["03-rl-r0 step 2: train/old: missing, was 1.0"]


def test_a_record_that_one_side_lacks_is_a_difference(before: Path) -> None:
    digest = run_digest.digest_of(before)
    without = digest | {"rollouts": {}}
    name = f"{HARVEST} step 1 rollout {HARVEST}-1-p0-3"
    assert differences(compare_runs.compare(digest, without)) == [f"{name}: missing"]
    assert differences(compare_runs.compare(without, digest)) == [f"{name}: new"]


def test_a_step_logged_twice_is_an_error(before: Path) -> None:
    log = before / "metrics.jsonl"
    log.write_text(log.read_text() * 2)
    with pytest.raises(ValueError, match="03-rl-r0 step 2 is there twice"):
        run_digest.digest_of(before)


def test_the_command_says_identical_or_where_not(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = str(tmp_path / "before.json")
    assert compare_runs.main(["digest", str(before), "--out", digest]) == 0
    assert compare_runs.main(["compare", digest, str(before)]) == 0
    assert capsys.readouterr().out.endswith("identical\n")
    after = write_run(tmp_path / "after", metrics={"train/loss": 1.0})
    assert compare_runs.main(["compare", digest, str(after)]) == 1
    out = capsys.readouterr().out
    assert "  03-rl-r0 step 2: train/loss: 0.5 != 1.0\n" in out and out.endswith("DIFFERENT\n")


def test_what_is_no_run_is_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_runs.main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "no run directory" in capsys.readouterr().err
    (tmp_path / "empty.json").write_text("{}")
    assert compare_runs.main(["compare", *[str(tmp_path / "empty.json")] * 2]) == 2
    assert "no digest" in capsys.readouterr().err
