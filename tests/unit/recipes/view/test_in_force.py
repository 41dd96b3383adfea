"""Flips, answers and references after corrections and later judging, against the store's own views."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.cli import main
from recipes.report.comparison import Comparison, compare
from recipes.report.in_force import attempts_in_force, part_of_stages
from recipes.report.page import render_report
from recipes.report.prompts.flip_cards import opened_sides, shown_flips
from recipes.report.prompts.flips import Flips, Side, flips_between
from recipes.report.rollout_table import RolloutTable
from rl.run.run_history import store_part
from rl.run.run_record import RunRecord
from sampler.store.prompt_store import PromptStore

WORTH = {"right": 1.0, "wrong": 0.0, "unjudged": None}


@pytest.fixture
def run(run_maker: Any) -> Path:
    """Two policies on eight prompts."""
    run_maker.evaluate(0, "sft", 0.5)
    run_maker.version = 1
    run_maker.evaluate(0, "rl", 0.9)
    return Path(run_maker.run)


def flips_of(run: Path) -> Flips:
    record = RunRecord.open(run)
    return flips_between(*(Side.of(record, stage) for stage in ("01-evaluate-r0", "02-evaluate-r0")))


def newly_right(run: Path) -> tuple[str, str]:
    """A prompt that the second policy once answers rightly with a number, and another number."""
    rows = pq.read_table(run / "rollouts" / "02-evaluate-r0").to_pylist()
    row = next(
        row for row in rows if row["verifier"] == "math" and row["answer_status"] == "ok" and row["reward"]
    )
    return row["prompt_id"], str(int(row["reference"]) + 50)


def hone(*words: str) -> None:
    assert main(["prompts", *words]) == 0


def assert_as_the_store_has_it(run: Path) -> None:
    with PromptStore([store_part(run)]) as store, RolloutTable(run) as log:
        rows = store.query("SELECT * FROM answers_in_force").to_pylist()
        ids = sorted({row["prompt_id"] for row in rows})
        shown = attempts_in_force(store, run.name, {name: log.attempts(name) for name in ids})
        logged = {
            row["rollout_id"]: row["reward"] for row in store.query("SELECT * FROM rollouts").to_pylist()
        }
    now = {row["rollout_id"]: row["worth"] for row in rows}
    attempts = [attempt for made in shown.values() for attempt in made]
    assert {one.rollout_id: WORTH[one.outcome] for one in attempts} == now
    assert {one.rollout_id for one in attempts if one.logged} == {
        name for name, worth in now.items() if worth != logged[name]
    }


def test_a_correction_counts_once_it_is_judged(run: Path) -> None:
    prompt_id, other = newly_right(run)
    before = flips_of(run)
    assert (before.num_otherwise, before.num_waiting) == (0, 0)
    num_paired = before.rows[0].num

    hone("fix", prompt_id, str(run), "--reference", other)
    corrected = flips_of(run)
    assert (corrected.rows[0].num, corrected.num_otherwise, corrected.num_waiting) == (num_paired - 1, 0, 1)
    assert prompt_id not in {flip.prompt_id for flip in (*corrected.lost, *corrected.gained)}
    assert_as_the_store_has_it(run)

    hone("rejudge", str(run))
    judged = flips_of(run)
    assert (judged.rows[0].num, judged.num_waiting) == (num_paired, 0)
    was_right = sum(prompt_id in names for names in right_by(before, run))
    assert judged.num_otherwise == int(was_right > 0)
    assert_as_the_store_has_it(run)

    hone("fix", prompt_id, str(run), "--undo")
    again = flips_of(run)
    assert (again.gained, again.lost, again.num_otherwise) == (before.gained, before.lost, 0)
    assert_as_the_store_has_it(run)


def test_a_newest_judgement_without_a_decision_leaves_none(run: Path) -> None:
    """What was decided before it does not count again."""
    prompt_id, other = newly_right(run)
    hone("fix", prompt_id, str(run), "--reference", other)
    hone("rejudge", str(run))
    judged = pq.read_table(run / "rejudged")
    undecided = [
        {**row, "judging": row["judging"] + 1, "reward": None, "verdict_status": "timeout"}
        for row in judged.to_pylist()
    ]
    again = pa.Table.from_pylist(undecided, schema=judged.schema)
    pq.write_table(again, run / "rejudged" / "later.parquet")
    with PromptStore([store_part(run)]) as store:
        answers = store.query("SELECT * FROM answers_in_force").to_pylist()
    of_prompt = [row for row in answers if row["prompt_id"] == prompt_id]
    assert of_prompt and all(row["worth"] is None and row["reward"] is None for row in of_prompt)
    assert_as_the_store_has_it(run)


def right_by(flips: Flips, run: Path) -> list[set[str]]:
    """By the log, which prompts each side had right."""
    found = []
    for side in (flips.before, flips.after):
        rewards: dict[str, list[float]] = {}
        for row in pq.read_table(run / "rollouts" / side.stage).to_pylist():
            rewards.setdefault(row["prompt_id"], []).append(row["reward"])
        found.append({name for name, each in rewards.items() if sum(each) / len(each) >= 0.5})
    return found


def test_the_cards_of_a_flip_say_what_the_log_says(
    run: Path, browse: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with browse(run) as browser:
        stages = {"before": "01-evaluate-r0", "after": "02-evaluate-r0"}
        browser.show("/flips", **stages)  # counted once: then the files change
        flips = flips_of(run)
        flip = next(flip for flip in flips.gained if reference_of(run, flip.prompt_id).isdigit())
        hone("fix", flip.prompt_id, str(run), "--reference", "977")
        hone("rejudge", str(run))
        page = browser.show("/flips", **stages, way="gained")
        assert f"id={flip.prompt_id}" not in page and "1 of them comes out otherwise than by" in page
        num_right = round(4 * flip.after)
        page = browser.show("/prompt", of="digits", id=flip.prompt_id, version="1")
        assert page.count("in the log: right") == num_right and f"{num_right} otherwise in the log" in page
        assert "0 of 4 right" in page and "<code>977</code>" in page
        page = browser.show("/rollouts", stage="02-evaluate-r0", verdict="right")
        assert page.count("in the log: right") == num_right
    capsys.readouterr()
    assert main(["compare", str(run), *stages.values(), "--out", str(run / "compare.html")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{len(flips.gained) - 1} gained" in told and "1 of them come out otherwise than by" in told
    page = (run / "compare.html").read_text()
    assert re.search(r"1 of them comes out otherwise", page)


STAGES = (("01-evaluate-r0", "round 0 SFT"), ("02-evaluate-r0", "round 0 RL"))


def compared(run: Path) -> tuple[Comparison, Comparison]:
    """By the log, and by the verdicts in force."""
    with RolloutTable(run) as log, PromptStore([part_of_stages(run, [name for name, _ in STAGES])]) as store:
        return compare(log, STAGES), compare(log, STAGES, store)


def card_of(run: Path, prompt_id: str) -> str:
    """A prompt's card in the report; nothing where it has none."""
    cards = render_report(RunRecord.open(run)).split('<article class="pair panel">')[1:]
    return next((card.split("</article>")[0] for card in cards if f"id={prompt_id}" in card), "")


