"""Harvests on fake engines: the same rows from fewer samples, hard prompts from the log, rows that pass again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recipes.report.page import render_report
from recipes.settings.recipe_file import load_recipe
from reward_models.score import Score
from rl.data.validation_slice import not_validated_on, validation_prompts
from rl.experience.judge import Reward
from rl.fakes import FakeSampler, fake_engines, half_right
from rl.program import HarvestStage, PrepareStage, Program, RlStage, Runner, run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import HarvestResult
from rl.run.run_directory import RunDirectory
from rl.run.run_record import RunRecord
from rl.runner import StageRunner
from rl.stages.prepare import prepared_data
from rl.stages.sampled.harvest import candidate_of
from sampler.data.sft_row import load_sft_rows
from sampler.prompt import Prompt
from sampler.rollout import RolloutGroup, SamplingPlan
from verifiers.errors import BadInput
from verifiers.reading.response import split_response
from verifiers.registry import load_verifier

DATA = Path(__file__).parents[4] / "data"
FIRST = ["harvest.keep=first", "harvest.num_prompts=40", "harvest.balance_ratio=9"]
SHORT = ["rl.max_response_tokens=60", "harvest.max_response_tokens=60", "sampler.max_model_len=128"]


def display() -> ProgressDisplay:
    return ProgressDisplay(Console(quiet=True), live=False)


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe(str(DATA / "tiny_program.yaml"), [*SHORT, *overrides])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "run"
    with StageRunner(recipe_of(), RunDirectory(path), display(), make_engines=fake_engines()) as run:
        run(PrepareStage())
    return path


@pytest.fixture
def new_run(prepared: Path, tmp_path: Path) -> Callable[[str], RunDirectory]:
    return lambda name: RunDirectory(Path(shutil.copytree(prepared, tmp_path / name)))


def varied(prompt: Prompt, seed: int) -> str:
    """Right in 15 to 75% of the cases, by the prompt; some babble, some go on with a talk, some say it again."""
    rate = 0.15 + 0.6 * (int(prompt.prompt_id[:16], 16) % 100) / 100
    if seed % 1000 >= 1000 * rate:
        return "<think>hm</think>nothing"
    thoughts = {0: "so " * 12, 1: "again", 2: "again", 3: "<|im_end|>"}
    return f"<think>{thoughts.get(seed % 11, f'a {seed % 89}')}</think>{prompt.reference_text}"


class Killed(BaseException):
    """As a kill: nothing between handles it."""


class MortalSampler(FakeSampler):
    """Is killed at its so many-th call of a harvest."""

    def __init__(self, lives: int) -> None:
        super().__init__(varied)
        self.lives = lives

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        self.lives -= "harvest" in plan.stage
        if not self.lives:
            raise Killed
        return super().sample(prompts, plan)


def harvest_only(run: Runner) -> None:
    run(HarvestStage(), run(PrepareStage()).policy)


def after_rl(run: Runner) -> None:
    run(HarvestStage(), run(RlStage(), run(PrepareStage()).policy).policy)


def harvested(
    run: RunDirectory, recipe: Recipe, program: Program = harvest_only, sampler: FakeSampler | None = None
) -> HarvestResult:
    fakes = fake_engines(sampler=sampler or FakeSampler(varied))
    run_program(recipe, run, display(), program, make_engines=fakes)
    return next(one for one in results_of(run.path) if isinstance(one, HarvestResult))


@pytest.mark.parametrize(
    ("samples", "filters"),
    [
        (12, ()),
        (28, ()),
        (28, ("harvest.max_over_median=2", "harvest.max_over_shortest=3", "harvest.max_similarity=0.97")),
    ],
)
def test_fewer_samples_keep_the_same_rows(
    new_run: Callable[[str], RunDirectory], samples: int, filters: tuple[str, ...]
) -> None:
    """The first right ones of all samples, whether all are drawn or a prompt stops once it has its rows."""
    first = [*FIRST, f"harvest.samples_per_prompt={samples}", *filters]
    fixed = recipe_of(*first, f"harvest.part_samples={samples}")
    parts = recipe_of(*first, "harvest.part_samples=4")
    whole, fewer = harvested(new_run("whole"), fixed), harvested(new_run("fewer"), parts)
    assert whole.rows is not None and fewer.rows is not None
    assert pq.read_table(whole.rows).equals(pq.read_table(fewer.rows)) and whole.num_kept > whole.num_hard
    share = fewer.num_rollouts / fewer.num_of_fixed
    print(f"{share:.0%} of {fewer.num_of_fixed} samples for the same {fewer.num_kept} rows")
    assert share <= 0.6 and fewer.num_hopeless == 0


def test_rows_pass_their_own_judges_again(new_run: Callable[[str], RunDirectory]) -> None:
    result = harvested(new_run("run"), recipe_of("harvest.num_prompts=40"))
    assert result.rows is not None
    rows = load_sft_rows(result.rows)
    assert len(rows) == result.num_kept > 20
    for row in rows:
        prompt = row.prompt
        assert prompt.verifier is not None
        verifier = load_verifier(prompt.verifier, prompt.verifier_options)
        assert verifier.judge(prompt.reference, split_response(row.response).answer).score == 1.0
        assert (row.round, row.policy_version) == (0, 0) and str(row.rollout_id).startswith("01-harvest-r0-")
        assert row.verdict is not None and row.verdict["score"] == 1.0


def test_hard_prompts_come_from_what_rl_has_sampled(new_run: Callable[[str], RunDirectory]) -> None:
    """RL's prompts are not probed; where too few were sampled, the others are. A kill changes nothing."""
    rl = ["rl.steps=2", "rl.prompts_per_step=8", "rl.samples_per_prompt=6", "rl.num_mini_batches=1"]
    parts = ["harvest.part_samples=4", "harvest.samples_per_prompt=12", "harvest.num_prompts=24"]
    recipe = recipe_of(*FIRST, *rl, "harvest.probe=store", *parts)
    whole, cut, sampler = new_run("whole"), new_run("cut"), FakeSampler(varied)
    result = harvested(whole, recipe, after_rl, sampler)
    log = pq.read_table(whole.path / "rollouts" / "01-rl-r0").to_pylist()
    trained = {row["prompt_id"] for row in log}
    probed = next(ids for plan, ids in sampler.asked if "harvest" in plan.stage and plan.step == 0)
    assert len(trained) == 16 and not trained & set(probed)
    assert (result.num_prompts_sampled, result.num_known) == (24, 16) and len(probed) == 8
    rates = {one: [row["reward"] for row in log if row["prompt_id"] == one] for one in trained}
    hard = {name for name, rewards in rates.items() if 0 < sum(rewards) / len(rewards) <= 0.75}
    more = {row["prompt_id"] for row in pq.read_table(whole.path / "rollouts" / "02-harvest-r0").to_pylist()}
    assert hard and more & trained == hard
    for lives in (1, 3):
        with pytest.raises(Killed):
            harvested(cut, recipe, after_rl, MortalSampler(lives))
    again = harvested(cut, recipe, after_rl)
    assert again.rows is not None and result.rows is not None
    assert again.rows.read_bytes() == result.rows.read_bytes() and again.num_rollouts == result.num_rollouts


