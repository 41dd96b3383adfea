"""What a later SFT may be asked for beside its rows, on engines that compute nothing; kills too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recipes.settings.recipe_file import load_recipe
from rl.fakes import WEIGHTS_FILE, FakeSampler, FakeTrainer, fake_engines
from rl.program import PrepareStage, RlStage, Runner, SftStage, run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay, StageProgress
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import HarvestResult, RlResult, SftResult
from rl.run.run_directory import RunDirectory
from rl.run.run_history import RunPast
from rl.runner import plan_of
from rl.stages.prepare import prepared_data
from rl.stages.supervised.replay import Replay, replay_of
from rl.stages.supervised.sft_rows import SftRows
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from sampler.rollout import DroppedPrompt
from tools.run_digest import metric_lines, rollout_rows
from verifiers.errors import BadInput

DATA = Path(__file__).parents[4] / "data"
STAGE = "03-sft-r1"
SMALL = [
    "sft.epochs=0.2", "sft.later_epochs=2", "rl.steps=2", "rl.prompts_per_step=4", "rl.num_mini_batches=2",
    "rl.max_response_tokens=40",
]  # fmt: skip
FIRST_STEPS = 3 + 2 * 2  # optimizer steps before the later SFT, which has 30
RL_VERSION = 3  # of the policy that it starts from
VALIDATED = ["sft.later_validation_prompts=6", "sft.later_validate_every_steps=4", "sft.later_patience=2"]


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe(str(DATA / "tiny_program.yaml"), [*SMALL, *overrides])


def two_sfts(run: Runner) -> None:
    """The second from what RL left."""
    first = run(SftStage(), run(PrepareStage()).policy).policy
    run(SftStage(1), run(RlStage(), first).policy)


def run_whole(
    path: Path,
    *overrides: str,
    program: Any = two_sfts,
    display: ProgressDisplay | None = None,
    **fakes: Any,
) -> SftResult:
    """What the later SFT left."""
    display = display or ProgressDisplay(Console(quiet=True), live=False)
    run_program(
        recipe_of(*overrides), RunDirectory(path), display, program, make_engines=fake_engines(**fakes)
    )
    result = results_of(path)[-1]
    assert isinstance(result, SftResult)
    return result


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "run"
    run_program(
        recipe_of(), RunDirectory(path), ProgressDisplay(Console(quiet=True), live=False),
        lambda run: run(PrepareStage()) and None, make_engines=fake_engines(),
    )  # fmt: skip
    return path


@pytest.fixture
def new_path(prepared: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(prepared, tmp_path / name))


class ScriptedSampler(FakeSampler):
    """Of the policies of that many validations this share of the responses is right; of all others half."""

    def __init__(self, *rates: float) -> None:
        super().__init__(self._answer)
        self.rates = dict(enumerate(rates, start=RL_VERSION + 1))

    def _answer(self, prompt: Prompt, seed: int) -> str:
        right = seed % 100 < 100 * self.rates.get(self.policy_version, 0.5)
        return f"<think>{seed % 97}</think>{prompt.reference_text if right else 'something else'}"


RATES = 0.5, 0.0, 1.0, 0.1, 0.2  # the third validation is the best, and after the fifth it is over


def left(path: Path) -> list[Any]:
    """What the later SFT left: weights, result, metrics, rollouts, and the names of its files."""
    hub = path / "stages" / STAGE / "policy"
    result = results_of(path)[-1].model_dump_json().replace(str(path), "RUN")
    metrics = [(line["step"], line["metrics"]) for line in metric_lines(path) if line["stage"] == STAGE]
    rows = [row for row in rollout_rows(path) if row["stage"] == STAGE]
    files = sorted(one.name for one in (path / "stages" / STAGE).iterdir())
    return [(hub / WEIGHTS_FILE).read_text(), json.loads(result), metrics, rows, files]


class Killed(BaseException):
    """As a kill: nothing between handles it."""


class SpyTrainer(FakeTrainer):
    """Remembers its weights after each optimizer step; is killed at the so many-th step, export of the best weights or
    of a stage's policy, or with ``loads`` while it loads the best."""

    def __init__(self, steps: int = 0, exports: int = 0, policies: int = 0, loads: bool = False) -> None:
        super().__init__()
        self.steps, self.exports, self.policies, self.loads = steps, exports, policies, loads
        self.after: list[str] = []
        self.loaded: list[list[str]] = []

    def step(self, *arguments: Any) -> Any:
        if len(self.after) + 1 == self.steps:
            raise Killed
        figures = super().step(*arguments)
        self.after.append(self.weights)
        return figures

    def export(self, directory: Path) -> None:
        super().export(directory)
        if "best" in directory.name:
            self.exports -= 1
            if not self.exports:
                raise Killed
        if "policy" in directory.name:
            self.policies -= 1
            if not self.policies:
                raise Killed

    def load_weights(self, hub_directory: Path) -> None:
        if self.loads and "best" in hub_directory.name:
            self.weights = ""  # as one that is halfway
            raise Killed
        super().load_weights(hub_directory)

    def load_frozen(self, directories: Collection[str]) -> None:
        self.loaded.append([Path(one).parent.name for one in directories])


