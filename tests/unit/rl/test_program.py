"""Programs on fake engines: the order of stages, the dry run against the run, stops, kills; all in milliseconds."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recipes.programs import next_round, reward_model_only, reward_model_then_ppo, rl_only, sft_only
from recipes.programs.evaluate_policies import evaluate_policies
from recipes.settings.recipe_file import load_recipe
from rl.fakes import FakeEngines, FakeSampler, FakeScorer, FakeTrainer, fake_engines, half_right
from rl.program import Program, Runner, program_of, rounds, run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.provenance import content_hash
from rl.run.results.evaluation_result import EvaluationResult
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import HarvestResult, RewardModelResult, SftResult
from rl.run.run_directory import RunDirectory
from rl.run.run_history import RunPast
from rl.runner import StageRunner, plan_of
from rl.stages.evaluate import EvaluateStage
from rl.stages.prepare import PrepareStage, prepared_data
from rl.stages.rl import RlStage
from rl.stages.supervised.reward_model import RewardStage
from rl.stages.supervised.sft import SftStage
from sampler.prompt import Prompt
from sampler.store.decisions.event_log import EventLog
from verifiers.errors import BadInput, HoneError

DATA = Path(__file__).parents[2] / "data"
TRAINING = "judging.reward_model.training"
HYBRID = [
    "judging.reward_model.training.data.builder=recipes.digits.preferences:build_preferences",
    "judging.reward_model.training.data.builder_options={num_train_prompts: 8, num_heldout_prompts: 4}",
    "judging.reward_model.training.batch_size=8",
    "judging.reward_model.sampler.max_model_len=256",
    "rl.advantage=decoupled_gae",
    "critic.pretrain_steps=2",
    "critic.settle_window=0",
]


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe(str(DATA / "tiny_program.yaml"), overrides)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which data are prepared, reward data among them: the tiny checkpoint is made once."""
    path = tmp_path_factory.mktemp("prepared") / "run"
    with StageRunner(recipe_of(*HYBRID), RunDirectory(path), display(), make_engines=fake_engines()) as run:
        run(PrepareStage())
    return path


@pytest.fixture
def new_run(prepared: Path, tmp_path: Path) -> Callable[..., RunDirectory]:
    def make(name: str = "run") -> RunDirectory:
        shutil.copytree(prepared, tmp_path / name)
        return RunDirectory(tmp_path / name)

    return make


def display() -> ProgressDisplay:
    return ProgressDisplay(Console(quiet=True), live=False)


def run_whole(recipe: Recipe, run: RunDirectory, program: Program = rounds, **fakes: Any) -> list[str]:
    """The names of the stages it left."""
    run_program(recipe, run, display(), program, make_engines=fake_engines(**fakes))
    return [result.stage for result in results_of(run.path)]


WHOLE = [
    "00-prepare", "01-evaluate-r0", "02-sft-r0", "03-evaluate-r0", "04-rl-r0", "05-evaluate-r0", "06-harvest-r0",
    "07-sft-r1", "08-evaluate-r1", "09-rl-r1", "10-evaluate-r1",
]  # fmt: skip
HYBRID_WHOLE = [
    "00-prepare", "01-evaluate-r0", "02-sft-r0", "03-reward-model-r0", "04-evaluate-r0", "05-critic-r0", "06-rl-r0",
    "07-evaluate-r0",
]  # fmt: skip
EASY = [
    "harvest.max_pass_frac=1.0", "harvest.max_response_tokens=40", "rl.max_response_tokens=40",
    "rl.prompts_per_step=4", "rl.num_mini_batches=2",
]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "overrides", "stages"),
    [
        (rounds, EASY, WHOLE),
        (rounds, [*EASY, *HYBRID, "program.rounds=1"], HYBRID_WHOLE),
        (sft_only.program, [], ["00-prepare", "01-sft-r0", "02-evaluate-r0"]),
        (rl_only.program, EASY, ["00-prepare", "01-evaluate-r0", "02-rl-r0", "03-evaluate-r0"]),
        (next_round.program, EASY, ["00-prepare", "01-evaluate-r0", "02-rl-r1", "03-evaluate-r1"]),
        (
            reward_model_then_ppo.program,
            [*EASY, *HYBRID],
            [
                "00-prepare",
                "01-reward-model-r0",
                "02-evaluate-r0",
                "03-critic-r0",
                "04-rl-r0",
                "05-evaluate-r0",
            ],
        ),
        (reward_model_only.program, HYBRID, ["00-prepare", "01-reward-model-r0"]),
    ],
)
def test_a_dry_run_names_the_stages_of_the_run(
    new_run: Callable[..., RunDirectory], program: Program, overrides: list[str], stages: list[str]
) -> None:
    recipe, run = recipe_of(*overrides), new_run()
    plan = plan_of(program, recipe, run)
    assert [stage.name for stage in plan] == stages
    assert [stage.is_done for stage in plan] == [True] + [False] * (len(stages) - 1)
    assert sorted(path.name for path in run.path.glob("stages/*")) == ["00-prepare"]  # it writes nothing
    assert run_whole(recipe, run, program) == stages
    assert all(stage.is_done for stage in plan_of(program, recipe, run))
    assert [
        json.loads((run.path / "stages" / name / "manifest.json").read_text())["title"] for name in stages
    ] == [stage.title for stage in plan]


