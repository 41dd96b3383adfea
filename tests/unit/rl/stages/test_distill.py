"""Distillation as a stage, on engines that compute nothing: who teaches whom, what the trainer is asked, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recipes.programs import distill
from recipes.settings.recipe_file import load_recipe
from rl.fakes import FakeJudge, FakeTrainer, fake_engines
from rl.program import DistillStage, PrepareStage, Program, RlStage, Runner, run_program
from rl.recipe.recipe import Recipe
from rl.run.progress import ProgressDisplay
from rl.run.results.manifest import results_of
from rl.run.results.stage_result import PolicyState
from rl.run.run_directory import RunDirectory
from rl.runner import plan_of
from sampler.prompt import Prompt
from verifiers.errors import BadInput, HoneError
from verifiers.verdict import Verdict

DATA = Path(__file__).parents[3] / "data"
SMALL = [
    "rl.steps=2", "rl.prompts_per_step=4", "rl.num_mini_batches=2", "rl.samples_per_prompt=2", "distillation.steps=1",
]  # fmt: skip


def recipe_of(*overrides: str) -> Recipe:
    return load_recipe(str(DATA / "tiny_program.yaml"), [*SMALL, *overrides])


def display() -> ProgressDisplay:
    return ProgressDisplay(Console(quiet=True), live=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "run"
    run_program(
        recipe_of(), RunDirectory(path), display(), lambda run: run(PrepareStage()) and None,
        make_engines=fake_engines(),
    )  # fmt: skip
    return path


@pytest.fixture
def run_whole(prepared: Path, tmp_path: Path) -> Callable[..., tuple[Any, Path]]:
    """Runs a program: the fake trainer and the run's directory."""

    def run(program: Program, *overrides: str, **fakes: Any) -> tuple[Any, Path]:
        path, trainer = tmp_path / "run", FakeTrainer()
        if not path.exists():
            shutil.copytree(prepared, path)
        run_program(
            recipe_of(*overrides), RunDirectory(path), display(), program,
            make_engines=fake_engines(trainer=trainer, **fakes),
        )  # fmt: skip
        return trainer, path

    return run


def rl_then_distill(run: Runner) -> None:
    start = run(PrepareStage()).policy
    run(RlStage(), start)
    run(DistillStage(1), start)


@pytest.mark.parametrize(
    ("form", "asked"), [("full", []), ("sampled", ["logprobs", "frozen logprobs"])], ids=["full", "sampled"]
)
def test_a_stage_of_the_run_teaches_by_its_name(run_whole: Any, form: str, asked: list[str]) -> None:
    """In full form the teacher is asked in the update itself. No reference is loaded beside it, whatever the KL that RL
    is held to, and the policy of before learns on."""
    overrides = ["distillation.teachers.all=01-rl-r0", "rl.loss.kl_coef_verifiable=0.1"]
    trainer, path = run_whole(rl_then_distill, *overrides, f"distillation.form={form}")
    assert [one.stage for one in results_of(path)][1:] == ["01-rl-r0", "02-distill-r1"]
    teacher_loaded = [index for index, call in enumerate(trainer.calls) if call == "load policy"]
    assert len(teacher_loaded) == 2  # the start, as RL's reference, then the teacher
    calls = trainer.calls[teacher_loaded[1] :]
    wanted = ["load policy", "reset_optimizer", "logprobs", *asked, *["update vanilla"] * 2, "send_weights"]
    assert calls[: len(wanted)] == wanted
    result = results_of(path)[-1]
    assert result.policy.version == 1 and result.policy.stage == "02-distill-r1"  # type: ignore[attr-defined]
    logged = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    of_step = next(line["metrics"] for line in logged if line["stage"] == "02-distill-r1")
    if form == "sampled":
        assert (of_step["train/teacher_kl"], of_step["train/teacher_advantage_std"]) == (0.0, 0.0)