def test_it_is_held_to_the_policy_that_rl_left(new_path: Any) -> None:
    """Whatever its weights start from; the first SFT is held to nothing."""
    asked: list[tuple[float, Any]] = []

    class Spy(SpyTrainer):
        def update(self, steps: Any, rates: Any, loss: Any, teachers: Any = None) -> Any:
            assert teachers is None or len(teachers) == sum(map(len, steps))
            asked.append((loss.teacher_coef, teachers and {Path(one).parent.name for one in teachers}))
            return super().update(steps, rates, loss, teachers)

    path, trainer = new_path("run"), Spy()
    overrides = ["sft.later_kl_coef=0.5", "sft.start_from=base"]
    plan = plan_of(two_sfts, recipe_of(*overrides), RunDirectory(path))
    assert "KL" not in plan[1].work and "a step, 0.5 KL to the policy before" in plan[3].work
    run_whole(path, *overrides, trainer=trainer)
    assert [one for one in trainer.loaded if one] == [["02-rl-r0"]]
    assert {(coef, str(of)) for coef, of in asked} == {(0.0, "None"), (0.5, "{'02-rl-r0'}")}
    kls = {
        stage: {line["metrics"].get("train/ref_kl") for line in metric_lines(path) if line["stage"] == stage}
        for stage in ("01-sft-r0", STAGE)
    }
    assert kls == {"01-sft-r0": {None}, STAGE: {0.25}}


def test_it_stops_without_a_new_best_and_keeps_the_best_weights(new_path: Any) -> None:
    path, trainer, sampler = new_path("run"), SpyTrainer(), ScriptedSampler(0.5, 1.0, 0.0, 0.5)
    result = run_whole(path, *VALIDATED, trainer=trainer, sampler=sampler)
    assert [one.step for one in result.validations] == [4, 8, 12, 16]
    assert [one.pass_at_1 for one in result.validations][1:3] == [1.0, 0.0]
    assert len(trainer.after) == FIRST_STEPS + 16
    hub = path / "stages" / STAGE / "policy"
    assert (hub / WEIGHTS_FILE).read_text() == trainer.weights == trainer.after[FIRST_STEPS + 7]
    assert result.policy.version == sampler.policy_version == RL_VERSION + 5
    assert not list((path / "stages" / STAGE).glob("best-*"))
    assert SftStage(1).summary(result).endswith("pass@1 100.0% after step 8, the best of 4 validations")

    lines = [line for line in metric_lines(path) if line["stage"] == STAGE]
    assert [line["step"] for line in lines] == list(range(16))
    logged = {line["step"]: line["metrics"].get("validation/pass_at_1") for line in lines}
    assert {step: value for step, value in logged.items() if value is not None} == {
        one.step - 1: one.pass_at_1 for one in result.validations
    }
    shards = sorted((path / "rollouts" / STAGE).iterdir())
    rows = [pq.read_table(shard).to_pylist() for shard in shards]
    assert [shard.stem for shard in shards] == ["step-00003", "step-00007", "step-00011", "step-00015"]
    assert [{row["policy_version"] for row in of} for of in rows] == [{RL_VERSION + k} for k in (1, 2, 3, 4)]
    # Policies that were thrown away say nothing of a prompt.
    judged = [one for of in log_of(path).values() for one in of if one["reward"] is not None]
    past = RunPast(path, RL_VERSION, 0.5).evidence(1e9)
    assert sum(right + wrong for right, wrong in past.values()) == pytest.approx(len(judged))