@pytest.mark.parametrize("probe", ["sample", "store"])
def test_what_the_later_sft_is_validated_on_is_not_tried(
    new_run: Callable[[str], RunDirectory], probe: str
) -> None:
    """Neither a prompt of the slice nor its question under another judge, also where RL has just sampled it."""
    run, sampler = new_run("run"), FakeSampler(varied)
    rl = ["rl.steps=2", "rl.prompts_per_step=20", "rl.samples_per_prompt=6", "rl.num_mini_batches=1"]
    recipe = recipe_of(
        *FIRST,
        *rl,
        "harvest.samples_per_prompt=8",
        f"harvest.probe={probe}",
        "sft.later_validation_prompts=6",
    )
    result = harvested(run, recipe, after_rl, sampler)
    train = prepared_data(results_of(run.path)[0], run.path).train
    kept_apart = {one.prompt_id for one in validation_prompts(train, recipe)}
    trained, tried = (
        {one for plan, ids in sampler.asked if (kind in plan.stage) for one in ids}
        for kind in ("-rl-", "harvest")
    )
    assert len(kept_apart) == 6 and kept_apart <= trained and tried and not kept_apart & tried
    assert result.num_prompts_sampled == 34 and result.rows is not None
    assert not kept_apart & {row.prompt.prompt_id for row in load_sft_rows(result.rows)}
    twin = replace(train[0], verifier=None, prompt_id="twin")
    assert twin.question_id == train[0].question_id
    assert not not_validated_on([train[0], twin], recipe_of("sft.later_validation_prompts=1"))


