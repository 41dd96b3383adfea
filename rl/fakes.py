"""Engines that compute nothing: stages, programs, algorithms and judges are tested with them in milliseconds.

They keep the contracts of the real ones, so what a test of yours finds holds there too: rollouts come in another order
than asked for, hang on the seed of their plan alone and carry the policy's version; a checkpoint that is loaded brings
back what was saved; weights are worth nothing but differ as soon as one update does.

    engines = fake_engines(sampler=FakeSampler(answers={"p1": "<think>1+1</think>2"}))
    run_program(recipe, run, display, program, make_engines=engines)
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.answer_comparison import AnswerComparison
from reward_models.score import Score
from rl.algorithm.loss.losses import CRITIC_LOSSES, LossSpec
from rl.data.batch import Batch
from rl.data.token_sequence import Floats
from rl.engines.engines import EngineName, Engines
from rl.experience.judge import Judge, Judgement
from rl.recipe.judging_config import JudgingConfig
from rl.recipe.recipe import Recipe
from rl.run.stage_result import PolicyState
from sampler.prompt import Prompt
from sampler.rollout import Rollout, RolloutGroup, SamplingPlan, Turn
from sampler.vllm_pool.sample_stats import SampleStats
from sampler.vllm_pool.sampler_config import SamplerConfig
from verifiers.answer import FinalAnswer
from verifiers.registry import load_verifier

Respond = Callable[[Prompt, int], str]  # prompt and a seed -> the whole response
WEIGHTS_FILE = "model.safetensors"


class FakeSampler:
    """Says what ``answers`` has for a prompt's id, else what ``respond`` makes of prompt and seed, by default the
    reference in half of the cases. Token ids are the response's bytes; every token has probability 1/2."""

    def __init__(self, respond: Respond | None = None, *, answers: Mapping[str, str] | None = None) -> None:
        self.respond = respond or half_right
        self.answers = answers or {}
        self.policy_version = 0
        self.config = SamplerConfig()
        self.stats: SampleStats | None = None
        self.asked: list[tuple[SamplingPlan, list[str]]] = []  # of every call the plan and the prompts' ids
        self.num_inference_ranks = 1

    def restart_from(self, model_path: Path) -> None: ...

    def sample(self, prompts: Sequence[Prompt], plan: SamplingPlan) -> Iterator[RolloutGroup]:
        """One group a prompt, the last prompt's first."""
        self.asked.append((plan, [prompt.prompt_id for prompt in prompts]))
        stats, began = SampleStats(), time.perf_counter()
        for prompt in reversed(prompts):
            group = RolloutGroup(
                prompt, tuple(self._rollout(prompt, plan, i) for i in plan.indices_for(prompt))
            )
            stats.count(group, time.perf_counter() - began)
            yield group
        self.stats = stats

    def _rollout(self, prompt: Prompt, plan: SamplingPlan, index: int) -> Rollout:
        text = self.answers.get(prompt.prompt_id)
        if text is None:
            text = self.respond(prompt, plan.seed_for(prompt.prompt_id, index))
        whole = np.frombuffer(text.encode() or b" ", np.uint8).astype(np.int32)
        tokens = whole[: plan.max_response_tokens]
        turn = Turn(
            prompt_token_ids=np.arange(3, dtype=np.int32),
            response_token_ids=tokens,
            sample_logprobs=np.full(len(tokens), np.log(0.5), np.float32),
            finish_reason="stop" if len(tokens) == len(whole) else "length",
            policy_versions=((self.policy_version, len(tokens)),),
        )
        return Rollout(
            rollout_id=plan.rollout_id(prompt.prompt_id, index),
            prompt_id=prompt.prompt_id,
            index=index,
            turns=(turn,),
            text=text if len(tokens) == len(whole) else text.encode()[: len(tokens)].decode(errors="ignore"),
        )

    def weight_sync_client(self, policy_version: int) -> int:
        return policy_version

    def commit_weights(self, policy_version: int) -> None:
        self.policy_version = policy_version

    def weight_checksums(self, dtype: str) -> list[dict[str, int]]:
        return []  # of each vLLM process, and there is none

    def revive(self) -> int:
        return 0

    def start(self) -> None: ...
    def shutdown(self) -> None: ...