def test_results_are_handed_on(new_run: Callable[..., RunDirectory]) -> None:
    recipe, run = recipe_of(*EASY), new_run()
    run_whole(recipe, run)
    results = results_of(run.path)
    manifests = {one["stage"]: one for one in run.manifests()}
    harvest, later_sft = results[6], results[7]
    assert isinstance(harvest, HarvestResult) and isinstance(later_sft, SftResult)
    assert harvest.num_kept == later_sft.num_rows["harvest"] > 0
    assert manifests["07-sft-r1"]["inputs"]["harvests"] == ["06-harvest-r0"]
    assert manifests["09-rl-r1"]["inputs"]["policy"] == manifests["07-sft-r1"]["result"]["policy"]
    opponents = [one["inputs"]["opponent"] for one in manifests.values() if one["kind"] == "evaluate"]
    assert opponents == [None, "01-evaluate-r0", "03-evaluate-r0", "05-evaluate-r0", "05-evaluate-r0"]
    versions = [one["result"]["policy"]["version"] for one in manifests.values() if "policy" in one["result"]]
    assert versions == [0, 1, 6, 7, 12]
    assert (run.path / "policy").resolve() == run.path / "stages" / "09-rl-r1" / "policy"


def test_a_round_that_gains_too_little_is_the_last(new_run: Callable[..., RunDirectory]) -> None:
    run, terminal = new_run(), io.StringIO()
    with ProgressDisplay(Console(file=terminal, width=300), live=False) as shown:
        run_program(recipe_of(*EASY, "program.min_gain=0.9"), run, shown, make_engines=fake_engines())
    stages = [result.stage for result in results_of(run.path)]
    assert stages == WHOLE[:6]
    assert not (run.path / "policy").exists()
    assert "under program.min_gain: stopping; no policy is released" in terminal.getvalue()
    assert [one.name for one in plan_of(rounds, recipe_of(*EASY, "program.min_gain=0.9"), run)] == stages


@pytest.mark.parametrize(("min_gain", "released"), [(-1.0, "09-rl-r1"), (0.0, "04-rl-r0")])
def test_a_round_that_is_not_the_best_is_released_only_where_no_gain_is_asked_for(
    new_run: Callable[..., RunDirectory], min_gain: float, released: str
) -> None:
    """The first round answers all, the second half: too few prompts for an interval, so no round ends the program."""

    def best_after_the_first_round(prompt: Prompt, seed: int) -> str:
        return half_right(prompt, 1 if sampler.policy_version == 6 else seed)

    run, sampler = new_run(), FakeSampler(best_after_the_first_round)
    recipe = recipe_of(*EASY, "evaluation.num_prompts=4", f"program.min_gain={min_gain}")
    assert run_whole(recipe, run, sampler=sampler) == WHOLE
    assert (run.path / "policy").resolve().parent.name == released
    *_, last = (one for one in results_of(run.path) if isinstance(one, EvaluationResult))
    assert "03-evaluate-r0" in last.changes  # the cold start's, from which a report tells the gain