def test_the_cards_of_the_report_go_by_the_verdicts_in_force(run: Path) -> None:
    by_log, undecided = compared(run)
    assert undecided == by_log and by_log.num_changed["better"] > 1
    gained = {flip.prompt_id: flip for flip in flips_of(run).gained}
    better = next(
        one.prompt
        for one in by_log.shown
        if one.prompt.prompt_id in gained and one.prompt.reference.text.isdigit()
    )
    prompt_id, num_right = better.prompt_id, round(4 * gained[better.prompt_id].after)
    page = render_report(RunRecord.open(run))
    assert f"{by_log.num_changed['better']} got better" in page and "By the verdicts" not in page
    assert f"{num_right} of 4 right" in card_of(run, prompt_id)

    hone("fix", prompt_id, str(run), "--reference", "977")
    _, waiting = compared(run)
    assert sum(waiting.num_changed.values()) == sum(by_log.num_changed.values()) - 1
    assert waiting.num_otherwise == 1 and not card_of(run, prompt_id)

    hone("rejudge", str(run))
    _, judged = compared(run)
    assert judged.num_changed["better"] == by_log.num_changed["better"] - 1 and judged.num_otherwise == 1
    page = render_report(RunRecord.open(run))
    assert (
        f"{judged.num_changed['better']} got better" in page
        and "By the verdicts in force: of 1 prompt " in page
    )
    card = card_of(run, prompt_id)
    assert "<code>977</code>" in card and f"0 of 4 right; {num_right} otherwise in the log" in card
    assert card.count("in the log: right") >= num_right