def half_right(prompt: Prompt, seed: int) -> str:
    """The reference for every other seed."""
    return f"<think>{seed % 97}</think>{prompt.reference_text if seed % 2 else 'something else'}"


class FakeTrainer:
    """``calls`` are the names of what it was asked for, in order. Its weights are a hash of all it was trained on."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.weights, self.critic = "", ""
        self.model_sizes: dict[str, Any] = {}

    def hold(self, batch: Batch, steps: Sequence[Sequence[int]] | None = None) -> FakeHeldBatch:
        return FakeHeldBatch(self, batch, [range(len(batch))] if steps is None else steps)

    def logprobs(self, batch: Batch, **options: Any) -> tuple[Floats, Floats]:
        return self.hold(batch).logprobs(**options)

    def values(self, batch: Batch) -> Floats:
        return self.hold(batch).values()

    def update(
        self,
        steps: Sequence[Batch],
        rates: Sequence[float],
        loss: LossSpec,
        teachers: Sequence[str] | None = None,
    ) -> list[dict[str, float]]:
        outcomes = [self.step(batch, rate, loss) for batch, rate in zip(steps, rates, strict=True)]
        return [one | {"teacher_kl": 0.25} if teachers and loss.teacher_coef else one for one in outcomes]

    def step(self, batch: Batch, rate: float, loss: LossSpec) -> dict[str, float]:
        """One optimizer step. Its loss is between 0 and 1 and hangs on all that was trained on."""
        self.calls.append(f"update {loss.name}")
        trained = hashlib.sha256(batch.token_ids.tobytes() + repr((loss, rate)).encode()).hexdigest()
        if loss.name in CRITIC_LOSSES:
            learnt = self.critic = _hashed(self.critic, trained)
        else:
            learnt = self.weights = _hashed(self.weights, trained)
        figures = {"grad_norm": 1.0, "value_clip_frac": 0.0, "seconds": 1e-3, "num_tokens": batch.num_tokens}
        return {"loss": int(learnt[:8], 16) / 2**32, **figures}

    def save_checkpoint(self, directory: Path) -> None:
        self.export(directory)
        (directory / "critic").write_text(self.critic)

    def load_checkpoint(self, directory: Path) -> None:
        self.calls.append("load_checkpoint")
        self.weights = _contents(directory / WEIGHTS_FILE)
        self.critic = _contents(directory / "critic")

    def export(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / WEIGHTS_FILE).write_text(self.weights)

    def export_critic(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / WEIGHTS_FILE).write_text(self.critic)

    def load_weights(self, hub_directory: Path) -> None:
        self.calls.append("load_weights")
        self.weights = _contents(hub_directory / WEIGHTS_FILE)

    def load_critic(self, hub_directory: Path) -> None:
        self.calls.append("load_critic")
        self.critic = _contents(hub_directory / WEIGHTS_FILE)

    def drop_critic(self) -> None:
        self.critic = ""

    def load_frozen(self, directories: Collection[str]) -> None:
        self.calls.extend(f"load {Path(one).name}" for one in directories)

    def send_weights(self, backend: str, client: Any, num_inference_ranks: int) -> float:
        self.calls.append("send_weights")
        return 0.0

    def weight_checksums(self) -> dict[str, int]:
        return {}

    def reset_optimizer(self) -> None:
        self.calls.append("reset_optimizer")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


class FakeHeldBatch:
    """What a ``FakeTrainer`` computes of a batch."""

    def __init__(self, trainer: FakeTrainer, batch: Batch, steps: Sequence[Sequence[int]]) -> None:
        self.trainer, self.batch, self.steps = trainer, batch, steps

    def logprobs(
        self, temperature: float = 1.0, *, of: Any = None, where: Any = None
    ) -> tuple[Floats, Floats]:
        """The sampler's own where it drew them, else -1; and entropies of ln 2. 0 for the sequences that ``where``
        leaves out."""
        self.trainer.calls.append("frozen logprobs" if of else "logprobs")
        drawn = "sample_logprobs" in self.batch.columns
        learnt = int(self.batch.learnt.sum())
        sampled = self.batch.column("sample_logprobs") if drawn else -np.ones(learnt, np.float32)
        asked = np.ones(len(self.batch), bool) if where is None else where
        asked = np.repeat(asked, self.batch.loss_lengths)
        return sampled * asked, np.float32(np.log(2)) * asked

    def values(self) -> Floats:
        self.trainer.calls.append("values")
        return np.full(int(self.batch.learnt.sum()), 0.25, np.float32)

    def update(self, batch: Batch, rates: Sequence[float], loss: LossSpec, _: Any = None) -> Any:
        return [
            self.trainer.step(batch.select(step), rate, loss)
            for step, rate in zip(self.steps, rates, strict=True)
        ]


class FakeJudge(Judge):
    """Verifiers judge in this process, at once; a reward model is asked if one is given (see ``FakeScorer``)."""

    def __init__(self, config: JudgingConfig | None = None, **settings: Any) -> None:
        self.config = config or JudgingConfig(**settings)
        self.thinking_tags = ("<think>", "</think>")
        self._scorer = None

    def close(self) -> None: ...

    def _submit(self, prompt: Prompt, rollout_id: str, answer: FinalAnswer) -> Judgement:
        if prompt.verifier is None:
            return super()._submit(prompt, rollout_id, answer)
        verdict: Future[Any] = Future()
        verdict.set_result(
            load_verifier(prompt.verifier, prompt.verifier_options).judge(prompt.reference, answer)
        )
        return verdict


class FakeScorer:
    """Prefers the answer that ``prefers`` gives a probability above one half; by default the longer one."""

    def __init__(self, prefers: Callable[[AnswerComparison], float] | None = None) -> None:
        self.prefers = prefers or longer_wins

    def submit(self, comparison: AnswerComparison) -> Future[Score]:
        score: Future[Score] = Future()
        probability = self.prefers(comparison)
        parts = {"as_first": probability, "as_second": probability}
        score.set_result(Score.scored(probability, parts=parts))
        return score


def longer_wins(comparison: AnswerComparison) -> float:
    """1/4, 1/2 or 3/4."""
    first, second = len(comparison.first.text), len(comparison.second.text)
    return 0.5 + 0.25 * ((first > second) - (first < second))


class FakeEngines(Engines):
    """Engines whose parts are fakes; all else, which policy they hold, the sync, its proof, is as it is."""

    def __init__(
        self,
        recipe: Recipe,
        base: PolicyState,
        log_dir: Path,
        *,
        sampler: FakeSampler | None = None,
        trainer: FakeTrainer | None = None,
        judge: FakeJudge | None = None,
        scorer: FakeScorer | None = None,
        **options: Any,
    ) -> None:
        super().__init__(recipe, base, log_dir, **options)
        trainer, scorer = trainer or FakeTrainer(), scorer or FakeScorer()
        self.fakes = (sampler or FakeSampler(), trainer, judge or FakeJudge(recipe.judging), scorer)
        self.forbidden_token_ids = ()

    def _start_ray(self, needs: Any = ()) -> None: ...
    def warm_up(self, needs: Collection[EngineName]) -> None: ...

    def _start_sampler(self) -> None:
        self._sampler: Any = self.fakes[0]
        self._sampler.policy_version = self._held.version

    def _start_trainer(self) -> None:
        self._trainer: Any = self.fakes[1]
        self._trainer.weights = _contents(self._held.hub / WEIGHTS_FILE)

    def _start_judge(self) -> None:
        self._judge = self.fakes[2]

    def _start_scorer(self) -> None:
        has_checkpoint = self.recipe.judging.reward_model.has_checkpoint  # type: ignore[union-attr]
        self._scorer: Any = self.fakes[3] if self.reward_model or not has_checkpoint else None


def fake_engines(**fakes: Any) -> Callable[..., FakeEngines]:
    """For ``make_engines``: ``FakeEngines`` with these for its parts."""
    return partial(FakeEngines, **fakes)


def _hashed(before: str, change: str) -> str:
    return hashlib.sha256(f"{before} {change}".encode()).hexdigest()


def _contents(file: Path) -> str:
    """What a fake wrote, or a hash of what a real one did; nothing where there is no such file."""
    data = file.read_bytes() if file.is_file() else b""
    return data.decode() if len(data) <= 64 else hashlib.sha256(data).hexdigest()
