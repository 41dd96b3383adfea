"""Profiles on fake engines: which samples are drawn, what is logged, kills, pictures that are not shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recipes.programs.profile_prompts import program
from recipes.settings.recipe_file import dump_recipe, load_recipe
from rl.fakes import FakeJudge, FakeSampler, fake_engines
from rl.program import PrepareStage, run_program
from rl.recipe.profile_config import ProfileConfig
from rl.recipe.recipe import ProfileRecipe
from rl.run.progress import ProgressDisplay
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import CaptionResult, ProfileResult
from rl.run.run_directory import RunDirectory
from rl.run.run_history import store_part
from rl.runner import StageRunner
from sampler.data.prompt_dataset import load_prompts, save_prompts
from sampler.prompt import Prompt
from sampler.rollout import RolloutGroup, SamplingPlan
from sampler.store.belief import believed
from sampler.store.prompt_store import PromptStore
from sampler.store.stopping_rule import StoppingRule
from verifiers.errors import BadInput, HoneError

DATA = Path(__file__).parents[4] / "data"
# By place in the set modulo 5: never, seldom, half, mostly, always right.
RATES = (0.0, 0.15, 0.5, 0.9, 1.0)
NUM_PROMPTS = 30


def display() -> ProgressDisplay:
    return ProgressDisplay(Console(quiet=True), live=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a tiny policy and a prompt set of 30, made once."""
    path = tmp_path_factory.mktemp("prepared") / "run"
    recipe = load_recipe(str(DATA / "tiny_program.yaml"))
    with StageRunner(recipe, RunDirectory(path), display(), make_engines=fake_engines()) as run:
        run(PrepareStage())
    found = load_prompts(path / "stages" / "00-prepare" / "data" / "train.parquet")
    save_prompts(path / "set.parquet", found[:NUM_PROMPTS])
    return path


@pytest.fixture
def recipe(prepared: Path, tmp_path: Path) -> Callable[..., ProfileRecipe]:
    def make(name: str = "profile", **config: Any) -> ProfileRecipe:
        return ProfileRecipe.of(
            load_recipe(str(DATA / "tiny_program.yaml"), ["rl.max_response_tokens=40"]),
            ProfileConfig(**{"shard_prompts": 7, **config}),
            prompts=str(prepared / "set.parquet"),
            policy=str(prepared / "stages" / "00-prepare" / "policy"),
            run_dir=str(tmp_path / name),
            reward_model=None,
        )

    return make


class RatedSampler(FakeSampler):
    """Right as often as ``RATES`` says; ``lives`` calls, then it is killed."""

    def __init__(self, prompts: Sequence[Prompt], lives: int = 10**6) -> None:
        rates = {prompt.prompt_id: RATES[place % 5] for place, prompt in enumerate(prompts)}
        super().__init__(
            lambda prompt, seed: (
                f"<think>{seed % 7}</think>"
                + (prompt.reference_text if seed % 1000 < 1000 * rates[prompt.prompt_id] else "no")
            )
        )
        self.lives = lives
        self.shown: list[Prompt] = []

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        self.lives -= 1
        if not self.lives:
            raise Killed
        self.shown += prompts
        return super().sample(prompts, plan)


class Killed(BaseException):
    """As a kill: nothing between handles it."""


def prompts_of(recipe: ProfileRecipe) -> list[Prompt]:
    return load_prompts(str(recipe.data.train_prompts))


def profiled(recipe: ProfileRecipe, sampler: FakeSampler | None = None, **fakes: Any) -> ProfileResult:
    run = RunDirectory(Path(recipe.run_dir))
    sampler = sampler or RatedSampler(prompts_of(recipe))
    run_program(recipe, run, display(), program, make_engines=fake_engines(sampler=sampler, **fakes))
    return next(one for one in results_of(run.path) if isinstance(one, ProfileResult))