def test_the_report_stands_where_decisions_cannot_be_read(run: Path) -> None:
    """By the log's verdicts then, and it says so."""
    prompt_id, other = newly_right(run)
    hone("fix", prompt_id, str(run), "--reference", other)
    by_log, _ = compared(run)
    with (run / "curation.jsonl").open("a") as file:
        file.write("no event\n")
    page = render_report(RunRecord.open(run))
    assert "By the verdicts in the log: what was decided since cannot be read" in page
    assert f"{by_log.num_changed['better']} got better" in page


def test_the_log_is_not_counted_again_for_a_page(
    run: Path, browse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, make_views = [], PromptStore._make_views

    def told(store: PromptStore) -> None:
        counted.append(sorted(store.parts))
        make_views(store)

    stages = {"before": "01-evaluate-r0", "after": "02-evaluate-r0"}
    with browse(run) as browser:
        browser.show("/flips", **stages, way="lost")
        monkeypatch.setattr(PromptStore, "_make_views", told)
        assert "gained" in browser.show("/flips", **stages, way="gained")
        assert counted == []
    assert main(["compare", str(run), *stages.values(), "--out", str(run / "compare.html")]) == 0
    assert len(counted) == 4  # each side for the counts, and once for all that is shown


def reference_of(run: Path, prompt_id: str) -> str:
    rows = pq.read_table(run / "rollouts" / "02-evaluate-r0").to_pylist()
    return next(row["reference"] for row in rows if row["prompt_id"] == prompt_id)


def test_a_flip_that_only_the_correction_makes(run: Path) -> None:
    """What both policies had wrong is right in the second by the new reference."""
    prompt_id, other = newly_right(run)
    for stage, said in (("01-evaluate-r0", "\\boxed{3}"), ("02-evaluate-r0", f"\\boxed{{{other}}}")):
        (file,) = (run / "rollouts" / stage).glob("*.parquet")
        table = pq.read_table(file)
        wrong = {"answer": said, "answer_status": "ok", "reward": 0.0, "verdict_status": "scored"}
        rows = [row | wrong if row["prompt_id"] == prompt_id else row for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    assert prompt_id not in {flip.prompt_id for flip in flips_of(run).gained}
    hone("fix", prompt_id, str(run), "--reference", other)
    hone("rejudge", str(run))
    flips = flips_of(run)
    with opened_sides(flips) as in_force:
        (shown,) = shown_flips(
            flips, [flip for flip in flips.gained if flip.prompt_id == prompt_id], in_force
        )
    assert shown.prompt.reference.text == other
    assert [(side.score_words, side.num_otherwise) for side in shown.sides] == [
        ("0 of 4 right", 0), ("4 of 4 right", 4),
    ]  # fmt: skip
    assert {one.logged for one in shown.sides[1].attempts} == {"wrong"}
