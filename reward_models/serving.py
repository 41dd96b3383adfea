"""A reward model's checkpoint on vLLM workers of its own. What kind it is, the checkpoint says: a value head beside the
weights makes it scalar, a rubric answers criteria, and without either it answers with an indicator token."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reward_models.answer_comparison import indicator_token_ids
from reward_models.judges.pairwise import PairwiseRewardModel
from reward_models.judges.rubric_judge import RubricJudge, ServedAsker
from reward_models.judges.scalar import ScalarRewardModel
from reward_models.reward_model import RewardModel
from reward_models.rubric import MET, Rubric, load_rubric
from reward_models.thought_tags import holds_thought
from reward_models.value_head import VALUE_HEAD_FILE, has_value_head, load_value_head
from sampler.chat_text import control_tokens
from sampler.vllm_pool.pool import SamplerPool
from sampler.vllm_pool.sampler_config import SamplerConfig
from verifiers.errors import BadInput

if TYPE_CHECKING:
    import torch

WEIGHTS_INDEX = "model.safetensors.index.json"


@contextmanager
def served(
    path: Path, sampler: SamplerConfig, log_dir: Path, rubric: Rubric | None = None
) -> Iterator[RewardModel]:
    """Ray must be running. With a ``rubric``, or its own, it is asked criteria. Raises: BadInput where it cannot."""
    from transformers import AutoTokenizer

    if not (path / "config.json").is_file():
        raise BadInput(f"judging.reward_model.path={path} is no checkpoint directory in the hub layout")
    tokenizer = AutoTokenizer.from_pretrained(path)
    never_obeyed = control_tokens_of(tokenizer)
    rubric = rubric or load_rubric(path)
    if rubric is not None:
        if has_value_head(path):
            raise BadInput(
                f"{path} has a {VALUE_HEAD_FILE}: a scalar reward model answers no criterion of a rubric"
            )
        met_ids = indicator_token_ids(tokenizer, MET)
        with SamplerPool(path, sampler, log_dir) as pool:
            yield RubricJudge(ServedAsker(pool, met_ids, control_tokens=never_obeyed), rubric)
    elif has_value_head(path):
        head = checked_head(path)
        with SamplerPool(path, sampler, log_dir, pooling=True) as pool:
            yield ScalarRewardModel(pool, head, control_tokens=never_obeyed)
    else:
        indicator_ids = indicator_token_ids(tokenizer)
        with SamplerPool(path, sampler, log_dir) as pool:
            yield PairwiseRewardModel(pool, indicator_ids, control_tokens=never_obeyed)


def control_tokens_of(tokenizer: Any) -> tuple[str, ...]:
    """The texts that a tokenizer reads as a turn's end, a picture, a thought and the like."""
    added = map(str, tokenizer.added_tokens_decoder.values())
    return (*control_tokens(tokenizer), *filter(holds_thought, added))


def checked_head(path: Path) -> Mapping[str, torch.Tensor]:
    """The head of a checkpoint. Raises: BadInput where it or vLLM's reading of the weights beside it would fail."""
    head = load_value_head(path)
    config = json.loads((path / "config.json").read_text())
    hidden_size = config.get("text_config", config)["hidden_size"]
    if head["weight"].shape != (1, hidden_size):
        raise BadInput(
            f"{path}: {VALUE_HEAD_FILE} is for a hidden size of {head['weight'].shape[-1]}, the model has {hidden_size}"
        )
    if not (path / WEIGHTS_INDEX).is_file():
        raise BadInput(
            f"{path} has a {VALUE_HEAD_FILE} and no {WEIGHTS_INDEX}, so vLLM would take the head for weights of the "
            "model: export the checkpoint again"
        )
    return head