def logged(recipe: ProfileRecipe) -> list[dict[str, Any]]:
    shards = sorted(Path(recipe.run_dir).glob("rollouts/*/step-*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def test_fewer_samples_decide_as_all_do(recipe: Callable[..., ProfileRecipe]) -> None:
    """What is drawn are the first of the samples that sampling to the end draws: the same answers by the same ids."""
    early, late = recipe("early", samples=16), recipe("late", samples=16, pass_samples=16)
    result, whole = profiled(early), profiled(late)
    assert whole.num_rollouts == whole.num_of_fixed == result.num_of_fixed == 16 * NUM_PROMPTS
    assert result.num_rollouts <= 0.6 * whole.num_rollouts
    rows, others = (
        {row["prompt_id"]: row for row in pq.read_table(one.prompts).to_pylist()} for one in (result, whole)
    )
    same = [rows[name]["decision"] == others[name]["decision"] for name in rows]
    assert len(same) == NUM_PROMPTS and sum(same) >= 0.9 * NUM_PROMPTS  # some are at the bounds
    answers = {row["rollout_id"]: row["answer"] for row in logged(late)}
    for row in logged(early):
        assert answers[row["rollout_id"]] == row["answer"] and row["blind"] is False
    assert sum(result.decisions.values()) == NUM_PROMPTS and result.decisions["inside"] > 0


def test_the_store_opens_it(recipe: Callable[..., ProfileRecipe]) -> None:
    settings = recipe()
    result = profiled(settings)
    rows = {row["prompt_id"]: row for row in pq.read_table(result.prompts).to_pylist()}
    with PromptStore([store_part(Path(settings.run_dir))]) as store:
        beliefs = believed(store, "profile").to_pylist()
        assert store.query("SELECT count(*) AS num FROM prompts WHERE split = 'train'").to_pylist() == [
            {"num": NUM_PROMPTS}
        ]
    assert len(beliefs) == NUM_PROMPTS
    for one in beliefs:
        row = rows[one["prompt_id"]]
        assert (one["n"], one["num_right"], one["standing"]) == (row["n"], row["num_right"], row["standing"])
        assert one["mean"] == pytest.approx(row["mean"]) and one["spread"] == pytest.approx(row["spread"])


@pytest.mark.parametrize("lives", [1, 2, 5, 8])
def test_a_profile_that_is_killed_goes_on_to_the_same_end(
    recipe: Callable[..., ProfileRecipe], lives: int
) -> None:
    whole, cut = recipe("whole"), recipe("cut")
    result = profiled(whole)
    mortal = RatedSampler(prompts_of(cut), lives)
    with pytest.raises(Killed):
        profiled(cut, mortal)
    torn = Path(cut.run_dir) / "rollouts" / "01-profile-r0" / ".step-00003.parquet.9.tmp"
    torn.parent.mkdir(parents=True, exist_ok=True)
    torn.write_text("half")
    sampler = RatedSampler(prompts_of(cut))
    again = profiled(cut, sampler)
    assert again.model_copy(update={"prompts": None}) == result.model_copy(update={"prompts": None})
    assert pq.read_table(again.prompts).equals(pq.read_table(result.prompts))
    untimed = [{k: v for k, v in row.items() if not k.endswith("_s")} for row in logged(whole)]
    assert [{k: v for k, v in row.items() if not k.endswith("_s")} for row in logged(cut)] == untimed
    assert len(mortal.asked) + len(sampler.asked) == len(
        list(Path(whole.run_dir).glob("rollouts/*/*.parquet"))
    )
    assert not torn.exists()


def test_blind_shows_no_picture_and_judges_the_same(recipe: Callable[..., ProfileRecipe]) -> None:
    settings = recipe(shown=("blind",))
    sampler = RatedSampler(prompts_of(settings))
    result = profiled(settings, sampler)
    assert sampler.shown and not any(prompt.vision_inputs for prompt in sampler.shown)
    assert all(part["type"] == "text" for one in sampler.shown for part in one.messages[-1]["content"])
    assert all(row["blind"] and row["stage"] == "01-profile-blind-r0" for row in logged(settings))
    sighted = profiled(recipe("sighted"))
    ids = [pq.read_table(one.prompts)["prompt_id"].to_pylist() for one in (result, sighted)]
    assert ids[0] == ids[1] and result.num_not_asked == 0 and result.decisions["inside"]


def test_answers_without_a_form_are_counted(recipe: Callable[..., ProfileRecipe]) -> None:
    result = profiled(
        recipe(), FakeSampler(lambda prompt, seed: prompt.reference_text)
    )  # right, but no thought
    assert result.num_unreadable == result.num_rollouts > 0 and result.mostly_unreadable


def test_a_finished_profile_may_be_asked_blind_as_well(recipe: Callable[..., ProfileRecipe]) -> None:
    """Only that stage is sampled; another number of samples is another run."""
    first, more = recipe(), recipe(shown=("whole", "blind"))
    for settings in (first, more):
        run = RunDirectory(Path(settings.run_dir))
        run.open(dump_recipe(settings))
        sampler = RatedSampler(prompts_of(settings))
        run_program(settings, run, display(), program, make_engines=fake_engines(sampler=sampler))
        run.close()
    assert {plan.stage for plan, _ in sampler.asked} == {"02-profile-blind-r0"}
    with PromptStore([store_part(Path(first.run_dir))]) as store:
        whole, blind = (believed(store, "profile", blind=which) for which in (False, True))
    assert whole.num_rows == blind.num_rows == NUM_PROMPTS and whole["n"] != blind["n"]
    with pytest.raises(BadInput, match=r"profile\.samples was 16 and is now 8"):
        RunDirectory(Path(first.run_dir)).open(dump_recipe(recipe(samples=8)))


class Describing(RatedSampler):
    def _rollout(self, prompt: Prompt, plan: SamplingPlan, index: int) -> Any:
        if "Describe" in prompt.text:
            self.answers = {prompt.prompt_id: f"<think>I look.</think>three digits, {prompt.prompt_id}"}
        else:
            self.answers = {}
        return super()._rollout(prompt, plan, index)


def test_the_policy_writes_captions_and_is_asked_with_them(recipe: Callable[..., ProfileRecipe]) -> None:
    settings = recipe(shown=("caption",), caption_tokens=60)
    sampler = Describing(prompts_of(settings))
    with pytest.raises(Killed):
        sampler.lives = 3
        profiled(settings, sampler)
    sampler.lives = 10**6
    profiled(settings, sampler)
    captions = next(one for one in results_of(Path(settings.run_dir)) if isinstance(one, CaptionResult))
    assert captions.num_captions == NUM_PROMPTS and captions.num_cut == 0
    asked_again = [prompt for prompt in sampler.shown if not prompt.vision_inputs]
    assert asked_again
    for prompt in asked_again:
        assert f"[What is shown here: three digits, {prompt.prompt_id}]" in prompt.text


class Undecided(FakeJudge):
    """Comes to no decision on a third of the prompts."""

    one_in = 3

    def judge(self, groups: Any) -> Any:
        batch = super().judge(groups)
        for one in batch.rollouts:
            if int(one.prompt.prompt_id, 16) % self.one_in == 0:
                object.__setattr__(one.reward, "value", None)
        return batch


def test_too_many_without_a_decision_stop_it(recipe: Callable[..., ProfileRecipe]) -> None:
    with pytest.raises(HoneError, match=r"could not be judged, more than judging.max_unjudged_frac"):
        profiled(recipe(), judge=Undecided())
    result = profiled(recipe("lenient"), judge=Undecided(max_unjudged_frac=0.9))
    assert result.num_unjudged > 0 and result.decisions["undecided"] > 0
    rule = StoppingRule(16)
    assert rule.band == result.band


def test_what_an_earlier_process_could_not_judge_counts(recipe: Callable[..., ProfileRecipe]) -> None:
    """And the shard that is too much is not logged: when the judge answers again it is sampled again."""
    settings = recipe(pass_samples=4)
    mute = Undecided(max_unjudged_frac=1.0)
    mute.one_in = 1
    with pytest.raises(Killed):
        profiled(settings, RatedSampler(prompts_of(settings), lives=3), judge=mute)
    for _ in range(2):
        with pytest.raises(HoneError, match=r"56 of 84 rollouts could not be judged, more than .*=0.5$"):
            profiled(settings, judge=FakeJudge(max_unjudged_frac=0.5))
    assert profiled(settings, judge=FakeJudge(max_unjudged_frac=0.7)).num_unjudged == 56
