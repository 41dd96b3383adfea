"""A foreign set read straight by a run: its own columns, a split, and who judges; dry run, preparation, listing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes import cli
from rl.data.run_data import RunData, build_data, load, read_set, reading_of
from rl.recipe.data_config import DataConfig
from rl.recipe.recipe import Recipe
from sampler.data.prompt_dataset import load_prompts
from sampler.data.set_reading import DescribedSet, SetReading
from verifiers.errors import BadInput

READING = {
    "columns": {"messages": "q", "reference": "gold.answer", "response": "said"},
    "default_verifier": "number",
    "default_verifier_options": {"abs_tol": 0.5},
    "split": {"train": "train", "heldout": "test"},
}


def write_lines(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One folder with both splits, and a cold start in Hone's own columns but for the response."""
    monkeypatch.chdir(tmp_path)
    for split, first in (("train", 0), ("test", 50)):
        rows = [{"q": f"{n}+{n}?", "gold": {"answer": str(2 * n)}} for n in range(first, first + 4)]
        write_lines(tmp_path / "sums" / f"{split}.jsonl", *rows)
    write_lines(tmp_path / "cold.jsonl", {"messages": "5+5?", "said": "<think>ten</think>10"})
    return tmp_path


def recipe_of(folder: Path, **data: Any) -> Recipe:
    named = {"train_prompts": "sums", "heldout_prompts": "sums", "cold_start": "cold.jsonl"}
    return Recipe.model_validate(
        {"name": "own", "data": {**named, **READING, **data}, "run_dir": str(folder / "own")}
    )


def test_the_run_and_whoever_opens_its_sets_read_them_alike(folder: Path) -> None:
    recipe = recipe_of(folder)
    paths = build_data(recipe, folder / "stage")
    data = load(paths, folder)
    assert [one.reference for one in data.train] == ["0", "2", "4", "6"]
    assert [one.reference for one in data.heldout] == ["100", "102", "104", "106"]
    assert {(one.verifier, str(one.verifier_options)) for one in data.train} == {
        ("number", "{'abs_tol': 0.5}")
    }
    assert [row.response for row in data.cold_start] == ["<think>ten</think>10"]
    assert load_prompts(paths["train"]) == list(data.train)  # the store, the report, `hone prompts select`
    direct = {name: read_set(name, "sums", reading=reading_of(recipe, name)) for name in ("train", "heldout")}
    assert RunData.of(direct).prompts_hash == data.prompts_hash


def test_a_set_in_hones_own_columns_needs_no_other_recipe(folder: Path) -> None:
    """Such as one that `hone prompts select` wrote of the foreign one, and a file has no split."""
    rows = [{"messages": f"{n}-{n}?", "reference": "0", "verifier": "math"} for n in range(4)]
    write_lines(folder / "chosen.jsonl", *rows)
    data = load(build_data(recipe_of(folder, train_prompts="chosen.jsonl"), folder / "stage"), folder)
    assert (data.train[0].text, data.train[0].verifier) == ("0-0?", "math")
    reading = reading_of(recipe_of(folder, train_prompts="chosen.jsonl"), "train")
    found = read_set("train", "chosen.jsonl", reading=reading)
    assert found.unread_columns == ()


def test_dry_run_and_listing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own.yaml").write_text(
        json.dumps({
            "name": "own", "data": {"train_prompts": "sums", "heldout_prompts": "sums", **READING},
            "rl": {"max_response_tokens": 40, "prompts_per_step": 2, "num_mini_batches": 1},
            "sampler": {"max_model_len": 128},
        })
    )  # fmt: skip
    assert cli.main(["run", "own.yaml", "--dry-run"]) == 0
    assert "4 of sums" in capsys.readouterr().out
    assert cli.main(["run", "own.yaml", "--dry-run", "data.columns.messages=question"]) == 1
    assert "column 'question'" in capsys.readouterr().out
    assert cli.main(["run", "own.yaml", "--dry-run", "data.split.heldout=tset"]) == 1
    assert "no file of split 'tset' among" in capsys.readouterr().out
    assert cli.main(["recipe", "show", "own.yaml"]) == 0
    assert "messages: q" in capsys.readouterr().out
    assert cli.main(["recipe", "keys", "data"]) == 0
    keys = capsys.readouterr().out
    assert all(f"data.{name}: " in keys for name in READING)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"default_verifier_options": {"abs_tol": 1}}, "are of data.default_verifier, which is not set"),
        ({"builder": "x:y", "columns": {"messages": "q"}}, "names none but a builder"),
        ({"split": {"evaluation": "x"}}, "split"),
    ],
)
def test_what_is_said_of_no_set_is_refused(data: dict[str, Any], message: str) -> None:
    named = {} if "builder" in data else {"train_prompts": "a", "heldout_prompts": "b"}
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({**named, **data})


def test_a_description_that_is_none(folder: Path) -> None:
    broken = folder / "x.set.json"
    broken.write_text('{"path": "sums"}')
    with pytest.raises(BadInput, match="no description of a set"):
        load_prompts(broken)
    described = DescribedSet("sums", SetReading(split="test", columns={"messages": "q"})).write(
        folder / "y.set.json"
    )
    with pytest.raises(BadInput, match="says how it is read"):
        load_prompts(described, split="train")


def test_the_store_of_a_run_over_a_foreign_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`hone prompts` finds the prompts that the run read by the set's own names."""
    run = folder / "own"
    stage = run / "stages" / "00-prepare"
    paths = build_data(recipe_of(folder), stage)
    policy = {"version": 0, "hub": "base", "stage": "00-prepare"}
    result = {
        "paths": {
            name: str(Path(path).relative_to(run)) for name, path in paths.items() if name != "cold_start"
        }
    }
    manifest = {"kind": "prepare", "result_version": 1, "result": {**result, "policy": policy}}
    (stage / "manifest.json").write_text(json.dumps(manifest))
    rows = [
        {
            "stage": "01-rl", "policy_version": 1, "prompt_id": prompt.prompt_id, "kind": "verifiable", "tags": [""],
            "verifier": "number", "index": index, "answer": "4", "verdict_reason": "", "reward": float(index % 2),
        }
        for prompt in load_prompts(paths["train"]) for index in range(6)
    ]  # fmt: skip
    (run / "rollouts" / "01-rl").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), run / "rollouts" / "01-rl" / "step-00000.parquet")
    assert cli.main(["prompts", "stats", str(run)]) == 0
    assert "4 heldout, 4 train prompts, 4 tried" in capsys.readouterr().out
    assert (
        cli.main(["prompts", "select", str(run), "--out", "chosen.parquet", "--pass-rate", "0.2", "0.8"]) == 0
    )
    assert sorted(one.reference for one in load_prompts("chosen.parquet")) == ["0", "2", "4", "6"]
