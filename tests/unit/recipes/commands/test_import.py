"""`hone prompts import` at the terminal: what it says, what lies beside the set, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from recipes.cli import main
from sampler.data.prompt_dataset import load_prompts

ESCAPE = "\x1b[2J[red]\u202e"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [{"question": f"What is {n} and {n}?{ESCAPE}", "answer": 2 * n, "level": n} for n in range(50)]
    rows[7] = {"question": f"Why {ESCAPE}?"}
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_import_says_what_it_found_and_did(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sums.parquet"
    assert main(["prompts", "import", str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "format: a plain set's columns (question as messages, answer as reference)" in said
    assert (
        "the set: 49 prompts judged by number (100% numbers)" in said
        and "not read: level (to keep one: --column tags=level)" in said
    )
    assert f"1 rows could not be imported:\n  {source}, line 8:" in said and "\x1b" not in said
    assert [one.reference for one in load_prompts(out)] == [str(2 * n) for n in range(50) if n != 7]
    (rejected,) = out.with_suffix(".rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["row"] == f"{source}, line 8"
    made = json.loads(out.with_suffix(".import.json").read_text())
    assert (made["num_imported"], made["num_rejected"]) == (49, 1) and made["judges"][""][
        "verifier"
    ] == "number"


def test_rows_that_name_their_judge_are_counted_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [{"messages": f"{n} + {n}?", "reference": str(2 * n)} for n in range(20)]
    rows[3] |= {"verifier": "string"}
    rows[4] |= {"kind": "general", "reference": "It is eight."}
    source, out = tmp_path / "mixed.jsonl", tmp_path / "mixed.parquet"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["prompts", "import", str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "the set: 18 prompts judged by number (100% numbers)" in said
    assert "the set: 1 prompt judged by string (as the rows say)" in said
    assert "the set: 1 prompt judged by a reward model (as the rows say)" in said
    verifiers = [one.verifier for one in load_prompts(out)]
    assert verifiers[3:5] == ["string", None] and verifiers.count("number") == 18


def test_rows_that_repeat_an_earlier_one_are_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with source.open("a") as file:
        file.write(source.read_text().splitlines()[0] + "\n")
    out = tmp_path / "sums.parquet"
    assert main(["prompts", "import", str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "they repeat an earlier row: 1" in said and said.count("49 prompts,") == 1
    rows = [json.loads(line) for line in out.with_suffix(".rejected.jsonl").read_text().splitlines()]
    assert rows[-1] == {"row": f"{source}, line 51", "why": f"repeats {source}, line 1"}
    assert json.loads(out.with_suffix(".import.json").read_text())["num_rejected"] == 1


def test_a_dry_run_writes_nothing(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.iterdir())
    command = [
        "prompts",
        "import",
        str(source),
        "--dry-run",
        "--column",
        "tags=level",
        "--out",
        str(tmp_path / "x.parquet"),
    ]
    assert main(command) == 0
    assert sorted(tmp_path.iterdir()) == before
    assert main(["prompts", "import", str(source), "--dry-run"]) == 0
    assert "49 prompts" in capsys.readouterr().out and sorted(tmp_path.iterdir()) == before


def test_rows_with_one_fault_are_one_line_that_says_what_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"frage": f"{n} + 1?", "antwort": n + 1}) + "\n" for n in range(30)))
    command = ["prompts", "import", str(path), "--dry-run"]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert said.count("no such column") == 1 and f"{path}, line 1 and 29 more: " in said
    assert "--column messages=THEIRS" in said
    assert main([*command, "--column", "messages=frage", "--column", "reference=antwort"]) == 0


def test_broken_lines_are_told_by_place_and_the_rest_is_read(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the first line is one, which might begin an object over several lines."""
    source.write_text('{"question": "What is 1?\n{"question" "What is 2?"}\n' + source.read_text())
    assert main(["prompts", "import", str(source), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert (
        "49 prompts" in said
        and f"{source}, line 1: not valid JSON: a text has no closing quotation mark;" in said
    )
    assert f"{source}, line 2: not valid JSON: Expecting ':' delimiter at character 13;" in said


def test_nothing_to_import_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"colour": "red"}\nno JSON\n')
    assert main(["prompts", "import", str(path), "--out", str(tmp_path / "set.parquet")]) == 1
    assert "no such column" in capsys.readouterr().out
    assert sorted(one.name for one in tmp_path.iterdir()) == ["set.jsonl", "set.rejected.jsonl"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --out SET.parquet, or --dry-run"),
        (["--out", "set.json"], "--out is a .parquet file"),
        (["--dry-run", "--column", "reference"], "--column is OURS=THEIRS"),
        (
            ["--dry-run", "--column", "refrence=answer"],
            "unknown column 'refrence'; did you mean 'reference'?",
        ),
        (["--dry-run", "--verifier", "nmber"], "unknown verifier 'nmber'; did you mean 'number'?"),
        (["--dry-run", "--kind", "verifable"], "did you mean 'verifiable'?"),
        (["--dry-run", "--answers", "index"], "--answers is auto or text or letter or index0 or index1"),
        (["--dry-run", "--boxes", "pixels"], "--boxes is auto or pixel or norm1000"),
        (["--dry-run", "--images", "nowhere"], "there is no folder nowhere"),
        (["--dry-run", "--verifier-options", "{}x"], "--verifier-options is JSON"),
        (["--dry-run", "--split", "test"], "a single file has no splits"),
    ],
)
def test_each_slip_is_one_line(
    source: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(source.parent)
    assert main(["prompts", "import", str(source), *options]) == 2
    assert message in capsys.readouterr().err


def test_what_boxes_are_in_is_told_with_its_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stray box flips no source, and its row alone is refused."""
    Image.new("RGB", (640, 480)).save(tmp_path / "shelf.png")
    rows = [
        {"question": f"Where is cup {n}?", "image": "shelf.png", "answer": [[n, 10, 600, 470]]}
        for n in range(40)
    ]
    rows[7]["answer"] = [[7, 10, 700, 470]]
    path, out = tmp_path / "cups.jsonl", tmp_path / "cups.parquet"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["prompts", "import", str(path), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "boxes in pixels turned into 0..999: 39 of 40 fit the pixels of their pictures" in said
    assert "7 10 700 470 lies outside the picture of 640 x 480 pixels" in said
    assert len(load_prompts(out)) == 39
    made = json.loads(out.with_suffix(".import.json").read_text())["judges"][""]
    assert made["pixel_boxes"] and made["boxes"].startswith("39 of 40")