@pytest.mark.parametrize(("min_gain", "released"), [(-1.0, True), (0.0, False)])
def test_a_next_round_that_gains_nothing(
    new_run: Callable[..., RunDirectory], min_gain: float, released: bool
) -> None:
    run, sampler = new_run(), FakeSampler(lambda prompt, seed: "<think>1</think>no")
    run_whole(recipe_of(*EASY, f"program.min_gain={min_gain}"), run, next_round.program, sampler=sampler)
    assert (run.path / "policy").exists() == released


@pytest.mark.parametrize(("min_gain", "released"), [(-1.0, True), (0.9, False)])
def test_a_next_round_trains_at_the_later_rate_and_releases_no_loss(
    new_run: Callable[..., RunDirectory], min_gain: float, released: bool
) -> None:
    run, trainer = new_run(), FakeTrainer()
    recipe = recipe_of(*EASY, f"program.min_gain={min_gain}", "rl.schedule.min_lr=1e-6", "rl.later_lr=1e-5")
    run_whole(recipe, run, next_round.program, trainer=trainer)
    assert (run.path / "policy").exists() == released
    rates = [record["train/lr"] for record in run.metrics.of_stage("02-rl-r1")]
    assert max(rates) <= 1e-5


def test_the_pool_is_exhausted_when_no_prompt_is_hard(new_run: Callable[..., RunDirectory]) -> None:
    recipe, run = recipe_of(*EASY, "harvest.max_pass_frac=0.0"), new_run()
    assert run_whole(recipe, run) == WHOLE[:7]
    assert [stage.name for stage in plan_of(rounds, recipe, run)] == WHOLE[:7]  # what is done is known


VAIN = {
    "every response is cut at rl.max_response_tokens=24": lambda prompt, seed: "<think>" + "1+" * 20,
    "nothing can be learnt: the responses to a prompt have one and the same reward (0.00 in the mean)": (
        lambda prompt, seed: "<think>1</think>no"
    ),
}


@pytest.mark.parametrize("words", VAIN)
def test_a_stage_that_is_in_vain_says_so(new_run: Callable[..., RunDirectory], words: str) -> None:
    """At its first step, with its mark, and in the report; the harvest says why it has no rows."""
    from recipes.report.page import render_report
    from rl.run.run_record import RunRecord

    run, terminal = new_run(), io.StringIO()
    with ProgressDisplay(Console(file=terminal, width=300), live=False) as shown:
        recipe = recipe_of("rl.max_response_tokens=24", "evaluation.num_prompts=4")
        run_program(recipe, run, shown, make_engines=fake_engines(sampler=FakeSampler(VAIN[words])))
    text = terminal.getvalue()
    told = f"\n! 5/11 round 0 · RL: {words}"
    assert text.count(told) == 1 and text.index(told) < text.index("\n! 5/11 round 0 · RL  ")
    assert "no prompt is hard by harvest.min_pass_frac and max_pass_frac: 0 of 64 responses" in text
    page = render_report(RunRecord.open(run.path))
    assert page.count(f"<b>Warning.</b> round 0 · RL: {words}") == 1


def test_a_stage_in_which_one_group_teaches_is_not_in_vain(new_run: Callable[..., RunDirectory]) -> None:
    run = new_run()
    run_whole(recipe_of(*EASY), run)
    assert [(result.stage, result.warnings) for result in results_of(run.path) if result.warnings] == []


def test_without_rows_there_is_nothing_to_fine_tune_on(new_run: Callable[..., RunDirectory]) -> None:
    run = new_run()
    manifest = run.path / "stages" / "00-prepare" / "manifest.json"
    changed = json.loads(manifest.read_text())
    del changed["result"]["paths"]["cold_start"]
    changed["result"]["num_cold_start_rows"] = 0
    manifest.write_text(json.dumps(changed))
    assert run_whole(recipe_of(*EASY, "program.rounds=1"), run) == [
        "00-prepare", "01-evaluate-r0", "02-rl-r0", "03-evaluate-r0",
    ]  # fmt: skip


def test_an_sft_that_nobody_gives_rows_is_told_by_the_plan(tmp_path: Path) -> None:
    recipe = recipe_of("data={builder: null, train_prompts: train.jsonl, heldout_prompts: heldout.jsonl}")
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(BadInput, match=r"round 0 · SFT has no rows to learn from: name data\.cold_start"):
        plan_of(lambda step: step(SftStage(), step(PrepareStage()).policy), recipe, run)


