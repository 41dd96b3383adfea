"""The documents' recipes for a task of one's own, plain and hybrid: what they print is what runs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recipes import cli
from reward_models.preferences.preference import load_preferences

DOCS = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file()) / "docs"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

Row = dict[str, Any]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)


def rows(document: str) -> list[Row]:
    return [
        json.loads(row) for block in blocks(document, "json") for row in re.split(r"\n(?=\{)", block.strip())
    ]


def recipe(document: str, name: str) -> str:
    return next(block for block in blocks(document, "yaml") if f"name: {name}\n" in block)


def said_with(words: str, row: Row) -> Row:
    """The same row with other words before its own, so that no held-out prompt is trained on."""
    messages = json.loads(json.dumps(row["messages"]))
    if isinstance(messages, str):
        return {**row, "messages": words + messages}
    messages[0]["content"].insert(0, {"type": "text", "text": words})
    return {**row, "messages": messages}


def write(name: str, written: Sequence[Row]) -> None:
    assert written
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in written))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, video_file: Callable[..., bytes]) -> Path:
    """An image and a video under the names that the documents give."""
    monkeypatch.chdir(tmp_path)
    Path("cups.png").write_bytes(base64.b64decode(PNG))
    Path("fall.mp4").write_bytes(video_file(np.zeros((6, 64, 64, 3), np.uint8), codec="mp4v", suffix=".mp4"))
    return tmp_path


def test_the_recipe_and_rows_pass_the_doctor(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asked = [row for row in rows("data.md") if "verifier" in row]
    assert {"images", "videos"} <= {name for row in asked for name in row}
    write("train.jsonl", [said_with("Look: ", row) for row in asked])
    write("heldout.jsonl", asked)
    write("sft.jsonl", [said_with("Well: ", row) for row in rows("data.md") if "response" in row])
    Path("cups.yaml").write_text(recipe("data.md", "cups"))
    assert cli.main(["doctor", "cups.yaml", "--quick"]) == 0, capfd.readouterr().out


def test_the_hybrid_recipe_and_graded_answers_pass_the_doctor(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [row for row in rows("data.md") if "response" not in row]
    assert {row.get("kind") for row in asked} >= {"verifiable", "general"}
    graded = [row for row in rows("reward-models.md") if "grades" in row]
    write("train.jsonl", [said_with("Look: ", row) for row in asked])
    write("heldout.jsonl", asked)
    write("sft.jsonl", [said_with("Well: ", row) for row in rows("data.md") if "response" in row])
    write("graded.jsonl", [said_with("Well: ", row) for row in graded])
    write("graded_heldout.jsonl", graded)
    assert [one.grades for one in load_preferences("graded_heldout.jsonl")] == [(5, 2)]
    Path("cups_hybrid.yaml").write_text(recipe("hybrid.md", "cups_hybrid"))
    status = cli.main(["doctor", "cups_hybrid.yaml", "--quick"])
    said = capfd.readouterr().out
    assert status == 0 and "from other data" not in said, said
