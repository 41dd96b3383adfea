"""A judge with all that a recipe's judging section asks for: verifier processes, and a reward model's workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reward_models.comparison import indicator_token_ids
from reward_models.pairwise import PairwiseRewardModel
from reward_models.scoring_service import ScoringService
from rl.judging import Judge
from rl.recipe import JudgingConfig, RewardModelConfig
from sampler.pool import SamplerPool
from verifiers.errors import BadInput


@contextmanager
def judge_of(config: JudgingConfig, thinking_tags: tuple[str, str], log_dir: Path) -> Iterator[Judge]:
    """Ray must be running where there is a reward model. Raises: BadInput for one that cannot be served."""
    with ExitStack() as stack:
        scorer = None
        if config.reward_model is not None:
            model = stack.enter_context(served(config.reward_model, log_dir / "reward-model"))
            scorer = stack.enter_context(ScoringService(model.compare))
        yield stack.enter_context(Judge(config, thinking_tags=thinking_tags, scorer=scorer))


@contextmanager
def served(config: RewardModelConfig, log_dir: Path) -> Iterator[PairwiseRewardModel]:
    """The reward model on vLLM workers of its own."""
    from transformers import AutoTokenizer

    path = Path(config.path)
    if not (path / "config.json").is_file():
        raise BadInput(f"judging.reward_model.path={path} is no checkpoint directory in the hub layout")
    indicator_ids = indicator_token_ids(AutoTokenizer.from_pretrained(path))
    with SamplerPool(path, config.sampler, log_dir) as pool:
        yield PairwiseRewardModel(pool, indicator_ids)
