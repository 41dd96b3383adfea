"""A run obeys what people decided before it began, keeps its own copy, and tells of what was decided since."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from recipes.commands.output.run_plan import print_plan
from rl.fakes import fake_engines
from rl.preflight.examine import examine
from rl.program import run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import PrepareResult
from rl.run.run_directory import RunDirectory
from rl.run.run_history import store_part
from rl.runner import Runner
from rl.stages.evaluate import EvaluateStage
from rl.stages.prepare import PrepareStage, prepared_data
from sampler.data.prompt_dataset import load_prompts
from sampler.store.decisions.curation import JudgedBy
from sampler.store.decisions.curation_table import Decisions
from sampler.store.decisions.event_log import EventLog
from verifiers.errors import BadInput

QUESTIONS = {"2+3?": "5", "3+4?": "8", "1+1?": "2"}


def prepare(run: Runner) -> None:
    run(PrepareStage())


def prepare_and_evaluate(run: Runner) -> None:
    run(EvaluateStage(after="start"), run(PrepareStage()).policy)


@pytest.fixture
def recipe(hub: Path, tmp_path: Path) -> Callable[..., Recipe]:
    for name, asked in {"train": QUESTIONS, "heldout": {"6+1?": "7"}}.items():
        rows = [
            {"messages": one, "reference": reference, "verifier": "number"}
            for one, reference in asked.items()
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return lambda **data: Recipe.model_validate({
        "name": "kept", "run_dir": str(tmp_path / "kept"), "model": {"path": str(hub)},
        "data": {f"{name}_prompts": str(tmp_path / f"{name}.jsonl") for name in ("train", "heldout")} | data,
        "sampler": {"max_model_len": 128}, "rl": {"max_response_tokens": 40},
    })  # fmt: skip


@pytest.fixture
def ids(recipe: Callable[..., Recipe], tmp_path: Path) -> dict[str, str]:
    return {prompt.text: prompt.prompt_id for prompt in load_prompts(tmp_path / "train.jsonl")}


def run_it(recipe: Recipe, program: Callable[[Runner], None] = prepare) -> str:
    told = io.StringIO()
    display = ProgressDisplay(Console(file=told, width=300), live=False)
    run_program(recipe, RunDirectory(Path(recipe.run_dir)), display, program, make_engines=fake_engines())
    return told.getvalue()


def beside_train(tmp_path: Path) -> EventLog:
    return EventLog.beside(tmp_path / "train.jsonl")


def prepared(recipe: Recipe) -> PrepareResult:
    (result,) = (one for one in results_of(Path(recipe.run_dir)) if isinstance(one, PrepareResult))
    return result


def test_events_beside_a_set_are_obeyed(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    log = beside_train(tmp_path)
    log.append(ids["2+3?"], "reject", author="me")
    log.append(ids["3+4?"], "correct", "7", author="me", verifier=JudgedBy("math"))
    log.append(ids["1+1?"], "tag", "easy", author="me")
    told = run_it(recipe())
    assert "train prompts: by curation 1 rejected, 1 corrected, 1 tagged" in told
    assert "held-out prompts: by curation" not in told
    data = prepared_data(prepared(recipe()), tmp_path / "kept")
    assert [(one.text, one.reference, one.verifier, one.tags) for one in data.train] == [
        ("3+4?", "7", "math", ()),
        ("1+1?", "2", "number", ("easy",)),
    ]
    assert {one.prompt_id for one in data.train} == {ids["3+4?"], ids["1+1?"]}
    assert [one.text for one in data.heldout] == ["6+1?"]


def test_events_may_be_named_by_the_run_that_has_them(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "earlier").mkdir()
    EventLog.beside(tmp_path / "earlier").append(ids["2+3?"], "reject", author="me")
    run_it(recipe(curation=str(tmp_path / "earlier")))
    assert prepared(recipe()).num_train_prompts == 2


def test_events_that_change_nothing_are_told(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    beside_train(tmp_path).append("another", "reject", author="me")
    assert "1 prompt with curation events, and none changes one of these sets" in run_it(recipe())


def test_a_resumed_run_goes_on_as_it_began_and_tells_what_was_decided_since(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    log = beside_train(tmp_path)
    log.append(ids["2+3?"], "reject", author="me")
    run_it(recipe())
    log.append(ids["3+4?"], "reject", author="me")
    told = run_it(recipe(), prepare_and_evaluate)
    assert "1 curation event since this run began" in told
    assert [one.text for one in prepared_data(prepared(recipe()), tmp_path / "kept").train] == [
        "3+4?",
        "1+1?",
    ]


def test_the_first_decision_after_a_run_began_is_told_too(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    assert "curation" not in run_it(recipe())
    beside_train(tmp_path).append(ids["3+4?"], "reject", author="me")
    assert "1 curation event since this run began" in run_it(recipe(), prepare_and_evaluate)
    assert len(prepared_data(prepared(recipe()), tmp_path / "kept").train) == 3


def test_a_copy_that_was_edited_stops_it(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    beside_train(tmp_path).append(ids["2+3?"], "reject", author="me")
    run_it(recipe())
    (tmp_path / "kept" / prepared(recipe()).paths["curation"]).write_text("")
    with pytest.raises(BadInput, match=r"curation\.jsonl has changed since run kept began"):
        run_it(recipe(), prepare_and_evaluate)


def test_what_a_run_obeyed_is_in_its_history(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    beside_train(tmp_path).append(ids["2+3?"], "reject", author="me")
    run_it(recipe())
    files = store_part(tmp_path / "kept").event_files
    kept = tmp_path / "kept"
    assert list(files) == [
        kept / "stages/00-prepare/curation.jsonl",
        beside_train(tmp_path).path,
        kept / "curation.jsonl",
    ]
    beside_train(tmp_path).append(ids["3+4?"], "correct", "7", author="me")
    decisions = Decisions.of(files)
    assert [event.action for event in decisions.events] == ["reject", "correct"]
    assert decisions.of_prompt(ids["3+4?"]).revision == 1


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        (
            lambda log, ids: [log.append(one, "reject", author="me") for one in ids.values()],
            "rejects all 3 prompts",
        ),
        (lambda log, ids: log.append(ids["3+4?"], "correct", "seven", author="me"), r"line 2, as corrected"),
        (lambda log, ids: log.path.write_text("{}\n"), r"curation\.jsonl, line 1: it has no 'event_id'"),
    ],
)
def test_what_cannot_be_obeyed_stops_a_run_and_its_dry_run(
    recipe: Callable[..., Recipe],
    ids: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    decide: Callable[[EventLog, dict[str, str]], object],
    words: str,
) -> None:
    decide(beside_train(tmp_path), ids)
    with pytest.raises(BadInput, match=words):
        run_it(recipe())
    assert not print_plan(recipe())
    assert "✗" in capsys.readouterr().out


def test_a_file_that_is_named_must_be_there(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data\.curation=.*none\.jsonl is not there"):
        run_it(recipe(curation=str(tmp_path / "none.jsonl")))


def test_doctor_reads_prompts_as_curated(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path
) -> None:
    beside_train(tmp_path).append(ids["2+3?"], "reject", author="me")
    found = {}
    for check in examine(recipe(), tmp_path / "scratch", tmp_path / "logs", quick=True):
        found[check.name] = check.run()
    assert (
        "2 of" in found["train prompts"].summary
        and "by curation 1 rejected" in found["train prompts"].summary
    )


def test_the_dry_run_tells(
    recipe: Callable[..., Recipe], ids: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside_train(tmp_path).append(ids["2+3?"], "reject", author="me")
    assert print_plan(recipe())
    out = " ".join(capsys.readouterr().out.split())
    assert "1 event in" in out and "by curation 1 rejected" in out and "as curated by" in out
