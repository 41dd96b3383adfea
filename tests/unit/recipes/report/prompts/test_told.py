"""What the report tells of prompts, against counts made another way."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import beta, binomtest

from recipes.report.prompts.answer_shares import _shares, answer_shares, blind_baseline
from recipes.report.prompts.data_table import data_table
from recipes.report.prompts.flips import Side, flips_between
from recipes.report.prompts.proportion import share_words
from recipes.report.prompts.round_moves import round_moves
from recipes.report.prompts.told import ToldOfPrompts
from recipes.report.prompts.training_signal import training_signal
from rl.run.run_history import store_part
from rl.run.run_record import RunRecord
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from sampler.store.prompt_store import PromptStore
from sampler.vision_input import VisionInput
from verifiers.errors import BadInput


def rates(run: Path, stage: str) -> dict[str, float]:
    rows = pq.read_table(run / "rollouts" / stage).to_pylist()
    by_prompt: dict[str, list[float]] = {}
    for row in rows:
        by_prompt.setdefault(row["prompt_id"], []).append(row["reward"])
    return {name: sum(rewards) / len(rewards) for name, rewards in by_prompt.items()}


def test_flips_and_their_test(whole_run: Path) -> None:
    run = RunRecord.open(whole_run)
    stages = ("03-evaluate-r0", "10-evaluate-r1")
    flips = flips_between(*(Side.of(run, stage) for stage in stages))
    before, after = (rates(whole_run, stage) for stage in stages)
    lost = {name for name in before if before[name] >= 0.5 > after[name]}
    gained = {name for name in before if after[name] >= 0.5 > before[name]}
    assert {flip.prompt_id for flip in flips.lost} == lost
    assert {flip.prompt_id for flip in flips.gained} == gained
    num = len(lost) + len(gained)
    assert flips.p_value == pytest.approx(binomtest(len(lost), num, 0.5).pvalue)
    assert flips.rows[0].num == 24 and sum(row.num for row in flips.rows[1:]) == 24
    assert flips.rows[0].after - flips.rows[0].before == pytest.approx(
        sum(after.values()) / 24 - sum(before.values()) / 24
    )
    with pytest.raises(BadInput, match="no rollouts of a stage 'nowhere': choose of 01-evaluate-r0"):
        Side.of(run, "nowhere")


def test_two_runs_are_called_by_their_names(whole_run: Path, tmp_path: Path) -> None:
    import shutil

    other = RunRecord.open(shutil.copytree(whole_run, tmp_path / "other"))
    sides = (Side.of(RunRecord.open(whole_run), "10-evaluate-r1"), Side.of(other, "10-evaluate-r1"))
    flips = flips_between(*sides)
    assert (flips.before.label, flips.after.label) == ("digits, round 1 RL", "other, round 1 RL")
    assert not flips.gained and not flips.lost and flips.p_value == 1.0
    rows = pq.read_table(tmp_path / "other" / "rollouts" / "10-evaluate-r1").to_pylist()
    strangers = pa.Table.from_pylist(
        [row | {"prompt_id": f"{row['prompt_id']} of another set"} for row in rows]
    )
    for file in (tmp_path / "other" / "rollouts" / "10-evaluate-r1").iterdir():
        pq.write_table(strangers, file)
    with pytest.raises(
        BadInput, match="digits, round 1 RL and other, round 1 RL have no judged prompt in common"
    ):
        flips_between(*sides)


def test_every_round_is_told_and_not_only_the_cold_start(whole_run: Path) -> None:
    run = RunRecord.open(whole_run)
    table = round_moves(run)
    assert table is not None
    assert table.columns == tuple(
        f"{after} since {before}"
        for before, after in pairwise(["start", "round 0 SFT", "round 0 RL", "round 1 SFT", "round 1 RL"])
    )
    before, after = rates(whole_run, "03-evaluate-r0"), rates(whole_run, "05-evaluate-r0")
    num = sum(before[name] >= 0.5 > after[name] for name in before)
    assert table.rows["right before, wrong now"][1].words == share_words(num, 24)


def test_groups_without_signal(run_maker: Any) -> None:
    stage = run_maker.next_name("rl")
    groups = {"a": [1.0, 1.0], "b": [0.0, 0.0], "c": [0.0, 1.0], "d": [1.0, None], "e": [1.0, 1.0, 0.0, 1.0]}
    rows = [
        run_maker.row(stage=stage, step=0, prompt_id=name, tags=["sum"], reward=reward, verifier="number")
        for name, rewards in groups.items()
        for reward in rewards
    ]
    folder = run_maker.run / "rollouts" / stage
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "step-00000.parquet")
    run_maker.rl(0, 1, 0.5, 0.6)
    signal = training_signal(RunRecord.open(run_maker.run))
    assert signal is not None
    assert (
        signal.groups.rows["all"][0].words == share_words(2, 4) + ": 25%, 25%"
    )  # one of a single reward is no group
    (histogram,) = signal.histograms
    assert histogram.counts == (1, 0, 0, 0, 0, 1, 0, 1, 0, 2)  # 0, 1/2, 3/4, and twice 1
    assert histogram.mean == pytest.approx((0 + 0.5 + 0.75 + 1 + 1) / 5)


def test_answers_beside_references_and_without_looking(whole_run: Path) -> None:
    run = RunRecord.open(whole_run)
    with PromptStore([store_part(whole_run)]) as store:
        shares = {one.table.title: one for one in answer_shares(run, store)}
        blind = blind_baseline(run, store)
    assert set(shares) == {"sum", "largest", "count", "where"}
    data = whole_run / "stages" / "00-prepare" / "data"
    held, train = (load_prompts(data / f"{name}.parquet") for name in ("heldout", "train"))
    right = Counter(prompt.reference for prompt in held if prompt.question_type == "count")
    rows = shares["count"].table.rows
    assert {name: cells[0].words for name, cells in rows.items() if name in right} == {
        name: share_words(num, 6) for name, num in right.items()
    }
    assert 0 <= shares["count"].moved <= 1
    assert blind is not None
    for name, (constant, score, _) in blind.rows.items():
        of_type = [prompt.reference for prompt in train if prompt.question_type == name]
        commonest = sorted(Counter(of_type).items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        asked = [prompt.reference for prompt in held if prompt.question_type == name]
        best = max(asked.count(reference) for reference, _ in commonest)
        assert constant.words in dict(commonest) and score.words == share_words(best, len(asked)), name


def test_answers_that_are_as_frequent_stand_in_the_order_of_their_words() -> None:
    found = _shares("digit", Counter("hgfedcba"), Counter(), Counter("aabbccddeeffgghh"))
    assert "".join(found.table.rows) == "abcdefgh"


def test_the_data_and_what_it_repeats(run_maker: Any) -> None:
    data = run_maker.run / "stages" / "00-prepare" / "data"
    train = [prompt for prompt, _ in run_maker.train]
    save_prompts(
        data / "heldout.parquet", [*(prompt for prompt, _ in run_maker.heldout[:5]), train[0], train[1]]
    )
    with PromptStore([store_part(run_maker.run)], may_lack_rollouts=True) as store:
        table = data_table(store, "digits")
    assert table is not None and table.columns == ("train", "heldout")
    said = {name: [cell.words for cell in cells] for name, cells in table.rows.items()}
    assert said["prompts"] == ["12", "7"]
    assert said["held-out prompts that are trained on too"] == ["", "2"]
    assert said["rows that ask what an earlier row asks"] == ["0", "0"]
    assert said["pixels of a picture"] == ["32 × 32"] * 2
    assert said["of type sum"][0] == "3"


@pytest.mark.parametrize("without", [(), ("videos",)])
def test_films_and_nothing_to_see_are_told_apart(
    run_maker: Any, write_prompts: Any, without: tuple[str, ...]
) -> None:
    """Different films with one question are no leak; texts without a column of pictures are."""
    data = run_maker.run / "stages" / "00-prepare" / "data"
    asked = [
        Prompt.build(
            messages=[{"role": "user", "content": [{"type": "video"}]}],
            videos=[VisionInput.of("video", film)],
        )
        for film in (b"one", b"two", b"three", b"four")
    ]
    for split, prompts in {"train": asked[:3], "heldout": asked[2:]}.items():
        table = pq.read_table(save_prompts(data / f"{split}.parquet", prompts))
        bare = table.set_column(2, "images", pa.nulls(len(table), table.schema.field("images").type))
        pq.write_table(bare.drop_columns(list(without)), data / f"{split}.parquet")
    with PromptStore([store_part(run_maker.run)], may_lack_rollouts=True) as store:
        table = data_table(store, "digits")
    assert table is not None
    said = {name: [cell.words for cell in cells] for name, cells in table.rows.items()}
    assert said["held-out prompts that are trained on too"] == ["", "2" if without else "1"]
    assert said["rows that ask what an earlier row asks"] == (["2", "1"] if without else ["0", "0"])
    assert said.get("films") == (None if without else ["3", "2"])


def test_a_run_whose_data_has_gone_still_has_a_report(run_maker: Any) -> None:
    run_maker.evaluate(0, "start", 0.1)
    run_maker.evaluate(0, "sft", 0.5)
    for file in (run_maker.run / "stages" / "00-prepare" / "data").iterdir():
        file.unlink()
    told = ToldOfPrompts.of(RunRecord.open(run_maker.run))
    assert told.data is None and told.blind is None and told.moves is not None


@pytest.mark.parametrize(("num", "total"), [(0, 4), (3, 10), (10, 10)])
def test_a_share_with_its_interval(num: int, total: int) -> None:
    low = beta.ppf(0.025, num + 0.5, total - num + 0.5) if num else 0
    high = beta.ppf(0.975, num + 0.5, total - num + 0.5) if num < total else 1
    assert share_words(num, total) == f"{num / total:.0%} ({100 * low:.0f} to {100 * high:.0f})"
    assert share_words(0, 0) == "–"


def test_the_command(whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from recipes.cli import main

    out = tmp_path / "flips.html"
    assert main(["compare", str(whole_run), "--out", str(out), "--num", "2"]) == 0
    printed = capsys.readouterr().out
    assert "exact McNemar test: p = " in printed and "gained" in printed
    page = out.read_text()
    assert "<script" not in page and "From right to wrong" in page and 'src="data:image/png' in page
    assert main(["compare", str(whole_run), "3", "round 1 RL", "--out", str(out)]) == 0  # by number, by name
    assert main(["compare", str(whole_run), str(whole_run), "--out", str(out)]) == 2
    assert "give two" in capsys.readouterr().err
    assert main(["compare", str(whole_run), "1", "3", "5", "--out", str(out)]) == 2
    assert "these are 3" in capsys.readouterr().err
    manifest = json.loads((whole_run / "stages" / "10-evaluate-r1" / "manifest.json").read_text())
    assert f"{100 * manifest['result']['pass_at_1']:.1f}%" in printed


def test_hostile_prompts_steer_neither_terminal_nor_page(
    run_maker: Any, write_rollouts: Any, write_prompts: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from recipes.cli import main

    hostile = "\x1b[2J<script>alert(1)</script>[red]\u202e../../etc/passwd"
    prompt, _ = run_maker.heldout[0]
    for stage, reward in (("01-evaluate-r0", 1.0), ("02-evaluate-r0", 0.0)):
        row = run_maker.row(
            prompt_id=prompt.prompt_id, tags=[hostile], answer=hostile, reward=reward, stage=stage
        )
        write_rollouts(run_maker.run, stage, [row | {"thought": hostile, "verdict_reason": hostile}])
    assert main(["compare", str(run_maker.run), "1", "2"]) == 0
    printed, page = capsys.readouterr().out, (run_maker.run / "compare.html").read_text()
    assert "1 lost" in printed and "\x1b" not in printed and "\u202e" not in printed
    assert "<script>" not in page and "\x1b" not in page and "\u202e" not in page


def test_flips_are_of_the_verdicts_that_count(run_maker: Any) -> None:
    """Where answers were judged again after a correction, as that has it."""
    run_maker.evaluate(0, "start", 0.0)
    run_maker.evaluate(0, "sft", 0.0)
    run = RunRecord.open(run_maker.run)
    sides = [Side.of(run, str(one["stage"])) for one in run.evaluations]
    before = {flip.prompt_id for flip in flips_between(*sides).gained}
    rated = [rates(run_maker.run, side.stage) for side in sides]
    name = next(name for name in rated[0] if rated[0][name] == rated[1][name] == 0)
    logged = pq.read_table(run_maker.run / "rollouts" / sides[1].stage).to_pylist()
    again = [
        {
            "rollout_id": row["rollout_id"], "stage": row["stage"], "step": 0, "policy_version": row["policy_version"],
            "prompt_id": name, "verifier": row["verifier"], "judging": 1, "reward": 1.0, "kind": row["kind"],
            "tags": row["tags"], "index": row["index"], "blind": False, "verifier_code": "x",
        }
        for row in logged if row["prompt_id"] == name
    ]  # fmt: skip
    (run_maker.run / "rejudged").mkdir()
    pq.write_table(pa.Table.from_pylist(again), run_maker.run / "rejudged" / "part.parquet")
    assert {flip.prompt_id for flip in flips_between(*sides).gained} == before | {name}