def test_the_slice_is_the_same_and_the_end_counts(new_path: Any) -> None:
    """Training prompts, drawn by the seed; the last step is validated too, and may be the best."""
    path, trainer, sampler = new_path("run"), SpyTrainer(), ScriptedSampler(0.5, 0.0, 0.0, 0.0, 1.0)
    wanted = ["sft.later_validation_prompts=6", "sft.later_validate_every_steps=7", "sft.later_patience=9"]
    result = run_whole(path, *wanted, trainer=trainer, sampler=sampler)
    assert [one.step for one in result.validations] == [7, 14, 21, 28, 30]
    hub = path / "stages" / STAGE / "policy"
    assert (hub / WEIGHTS_FILE).read_text() == trainer.after[-1] and len(trainer.after) == FIRST_STEPS + 30
    asked = [frozenset(ids) for plan, ids in sampler.asked if plan.stage == STAGE]
    train = pq.read_table(path / "stages/00-prepare/data/train.parquet")["prompt_id"].to_pylist()
    assert len(asked) == 5 and len({*asked}) == 1 and len(asked[0]) == 6 and asked[0] < {*train}


@pytest.mark.parametrize("every", [None, 3, 4, 10])
def test_killed_anywhere_it_ends_as_one_that_was_not(new_path: Any, every: int | None) -> None:
    """In a step, and while the best weights are written; with checkpoints at validations, between, and none."""
    overrides = [
        *VALIDATED,
        "sft.later_replay_rows=3",
        f"sft.checkpoint_every_steps={'null' if every is None else every}",
    ]
    whole = new_path("whole")
    run_whole(whole, *overrides, sampler=ScriptedSampler(*RATES))
    trained = left(whole)
    assert [one["step"] for one in trained[1]["validations"]] == [4, 8, 12, 16, 20]
    cut = new_path("cut")
    deaths = [
        SpyTrainer(steps=FIRST_STEPS + 7), SpyTrainer(exports=1), SpyTrainer(steps=9), SpyTrainer(exports=2),
    ]  # fmt: skip
    num_killed = 0
    for trainer in deaths:
        try:
            run_whole(cut, *overrides, sampler=ScriptedSampler(*RATES), trainer=trainer)
        except Killed:
            num_killed += 1
    if num_killed == len(deaths):
        run_whole(cut, *overrides, sampler=ScriptedSampler(*RATES))
    assert num_killed >= 3 and left(cut) == trained


@pytest.mark.parametrize("every", [None, 4, 10])
def test_killed_at_its_end_it_ends_as_one_that_was_not(new_path: Any, every: int | None) -> None:
    """While the best weights are loaded, and while the policy is written: what was begun is done again."""
    overrides = [*VALIDATED, f"sft.checkpoint_every_steps={'null' if every is None else every}"]
    whole, cut = new_path("whole"), new_path("cut")
    run_whole(whole, *overrides, sampler=ScriptedSampler(*RATES))
    # The first SFT, RL, and then the later SFT write a policy; what is complete is not done again.
    for trainer in (
        SpyTrainer(loads=True),
        SpyTrainer(policies=1),
        SpyTrainer(loads=True),
        SpyTrainer(policies=1),
    ):
        with pytest.raises(Killed):
            run_whole(cut, *overrides, sampler=ScriptedSampler(*RATES), trainer=trainer)
        assert [one.stage for one in results_of(cut)][-1] == "02-rl-r0"
        assert (cut / "stages" / STAGE / "cursor.json").is_file() == (every is not None)
    run_whole(cut, *overrides, sampler=ScriptedSampler(*RATES))
    assert left(cut) == left(whole)


