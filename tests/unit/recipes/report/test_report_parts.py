"""The pieces of the page, each against figures worked out by hand."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recipes.report.attempt import Attempt, ShownText
from recipes.report.comparison import Attempts, compare
from recipes.report.drawing.curve import MAX_POINTS, Curve, Series, percent, round_ticks, short_number, spread
from recipes.report.drawing.picture import Picture
from recipes.report.drawing.template import template
from recipes.report.harvest import harvests
from recipes.report.held_out import held_out_tables
from recipes.report.in_force import part_of_stages
from recipes.report.rollout_table import RolloutTable
from recipes.report.shown_prompt import message_text
from recipes.report.stage_time import stage_times
from recipes.report.step_curves import step_curves
from rl.run.run_record import RunRecord
from sampler.store.log_schema import SCHEMA
from sampler.store.prompt_store import PromptStore


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.13, 0.82, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 42, [-10, 0, 10, 20, 30, 40, 50]),
        (5, 5, [5, 6, 7, 8, 9, 10]),
        (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_ticks_are_round_and_cover_the_data(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_numbers_in_few_characters() -> None:
    values = (1250, 48100, 3.4e-6, 0.125, 0, 12.345, 2.5e7, math.nan, 1e-7)
    words = ["1,250", "48.1k", "3.4e-6", "0.125", "0", "12.3", "25M", "nan", "1e-7"]
    assert [short_number(value) for value in values] == words
    assert percent(0.4821) == "48.2%"


def test_labels_are_spread_without_passing_the_edges() -> None:
    assert spread([100.0, 100.0, 150.0], gap=10, low=0, high=200) == [95.0, 105.0, 150.0]
    assert spread([0.0, 1.0, 2.0], gap=10, low=0, high=200) == [0.0, 10.0, 20.0]
    assert spread([199.0, 200.0], gap=10, low=0, high=200) == [190.0, 200.0]


def test_a_long_curve_keeps_its_mean_in_few_points() -> None:
    points = tuple((float(x), float(x % 7)) for x in range(10_000))
    thin = Series("long", points).thinned
    assert len(thin) <= MAX_POINTS
    assert sum(y for _, y in thin) / len(thin) == pytest.approx(sum(y for _, y in points) / len(points))
    assert Series("short", points[:5]).thinned == list(points[:5])


def drawn(curve: Curve, *size: int) -> str:
    return str(template("curve.svg.j2").module.draw(curve, *size))


def test_a_curve_is_drawn_to_scale_and_escapes_its_names() -> None:
    curve = Curve(
        "<title>",
        (Series("a<b", ((0.0, 0.0), (1.0, 1.0), (2.0, 0.5)), dots=True),),
        x_labels=((0.0, "start & go"),),
        y_range=(0.0, 1.0),
    )
    svg = ET.fromstring(drawn(curve, 300, 200))
    assert svg.attrib["aria-label"] == "<title>"
    line = svg.find("polyline")
    assert line is not None
    (x0, y0), (x1, y1), (x2, y2) = (
        tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()
    )
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert (y0 - y2) == pytest.approx((y0 - y1) / 2, abs=0.2)
    assert 0 < x0 < x2 < 300
    assert 0 < y1 < y0 < 200
    assert next(one.text for one in svg.iter("title")) == "a<b, start & go: 0"


def test_every_hue_of_a_curve_is_one_the_page_defines(whole_run: Path) -> None:
    css = (Path(__file__).parents[4] / "recipes/report/pages/page.css").read_text()
    run = RunRecord.open(whole_run)
    svg = "".join(map(drawn, step_curves(run)))
    assert {tone for tone in re.findall(r"tone\d", svg) if f".{tone} {{ color" not in css} == set()
    assert "nan" not in svg


def test_a_metric_that_is_not_finite_is_left_out_of_its_curve(run_maker: Any) -> None:
    for step, loss in enumerate((3.0, math.nan, 1.0)):
        run_maker.metrics("01-sft-r0", 0, step, train__loss=loss)
    run_maker.sft(0, 0)
    (curve,) = step_curves(RunRecord.open(run_maker.run))
    assert curve.series[0].points == ((0.0, 3.0), (2.0, 1.0))
    assert curve.caption == "loss 3 → 1, highest 3"


def test_what_a_later_sft_says_of_itself_has_curves(run_maker: Any) -> None:
    """Also where only some of its steps have a figure, at their places."""
    told = [{"replay__nll_before": 0.12}, {"validation__pass_at_1": 0.5, "replay__nll": 0.19}, {}]
    for step, figures in enumerate(told):
        run_maker.metrics("03-sft-r1", 1, step, train__loss=1.0, train__ref_kl=0.1 * step, **figures)
    run_maker.sft(1, 0)
    curves = {curve.title: curve for curve in step_curves(RunRecord.open(run_maker.run))}
    points = {title: [one.points for one in curve.series] for title, curve in curves.items()}
    assert points["Validation in SFT, pass@1"] == [((1.0, 0.5),)]
    assert points["Loss on RL's right rollouts"] == [((0.0, 0.12),), ((1.0, 0.19),)]
    assert points["KL in SFT to the policy before"] == [((0.0, 0.0), (1.0, 0.1), (2.0, 0.2))]


@pytest.mark.parametrize(
    ("fields", "outcome", "word"),
    [
        ({"reward": 1.0, "verdict_status": "scored"}, "right", "right"),
        ({"reward": 0.0, "verdict_status": "scored"}, "wrong", "wrong"),
        ({"reward": 0.0, "verdict_status": "unparseable"}, "wrong", "unparseable"),
        ({"reward": 0.0, "verdict_status": None, "answer_status": "no_thought"}, "wrong", "no thought"),
        ({"reward": None, "verdict_status": "timeout"}, "unjudged", "timeout"),
        ({"reward": None, "verdict_status": "error"}, "unjudged", "error"),
        ({"reward": None, "verdict_status": None}, "unjudged", "not judged"),
        ({"reward": None, "verdict_status": "scored", "verdict_score": 1.0}, "right", "right"),
    ],
)
def test_how_an_attempt_is_named(
    run_maker: Any, write_rollouts: Any, fields: dict[str, Any], outcome: str, word: str
) -> None:
    write_rollouts(run_maker.run, "s", [run_maker.row(**fields)])
    with RolloutTable(run_maker.run) as log:
        (attempt,) = log.attempts("p")
    assert (attempt.outcome, attempt.word) == (outcome, word)


def test_right_begins_at_the_pass_score_of_the_recipe(run_maker: Any, write_rollouts: Any) -> None:
    write_rollouts(run_maker.run, "s", [run_maker.row(reward=0.7)])
    (run_maker.run / "recipe.yaml").write_text("evaluation: {pass_score: 0.8, temperature: 1}")
    run = RunRecord.open(run_maker.run)
    assert (run.pass_score, run.evaluation_setting("temperature"), run.evaluation_setting("top_p")) == (
        0.8,
        1.0,
        None,
    )
    with RolloutTable(run.path, run.pass_score) as log:
        assert log.attempts("p")[0].word == "wrong"


def attempt(word: str, index: int) -> Attempt:
    return Attempt.from_row(
        {"rollout_id": str(index), "stage": "s", "index": index, "word": word, "answer": "9"}
    )


def test_the_attempt_shown_is_one_that_ended_as_most_did() -> None:
    side = Attempts(
        "round 0 SFT",
        tuple(attempt(word, i) for i, word in enumerate(("right", "wrong", "wrong", "timeout"))),
    )
    assert side.typical is side.attempts[1]
    assert [one.index for one in side.others] == [0, 2, 3]
    assert side.score_words == "1 of 3 right, 1 not judged"
    tied = Attempts("round 0 SFT", tuple(attempt(word, i) for i, word in enumerate(("right", "wrong"))))
    assert tied.typical is tied.attempts[0]
    assert Attempts("none", ()).typical is None


def test_a_response_that_could_not_be_split_is_shown_whole() -> None:
    row = {
        "rollout_id": "r",
        "stage": "s",
        "word": "malformed",
        "response": "rambling",
        "response_chars": 5000,
    }
    shown = Attempt.from_row(row)
    assert (shown.answer.text, shown.answer.num_cut) == ("rambling", 4992)
    assert ShownText.of(None) == ShownText("", 0)


def test_a_large_picture_is_shrunk_and_broken_bytes_are_none() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((1600, 800), 90).save(buffer, "PNG")
    picture = Picture.of(buffer.getvalue())
    assert picture.uri is not None
    assert (picture.width, picture.height, picture.tiny) == (1600, 800, False)
    assert len(picture.uri) < len(buffer.getvalue()) / 2
    for broken in (None, b"", b"<svg onload=alert(1)>", buffer.getvalue()[:500]):
        assert Picture.of(broken).uri is None


def test_message_text_takes_parts_or_plain_strings() -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "Add up."}]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": parts},
    ]
    assert message_text(messages) == "Think.\nAdd up."


def test_the_before_and_after_table(run_maker: Any) -> None:
    def evaluate(after: str, sums: float | None, status: dict[str, float]) -> None:
        by_tag = {"largest": {"pass_at_1": 0.5, "num_prompts": 4}}
        if sums is not None:
            by_tag["sum"] = {"pass_at_1": sums, "num_prompts": 4}
        result = {
            "pass_at_1": (sums or 0) / 2 + 0.25,
            "num_prompts": 8,
            "by_tag": by_tag,
            "answer_status": status,
        }
        run_maker.stage("evaluate", 0, "evaluate", {}, after=after, **result)

    evaluate("start", None, {"malformed": 1.0})
    evaluate("sft", 0.25, {"ok": 0.75, "malformed": 0.25})
    evaluate("rl", 0.75, {"ok": 1.0})
    types, endings = held_out_tables(RunRecord.open(run_maker.run))
    assert types.columns == ("start", "round 0 SFT", "round 0 RL")
    rows = {row.name: row for row in types.rows}
    assert list(rows) == ["all", "largest", "sum"]
    assert rows["sum"].cells == (None, 0.25, 0.75)
    assert [rows[name].change_words for name in rows] == [
        "+25.0",
        "+0.0",
        "+50.0",
    ]  # from SFT, not from the start
    assert [(row.name, row.cells) for row in endings.rows] == [
        ("a final answer", (0.0, 0.75, 1.0)),
        ("malformed", (1.0, 0.25, 0.0)),
    ]


def test_wall_time_that_no_phase_accounts_for_is_other(run_maker: Any) -> None:
    run_maker.stage("rl", 0, "RL", {"generate": 60.0, "train": 40.0})  # wall 104 s
    run_maker.stage("evaluate", 0, "evaluate", {"generate": 50.0}, after="rl")  # wall 52 s
    times = stage_times(RunRecord.open(run_maker.run))
    assert times is not None
    assert [(part.name, round(part.seconds, 6)) for part in times.totals] == [
        ("generate", 110.0),
        ("train", 40.0),
        ("build", 2.0),
        ("load", 0.5),
        ("model", 0.3),
        ("other", 6.112),
    ]
    assert sum(part.percent for part in times.totals) == pytest.approx(100.0)
    assert sum(part.percent for part in times.bars[2].parts) == pytest.approx(50.0)  # of the longest
    assert times.words == "2 min 38 s"


def test_phases_that_overlap_share_the_bar_of_the_wall_time(run_maker: Any) -> None:
    run_maker.stage("rl", 0, "RL", {"generate": 60.0, "judge": 60.0})  # side by side
    manifest = run_maker.run / "stages" / "01-rl-r0" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"wall_s": 124.8', '"wall_s": 62.0'))
    times = stage_times(RunRecord.open(run_maker.run))
    assert times is not None
    assert times.bars[1].words == "1 min 02 s"
    assert times.words == "1 min 04 s"
    assert [(part.name, part.percent) for part in times.bars[1].parts] == [
        ("generate", 50.0),
        ("judge", 50.0),
    ]


def test_prompts_are_compared_by_mean_reward_and_errors_do_not_count(
    run_maker: Any, write_rollouts: Any
) -> None:
    prompts = [prompt for prompt, _ in run_maker.heldout][:3]
    rewards: dict[str, list[tuple[float | None, ...]]] = {  # better, worse, same: the timeout is not a 0
        "00-evaluate": [(0.0, 1.0), (1.0, 1.0), (1.0, None)],
        "01-evaluate": [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0)],
    }
    for stage, of_prompts in rewards.items():
        rows = []
        for prompt, of_prompt in zip(prompts, of_prompts, strict=True):
            for index, reward in enumerate(of_prompt):
                row = run_maker.row(rollout_id=f"{stage}{index}", stage=stage, prompt_id=prompt.prompt_id)
                row |= {"index": index, "reward": reward, "tags": list(prompt.tags), "answer_status": "ok"}
                rows.append({**row, "verdict_status": "timeout" if reward is None else "scored"})
        write_rollouts(run_maker.run, stage, rows)
    stages = [("00-evaluate", "before"), ("01-evaluate", "after")]
    with (
        RolloutTable(run_maker.run) as log,
        PromptStore([part_of_stages(run_maker.run, [*rewards])]) as store,
    ):
        compared = compare(log, stages)
        assert compare(log, stages, store) == compared, "nobody decided anything"
    assert compared.num_changed == {"better": 1, "same": 1, "worse": 1}
    assert {shown.prompt.prompt_id for shown in compared.shown} == {prompt.prompt_id for prompt in prompts}
    by_id = {shown.prompt.prompt_id: shown for shown in compared.shown}
    before, after = by_id[prompts[2].prompt_id].sides
    assert [one.word for one in before.attempts] == ["right", "timeout"]
    assert after.score_words == "2 of 2 right"


def test_the_harvest_shows_different_prompts_of_every_type(run_maker: Any) -> None:
    run_maker.harvest(0)
    file = run_maker.run / "stages" / "01-harvest-r0" / "harvest_rows.parquet"
    rows = pq.read_table(file)
    pq.write_table(pa.concat_tables([rows, rows]), file)  # every prompt was kept twice
    run = RunRecord.open(run_maker.run)
    with RolloutTable(run.path) as log:
        (harvest,) = harvests(run, log)
    assert [row.prompt.question_type for row in harvest.rows] == sorted(
        ["count", "largest", "sum", "where"] * 2
    )
    assert len({row.prompt.prompt_id for row in harvest.rows}) == 8
    assert {(row.attempt.word, row.attempt.policy_version) for row in harvest.rows} == {("right", 0)}
    assert harvest.funnel[0] == ("prompts tried", 800)


def test_prompts_are_found_outside_the_run_too(run_maker: Any) -> None:
    """A recipe that names its own files leaves no copy in the run: the loader reads them, with or without ids."""
    inside = run_maker.run / "stages" / "00-prepare" / "data"
    outside = run_maker.run.parent / "own.parquet"
    pq.write_table(pq.read_table(inside / "heldout.parquet").drop_columns(["prompt_id"]), outside)
    shutil.rmtree(inside)
    manifest = inside.parent / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["result"]["paths"] = {"heldout": str(outside), "train": "gone.parquet"}
    manifest.write_text(json.dumps(changed))
    prompt = run_maker.heldout[0][0]
    with RolloutTable(run_maker.run) as log:
        found = log.prompts([prompt.prompt_id, "nobody"])
    assert list(found) == [prompt.prompt_id]
    assert found[prompt.prompt_id].question.text == prompt.text
    assert found[prompt.prompt_id].pictures == tuple(Picture.of(image.read()) for image in prompt.images)


def test_logs_of_an_older_hone_are_read_beside_new_ones(run_maker: Any, write_rollouts: Any) -> None:
    """A shard without the columns of the reward learnt from, and one with them."""
    old = {"rollout_id": "old", "stage": "00-evaluate", "reward": 1.0}
    new = {"rollout_id": "new", "stage": "01-rl", "reward": 1.0, "reward_learnt": 0.4, "verdict_tier": "text"}
    write_rollouts(run_maker.run, "00-evaluate", [run_maker.row(**old)])
    (run_maker.run / "rollouts" / "01-rl").mkdir(parents=True)
    table = pa.Table.from_pylist([run_maker.row(**new)], schema=SCHEMA)
    pq.write_table(table, run_maker.run / "rollouts" / "01-rl" / "step-00000.parquet")
    with RolloutTable(run_maker.run) as log:
        rows = log.query("SELECT * FROM rollouts WHERE rollout_id IN ('old', 'new') ORDER BY stage")
    attempts = [Attempt.from_row(row) for row in rows]
    assert [attempt.learnt for attempt in attempts] == [None, 0.4]
    assert ["learnt from as 0.40" in attempt.why for attempt in attempts] == [False, True]