class Killed(BaseException):
    """As a kill: nothing between handles it."""


class MortalTrainer(FakeTrainer):
    """Is killed in its so many-th optimizer step."""

    def __init__(self, lives: int) -> None:
        super().__init__()
        self.lives = lives

    def step(self, *arguments: Any) -> Any:
        self.lives -= 1
        if not self.lives:
            raise Killed
        return super().step(*arguments)


def weights_and_figures(run: Path) -> dict[str, Any]:
    """What a run computed, without what a clock had a hand in."""
    files = [*run.glob("stages/*/policy/model.safetensors"), *run.glob("stages/*/critic/model.safetensors")]
    found: dict[str, Any] = {str(file.relative_to(run)): content_hash(file) for file in files}
    for result in results_of(run):
        found[result.stage] = repr(result.model_copy(update={"tokens_per_s": 0.0})).replace(str(run), "RUN")
    return found


@pytest.mark.parametrize("lives", [1, 4, 8, 12, 20, 26])
def test_a_run_that_is_killed_and_resumed_is_the_run_that_was_not(
    new_run: Callable[..., RunDirectory], lives: int, tmp_path: Path
) -> None:
    recipe = recipe_of(*EASY, *HYBRID, "rl.checkpoint_every_steps=2", "sft.checkpoint_every_steps=10")
    whole, cut = new_run("whole"), new_run("cut")
    run_whole(recipe, whole)
    with pytest.raises(Killed):
        run_whole(recipe, cut, trainer=MortalTrainer(lives))
    if lives % 8 == 4:  # and moved
        cut = RunDirectory(cut.path.rename(tmp_path / "moved"))
    run_whole(recipe, cut)
    assert weights_and_figures(cut.path) == weights_and_figures(whole.path)
    links = [link for link in cut.path.iterdir() if link.is_symlink()]
    assert len(links) == 2 and all(link.resolve().is_relative_to(cut.path) for link in links)


CHECKPOINTS = [
    "rl.checkpoint_every_steps=1", "sft.checkpoint_every_steps=1",
    f"{TRAINING}.checkpoint_every_steps=1", "program.rounds=1",
]  # fmt: skip


def die(*_: Any) -> NoReturn:
    raise Killed


