"""The README's recipe for a task of one's own: what it prints is what runs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recipes import cli
from reward_models.preference import load_preferences

README = Path(__file__).parents[3] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_recipe_and_rows_of_your_own_task_pass_the_doctor(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    video_file: Callable[..., bytes],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The README's rows as they are, with a picture and a video under the names they give."""
    monkeypatch.chdir(tmp_path)
    own = next(block for block in blocks("yaml") if "cups" in block)
    Path("cups.yaml").write_text(own)
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
    Path("cups.png").write_bytes(base64.b64decode(png))
    Path("fall.mp4").write_bytes(video_file(np.zeros((6, 64, 64, 3), np.uint8), codec="mp4v", suffix=".mp4"))
    rows = [json.loads(row) for block in blocks("json") for row in re.split(r"\n(?=\{)", block.strip())]
    asked = [row for row in rows if "verifier" in row]
    assert {"images", "videos"} <= {name for row in asked for name in row}
    for name, words in (("train", "Look: "), ("heldout", "Say: "), ("sft", "Well: ")):
        written = []
        for row in asked:
            messages = json.loads(json.dumps(row["messages"]))
            if isinstance(messages, str):
                messages = words + messages
            else:
                messages[0]["content"].insert(0, {"type": "text", "text": words})
            response = {"response": "<think>one</think>\\boxed{3}"} if name == "sft" else {}
            written.append({**row, "messages": messages, **response})
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written))
    assert cli.main(["doctor", "cups.yaml", "--quick"]) == 0, capfd.readouterr().out
    graded = [row for row in rows if "grades" in row]
    Path("graded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in graded))
    assert [one.grades for one in load_preferences("graded.jsonl")] == [(5, 2)]
