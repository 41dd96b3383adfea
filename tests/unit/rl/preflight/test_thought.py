"""Whether template, judging and cold start agree on who opens the thought."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from recipes import cli
from rl.data.run_data import LoadedSet, read_set
from rl.preflight.check import Finding
from rl.preflight.thought import check_thoughts
from rl.recipe.recipe import Recipe


def findings(hub: Path | None, cold_start: LoadedSet | None = None, **judging: Any) -> dict[str, Finding]:
    recipe = Recipe.model_validate(
        {"name": "x", "data": {"train_prompts": "a", "heldout_prompts": "b"}, "judging": judging}
    )
    sets = {} if cold_start is None else {"cold_start": cold_start}
    return {check.name: check.run() for check in check_thoughts(recipe, sets, hub)}


def of_template(hub: Path | None, **judging: Any) -> tuple[str, str]:
    finding = findings(hub, **judging)["thoughts begin as they are judged"]
    return finding.outcome, finding.summary


@pytest.fixture(scope="module")
def opened(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_prompt(hub, tmp_path_factory.mktemp("opened") / "hub", "assistant\n<think>\n")


def with_prompt(hub: Path, path: Path, prompt: str) -> Path:
    """A checkpoint whose template ends the generation prompt so."""
    shutil.copytree(hub, path)
    template = path / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant\n", prompt))
    return path


def test_who_opens_the_thought(hub: Path, opened: Path, tmp_path: Path) -> None:
    assert of_template(None) == of_template(hub) == ("ok", "the policy opens them")
    assert of_template(opened, prefilled_think=True) == ("ok", "the chat template opens them")
    assert of_template(opened) == (
        "failed",
        "the chat template ends in <think>, so a response begins inside the thought: set judging.prefilled_think=true",
    )
    for checkpoint in (None, hub):
        outcome, summary = of_template(checkpoint, prefilled_think=True)
        assert (outcome, summary[:70]) == (
            "failed",
            "judging.prefilled_think=true, but the chat template opens no thought, ",
        )
    empty = with_prompt(hub, tmp_path / "empty", "assistant\n<think>\n\n</think>\n\n")
    assert "set judging.expects_thought=false" in of_template(empty)[1]
    assert of_template(empty, expects_thought=False)[0] == "ok"


def cold_start(path: Path, *responses: str) -> LoadedSet:
    rows = [{"messages": f"{number}?", "response": one} for number, one in enumerate(responses)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_set("cold_start", str(path))


@pytest.mark.parametrize(
    ("responses", "judging", "outcome", "says"),
    [
        (["<think>a</think>1", "<think></think>2"], {}, "ok", "2 rows with a thought"),
        (["<think> </think>1", "<think></think>2"], {}, "warning", "the thought of 2 of 2 rows is empty"),
        (["<think>a</think>1", "2"], {}, "warning", r"1 of 2 rows .* \(no thought\): .*line 2; see judging"),
        (["1", "2"], {}, "failed", "2 of 2 rows"),
        (["1", "<think>a</think>2"], {"expects_thought": False}, "ok", "2 rows"),
        (["<think>a</think>1"], {"prefilled_think": True}, "failed", "malformed"),
        (["a</think>1"], {"prefilled_think": True}, "ok", "1 row"),
    ],
)
def test_what_the_cold_start_teaches(
    tmp_path: Path, responses: list[str], judging: dict[str, bool], outcome: str, says: str
) -> None:
    found = findings(None, cold_start(tmp_path / "sft.jsonl", *responses), **judging)[
        "cold-start rows are sound"
    ]
    assert found.outcome == outcome
    assert re.search(says, found.summary), found.summary


def test_the_dry_run_asks(
    opened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, question in (("train", "1+1?"), ("heldout", "2+2?")):
        prompt = {"messages": question, "verifier": "number", "reference": "2"}
        Path(f"{name}.jsonl").write_text(json.dumps(prompt))
    Path("own.yaml").write_text(
        "name: own\ndata: {train_prompts: train.jsonl, heldout_prompts: heldout.jsonl}\n"
        f"model: {{path: {opened}}}\nsampler: {{max_model_len: 128}}\nrl: {{max_response_tokens: 40}}\n"
    )
    assert cli.main(["run", "own.yaml", "--dry-run"]) == 1
    assert "set judging.prefilled_think=true" in capsys.readouterr().out
    assert cli.main(["run", "own.yaml", "judging.prefilled_think=true", "--dry-run"]) == 0
