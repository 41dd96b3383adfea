"""A run whose prompts are judged by verifiers and by a reward model, as the recipe `hybrid_cpu` leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt
from sampler.store.log_schema import SCHEMA

Row = dict[str, Any]
NUM_SAMPLES = 4
REPORT = {
    "num_pairs": 200,
    "num_failed": 0,
    "accuracy": 0.914,
    "position_bias_frac": 0.035,
    "order_gap_mean": 0.05,
    "brier": 0.07,
    "ece": 0.02,
    "bins": [],
}


def general_prompt(asked: Prompt, rank: int) -> Prompt:
    """The same picture, to be described."""
    text = {"type": "text", "text": "Describe the picture."}
    return Prompt.build(
        messages=[{"role": "user", "content": [{"type": "image"}, text]}],
        images=asked.images,
        kind="general",
        reference=f"There is {rank} and 5.",
        tags=("describe", str(rank)),
    )


@dataclass
class HybridMaker:
    """Stages of a hybrid run on top of what a `RunMaker` makes."""

    maker: Any
    general: Sequence[Prompt]
    evaluation_result: Callable[[list[Row]], Row]

    @property
    def run(self) -> Path:
        run: Path = self.maker.run
        return run

    def general_row(
        self, prompt: Prompt, stage: str, index: int, probability: float | None, **fields: Any
    ) -> Row:
        """One answer that a reward model judged so; it failed where there is no probability."""
        around = (
            {} if probability is None else {"as_first": probability + 0.02, "as_second": probability - 0.02}
        )
        row = {
            "rollout_id": f"{stage}/{prompt.prompt_id}/{index}",
            "stage": stage,
            "round": 0,
            "step": 0,
            "policy_version": self.maker.version,
            "prompt_id": prompt.prompt_id,
            "kind": prompt.kind,
            "tags": list(prompt.tags),
            "reference": prompt.reference,
            "index": index,
            "response": "<think>1,5</think>two digits: 1 and 5.",
            "thought": "1,5",
            "answer": "two digits: 1 and 5.",
            "answer_status": "ok",
            "finish_reason": "stop",
            "num_prompt_tokens": 12,
            "num_response_tokens": 14,
            "reward": probability,
            "score_status": "error" if probability is None else "scored",
            "score_probability": probability,
            "score_reason": "the service is gone" if probability is None else "",
            "score_parts": json.dumps(around),
            "judge_s": 0.01,
        }
        return row | fields

    def broken_row(self, prompt: Prompt, stage: str, index: int) -> Row:
        """A response without a final answer is never put to the reward model."""
        unscored = dict.fromkeys(("score_status", "score_probability", "score_reason", "score_parts"))
        broken = {"answer": "", "answer_status": "truncated", "thought": "1,1,1,1", "reward": 0.0}
        return self.general_row(prompt, stage, index, 0.0, **unscored, **broken)

    def general_rows(self, stage: str, win: float) -> list[Row]:
        """Probabilities around `win`; the first prompt's are of every sort."""
        first, *others = self.general
        rows = [
            self.general_row(first, stage, 0, win),
            self.broken_row(first, stage, 1),
            self.general_row(first, stage, 2, 0.5),
            self.general_row(first, stage, 3, None),
        ]
        for prompt in others:
            for index in range(NUM_SAMPLES):
                probability = min(max(self.maker.rng.gauss(win, 0.25), 0.03), 0.97)
                rows.append(self.general_row(prompt, stage, index, probability))
        return rows

    def write(self, stage: str, rows: list[Row]) -> None:
        directory = self.run / "rollouts" / stage
        directory.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), directory / "step-00000.parquet")

    def evaluate(
        self, after: str, *, skill: float | None, win: float | None, previous: Row | None = None
    ) -> None:
        """Without `skill` no prompt has a verifier; without `win` there is no reward model yet."""
        stage = self.maker.next_name("evaluate", 0)
        verified = [] if skill is None else self.maker.verified_rows(stage, 0, skill)
        compared = [] if win is None else self.general_rows(stage, win)
        self.write(stage, verified + compared)
        result = self.evaluation_result(verified) if verified else NO_VERIFIER
        general = {"num_prompts": len(self.general) if compared else 0, "against_reference": wins(compared)}
        if previous is not None:
            general["against_previous"] = {"opponent": "04-evaluate-r0", "num_failed": 0, **previous}
        phases = {"generate": 7.5, "judge": 0.6, "compare": 1.1}
        version = self.maker.version
        self.maker.stage(
            "evaluate", 0, "evaluate", phases, after=after, policy_version=version, **result, general=general
        )

    def reward_model(self, num_steps: int = 40) -> None:
        stage = self.maker.next_name("reward-model", 0)
        for step in range(num_steps):
            self.maker.metrics(stage, 0, step, train__loss=0.7 - 0.4 * step / num_steps)
        result = {"model": f"stages/{stage}/model", "num_pairs": 5000, "final_loss": 0.3, "report": REPORT}
        self.maker.stage("reward-model", 0, "reward model", {"train": 30.0, "judge": 4.0}, **result)

    def critic(self, num_steps: int = 12) -> None:
        stage = self.maker.next_name("critic", 0)
        for step in range(num_steps):
            self.maker.metrics(
                stage, 0, step, critic__explained_variance=-0.3 + step / num_steps, critic__loss=0.2
            )
        self.maker.stage("critic", 0, "critic", {"generate": 10.0, "train": 8.0}, num_steps=num_steps)

    def rl(self, num_steps: int = 30) -> None:
        stage = self.maker.next_name("rl", 0)
        self.maker.rl(0, num_steps, 0.45, 0.75)
        metrics = self.run / "metrics.jsonl"
        lines = [json.loads(line) for line in metrics.read_text().splitlines()]
        for line in lines:
            if line["stage"] == stage:
                step = line["step"] / num_steps
                line["metrics"] |= {
                    "kind/verifiable/reward_mean": 0.45 + 0.3 * step,
                    "kind/general/reward_mean": 0.5 + 0.2 * step,
                    "kind/general/kl_response_mean": 2.0 * step,
                    "critic/explained_variance": 0.6 + 0.2 * step,
                }
        metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))