def test_a_harvest_with_nothing_left_to_try_says_so(new_run: Callable[[str], RunDirectory]) -> None:
    result = harvested(new_run("run"), recipe_of("sft.later_validation_prompts=40"))
    assert result.rows is None and result.num_rollouts == 0
    assert "sft.later_validation_prompts takes them all" in result.warnings[0]


def test_a_person_may_check_what_was_kept_and_dropped(new_run: Callable[[str], RunDirectory]) -> None:
    run = new_run("run")
    result = harvested(run, recipe_of("harvest.num_prompts=40", "harvest.spot_check_rows=12"))
    assert f"stages/{result.stage}/harvest_spot_check.jsonl</code>" in render_report(RunRecord.open(run.path))
    assert result.spot_check is not None and result.rows is not None
    rows = [json.loads(line) for line in result.spot_check.read_text().splitlines()]
    kept, dropped = ([row for row in rows if row["kept"] is which] for which in (True, False))
    assert len(kept) == len(dropped) == 12 and not any(row["reason"] for row in kept)
    named = {reason for reason, count in result.dropped.items() if count}
    assert {row["reason"] for row in dropped} == {*named, "not right"} and {"repetition", "template"} <= named
    learnt = {row.rollout_id for row in load_sft_rows(result.rows)}
    assert {row["rollout_id"] for row in kept} <= learnt
    assert not {row["rollout_id"] for row in dropped} & learnt
    assert all(row["question"] and row["reference"] and row["judge"] for row in rows)


def test_parts_need_an_order_that_later_samples_do_not_change() -> None:
    with pytest.raises(
        BadInput, match=r"harvest.part_samples needs harvest.keep=first: the shortest are not known"
    ):
        recipe_of("harvest.part_samples=4")


class OnlyProbed(FakeSampler):
    """Right now and then while it is probed, and never again."""

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        self.respond = half_right if plan.step == 0 else lambda prompt, seed: "<think>hm</think>nothing"
        return super().sample(prompts, plan)


def test_a_hopeless_prompt_is_given_up(new_run: Callable[[str], RunDirectory]) -> None:
    """Once it is surely solved under 10%: its rows are those that all samples would have left."""
    recipe = recipe_of(
        *FIRST, "harvest.samples_per_prompt=80", "harvest.part_samples=10", "harvest.max_per_prompt=4"
    )
    result = harvested(new_run("run"), recipe, sampler=OnlyProbed())
    assert result.num_hopeless > 0 and result.num_rollouts < result.num_of_fixed
    assert result.rows is not None
    fixed = recipe_of(*FIRST, "harvest.samples_per_prompt=1", "harvest.max_per_prompt=4")
    probed = harvested(new_run("probed"), fixed, sampler=OnlyProbed())
    assert probed.rows is not None and pq.read_table(result.rows).equals(pq.read_table(probed.rows))


def test_what_a_reward_model_accepted_carries_its_score(
    prompt: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    one = judged(prompt("a", verifier=None, kind="general"), 3, 0.9)
    score = Score.scored(0.9, parts={"as_first": 0.8, "as_second": 1.0})
    found = candidate_of(replace(one, reward=Reward(0.9, None, {}, score)))
    assert found.verdict["probability"] == 0.9 and "seconds" not in found.verdict and found.index == 3
