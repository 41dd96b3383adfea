"""Training of a pairwise reward model: comparisons as supervised rows, then a report on held-out pairs."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reward_models.comparison import INDICATORS, Comparison
from reward_models.pair_report import PairReport, judged_pair, pair_report
from reward_models.preference import PreferenceList, load_preferences
from rl.batch import TrainBatch, TrainSequence
from rl.checkpoint import StageCheckpoint, export_policy
from rl.judging_start import served
from rl.losses import SFT_LOSS, LossSpec
from rl.progress import ProgressDisplay, StageProgress
from rl.ray_session import ray_session
from rl.recipe import RewardModelConfig
from rl.reward_recipe import RewardRecipe
from rl.run_directory import RunDirectory, Stopwatch, write_atomically
from rl.schedule import learning_rate
from rl.sft_rows import PromptEncoder, epochs_of, sft_sequences
from sampler.data_builder import build_data
from sampler.sft_row import SftRow
from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.trainer import Trainer

STEPS_PER_CALL = 8  # optimizer steps sent to the ranks at a time
TRAIN_STAGE, REPORT_FILE = "01-reward-model", "report.json"


def train_reward_model(recipe: RewardRecipe, run: RunDirectory, display: ProgressDisplay) -> PairReport:
    """Train, export to ``RUN/model``, and report on held-out pairs. The same call after a kill goes on."""
    report_file = run.path / REPORT_FILE
    if report_file.is_file():
        report = PairReport.from_json(json.loads(report_file.read_text()))
        display.done_before(f"reward model: {words_of(report)}")
        return report
    data_dir = run.path / "data"
    paths = preference_paths(recipe, data_dir)
    lists = {name: load_preferences(path) for name, path in paths.items()}
    pairs = {name: better_first(found, recipe) for name, found in lists.items()}
    num_cpus = recipe.ray.num_cpus or recipe.trainer.num_ranks + 1
    with ray_session(num_cpus, recipe.ray.object_store_mib):
        model = run.path / "model"
        if not model.is_dir():
            _train(recipe, run, pairs["train"], model, display)
        return _report(recipe, run, pairs["heldout"], model, display)


def preference_paths(recipe: RewardRecipe, directory: Path) -> dict[str, str]:
    """Files of the training and held-out lists: the recipe's own over the builder's."""
    config = recipe.data
    given = {"train": config.train, "heldout": config.heldout}
    built: dict[str, Path] = {}
    if config.builder is not None and None in given.values():
        built = build_data(config.builder, directory, seed=recipe.seed, options=config.builder_options)
    paths = {name: own or str(built.get(name, "")) for name, own in given.items()}
    for name, path in paths.items():
        if not path:
            raise BadInput(f"data.builder={config.builder!r} makes no {name!r} set: give data.{name}")
    return paths


def better_first(lists: Sequence[PreferenceList], recipe: RewardRecipe) -> list[Comparison]:
    """The pairs of all lists, the better answer first; at most ``max_pairs_per_list`` of one, drawn by the seed."""
    found = []
    for number, one in enumerate(lists):
        pairs = list(one.pairs())
        if recipe.max_pairs_per_list is not None and len(pairs) > recipe.max_pairs_per_list:
            pairs = random.Random(f"{recipe.seed} pairs {number}").sample(pairs, recipe.max_pairs_per_list)
        found += [
            Comparison(f"list-{number}-pair-{place}", one.prompt, better, worse)
            for place, (better, worse, _) in enumerate(pairs)
        ]
    return found


def comparison_rows(comparisons: Sequence[Comparison]) -> list[SftRow]:
    """Both orders of every pair, so that neither place is ever the better bet."""
    return [
        SftRow(prompt=asked.to_prompt(), response=indicator)
        for one in comparisons
        for asked, indicator in zip((one, _renamed(one.swapped())), INDICATORS, strict=True)
    ]


def _renamed(comparison: Comparison) -> Comparison:
    return dataclasses.replace(comparison, comparison_id=f"{comparison.comparison_id}-swapped")


def _train(
    recipe: RewardRecipe,
    run: RunDirectory,
    pairs: Sequence[Comparison],
    target: Path,
    display: ProgressDisplay,
) -> None:
    from rl.trainer import Trainer

    rows = comparison_rows(pairs)
    base = _base(recipe, run, rows)
    sequences, num_dropped = sft_sequences(
        rows,
        PromptEncoder(base, recipe.sampler.chat_template_kwargs),
        max_tokens=recipe.sampler.max_model_len,
    )
    if not sequences:
        raise BadInput(
            f"all {num_dropped} comparisons are longer than "
            f"sampler.max_model_len={recipe.sampler.max_model_len}: raise it"
        )
    num_steps = max(1, math.ceil(recipe.epochs * len(sequences) / recipe.batch_size))
    stage, started_at, watch = run.stage(TRAIN_STAGE), time.time(), Stopwatch()
    with display.stage("reward model", total_steps=num_steps) as progress:
        device = "cpu" if recipe.sampler.device == "cpu" else "cuda"
        with watch("start"):
            trainer = Trainer(recipe.trainer, recipe.model, base, run.logs, device=device)
        try:
            checkpoint = StageCheckpoint(stage, every_steps=recipe.checkpoint_every_steps)
            loss = _take_steps(recipe, run, trainer, sequences, num_steps, checkpoint, progress, watch)
            with watch("save"):
                export_policy(trainer, base, target)
                checkpoint.finish()
        finally:
            trainer.shutdown()
        stage.complete(
            kind="reward-model",
            title="reward model",
            round_index=0,
            started_at=started_at,
            watch=watch,
            inputs={"data": recipe.data.model_dump(mode="json")},
            result={"num_pairs": len(pairs), "num_dropped_too_long": num_dropped, "final_loss": loss},
        )
        progress.finish(f"loss {loss:.3f} on {len(pairs):,} pairs")


def _take_steps(
    recipe: RewardRecipe,
    run: RunDirectory,
    trainer: Trainer,
    sequences: Sequence[TrainSequence],
    num_steps: int,
    checkpoint: StageCheckpoint,
    progress: StageProgress,
    watch: Stopwatch,
) -> float:
    """The optimizer steps that are left, several a call. Returns the last loss."""
    step = checkpoint.resume(trainer)
    progress.advance(step)
    places = epochs_of(len(sequences), seed=f"{recipe.seed} reward model")
    for _ in islice(places, step * recipe.batch_size):
        pass
    loss = float("nan")
    while step < num_steps:
        end = min(num_steps, step + STEPS_PER_CALL, checkpoint.stop_before(step) or num_steps)
        with watch("train"):
            batches = [
                TrainBatch.of([sequences[place] for place in islice(places, recipe.batch_size)])
                for _ in range(step, end)
            ]
            rates = [
                learning_rate(i, num_steps=num_steps, **recipe.schedule.model_dump())
                for i in range(step, end)
            ]
            outcomes = trainer.update(batches, rates, LossSpec(SFT_LOSS))
        for rate, metrics in zip(rates, outcomes, strict=True):
            loss = metrics["loss"]
            run.log_metrics(
                stage=TRAIN_STAGE,
                kind="reward-model",
                round_index=0,
                step=step,
                metrics={
                    "train/loss": loss,
                    "train/grad_norm": metrics["grad_norm"],
                    "train/lr": rate,
                    "time/train_s": metrics["seconds"],
                },
            )
            step += 1
        progress.advance(len(batches), loss=loss)
        checkpoint.save(trainer, step)
    return loss


def _report(
    recipe: RewardRecipe,
    run: RunDirectory,
    pairs: Sequence[Comparison],
    model: Path,
    display: ProgressDisplay,
) -> PairReport:
    """Judge held-out pairs as RL will: through vLLM, in both orders. Written to ``RUN/report.json``."""
    with display.stage("report") as progress:
        config = RewardModelConfig(path=str(model), sampler=recipe.sampler)
        with served(config, run.logs / "sampler") as served_model:
            scores = served_model.compare(pairs)
        report = pair_report(judged_pair(scores[one.comparison_id]) for one in pairs)
        write_atomically(run.path / REPORT_FILE, json.dumps(dataclasses.asdict(report), indent=2) + "\n")
        progress.finish(words_of(report))
    return report


def words_of(report: PairReport) -> str:
    """The report in one line."""
    if report.accuracy is None or report.position_bias_frac is None or report.ece is None:
        return f"none of {report.num_failed:,} held-out pairs could be judged"
    return (
        f"pairwise accuracy {report.accuracy:.1%} on {report.num_pairs:,} held-out pairs, orders disagree on "
        f"{report.position_bias_frac:.1%}, calibration error {report.ece:.3f}, {report.num_failed:,} failed"
    )


def _base(recipe: RewardRecipe, run: RunDirectory, rows: Sequence[SftRow]) -> Path:
    """The checkpoint it starts from: ``model.path``, or a tiny random instance that knows the data's texts."""
    from rl.families.family import load_family

    if recipe.model.path is not None:
        return Path(recipe.model.path)
    hub = run.path / "base"
    if not (hub / "config.json").is_file():
        corpus: list[Any] = [row.prompt.text for row in rows]
        load_family(recipe.model.family).build_tiny(
            hub, seed=recipe.seed, corpus=corpus, sizes=recipe.model.tiny
        )
    return hub