NO_VERIFIER: Row = {
    "num_prompts": 0,
    "samples_per_prompt": 0,
    "pass_at_1": 0.0,
    "pass_at_k": {"4": 0.0},
    "by_tag": {},
    "by_verifier": {},
    "by_kind": {},
    "answer_status": {"ok": 1.0},
}


def wins(rows: Sequence[Row]) -> Row:
    """As `rl.experience.exams.evaluation.win_rate` counts them."""
    known = [row["reward"] for row in rows if row["reward"] is not None]
    won = sum(0.5 if reward == 0.5 else float(reward > 0.5) for reward in known)
    return {
        "win_rate": won / len(known) if known else None,
        "win_probability": sum(known) / len(known) if known else None,
        "num_comparisons": len(known),
        "num_failed": len(rows) - len(known),
    }


def hybrid_maker(maker: Any, evaluation_result: Callable[[list[Row]], Row]) -> HybridMaker:
    """General prompts stand among the run's held-out ones."""
    verified = [prompt for prompt, _ in maker.heldout]
    general = [general_prompt(prompt, rank) for rank, prompt in enumerate(verified[:8])]
    heldout = maker.run / "stages" / "00-prepare" / "data" / "heldout.parquet"
    save_prompts(heldout, [*verified, *general])
    return HybridMaker(maker, general, evaluation_result)


@pytest.fixture(scope="session")
def hybrid_run(
    tmp_path_factory: pytest.TempPathFactory,
    new_run: Callable[..., Any],
    evaluation_result: Callable[[list[Row]], Row],
) -> Path:
    """A complete one: SFT, reward model, critic, RL. Read it, do not write into it."""
    run = tmp_path_factory.mktemp("runs") / "hybrid"
    run.mkdir()
    made = hybrid_maker(new_run(run, 12), evaluation_result)
    made.evaluate("start", skill=0.02, win=None)
    made.maker.sft(0, 40)
    made.reward_model()
    made.evaluate("sft", skill=0.45, win=0.45)
    made.critic()
    made.rl()
    against_sft = {"win_rate": 0.703, "win_probability": 0.66, "num_comparisons": 32}
    made.evaluate("rl", skill=0.8, win=0.75, previous=against_sft)
    (run / "summary.json").write_text('{"status": "complete"}')
    return run


@pytest.fixture
def hybrid(run_maker: Any, evaluation_result: Callable[[list[Row]], Row]) -> HybridMaker:
    """An empty run to add stages to."""
    return hybrid_maker(run_maker, evaluation_result)
