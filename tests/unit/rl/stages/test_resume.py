"""Going on inside a stage: what a killed process left is taken up, or dropped, and its figures are kept."""

import errno
import json
from types import SimpleNamespace

import pytest
import torch
from ray.exceptions import RayTaskError

from rl.recipe.rl_config import LossConfig, RlConfig
from rl.recipe.run_config import EvaluationConfig
from rl.run.results.stage_result import PolicyState, Proof
from rl.run.run_directory import RunDirectory
from rl.run.stopwatch import Stopwatch
from rl.stages.checkpoint import StageCheckpoint
from rl.stages.rl import RlStage

STAGE = "02-rl-r0"


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.open("name: x\n")
    yield run
    run.close()


def log(run, *steps, stage=STAGE):
    for step in steps:
        metrics = {"train/mismatch_kl": 0.1 / (step + 1), "rollout/reward_mean": step / 10}
        run.metrics.append(stage=stage, kind="rl", round_index=0, step=step, metrics=metrics)


class Trainer:
    """Remembers what it was told."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


def steps_of(run, stage=STAGE):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if line["stage"] == stage]


@pytest.mark.parametrize(
    ("every", "step", "stop"), [(None, 3, None), (5, 0, 5), (5, 4, 5), (5, 5, 10), (1, 7, 8)]
)
def test_a_chunk_of_steps_stops_where_it_is_time_to_save(run, every, step, stop):
    assert StageCheckpoint(run.stage(STAGE), Stopwatch(), every_steps=every).stop_before(step) == stop


def test_what_came_after_the_checkpoint_is_dropped(run):
    stage = run.stage(STAGE)
    checkpoint = StageCheckpoint(stage, Stopwatch(), every_steps=2)
    assert checkpoint.resume(Trainer()) == 0
    log(run, 0, 1, 2)
    log(run, 0, 5, stage="01-sft-r0")
    stage.rollouts.mkdir(parents=True)
    for name in ("step-00000.parquet", "step-00001.parquet", "step-00002.parquet", ".step-00003.parquet.tmp"):
        (stage.rollouts / name).touch()
    checkpoint.save(Trainer(), 1)  # not time yet
    checkpoint.save(Trainer(), 2)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "02-rl-r0", "st')  # the kill cut a line short

    trainer = Trainer()
    assert StageCheckpoint(stage, Stopwatch(), every_steps=2).resume(trainer) == 2
    assert trainer.calls == [("load_checkpoint", stage.path / "checkpoint-2")]
    assert steps_of(run) == [0, 1]
    assert steps_of(run, "01-sft-r0") == [0, 5]
    assert sorted(file.name for file in stage.rollouts.iterdir()) == [
        "step-00000.parquet",
        "step-00001.parquet",
    ]
    assert [metrics["rollout/reward_mean"] for metrics in stage.metrics()] == [0.0, 0.1]


def test_the_time_of_a_killed_process_counts(run):
    """Up to its checkpoint; one that an older Hone wrote says nothing of it."""
    stage, killed, watch = (
        run.stage(STAGE),
        Stopwatch({"train": 7.0}),
        Stopwatch({"train": 0.5, "start": 1.0}),
    )
    killed.restore({"wall_s": 60.0, "phase_s": {"train": 50.0}})  # itself not the first
    checkpoint = StageCheckpoint(stage, killed, every_steps=2)
    checkpoint.resume(Trainer())
    checkpoint.save(Trainer(), 2)
    StageCheckpoint(stage, watch, every_steps=2).resume(Trainer())
    assert watch.seconds == {"train": 57.5, "start": 1.0}
    assert 60.0 < watch.wall_s < 90.0

    cursor = json.loads((stage.path / "cursor.json").read_text())
    del cursor["time"]
    (stage.path / "cursor.json").write_text(json.dumps(cursor))
    watch = Stopwatch()
    assert StageCheckpoint(stage, watch, every_steps=2).resume(Trainer()) == 2
    assert not watch.seconds and watch.wall_s < 30.0


def test_a_stage_without_a_checkpoint_starts_afresh(run):
    stage = run.stage(STAGE)
    stage.begin()
    log(run, 0, 1)
    (stage.path / "half").touch()
    assert StageCheckpoint(stage, Stopwatch(), every_steps=None).resume(Trainer()) == 0
    assert not list(stage.path.iterdir()) and steps_of(run) == []


def test_rl_killed_after_its_last_step_only_finishes(run, tmp_path, monkeypatch):
    """The figures of its manifest are those of steps that another process took."""
    stage = run.stage(STAGE)
    stage.begin()
    log(run, 0, 1, 2, 3)
    StageCheckpoint(stage, Stopwatch(), every_steps=4).save(Trainer(), 4)
    monkeypatch.setattr("rl.stages.rl.export_policy", lambda *_: None)
    proof = Proof(max_difference=0.0, num_tokens=1)
    engines = SimpleNamespace(
        trainer=Trainer(),
        weight_sync=Trainer(),
        judge=Trainer(),
        sampler=Trainer(),
        base=PolicyState(0, tmp_path, "00-prepare"),
        invalidate=lambda: None,
        mark_held=lambda _: proof,
    )
    config = RlConfig(
        steps=4, checkpoint_every_steps=4, prompts_per_step=1, loss=LossConfig(kl_coef_general=0.0)
    )
    base = PolicyState(3, tmp_path, "01-sft-r0")
    context = SimpleNamespace(
        recipe=SimpleNamespace(rl=config, seed=1, evaluation=EvaluationConfig()), engines=engines, directory=stage,
        run=run, policy=base,
        data=SimpleNamespace(train=[]), progress=Trainer(), watch=Stopwatch(),
        plan=lambda **_: SimpleNamespace(step=0),
        checkpoint=lambda every: StageCheckpoint(stage, Stopwatch(), every_steps=every),
    )  # fmt: skip
    result = RlStage().run(context)
    assert (result.mismatch_kl_max, result.reward_mean_last) == (0.1, 0.3)
    assert result.policy.version == 7
    assert engines.weight_sync.calls == [("sync", 7), ("prove",)]
    assert [path.name for path in stage.path.iterdir()] == ["cursor.json"]  # there is no manifest yet


def test_the_recipe_that_changed_is_named(run, tmp_path):
    from verifiers.errors import BadInput

    stage = run.stage("00-prepare")
    stage.begin()
    (stage.path / "manifest.json").write_text("{}")
    run.close()
    for changed, words in {
        "name: y\n": "name was x and is now y",
        "name: x\nrl: {steps: 3}\n": "rl.steps was nothing and is now 3",
        "{}\n": "name was x and is now nothing",
    }.items():
        with pytest.raises(BadInput, match=words):
            RunDirectory(run.path).open(changed)
    assert (run.path / "recipe.yaml").read_text() == "name: x\n"


@pytest.mark.parametrize(
    "why",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.distributed.DistBackendError("NCCL"),
        OSError(errno.EIO, "I/O"),
    ],
)
def test_a_failure_that_passes_asks_nobody_to_delete_a_checkpoint(run, why):
    """Nor where it comes from a rank, as Ray wraps it."""
    stage = run.stage(STAGE)
    checkpoint = StageCheckpoint(stage, Stopwatch(), every_steps=2)
    checkpoint.resume(Trainer())
    checkpoint.save(Trainer(), 2)

    def fail(_):
        raise why

    with pytest.raises(type(why)):
        checkpoint.resume(SimpleNamespace(load_checkpoint=fail))
    wrapped = RayTaskError("load_checkpoint", "trace", why).as_instanceof_cause()
    with pytest.raises(type(why)):
        checkpoint.resume(SimpleNamespace(load_checkpoint=lambda _: raised(wrapped)))


def raised(why):
    raise why