def test_engines_are_needed_only_where_it_is_asked_for(new_path: Any) -> None:
    path = new_path("run")
    plan = plan_of(two_sfts, recipe_of(*VALIDATED), RunDirectory(path))
    assert [set(plan[index].needs) for index in (1, 3)] == [{"trainer"}, {"trainer", "sampler", "judge"}]
    words = (
        "; validated on 6 training prompts x 4 samples every 4 steps, until 2 validations in a row brought no"
    )
    assert words in plan[3].work and "validated" not in plan[1].work
    assert set(plan_of(two_sfts, recipe_of(), RunDirectory(path))[3].needs) == {"trainer"}


def test_what_it_is_validated_on_is_not_learnt_from(new_path: Any) -> None:
    """Rows of a harvest that ask the slice's questions are left out."""
    path = new_path("run")
    rows_file, prompts = path / "rows.parquet", prepared_data(results_of(path)[0], path).train
    save_sft_rows(rows_file, [SftRow(one, "<think>1</think>2", source="harvest") for one in prompts])

    def program(run: Runner) -> None:
        harvest = HarvestResult(rows=rows_file, num_kept=len(prompts))
        run(SftStage(1, [harvest]), run(PrepareStage()).policy)

    def learnt(name: str, num: int) -> dict[str, int]:
        shutil.copytree(path, path.parent / name)
        only = ["sft.later_cold_start_frac=0", f"sft.later_validation_prompts={num}"]
        return run_whole(path.parent / name, *only, program=program).num_rows

    assert learnt("some", 6) == {"harvest": 34}
    with pytest.raises(
        BadInput, match="no supervised row is left: those there were ask what the SFT is valid"
    ):
        learnt("all", 40)


def test_only_rows_that_are_learnt_from_are_counted(new_path: Any, monkeypatch: Any) -> None:
    """Of harvests and of the cold start, whether RL is asked about it or not; the bar knows the steps there are."""
    path = new_path("run")
    rows_file, prompts = path / "rows.parquet", prepared_data(results_of(path)[0], path).train
    texts = ["<think>1</think>2"] * 36 + ["<think>" + "1 " * 2000 + "</think>2"] * 4
    rows = [SftRow(one, text, source="harvest") for one, text in zip(prompts, texts, strict=True)]
    save_sft_rows(rows_file, rows)
    cold_start = [SftRow(one.prompt, one.response) for one in rows[30:]]
    monkeypatch.setattr("rl.stages.supervised.sft_rows.cold_start_rows", lambda *_: cold_start)
    totals: list[int | None] = []
    finish = StageProgress.finish

    def spied(self: StageProgress, *words: Any) -> None:
        totals.append(self.total_steps)
        finish(self, *words)

    monkeypatch.setattr(StageProgress, "finish", spied)

    def program(run: Runner) -> None:
        first = run(PrepareStage()).policy
        run(SftStage(1, [HarvestResult(rows=rows_file, num_kept=len(rows))], cold_started=first), first)

    for name, asked in (("all", []), ("left", ["sft.later_cold_start_min_ratio=0.5"])):
        shutil.copytree(path, path.parent / name)
        result = run_whole(path.parent / name, "sft.batch_size=6", *asked, program=program)
        assert result.num_rows == {"harvest": 36, "cold_start": 6} and result.num_dropped_too_long == 8
        assert SftStage(1).summary(result).endswith(" on 42 rows, 8 too long left out")
        num_taken = sum(line["stage"] == result.stage for line in metric_lines(path.parent / name))
        assert totals.pop() == num_taken == 14  # two epochs


def test_too_few_prompts_are_told_in_the_first_round(new_path: Any) -> None:
    path = new_path("run")
    with pytest.raises(BadInput, match=r"sft.later_validation_prompts=41: .* a verifier judges 40; lower it"):
        run_whole(path, "sft.later_validation_prompts=41")
    assert [one.stage for one in results_of(path)] == ["00-prepare"]


class MeasuringTrainer(SpyTrainer):
    """Each token costs as many tenths of a nat as optimizer steps were taken on these weights."""

    def logprobs(self, batch: Any, **options: Any) -> Any:
        taken = self.after.index(self.weights) + 1 if self.weights in self.after else 0
        given, entropies = super().logprobs(batch, **options)
        sampled = "sample_logprobs" in batch.columns  # the probe of a sync, and RL's own
        return (given if sampled else 0 * given - 0.1 * taken), entropies


