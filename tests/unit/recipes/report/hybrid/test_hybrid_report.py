"""The page and the browser of a run that a reward model judges beside verifiers, or alone."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes.report.attempt import ShownScore, probability_words
from recipes.report.comparison import compare
from recipes.report.evaluation import rate_chains
from recipes.report.held_out import headline, held_out_curve, held_out_tables
from recipes.report.in_force import part_of_stages
from recipes.report.page import write_report
from recipes.report.rollout_table import RolloutTable
from recipes.report.step_curves import step_curves
from recipes.view.guard import Keys
from recipes.view.opened import Opened
from recipes.view.viewer import Viewer
from rl.run.run_record import RunRecord
from sampler.store.prompt_store import PromptStore

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def text_of(page: str) -> str:
    """What a reader sees, without the style sheet."""
    body = page.split("</style>")[1]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))


def shown(run: Path, out: Path) -> str:
    return text_of(write_report(run, out / "report.html").read_text())


def test_the_page_tells_of_both_judges(hybrid_run: Path, tmp_path: Path) -> None:
    page = shown(hybrid_run, tmp_path)
    first, last = (one["general"]["against_reference"] for one in RunRecord.open(hybrid_run).evaluations[1:])
    points = 100 * (last["win_rate"] - first["win_rate"])
    for words in (
        "1 round: SFT → reward model → critic → RL",
        f"{points:+.1f} points held-out win rate",
        "points held-out pass@1",
        "win rate of 31 answers (1 not judged) to 8 held-out prompts that no verifier judges",
        "The judge is the reward model that RL is rewarded by.",
        "reward model's pairwise accuracy 91.4%",
        "its position bias 3.5%",
        "against the policy before – – 70.3%",
        "describe · reference There is ",
        "0.75 against the reference; shown first 0.77, shown second 0.73",
        "– not judged not counted · reward model: error: the service is gone",
        "▼ truncated loses without being compared",
        "win more often",
    ):
        assert words in page, words
    assert "right answer There is" not in page


def test_the_headline_holds_the_rates_that_there_are(hybrid: Any) -> None:
    hybrid.evaluate("start", skill=None, win=None)
    assert headline(RunRecord.open(hybrid.run)) == []
    hybrid.evaluate("sft", skill=None, win=0.4)
    (wins,) = headline(RunRecord.open(hybrid.run))
    assert (wins.name, wins.before_label, wins.after, wins.points) == (
        "held-out win rate",
        "round 0 SFT (cold start)",
        None,
        "",
    )
    hybrid.evaluate("rl", skill=None, win=0.97)
    run = RunRecord.open(hybrid.run)
    (wins,) = headline(run)
    assert wins.after is not None
    assert wins.direction == "rose"
    assert replace(wins, after=wins.before).direction == replace(wins, after=None).direction == ""
    assert replace(wins, after=0.0).direction == "fell"
    assert wins.after_label == "round 0 RL"
    tables = held_out_tables(run)
    assert [table.title for table in tables] == ["win rate", "how responses end"]
    assert tables[0].columns == ("round 0 SFT", "round 0 RL")
    assert [row.name for row in tables[0].rows] == ["against the reference", "mean probability"]


def test_a_run_of_general_prompts_alone_has_a_page(hybrid: Any, tmp_path: Path) -> None:
    hybrid.evaluate("sft", skill=None, win=0.4)
    hybrid.evaluate("rl", skill=None, win=0.7)
    page = shown(hybrid.run, tmp_path)
    assert "points held-out win rate" in page
    assert "held-out pass@1" not in page
    assert "Of all that a reward model compares with a reference" in page


def test_the_win_rate_has_a_line_beside_pass_at_1(hybrid_run: Path, whole_run: Path) -> None:
    curve = held_out_curve(RunRecord.open(hybrid_run))
    assert curve is not None
    lines = {series.name: series for series in curve.series}
    assert [x for x, _ in lines["win rate"].points] == [1.0, 2.0]
    assert [x for x, _ in lines["pass@1"].points] == [0.0, 1.0, 2.0]
    css = (Path(__file__).parents[5] / "recipes/report/pages/page.css").read_text()
    assert f"text.end.tone{lines['win rate'].tone} " in css
    verified = held_out_curve(RunRecord.open(whole_run))
    assert verified is not None
    assert verified.series[0].name == "all"
    assert "win rate" not in {series.name for series in verified.series}


def test_a_change_of_opponent_is_no_change(hybrid_run: Path) -> None:
    tables = {table.title: table for table in held_out_tables(RunRecord.open(hybrid_run))}
    rows = {row.name: row for row in tables["win rate"].rows}
    assert rows["against the policy before"].cells == (None, None, 0.703)
    assert rows["against the policy before"].change_words == ""
    assert rows["against the reference"].num_prompts == 8
    assert (rows["against the reference"].change or 0) > 0.1
    assert rows["against the reference"].cells[0] is None


def test_the_curves_of_a_hybrid_run(hybrid_run: Path, whole_run: Path) -> None:
    curves = {curve.title: curve for curve in step_curves(RunRecord.open(hybrid_run))}
    assert [one.name for one in curves["Reward per RL step, by kind"].legend] == [
        "verifiable",
        "general (probability)",
    ]
    assert curves["KL of general prompts"].caption.endswith("highest 1.93")
    assert "loss 0.7 → 0.31" in curves["Reward model loss"].caption
    explained = curves["Explained variance of the critic"]
    assert explained.marks == ((0.0, "critic"), (12.0, "RL"))
    assert max(x for series in explained.series for x, _ in series.points) == 41.0
    verified = {curve.title for curve in step_curves(RunRecord.open(whole_run))}
    assert "Reward per RL step" in verified
    assert not verified & (curves.keys() - {"Reward per RL step, by kind"} - verified)


@pytest.mark.parametrize(
    ("fields", "outcome", "word"),
    [
        ({"reward": 0.93, "score_probability": 0.93}, "won", "won"),
        ({"reward": 0.5, "score_probability": 0.5}, "even", "even"),
        ({"reward": 0.50000003, "score_probability": 0.50000003}, "even", "even"),
        ({"reward": 0.4999, "score_probability": 0.4999}, "lost", "lost"),
        ({"score_status": "error", "reward": None, "score_probability": None}, "unjudged", "not judged"),
        ({"score_status": "timeout", "reward": None, "score_probability": None}, "unjudged", "not judged"),
        ({"score_status": None, "reward": 0.0, "answer_status": "no_thought"}, "lost", "no thought"),
    ],
)
def test_how_a_compared_attempt_is_named(
    hybrid: Any, fields: dict[str, Any], outcome: str, word: str
) -> None:
    prompt = hybrid.general[0]
    hybrid.write("s", [hybrid.general_row(prompt, "s", 0, 0.7, **fields)])
    with RolloutTable(hybrid.run, pass_score=0.9) as log:  # which is of verifiers
        (attempt,) = log.attempts(prompt.prompt_id)
    assert (attempt.outcome, attempt.word, attempt.compared) == (outcome, word, True)


def test_both_kinds_are_compared_each_in_its_own_way(hybrid: Any) -> None:
    """A probability that moves without crossing parity is neither better nor worse, only a win or a loss is."""
    rows = {"before": (0.2, 0.6, 0.9, None), "after": (0.4, 0.4, 0.6, 0.9)}
    for stage, probabilities in rows.items():
        pairs = zip(hybrid.general, probabilities, strict=False)
        hybrid.write(stage, [hybrid.general_row(prompt, stage, 0, p) for prompt, p in pairs])
    stages = [("before", "before"), ("after", "after")]
    with RolloutTable(hybrid.run) as log, PromptStore([part_of_stages(hybrid.run, [*rows])]) as store:
        compared = compare(log, stages)
        assert compare(log, stages, store) == compared
    assert compared.num_changed == {}
    assert compared.num_compared_changed == {"better": 0, "same": 2, "worse": 1}
    assert compared.is_change
    sides = compared.shown[0].sides
    assert {side.score_words for side in sides} <= {"0 of 1 won", "1 of 1 won"}


def test_a_log_without_the_parts_of_a_score_still_renders(hybrid: Any, tmp_path: Path) -> None:
    """Also beside a shard that has them."""
    hybrid.evaluate("sft", skill=0.5, win=0.6)
    hybrid.evaluate("rl", skill=0.7, win=0.8)
    shard = next((hybrid.run / "rollouts").glob("*/*.parquet"))
    pq.write_table(pq.read_table(shard).drop_columns(["score_parts"]), shard)
    assert "0.60 against the reference" in shown(hybrid.run, tmp_path)
    for shard in (hybrid.run / "rollouts").glob("*/*.parquet"):
        columns = [name for name in pq.read_schema(shard).names if name.startswith("score_")]
        pq.write_table(pq.read_table(shard).drop_columns(columns), shard)
    assert "▲ won" in shown(hybrid.run, tmp_path)


def test_a_score_in_words() -> None:
    row = {"score_status": "scored", "score_probability": 0.93}
    for parts, words in (
        ('{"as_first": 0.95, "as_second": 0.91}', "; shown first 0.95, shown second 0.91"),
        ('{"score": 1.25, "reference_score": -0.5}', "; scored 1.25, the reference -0.50"),
        *((broken, "") for broken in ("", None, "[]", "{", '{"as_first": "<b>", "as_second": NaN}')),
    ):
        score = ShownScore.from_row({**row, "score_parts": parts})
        assert score is not None
        assert score.words == f"0.93 against the reference{words}"
    assert [probability_words(p) for p in (0.50000003, 0.5001, 0.4999, 1.0)] == [
        "0.50",
        "just above 0.50",
        "just under 0.50",
        "1.00",
    ]
    rubric = ShownScore.from_row({**row, "score_parts": '{"rubric/true": 1.0, "rubric/short": 0.86}'})
    assert rubric is not None and rubric.words == "0.93 by its rubric: true 1.00, short 0.86"
    assert ShownScore.from_row({"score_status": None}) is None


def viewed(run: Path, path: str, **query: str) -> str:
    """A page of the viewer."""
    viewer = Viewer(Opened([run]), Keys(), "a curator")
    try:
        return bytes(getattr(viewer, path)(query).body).decode()
    finally:
        viewer.opened.close()


def test_the_viewer_shows_and_filters_what_a_reward_model_judged(hybrid_run: Path) -> None:
    stages = sorted(folder.name for folder in (hybrid_run / "rollouts").iterdir())
    pages = [viewed(hybrid_run, "rollouts", stage=stage) for stage in stages]
    for word in ("won", "lost", "even", "not judged", "right"):
        assert any(f'<option value="{word}"' in page for page in pages), word
    failed = [viewed(hybrid_run, "rollouts", stage=stage, verdict="not judged") for stage in stages]
    assert "the service is gone" in "".join(failed)
    won = text_of(viewed(hybrid_run, "rollouts", stage=stages[-1], verdict="won", type="describe"))
    assert "▲ won" in won
    assert "reference There is" in won
    assert "right answer" not in won
    link = re.search(
        r"/prompt\?of=\w+&amp;id=(\w+)", viewed(hybrid_run, "rollouts", stage=stages[1], verdict="even")
    )
    assert link is not None
    prompt = text_of(viewed(hybrid_run, "prompt", id=link[1], version=""))
    assert "judged by a reward model" in prompt
    assert "0 of 3 won, 1 even, 1 not judged" in prompt
    assert "1 of 3 won, 1 even, 1 not judged" in prompt


def test_what_a_reward_model_says_never_becomes_markup(hybrid: Any) -> None:
    prompt = hybrid.general[0]
    fields = {"score_reason": HOSTILE, "score_parts": json.dumps({HOSTILE: 1.0}), "answer": HOSTILE}
    stage = hybrid.maker.next_name("evaluate", 0)
    hybrid.write(stage, [hybrid.general_row(prompt, stage, 0, 0.7, **fields)])
    hybrid.maker.stage("evaluate", 0, "evaluate", {}, after="sft", pass_at_1=0.0, by_tag={})
    failed = {"score_status": HOSTILE, "reward": None, "score_probability": None}
    hybrid.write("other", [hybrid.general_row(prompt, "other", 1, 0.7, **{**fields, **failed})])
    for page in (
        write_report(hybrid.run).read_text(),
        viewed(hybrid.run, "rollouts", stage=stage),
        viewed(hybrid.run, "prompt", id=prompt.prompt_id, version=""),
    ):
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page
    assert prompt.prompt_id in viewed(hybrid.run, "rollouts", stage="other", verdict="not judged")


def test_the_closing_lines_of_a_run(hybrid_run: Path, whole_run: Path) -> None:
    heldout = RunRecord.open(hybrid_run).summary["heldout"]
    verified, compared = rate_chains(heldout)
    assert re.fullmatch(r"held-out pass@1: \d+\.\d%( -> \d+\.\d%){2}", verified)
    assert re.fullmatch(r"held-out win rate against references: \d+\.\d% -> \d+\.\d%", compared)
    (only,) = rate_chains(RunRecord.open(whole_run).summary["heldout"])
    assert only.count("->") == 4
    assert rate_chains([]) == []
    assert rate_chains([heldout[0] | {"num_prompts": 0}]) == []


def printed(figures: dict[str, Any]) -> str:
    from rich.console import Console

    from recipes.commands.eval import print_figures

    buffer = io.StringIO()
    print_figures(Console(file=buffer, width=120), "policy", figures)
    return buffer.getvalue()


def test_what_eval_prints(hybrid_run: Path) -> None:
    start, _, last = RunRecord.open(hybrid_run).evaluations
    both = printed(last)
    assert "pass@4:" in both
    assert re.search(
        r"win rate against references: \d+\.\d% of 31 comparisons on 8 general prompts, 1 not judged", both
    )
    assert re.search(r"mean probability of winning: 0\.\d{3}, 0\.5 is parity", both)
    assert "win rate" not in printed(start)
    alone = printed(last | {"num_prompts": 0})
    assert "pass@" not in alone
    assert "win rate against references" in alone
    nothing = {"win_rate": None, "win_probability": None, "num_comparisons": 0, "num_failed": 32}
    failed = printed(last | {"num_prompts": 0, "general": {"num_prompts": 8, "against_reference": nothing}})
    assert "none of 0 comparisons on 8 general prompts, 32 not judged" in failed