def test_programs_that_hand_a_policy_on(run_whole: Any) -> None:
    """The example; its manifest says who taught."""
    _, path = run_whole(distill.after_rl)
    stages = [one.stage for one in results_of(path)]
    assert stages[1:] == ["01-sft-r0", "02-rl-r0", "03-evaluate-r0", "04-distill-r0", "05-evaluate-r0"]
    manifest = json.loads((path / "stages" / "04-distill-r0" / "manifest.json").read_text())
    assert manifest["inputs"]["teachers"] == {"all": "02-rl-r0"}
    assert manifest["inputs"]["policy"]["stage"] == "01-sft-r0"
    assert (path / "policy").resolve() == (path / "stages" / "04-distill-r0" / "policy").resolve()


def test_a_checkpoint_teaches_and_a_reward_counts(run_whole: Any, prepared: Path) -> None:
    """With a weight on rewards the recipe's own algorithm is asked too."""
    hub = prepared / "stages" / "00-prepare" / "policy"
    teacher = f"distillation.teachers.all={hub}"
    trainer, _ = run_whole(
        distill.program, teacher, "distillation.reward_coef=0.5", "rl.advantage=decoupled_gae"
    )
    assert "load_critic" in trainer.calls and trainer.calls.count("load policy") == 1


class NoJudge(FakeJudge):
    def _require_judge(self, prompt: Prompt) -> None:
        raise BadInput(f"nothing can judge {prompt.prompt_id}")


class LateJudge(FakeJudge):
    def _submit(self, *_: Any) -> Any:
        verdict: Future[Verdict] = Future()
        verdict.set_result(Verdict.timed_out("it took too long"))
        return verdict


@pytest.mark.parametrize(
    ("judge", "message"), [(NoJudge, "nothing can judge"), (LateJudge, "could not be judged")]
)
def test_a_teacher_alone_needs_no_judge(
    run_whole: Any, prepared: Path, judge: type[FakeJudge], message: str
) -> None:
    """What no judge decides is learnt from all the same; rewards that count need one."""

    def distil(run: Runner) -> None:
        run(DistillStage(), run(PrepareStage()).policy)

    hub = prepared / "stages" / "00-prepare" / "policy"
    overrides = [f"distillation.teachers.all={hub}", "rl.max_response_tokens=40"]
    with pytest.raises(HoneError, match=message):
        run_whole(distil, *overrides, "distillation.reward_coef=0.5", judge=judge(num_workers=1))
    _, path = run_whole(distil, *overrides, judge=judge(num_workers=1))
    (line,) = [json.loads(line)["metrics"] for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert line["rollout/left_out_frac"] == 0.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "nobody teaches: give distillation.teachers"),
        (["distillation.teachers.all=05-rl-r0"], r"05-rl-r0 is neither a stage of this run .*\(00-prepare\)"),
        (
            ["distillation.teachers.sum=00-prepare"],
            "nobody teaches on 40 training prompts .*count.* or for `all`",
        ),
    ],
)
def test_refusals(run_whole: Any, overrides: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        run_whole(distill.program, *overrides)


def test_a_teacher_of_other_tokens_is_refused(run_whole: Any, prepared: Path, tmp_path: Path) -> None:
    hub = tmp_path / "other"
    shutil.copytree(prepared / "stages" / "00-prepare" / "policy", hub)
    tokenizer = json.loads((hub / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    first, second = [token for token in vocab if len(token) == 1][-2:]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (hub / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(BadInput, match=r"other.*another tokenizer than the policy \(token \d+ is"):
        run_whole(distill.program, f"distillation.teachers.all={hub}")


def test_a_dry_run_counts_its_rollouts_and_names_its_teachers(tmp_path: Path) -> None:
    recipe = recipe_of(
        "distillation.teachers={sum: 01-rl-r0, all: other}", "distillation.prompts_per_step=8",
        "distillation.samples_per_prompt=1", "distillation.form=sampled",
    )  # fmt: skip
    plan = plan_of(distill.program, recipe, RunDirectory(tmp_path))
    work = plan[2].work
    assert "1 step of 8 prompts x 1 sample = 8 rollouts" in work
    assert "sampled form, from sum: 01-rl-r0, other" in work
    given = DistillStage(
        teachers={"sum": PolicyState(3, tmp_path, "a"), "where": PolicyState(4, tmp_path, "b")}
    )
    assert "from sum: a, where: b" in given.work(recipe)