def log_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """RL's judged rollouts by prompt, only those of the last step that sampled it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rollout_rows(path):
        if row["stage"] == "02-rl-r0":
            of_prompt = found.setdefault(row["prompt_id"], [])
            if of_prompt and of_prompt[0]["step"] < row["step"]:
                of_prompt.clear()
            of_prompt.append(row)
    return found


REPLAY = [
    "rl.steps=3",
    "rl.prompts_per_step=20",
    "harvest.max_response_tokens=40",
]  # the 40 prompts, some twice


def test_right_rollouts_of_rl_are_replayed_and_others_measured(new_path: Any, monkeypatch: Any) -> None:
    learnt: list[Any] = []
    rows_of = SftRows.of

    def spied(*arguments: Any) -> SftRows:
        learnt.append(rows_of(*arguments))
        return learnt[-1]

    monkeypatch.setattr(SftRows, "of", spied)
    path, trainer = new_path("run"), MeasuringTrainer()
    result = run_whole(path, *REPLAY, "sft.later_replay_rows=8", trainer=trainer)
    groups, (_, rows) = log_of(path), learnt
    replayed = [row for row in rows.rows if row.source == "replay"]
    assert result.num_rows["replay"] == len(replayed) == 8 and not result.warnings
    assert len({row.prompt.prompt_id for row in replayed}) == 8
    for row in replayed:
        of_prompt = groups[row.prompt.prompt_id]
        right = [one for one in of_prompt if one["reward"] >= 0.5]
        assert 0 < len(right) < len(of_prompt)
        shortest = min(right, key=lambda one: (one["num_response_tokens"], one["rollout_id"]))
        assert (row.response, row.rollout_id) == (shortest["response"], shortest["rollout_id"])
        assert row.policy_version == shortest["policy_version"]
    measured = {one.prompt_id for one in rows.measured}
    solved = [of for of in groups.values() if any(one["reward"] >= 0.5 for one in of)]
    assert len(measured) == len(solved) // 4
    assert measured <= groups.keys() - {row.prompt.prompt_id for row in replayed}

    before, after = result.replay_loss_before, result.replay_loss_after
    started, ended = FIRST_STEPS + 2, len(trainer.after)  # RL takes two steps more
    assert (before, after) == (pytest.approx(0.1 * started), pytest.approx(0.1 * ended))
    assert f"; loss on right answers of RL {before:.3f} → {after:.3f}" in SftStage(1).summary(result)
    logged = [line["metrics"] for line in metric_lines(path) if line["stage"] == STAGE]
    assert (logged[0]["replay/nll_before"], logged[-1]["replay/nll"]) == (before, after)
    assert [step for step, one in enumerate(logged) if "replay/nll" in one] == [len(logged) - 1]
    first = results_of(path)[1]
    assert isinstance(first, SftResult) and first.replay_loss_before is None

    again = new_path("again")
    assert run_whole(again, *REPLAY, trainer=MeasuringTrainer()).replay_loss_before == before
    assert {one.prompt_id for one in learnt[-1].measured} == measured, "the same whatever is replayed"


def test_the_measured_loss_is_of_the_weights_that_are_kept(new_path: Any) -> None:
    path, trainer, sampler = new_path("run"), MeasuringTrainer(), ScriptedSampler(0.5, 1.0, 0.0, 0.5)
    overrides = [*VALIDATED, *REPLAY, "rl.steps=2", "sft.later_replay_rows=100"]
    result = run_whole(path, *overrides, trainer=trainer, sampler=sampler)
    assert [one.step for one in result.validations] == [4, 8, 12, 16]
    assert result.replay_loss_before == pytest.approx(0.1 * FIRST_STEPS)
    assert result.replay_loss_after == pytest.approx(0.1 * (FIRST_STEPS + 8))
    num = result.num_rows["replay"]
    assert (
        0 < num < 100
        and f"RL left {num} rollouts to replay, not sft.later_replay_rows=100" in result.warnings[0]
    )
    words = plan_of(two_sfts, recipe_of(*overrides), RunDirectory(new_path("plan")))[3].work
    assert "the cold-start rows and 100 rollouts of RL, 16 sequences a step" in words


def test_what_was_right_by_another_reference_is_not_replayed(new_path: Any) -> None:
    """And nothing that asks a question which is left out, by whatever judge."""
    path = new_path("run")
    run_whole(path, *REPLAY)
    data, rl = prepared_data(results_of(path)[0], path).train, results_of(path)[2]
    assert isinstance(rl, RlResult)
    recipe = recipe_of(*REPLAY, "sft.later_replay_rows=100")

    def replayed(prompts: Sequence[Prompt], without: Collection[str] = ()) -> Replay:
        found = replay_of(rl.policy, prompts, recipe, seed="s", without=without)
        assert found is not None
        return found

    rows = replayed(data).rows
    assert rows and not replayed(data, {row.prompt.question_id for row in rows}).rows
    corrected = [replace(one, reference="another") for one in data]
    assert [one.prompt_id for one in corrected] == [one.prompt_id for one in data]
    assert replayed(corrected) == Replay([], [])


def test_a_slice_that_is_too_long_is_told(new_path: Any) -> None:
    class Deaf(FakeSampler):
        def sample(self, prompts: Any, plan: Any) -> Any:
            return super().sample([] if plan.stage == STAGE else prompts, plan)

    with pytest.raises(BadInput, match=r"later_validation_prompts=6 are longer than sampler.max_model_len"):
        run_whole(new_path("run"), *VALIDATED, sampler=Deaf())


@pytest.mark.parametrize("lives", [0, 3])
def test_a_slice_that_is_too_long_in_part_is_told_once(new_path: Any, lives: int) -> None:
    """In a line, whether the stage was killed after its last validation or not."""

    class HardOfHearing(FakeSampler):
        def sample(self, prompts: Any, plan: Any) -> Any:
            heard = prompts[2:] if plan.stage == STAGE else prompts
            yield from super().sample(heard, plan)
            unheard = prompts[: len(prompts) - len(heard)]
            self.stats.dropped = tuple(
                DroppedPrompt(one.prompt_id, "prompt_too_long", 900, 800) for one in unheard
            )

    path, overrides = (
        new_path("run"),
        [*VALIDATED, "sft.later_validate_every_steps=30", "sft.checkpoint_every_steps=30"],
    )
    if lives:
        with pytest.raises(Killed):
            run_whole(path, *overrides, sampler=HardOfHearing(), trainer=SpyTrainer(policies=lives))
        assert (path / "stages" / STAGE / "cursor.json").is_file()
    said = StringIO()
    display = ProgressDisplay(Console(file=said, width=200), live=False)
    result = run_whole(path, *overrides, sampler=HardOfHearing(), display=display)
    assert len(result.validations) == 1
    limit = recipe_of().sampler.max_model_len
    words = (
        f"2 of sft.later_validation_prompts=6 left out, too long for sampler.max_model_len={limit}: raise it"
    )
    assert len(result.warnings) == 1 and words in result.warnings[0]
    assert said.getvalue().count(words) == 1


def test_replay_needs_an_rl_before(new_path: Any) -> None:
    def program(run: Runner) -> None:
        run(SftStage(1), run(PrepareStage()).policy)

    result = run_whole(new_path("without"), program=program)
    assert result.replay_loss_before is None and "right answers of RL" not in SftStage(1).summary(result)
    with pytest.raises(BadInput, match=r"later_replay_rows=5: 00-prepare logged no rollouts to replay"):
        run_whole(new_path("with"), "sft.later_replay_rows=5", program=program)


def test_what_a_validation_logged_is_not_replayed(new_path: Any) -> None:
    """An SFT after one that sampled its slice."""

    def program(run: Runner) -> None:
        validated = run(SftStage(1), run(PrepareStage()).policy)
        run(SftStage(2), validated.policy)

    path = new_path("run")
    result = run_whole(path, *VALIDATED, program=program)
    assert list((path / "rollouts" / "01-sft-r1").iterdir()) and result.replay_loss_before is None
