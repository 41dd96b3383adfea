"""A run goes on with the data it began with, or says which file is another one."""

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
from rl.run.run_directory import RunDirectory
from rl.run.run_record import results_of
from rl.stages.evaluate import EvaluateStage
from rl.stages.prepare import PrepareStage
from rl.stages.runner import Runner
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


@pytest.fixture
def resumed(hub: Path, tmp_path: Path) -> Callable[[], list[str]]:
    """A run whose data are prepared; called, it goes on, and gives the stages that are done."""
    (tmp_path / "lamp.png").write_bytes(picture("gold"))
    write_rows(
        tmp_path / "train.jsonl", {"messages": "How many lamps?", "images": "lamp.png", "reference": "1"}
    )
    write_rows(tmp_path / "heldout.jsonl", {"messages": "2+3?", "reference": "5"})
    recipe = Recipe.model_validate({
        "name": "kept", "run_dir": str(tmp_path / "kept"), "model": {"path": str(hub)},
        "data": {f"{name}_prompts": str(tmp_path / f"{name}.jsonl") for name in ("train", "heldout")},
        "sampler": {"max_model_len": 128}, "rl": {"max_response_tokens": 40},
    })  # fmt: skip
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
    with pytest.raises(BadInput, match="a picture or video of the prompts has changed since run kept began"):
        resumed()


def test_a_file_that_is_gone_stops_it(resumed: Callable[[], list[str]], tmp_path: Path) -> None:
    (tmp_path / "heldout.jsonl").unlink()
    with pytest.raises(BadInput, match=r"heldout\.jsonl has changed"):
        resumed()
