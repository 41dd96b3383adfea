"""A harvest's spot check as a page beside the report, which links it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from recipes.cli import main
from recipes.report.page import write_report
from recipes.report.prompts.spot_check_page import write_spot_checks
from rl.run.run_record import RunRecord

HOSTILE = "</code><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e\u2028'\" {{ 7*7 }}"


def checked(prompt_id: str, reason: str, **fields: Any) -> dict[str, Any]:
    row = {
        "kept": not reason, "reason": reason, "question_type": "sum", "question": HOSTILE, "reference": "9",
        "response": f"<think>3+6 {HOSTILE}</think>\\boxed{{9}} {HOSTILE}", "reward": 1.0, "judge": HOSTILE,
        "num_response_tokens": 12, "prompt_id": prompt_id, "rollout_id": HOSTILE, "policy_version": 4,
    }  # fmt: skip
    return row | fields


@pytest.fixture
def file(run_maker: Any) -> Path:
    """Of a harvest that kept one row and dropped three."""
    name = run_maker.stage(
        "harvest", 0, "harvest", {"generate": 1.0}, num_prompts_sampled=4, num_hard=2, num_rollouts=8, num_correct=3,
        num_kept=1, dropped={"per_prompt_limit": 1}, by_tag={"sum": 1}, rows=None,
        spot_check="stages/01-harvest-r0/harvest_spot_check.jsonl",
    )  # fmt: skip
    known = [prompt.prompt_id for prompt, _ in run_maker.train]
    rows = [
        checked(known[0], ""),
        checked(known[1], "per_prompt_limit"),
        checked(known[2], "not right", reward=0.0),
        checked("gone", f"odd {HOSTILE}", reward=None),
    ]
    path = Path(run_maker.run) / "stages" / name / "harvest_spot_check.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def test_the_report_links_a_page_with_pictures(file: Path, run_maker: Any, tmp_path: Path) -> None:
    for out in (tmp_path / "else where" / "a report.html", None):
        before = set(Path(run_maker.run).rglob("*"))
        report = write_report(run_maker.run, out)
        (link,) = re.findall(r'<a href="([^"]*)">a page to read</a>', report.read_text())
        assert (report.parent / unquote(link)).parent == report.parent
        page = (report.parent / unquote(link)).read_text()
        assert out is None or set(Path(run_maker.run).rglob("*")) == before  # a run may be read-only
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles[:3] == [
        "kept",
        "dropped: not right",
        "dropped: odd " + titles[2].removeprefix("dropped: odd "),
    ]
    assert titles[3] == "dropped: per prompt limit"
    assert page.count('src="data:image/png;base64,') == 3 and "no longer holds the prompt" in page
    assert re.findall(r'<span class="badge">(.*?)</span>', page) == [
        "✓ right",
        "✗ wrong",
        "– not judged",
        "✓ right",
    ]
    assert run_maker.train[0][0].reference in page and "policy version 4 · 12 tokens" in page


def test_it_needs_nothing_else_and_runs_nothing(file: Path, run_maker: Any, tmp_path: Path) -> None:
    (page,) = (one.read_text() for one in spot_checks(run_maker, tmp_path).values())
    assert "<script" not in page and "<img src=x" not in page and "&lt;script&gt;" in page
    assert "\x1b" not in page and "\u202e" not in page and "{{ 7*7 }}" in page
    assert "default-src 'none'" in page
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address.startswith(("data:", "#")), address


def spot_checks(run_maker: Any, folder: Path, *told: list[str]) -> dict[str, Path]:
    warn = told[0].append if told else pytest.fail
    return write_spot_checks(RunRecord.open(run_maker.run), folder / "report.html", warn)


DAMAGED = [
    "no json\n", "[1]\n", '{"kept": true}\n', "[" * 100_000 + "\n",
    '{"prompt_id": ["a"], "response": "", "kept": true, "reason": ""}\n',
    '{"prompt_id": "a", "response": "", "kept": true, "reason": "", "reward": "1"}\n',
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_costs_its_page_alone(
    file: Path, run_maker: Any, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert main(["report", str(run_maker.run)]) == 0
    captured = capsys.readouterr()
    told = " ".join(captured.err.split())
    assert told.startswith("! 1 spot check without a page: ") and "is no spot check of a harvest" in told
    page = Path(captured.out.strip()).read_text()
    assert (
        "a page to read" not in page and "<code>stages/01-harvest-r0/harvest_spot_check.jsonl</code>" in page
    )


def test_a_page_that_cannot_be_written_is_told_of_once(file: Path, run_maker: Any, tmp_path: Path) -> None:
    (tmp_path / "report_01-harvest-r0_spot_check.html").mkdir()
    told: list[str] = []
    assert spot_checks(run_maker, tmp_path, told) == {}
    assert len(told) == 1 and told[0].startswith("1 spot check without a page: ")
