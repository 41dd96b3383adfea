"""`hone reward-model train`: a reward model trained by itself, then reported on with held-out pairs."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reward_models.answer_comparison import AnswerComparison
from reward_models.preference_report import PairReport, judged_pair, pair_report
from reward_models.serving import served
from rl.data.preference_pairs import comparison_rows, load_reward_data
from rl.data.prompt_encoder import PromptEncoder
from rl.recipe.recipe import RewardRecipe
from rl.run.progress import ProgressDisplay
from rl.run.ray_session import ray_session
from rl.run.run_directory import RunDirectory
from rl.run.stage_result import RewardModelResult
from rl.run.stopwatch import Stopwatch
from rl.stages.reward_model import RewardTraining, num_reward_steps
from rl.stages.reward_objective import reward_objective
from sampler.atomic_file import write_atomically
from verifiers.counted import counted

TRAIN_STAGE, REPORT_FILE = "01-reward-model", "report.json"


def train_reward_model(recipe: RewardRecipe, run: RunDirectory, display: ProgressDisplay) -> PairReport:
    """Train, export to ``RUN/model``, and report on held-out pairs. The same call after a kill goes on."""
    report_file = run.path / REPORT_FILE
    if report_file.is_file():
        report = PairReport.from_json(json.loads(report_file.read_text()))
        display.done_before(f"reward model: {report.summary}")
        return report
    data = load_reward_data(recipe, run.path / "data", seed=recipe.seed)
    num_cpus = recipe.ray.num_cpus or recipe.trainer.num_ranks + 1
    with ray_session(num_cpus, recipe.ray.object_store_mib):
        model = run.path / "model"
        if not model.is_dir():
            _train(recipe, run, data.train, model, display)
        return _report(recipe, run, data.heldout, model, display)


def _train(
    recipe: RewardRecipe,
    run: RunDirectory,
    pairs: Sequence[AnswerComparison],
    target: Path,
    display: ProgressDisplay,
) -> None:
    from rl.trainer.trainer import Trainer

    base = _base(recipe, run, pairs)
    objective = reward_objective(
        recipe.kind,
        pairs,
        PromptEncoder(base, recipe.sampler.chat_template_kwargs),
        max_tokens=recipe.sampler.max_model_len,
    )
    stage, started_at, watch = run.stage(TRAIN_STAGE), time.time(), Stopwatch()
    with display.stage("reward model", total_steps=num_reward_steps(recipe, objective.num_items)) as progress:
        device = "cpu" if recipe.sampler.device == "cpu" else "cuda"
        with watch("start"):
            trainer = Trainer(recipe.trainer, recipe.model, base, run.logs, device=device)
        try:
            training = RewardTraining(recipe, recipe.seed, run, stage, trainer, progress, watch)
            loss = training.fit(objective, base)
            with watch("save"):
                objective.export(trainer, base, target)
                training.checkpoint.finish()
        finally:
            trainer.shutdown()
        stage.complete(
            RewardModelResult(
                model=target,
                num_pairs=len(pairs),
                num_dropped_too_long=objective.num_dropped,
                final_loss=loss,
            ),
            title="reward model",
            round_index=0,
            started_at=started_at,
            watch=watch,
            inputs={"kind": recipe.kind, "data": recipe.data.model_dump(mode="json")},
        )
        progress.finish(f"loss {loss:.3f} on {counted(len(pairs), 'pair')}")


def _report(
    recipe: RewardRecipe,
    run: RunDirectory,
    pairs: Sequence[AnswerComparison],
    model: Path,
    display: ProgressDisplay,
) -> PairReport:
    """Judge held-out pairs as RL will: through vLLM. Written to ``RUN/report.json``."""
    with display.stage("report") as progress:
        with served(model, recipe.sampler, run.logs / "sampler") as served_model:
            scores = served_model.compare(pairs)
        report = pair_report(judged_pair(scores[one.comparison_id]) for one in pairs)
        write_atomically(run.path / REPORT_FILE, json.dumps(dataclasses.asdict(report), indent=2) + "\n")
        progress.finish(report.summary)
    return report


def _base(recipe: RewardRecipe, run: RunDirectory, pairs: Sequence[AnswerComparison]) -> Path:
    """The checkpoint it starts from: ``model.path``, or a tiny random instance that knows the data's texts."""
    from rl.families.family import load_family

    if recipe.model.path is not None:
        return Path(recipe.model.path)
    hub = run.path / "base"
    if not (hub / "config.json").is_file():
        corpus: list[Any] = [row.prompt.text for row in comparison_rows(pairs)]
        load_family(recipe.model.family).build_tiny(
            hub, seed=recipe.seed, corpus=corpus, sizes=recipe.model.tiny
        )
    return hub
