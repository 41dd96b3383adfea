"""A run says what is odd about its data, and goes on with the data it began with or says which file is another one."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from rl.fakes import fake_engines
from rl.program import run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.manifest import results_of
from rl.run.run_directory import RunDirectory
from rl.runner import Runner
from rl.stages.evaluate import EvaluateStage
from rl.stages.prepare import PrepareStage
from verifiers.errors import BadInput


def prepare(run: Runner) -> None:
    run(PrepareStage())


def prepare_and_evaluate(run: Runner) -> None:
    run(EvaluateStage(after="start"), run(PrepareStage()).policy)


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "PNG")
    return file.getvalue()


def write_rows(path: Path, *rows: dict[str, object]) -> None:
    path.write_text("".join(json.dumps({"verifier": "number", **row}) + "\n" for row in rows))


def recipe_over(folder: Path, hub: Path) -> Recipe:
    return Recipe.model_validate({
        "name": "kept", "run_dir": str(folder / "kept"), "model": {"path": str(hub)},
        "data": {f"{name}_prompts": str(folder / f"{name}.jsonl") for name in ("train", "heldout")},
        "sampler": {"max_model_len": 128}, "rl": {"max_response_tokens": 40},
    })  # fmt: skip


@pytest.fixture
def resumed(hub: Path, tmp_path: Path) -> Callable[[], list[str]]:
    """A run whose data are prepared; called, it goes on, and gives the stages that are done."""
    (tmp_path / "lamp.png").write_bytes(picture("gold"))
    write_rows(
        tmp_path / "train.jsonl", {"messages": "How many lamps?", "images": "lamp.png", "reference": "1"}
    )
    write_rows(tmp_path / "heldout.jsonl", {"messages": "2+3?", "reference": "5"})
    recipe = recipe_over(tmp_path, hub)
    run, display = RunDirectory(tmp_path / "kept"), ProgressDisplay(Console(quiet=True), live=False)
    run_program(recipe, run, display, prepare, make_engines=fake_engines())

    def go_on() -> list[str]:
        run_program(recipe, run, display, prepare_and_evaluate, make_engines=fake_engines())
        return [result.stage for result in results_of(run.path)]

    return go_on


def test_a_file_that_is_touched_or_copied_is_the_same(
    resumed: Callable[[], list[str]], tmp_path: Path
) -> None:
    os.utime(tmp_path / "train.jsonl", (1, 1))
    assert resumed() == ["00-prepare", "01-evaluate-r0"]


def test_another_reference_stops_it(resumed: Callable[[], list[str]], tmp_path: Path) -> None:
    write_rows(
        tmp_path / "train.jsonl", {"messages": "How many lamps?", "images": "lamp.png", "reference": "2"}
    )
    with pytest.raises(BadInput, match=r"train\.jsonl has changed since run kept began: .* another name="):
        resumed()


def test_another_picture_stops_it(resumed: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "lamp.png").write_bytes(picture("teal"))
    with pytest.raises(
        BadInput, match=r"a prompt set \(a picture, a video .*\) has changed since run kept began"
    ):
        resumed()


def test_a_file_that_is_gone_stops_it(resumed: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "heldout.jsonl").unlink()
    with pytest.raises(BadInput, match=r"heldout\.jsonl has changed"):
        resumed()


def test_what_is_odd_about_a_row_is_said_by_the_run(hub: Path, tmp_path: Path) -> None:
    write_rows(
        tmp_path / "train.jsonl", *({"messages": "3+4?", "reference": reference} for reference in ("7", "8"))
    )
    write_rows(tmp_path / "heldout.jsonl", {"messages": "2+3?", "reference": "5"})
    told = io.StringIO()
    display = ProgressDisplay(Console(file=told, width=300), live=False)
    recipe, run = recipe_over(tmp_path, hub), RunDirectory(tmp_path / "kept")
    run_program(recipe, run, display, prepare, make_engines=fake_engines())
    assert "line 2: asks the same as" in told.getvalue()


def test_a_run_reads_its_own_names_again_when_it_goes_on(hub: Path, tmp_path: Path) -> None:
    """Of one folder two splits with columns of their own; a file of the other split may change, one of its own not."""
    for split, numbers in {"train": (1, 2), "test": (3, 4), "later": (5, 6)}.items():
        rows = [{"q": f"{n}+{n}?", "gold": {"label": str(2 * n)}} for n in numbers]
        (tmp_path / "sums").mkdir(exist_ok=True)
        (tmp_path / "sums" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = recipe_over(tmp_path, hub).model_dump()
    whole["data"] |= {f"{name}_prompts": str(tmp_path / "sums") for name in ("train", "heldout")}
    whole["data"] |= {"columns": {"messages": "q", "reference": "gold.label"}, "default_verifier": "number"}
    recipe = Recipe.model_validate(
        {**whole, "data": {**whole["data"], "split": {"train": "train", "heldout": "test"}}}
    )
    run, display = RunDirectory(tmp_path / "kept"), ProgressDisplay(Console(quiet=True), live=False)
    run_program(recipe, run, display, prepare, make_engines=fake_engines())
    (tmp_path / "sums" / "later.jsonl").write_text("")
    run_program(recipe, run, display, prepare_and_evaluate, make_engines=fake_engines())
    assert [result.stage for result in results_of(run.path)] == ["00-prepare", "01-evaluate-r0"]
    (tmp_path / "sums" / "test.jsonl").write_text('{"q": "7+7?", "gold": {"label": "14"}}\n')
    with pytest.raises(BadInput, match=r"test\.jsonl has changed since run kept began"):
        run_program(recipe, run, display, evaluate_twice, make_engines=fake_engines())


def evaluate_twice(run: Runner) -> None:
    policy = run(PrepareStage()).policy
    run(EvaluateStage(after="start"), policy)
    run(EvaluateStage(after="start"), policy)
