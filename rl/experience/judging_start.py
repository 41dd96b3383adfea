"""A judge with all that a recipe's judging section asks for: verifier processes, and a reward model's workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reward_models.scoring_service import ScoringService
from reward_models.serving import served
from rl.experience.judge import Judge
from rl.recipe.judging_config import JudgingConfig
from sampler.vllm_pool.sampler_config import SamplerConfig

REWARD_MODEL_LINK = "reward-model"  # in a run directory: the one that the run trained


@contextmanager
def judge_of(
    config: JudgingConfig, thinking_tags: tuple[str, str], log_dir: Path, *, run_path: Path
) -> Iterator[Judge]:
    """Ray must be running where there is a reward model. Raises: BadInput for one that cannot be served."""
    with ExitStack() as stack:
        judge = stack.enter_context(Judge(config, thinking_tags=thinking_tags))
        path = reward_model_path(config, run_path)
        if config.reward_model is not None and path is not None:
            scorer = stack.enter_context(scoring(path, config.reward_model.sampler, log_dir))
            judge.score_with(scorer)
        yield judge


def reward_model_path(config: JudgingConfig, run_path: Path) -> Path | None:
    """The recipe's reward model, or the one that the run has trained; None where there is none (yet)."""
    if config.reward_model is None:
        return None
    if config.reward_model.path is not None:
        return Path(config.reward_model.path)
    trained = run_path / REWARD_MODEL_LINK
    return trained.resolve() if trained.exists() else None


@contextmanager
def scoring(path: Path, sampler: SamplerConfig, log_dir: Path) -> Iterator[ScoringService]:
    """The reward model at ``path``, asked in the background."""
    with served(path, sampler, log_dir / "reward-model") as model, ScoringService(model.compare) as service:
        yield service
