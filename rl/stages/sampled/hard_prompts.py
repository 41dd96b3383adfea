"""Which prompts a harvest works on: drawn by a seed, and hard by what was seen of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rl.experience.judge import JudgedRollout
from rl.recipe.sft_config import HarvestConfig
from rl.run.run_directory import RunDirectory
from rl.run.run_history import RunPast
from sampler.prompt import Prompt


class Evidence(NamedTuple):
    """Of one prompt: samples with a decision, and the right ones among them; of older policies parts of one."""

    num: float
    num_right: float

    @property
    def pass_rate(self) -> float:
        return self.num_right / self.num


def draw_candidates(
    prompts: Sequence[Prompt], num: int, *, seed: str, known: Mapping[str, Evidence] | None = None
) -> list[Prompt]:
    """Prompts to try, in an order that depends on the seed alone; first those of which something is ``known``."""
    ahead = [prompt for prompt in prompts if prompt.prompt_id in known] if known else []
    others = [prompt for prompt in prompts if prompt.prompt_id not in known] if known else list(prompts)
    chosen = random.Random(seed).sample(ahead, min(num, len(ahead)))
    return chosen + random.Random(seed).sample(others, min(num - len(chosen), len(others)))


def logged_evidence(run: RunDirectory, config: HarvestConfig, *, policy_version: int) -> dict[str, Evidence]:
    """What the stages that are complete saw of prompts, older policies weighed less, of those prompts with as many
    samples as a probe has. A harvest that is begun anew finds the same."""
    past = RunPast(run.path, policy_version, config.min_score)
    found = {
        prompt_id: Evidence(right + wrong, right)
        for prompt_id, (right, wrong) in past.evidence(config.probe_half_life).items()
    }
    return {prompt_id: seen for prompt_id, seen in found.items() if seen.num >= config.probe_samples}


def probed_evidence(probed: Sequence[JudgedRollout], min_score: float) -> dict[str, Evidence]:
    """The same of rollouts at hand; one without a decision counts for nothing."""
    right: dict[str, list[bool]] = defaultdict(list)
    for one in probed:
        if one.reward.value is not None:
            right[one.prompt.prompt_id].append(one.reward.value >= min_score)
    return {prompt_id: Evidence(len(seen), sum(seen)) for prompt_id, seen in right.items()}


def hard_prompts(
    evidence: Mapping[str, Evidence], candidates: Sequence[Prompt], config: HarvestConfig
) -> list[Prompt]:
    """Prompts with min_pass_frac < pass rate <= max_pass_frac over the decided samples."""
    low, high = config.min_pass_frac, config.max_pass_frac
    return [
        prompt
        for prompt in candidates
        if (seen := evidence.get(prompt.prompt_id)) is not None and low < seen.pass_rate <= high
    ]