@pytest.mark.parametrize("stage", ["02-sft-r0", "03-reward-model-r0", "05-critic-r0", "06-rl-r0"])
def test_a_stage_killed_before_its_manifest_takes_no_step_again(
    new_run: Callable[..., RunDirectory], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing what a large model left takes minutes. After it no checkpoint is left, and none is listed."""
    recipe, run = recipe_of(*EASY, *HYBRID, *CHECKPOINTS), new_run()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killing = lambda file: die() if stage in str(file) else content_hash(file)  # noqa: E731
        patch.setattr("rl.run.stage_directory.content_hash", killing)
        run_whole(recipe, run)
    with suppress(Killed):  # by the first step of the next stage that takes one
        run_whole(recipe, run, trainer=MortalTrainer(1))
    outputs = next(one["outputs"] for one in run.manifests() if one["stage"] == stage)
    assert outputs and not [file for file in outputs if "checkpoint-" in file or "cursor" in file]
    (run.path / "stages" / stage / "cursor.json").touch()  # as a kill just after the manifest would leave it
    run_whole(recipe, run)
    assert not [*run.path.glob("stages/*/checkpoint-*"), *run.path.glob("stages/*/cursor.json")]


def test_a_reward_model_that_cannot_be_served_is_not_trained_again(
    new_run: Callable[..., RunDirectory],
) -> None:
    recipe, run = recipe_of(*EASY, *HYBRID, *CHECKPOINTS), new_run()
    with pytest.raises(Killed):
        run_whole(recipe, run, reward_model_only.program, scorer=FakeScorer(die))
    names = run_whole(recipe, run, reward_model_only.program, trainer=MortalTrainer(1))
    assert names == ["00-prepare", "01-reward-model-r0"]


def test_a_prompt_source_that_remembers_goes_on_after_a_kill(
    new_run: Callable[..., RunDirectory],
) -> None:
    """Its second RL stage begins from what the first one and the evaluations saw; the log keeps tokens."""
    options = ["rl.prompt_source=posterior", "rl.prompt_source_options={target: 0.6, target_end: 0.4}"]
    recipe = recipe_of(*EASY, *options, "rl.log_tokens=true", "rl.checkpoint_every_steps=2")
    whole, cut = new_run("whole"), new_run("cut")
    assert "prompts by posterior (target=0.6, target_end=0.4)" in plan_of(rounds, recipe, whole)[4].work
    assert run_whole(recipe, whole) == WHOLE
    for lives in (4, 9, 23):
        with pytest.raises(Killed):
            run_whole(recipe, cut, trainer=MortalTrainer(lives))
    run_whole(recipe, cut)
    assert weights_and_figures(cut.path) == weights_and_figures(whole.path)
    past = RunPast(whole.path, 7, 0.5).evidence(32.0)
    assert set(past) > {row["prompt_id"] for row in rows_of(whole.path, "04-rl-r0")}
    corrected = max(past, key=lambda name: past[name])
    EventLog.beside(whole.path).append(corrected, "correct", "no answer that is right", author="me")
    assert RunPast(whole.path, 7, 0.5).evidence(32.0) == past
    beside = RunPast(cut.path, 7, 0.5).evidence(32.0, [str(whole.path)])
    assert beside[corrected] == pytest.approx(past[corrected], abs=1e-5)  # by the run's own log alone
    EventLog.beside(whole.path).path.unlink()
    again = RunPast(whole.path, 7, 0.5).evidence(32.0, [str(cut.path)])
    for name, counts in past.items():
        assert again[name] == pytest.approx([2 * count for count in counts], abs=1e-5)
    first = rows_of(whole.path, "09-rl-r1")
    assert [row["rollout_id"] for row in first] == [
        row["rollout_id"] for row in rows_of(cut.path, "09-rl-r1")
    ]
    learnt = [row for row in first if row["reward_learnt"] is not None]
    assert learnt
    for row in learnt:
        columns = ("sample_logprobs", "trainer_logprobs", "entropies", "advantages", "response_token_ids")
        assert {len(row[name]) for name in columns} == {row["num_response_tokens"]}
        assert row["policy_versions"] == [
            {"version": row["policy_version"], "num_tokens": row["num_response_tokens"]}
        ]
        assert row["trainer_logprobs"] == row["sample_logprobs"] and len(set(row["advantages"])) == 1
    assert rows_of(whole.path, "05-evaluate-r0")[0]["sample_logprobs"] is None


def rows_of(run: Path, stage: str) -> list[dict[str, Any]]:
    files = sorted((run / "rollouts" / stage).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_only_what_is_needed_starts(new_run: Callable[..., RunDirectory]) -> None:
    """Evaluation starts no trainer; a run that is all done starts nothing; a program's engines start together."""
    recipe, run = recipe_of(*EASY), new_run()
    sampler, trainer = FakeSampler(), FakeTrainer()

    def evaluation_only(run: Runner) -> None:
        run(EvaluateStage(), run(PrepareStage()).policy)

    run_whole(recipe, run, evaluation_only, sampler=sampler, trainer=trainer)
    assert len(sampler.asked) == 1 and not trainer.calls
    run_whole(recipe, run, sft_only.program, sampler=sampler, trainer=trainer)
    # The sampler is there when the trainer is, for the evaluation that comes: a probe, a sync, a probe, the evaluation.
    stages = [plan.stage for plan, _ in sampler.asked[1:]]
    assert stages == ["probe", "probe", "02-evaluate-r0"]
    done = len(sampler.asked)
    run_whole(recipe, run, sft_only.program, sampler=sampler, trainer=trainer)
    assert len(sampler.asked) == done


def test_a_program_that_is_done_reads_no_data_and_makes_no_engines(
    new_run: Callable[..., RunDirectory],
) -> None:
    recipe, run = recipe_of(*EASY), new_run()
    names = run_whole(recipe, run)
    shutil.rmtree(run.path / "stages" / "00-prepare" / "data")

    def no_engines(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("nothing is left to do")

    summary = run_program(recipe, run, display(), make_engines=no_engines)
    assert summary["status"] == "complete" and [one.stage for one in results_of(run.path)] == names


def test_later_rounds_ask_the_policy_of_the_first_sft_what_rl_has_left(
    new_run: Callable[..., RunDirectory],
) -> None:
    asked: list[str] = []

    class Spy(FakeTrainer):
        def load_frozen(self, directories: Collection[str]) -> None:
            asked.extend(Path(one).parent.name for one in directories)

    three = ["sft.later_cold_start_min_ratio=0.2", "sft.start_from=previous", "program.rounds=3"]
    stages = run_whole(recipe_of(*EASY, *three), new_run(), trainer=Spy())
    assert [name for name in stages if "sft" in name] == ["02-sft-r0", "07-sft-r1", "12-sft-r2"]
    assert asked == ["02-sft-r0", "02-sft-r0"]


def train_alone(run: Runner) -> None:
    run(SftStage(), run(PrepareStage()).policy)


@pytest.mark.parametrize(("program", "warm"), [(rounds, True), (train_alone, False)])
def test_a_sampler_warms_up_while_the_data_is_prepared(tmp_path: Path, program: Program, warm: bool) -> None:
    """The engines that are asked to are those that the program then works with, from the policy that was made."""
    asked: list[tuple[FakeEngines, bool]] = []

    class Engines(FakeEngines):
        def warm_up(self, needs: Collection[str]) -> None:
            asked.append((self, "sampler" in needs))

    run = RunDirectory(tmp_path / "run")
    with StageRunner(
        recipe_of(*EASY), run, display(), plan=plan_of(program, recipe_of(*EASY), run), make_engines=Engines
    ) as runner:
        prepared = runner(PrepareStage())
        assert asked == [(runner.engines, warm)]
        assert runner.engines.base == prepared.policy and prepared.policy.hub.exists()
        assert runner.engines.probe == list(runner.data.heldout)


def test_a_sampler_alone_starts_anew_from_another_policy(
    new_run: Callable[..., RunDirectory], prepared: Path
) -> None:
    """Two policies get the same prompts and the same random numbers; the second's answers are its own."""
    recipe, run = recipe_of(*EASY), new_run()
    versions: list[int] = []

    class Spy(FakeSampler):
        def sample(self, prompts: Any, plan: Any) -> Any:
            versions.append(self.policy_version)
            return super().sample(prompts, plan)

    sampler, hub = Spy(), prepared / "stages" / "00-prepare" / "policy"
    with StageRunner(recipe, run, display(), make_engines=fake_engines(sampler=sampler)) as runner:
        base = results_of(run.path)[0].policy  # type: ignore[attr-defined]
        runner.begin(prepared_data(results_of(run.path)[0], run.path), base)  # type: ignore[arg-type]
        first, second = evaluate_policies(runner, [hub, hub])
    assert versions == [0, 1]
    assert (first.pass_at_1, first.stage, second.stage) == (
        second.pass_at_1,
        "01-evaluate-r0",
        "02-evaluate-r0",
    )
    assert sampler.asked[0][0] == sampler.asked[1][0]


def test_a_figure_may_decide_what_comes_next(new_run: Callable[..., RunDirectory]) -> None:
    """A program is plain Python."""

    def until_good(run: Runner) -> None:
        policy = run(PrepareStage()).policy
        while run(EvaluateStage(), policy).pass_at_1 < 0.9 and policy.version < 3:
            policy = run(SftStage(), policy).policy

    def better_every_time(prompt: Prompt, seed: int) -> str:
        return f"<think>1</think>{prompt.reference if seed % 4 < len(sampler.asked) / 4 else 'no'}"

    run = new_run()
    sampler = FakeSampler(better_every_time)
    run_whole(recipe_of(*EASY), run, until_good, sampler=sampler)
    kinds = [result.kind for result in results_of(run.path)]
    assert kinds[:3] == ["prepare", "evaluate", "sft"] and kinds[-1] == "evaluate"
    scores = [one.pass_at_1 for one in results_of(run.path) if isinstance(one, EvaluationResult)]
    assert scores == sorted(scores) and len(scores) > 2


def test_a_question_type_that_falls_is_warned_of(new_run: Callable[..., RunDirectory]) -> None:
    """From one policy to the next half right becomes all wrong: a line names the type, and the page shows it."""
    from recipes.report.page import render_report
    from rl.run.run_record import RunRecord

    def twice(run: Runner) -> None:
        policy = run(PrepareStage()).policy
        before = run(EvaluateStage(stream="same"), policy)
        run(EvaluateStage(after="rl", opponent=before, since=[before], stream="same"), policy)

    def forgets(prompt: Prompt, seed: int) -> str:
        return half_right(prompt, seed if len(sampler.asked) == 1 else 0)

    run, sampler = new_run(), FakeSampler(forgets)
    run_whole(recipe_of(*EASY), run, twice, sampler=sampler)
    first, second = (one for one in results_of(run.path) if isinstance(one, EvaluationResult))
    change = second.changes[first.stage]
    assert list(change.fell) == ["count"] and second.gain_over(first) == change.gain
    assert change.gain is not None and change.gain.mean == pytest.approx(-first.pass_at_1)
    words = change.fell["count"].in_points
    assert second.warnings == (f"count fell since 01-evaluate-r0: {words} points",)
    assert f'<td class="fell">{words}</td>' in render_report(RunRecord.open(run.path))


@pytest.mark.parametrize("stage", [SftStage, RlStage])
def test_a_critic_is_held_as_long_as_it_is_needed(new_run: Callable[..., RunDirectory], stage: Any) -> None:
    """A scalar reward model is made of one: what is trained next without a critic has none in its checkpoints."""

    def program(run: Runner) -> None:
        policy = run(PrepareStage()).policy
        run(RewardStage(), policy)
        run(stage(), policy)

    recipe = recipe_of(*EASY, *HYBRID, *CHECKPOINTS, "rl.advantage=grpo", f"{TRAINING}.kind=scalar")
    run, seen = new_run(), []

    class Spy(FakeTrainer):
        def save_checkpoint(self, directory: Path) -> None:
            seen.append((directory.parent.name[:6], bool(self.critic)))
            super().save_checkpoint(directory)

    run_whole(recipe, run, program, trainer=Spy())
    assert {*seen} == {("01-rew", True), (f"02-{stage.leaves.kind}-r0"[:6], False)}


def test_an_optimizer_that_is_kept_goes_over_a_kill_with_the_checkpoint(
    new_run: Callable[..., RunDirectory],
) -> None:
    """Of the second stage: killed after its first it goes on, killed before it the run says what is lost."""

    def program(run: Runner) -> None:
        policy = run(RlStage(), run(PrepareStage()).policy).policy
        run(RlStage(1, keeps_optimizer=True), policy)

    recipe = recipe_of(*EASY, "rl.checkpoint_every_steps=1")
    for name, lives in (("whole", 0), ("late", 14), ("early", 11)):  # of 20 steps
        run = new_run(name)
        if lives:
            with pytest.raises(Killed):
                run_whole(recipe, run, program, trainer=MortalTrainer(lives))
        with pytest.raises(HoneError, match="delete") if name == "early" else nullcontext():
            run_whole(recipe, run, program)
    left = [weights_and_figures(run.path.parent / name) for name in ("whole", "late")]
    assert left[0] == left[1]


def test_a_recipe_names_a_program(new_run: Callable[..., RunDirectory]) -> None:
    named = recipe_of("program.function=recipes.programs.sft_only:program")
    assert program_of(named) is sft_only.program
    assert program_of(recipe_of()) is rounds
    with pytest.raises(
        BadInput, match=r"program.function 'recipes.programs.sft_only:progam': no function.*program"
    ):
        program_of(recipe_of("program.function=recipes.programs.sft_only:progam"))


def test_a_stage_without_a_policy_is_refused(new_run: Callable[..., RunDirectory]) -> None:
    with pytest.raises(BadInput, match=r"evaluate starts from a policy: call run\(stage, policy\)"):
        plan_of(lambda run: (run(PrepareStage()), run(EvaluateStage()))[0] and None, recipe_of(), new_run())


def test_the_reward_model_of_a_run_judges_from_then_on(new_run: Callable[..., RunDirectory]) -> None:
    recipe, run = recipe_of(*EASY, *HYBRID), new_run()
    run_whole(recipe, run, reward_model_then_ppo.program)
    model = next(one.model for one in results_of(run.path) if isinstance(one, RewardModelResult))
    assert model is not None and (run.path / "reward-model").resolve() == model.resolve()
