"""A GRPO step beside TRL's GRPOTrainer with transformers' generate: same policy, prompts, pictures, sizes and rates.

Both live in processes of their own and take their steps in turn, so neither works while the other does. TRL runs in
whatever Python has it (the extra ``peer``), which may be another than Hone's:

    hone bench peer RUN --policy RUN/stages/02-sft-r0/policy --python /path/to/python

Hone's step is that of its RL stage, whole: sampled, judged, learnt from, synced, logged. TRL's is one generation with
its optimizer steps, rewards by the same verifiers in the same process.
"""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rl.recipe.recipe import Recipe
from rl.stages.rl import RlStage
from rl.stages.stage import StageContext
from sampler.prompt import Prompt
from verifiers.reading.response import split_response
from verifiers.registry import load_verifier

NUM_WARM = 1  # steps of each that are not counted


@dataclass(frozen=True)
class Setting:
    """What the peer is told: the policy's checkpoint, prompts, and the recipe's figures."""

    policy: Path
    prompts: Sequence[Prompt]
    recipe: Recipe
    forbidden_token_ids: Sequence[int]
    output: Path


@dataclass(frozen=True)
class BesidePeer:
    """Seconds of each step, and each step's mean reward, which says that both do the same work."""

    own_s: list[float]
    peer_s: list[float]
    own_reward: list[float]
    peer_reward: list[float]

    def __str__(self) -> str:
        ratios = sorted(peer / own for own, peer in zip(self.own_s, self.peer_s, strict=True))
        return (
            f"a GRPO step, medians of {len(self.own_s)} in turn\n"
            f"  Hone {statistics.median(self.own_s):6.2f} s, mean reward {statistics.mean(self.own_reward):.3f}\n"
            f"  TRL  {statistics.median(self.peer_s):6.2f} s, mean reward {statistics.mean(self.peer_reward):.3f}\n"
            f"  median of the paired ratios {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


class Peer:
    """TRL in a process of its own, which takes a step when it is asked to."""

    def __init__(self, python: Path, setting: Setting, log: Path) -> None:
        self._file = setting.output / "setting.pickle"
        self._file.write_bytes(pickle.dumps(setting))
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [python, "-m", __name__, self._file],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def step(self) -> tuple[float, float]:
        """Seconds and mean reward. Raises: RuntimeError where the process has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if len(answer) != 2:
            raise RuntimeError(f"TRL's process has ended with {self._process.wait()}: see its log")
        return float(answer[0]), float(answer[1])

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()


def measure_beside(context: StageContext, peer: Peer) -> BesidePeer:
    """The RL stage of the context, in which the peer takes a step after each of its own."""
    peer_steps: list[tuple[float, float]] = []

    def advanced() -> None:
        if context.progress.step:  # it says first where it begins
            peer_steps.append(peer.step())

    context.engines.start()
    context.progress.on_advance = advanced
    RlStage().run(context)
    own = context.directory.metrics()[NUM_WARM:]
    return BesidePeer(
        [metrics["time/step_s"] for metrics in own],
        [seconds for seconds, _ in peer_steps[NUM_WARM:]],
        [metrics["rollout/reward_mean"] for metrics in own],
        [reward for _, reward in peer_steps[NUM_WARM:]],
    )


# The peer's own process


def main(file: str) -> None:
    """Take steps as they are asked for on standard input; answer with seconds and mean reward."""
    setting: Setting = pickle.loads(Path(file).read_bytes())  # noqa: S301 - written by ``Peer``
    answers, sys.stdout = sys.stdout, sys.stderr

    import torch
    from transformers import AutoProcessor, Qwen3VLMoeForConditionalGeneration, TrainerCallback
    from trl import GRPOTrainer

    torch.set_num_threads(setting.recipe.trainer.threads_per_node)
    num_mini_batches = setting.recipe.rl.num_mini_batches
    rewards: list[float] = []

    class InTurn(TrainerCallback):
        """Between two rollout batches: say how long the last took, then wait to be asked."""

        def __init__(self) -> None:
            self.began: float | None = None

        def on_step_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % num_mini_batches:
                return
            if self.began is not None:
                seconds, reward = time.perf_counter() - self.began, statistics.mean(rewards)
                print(seconds, reward, file=answers, flush=True)
                rewards.clear()
            if not sys.stdin.readline():
                control.should_training_stop = True
            self.began = time.perf_counter()

    model = Qwen3VLMoeForConditionalGeneration.from_pretrained(setting.policy, dtype=torch.float32)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=judged(rewards),
        args=arguments(setting),
        train_dataset=dataset(setting.prompts),
        processing_class=AutoProcessor.from_pretrained(setting.policy),
        callbacks=[InTurn()],
    )
    trainer.train()


def judged(kept: list[float]) -> Any:
    """TRL's reward function over the columns of ``dataset``; what it gives is kept too."""

    def reward(prompts: Any, completions: Any, judge: Any, **_: Any) -> list[float]:
        found = []
        for completion, given in zip(completions, judge, strict=True):
            name, options, reference = pickle.loads(bytes.fromhex(given))  # noqa: S301 - written below
            answer = split_response(completion[0]["content"]).answer
            verdict = load_verifier(name, options).judge(reference, answer)
            found.append(float(verdict.score or 0.0) if answer.ok else 0.0)
        kept.extend(found)
        return found

    return reward


def dataset(prompts: Sequence[Prompt]) -> Any:
    """Prompts as TRL reads them, with what their judge needs."""
    from datasets import Dataset

    judges = [pickle.dumps((one.verifier, one.verifier_options, one.reference)).hex() for one in prompts]
    return Dataset.from_dict(
        {
            "prompt": [list(one.messages) for one in prompts],
            "images": [one.pil_images() for one in prompts],
            "judge": judges,
        }
    )


def arguments(setting: Setting) -> Any:
    """The recipe's figures in TRL's words. Its checkpointing of activations, on by default, is off: Hone has none."""
    from trl import GRPOConfig

    rl, trainer = setting.recipe.rl, setting.recipe.trainer
    rollouts = rl.prompts_per_step * rl.samples_per_prompt
    return GRPOConfig(
        output_dir=str(setting.output),
        per_device_train_batch_size=rollouts // rl.num_mini_batches,
        steps_per_generation=rl.num_mini_batches,
        num_generations=rl.samples_per_prompt,
        max_completion_length=rl.max_response_tokens,
        max_steps=rl.num_mini_batches * (rl.steps + 1),
        temperature=rl.temperature,
        top_k=0,
        generation_kwargs={"suppress_tokens": list(setting.forbidden_token_ids)},
        beta=0.0,
        epsilon=rl.loss.clip_low,
        epsilon_high=rl.loss.clip_high,
        loss_type="dapo",
        learning_rate=rl.schedule.lr,
        lr_scheduler_type="constant",
        adam_beta1=trainer.adam_betas[0],
        adam_beta2=trainer.adam_betas[1],
        weight_decay=trainer.weight_decay,
        max_grad_norm=trainer.clip_grad_norm,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        dataloader_pin_memory=False,
        seed=setting.recipe.seed,
        logging_steps=10**6,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


if __name__ == "__main__":
    main(sys.argv[1])
