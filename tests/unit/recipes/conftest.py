"""A run directory as `hone run` leaves it, made up in a second: real pictures, invented rollouts."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recipes.digits.builder import DigitsOptions
from recipes.digits.picture import digit_banks
from recipes.digits.question import DigitQuestion
from sampler.data.prompt_dataset import save_prompts
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns, write_parquet
from sampler.data.sft_row import SftRow, save_sft_rows
from sampler.prompt import Prompt
from verifiers.reading.response import split_response

Asked = tuple[Prompt, DigitQuestion]
NUM_SAMPLES = 4

ROLLOUT_FIELDS = (
    *((name, pa.string()) for name in ("rollout_id", "stage")),
    *((name, pa.int64()) for name in ("round", "step", "policy_version")),
    *((name, pa.string()) for name in ("prompt_id", "kind")),
    ("tags", pa.list_(pa.string())),
    *((name, pa.string()) for name in ("verifier", "reference")),
    ("index", pa.int64()),
    *((name, pa.string()) for name in ("response", "thought", "answer", "answer_status", "finish_reason")),
    *((name, pa.int64()) for name in ("num_prompt_tokens", "num_response_tokens")),
    ("reward", pa.float64()),
    ("verdict_status", pa.string()),
    ("verdict_score", pa.float64()),
    *((name, pa.string()) for name in ("verdict_code", "verdict_reason", "verdict_extracted")),
    ("judge_s", pa.float64()),
)
PACKAGES = {"torch": "2.13.0+cpu", "vllm": "0.30.0", "deepspeed": "0.19.8", "ray": "2.60.0", "verl": "0.9.1"}
RECIPE = "name: digits\nseed: 7\nrl:\n  steps: 30\n  learning_rate: 2.0e-4\nevaluation:\n  temperature: 1.0\n"


def ask_many(num: int, seed: str, heldout: bool) -> list[Asked]:
    rng = random.Random(seed)
    shape = DigitsOptions()
    bank = digit_banks(0.2, 0)[heldout]
    types = shape.question_types
    return [shape.draw(bank, types[index % len(types)], rng) for index in range(num)]


def respond(asked: Asked, skill: float, rng: random.Random) -> tuple[str, bool]:
    """A response that is right with probability `skill`; a wrong one misreads, breaks the format or rambles."""
    _, question = asked
    if rng.random() < skill:
        return question.response(easy=rng.random() > skill), True
    kind = rng.random()
    if kind < 0.15:
        return question.broken_response(rng), False
    if kind < 0.2:
        return "<think>" + "3+" * 40, False
    if question.question_type == "where":
        x, y = rng.choice([(0, 500), (500, 0), (20, 30)])
        return f"<think>{question.thought}</think><bbox>{x} {y} {x + 330} {y + 380}</bbox>", False
    wrong = int(question.reference) + rng.choice([-2, -1, 1, 2])
    return f"<think>{question.thought}</think>\\boxed{{{wrong}}}", False


def rollout_row(
    asked: Asked, said: tuple[str, bool], *, stage: str, version: int, index: int
) -> dict[str, Any]:
    prompt, question = asked
    text, right = said
    finish = "length" if len(text) > 80 else "stop"
    thought, answer = split_response(text, finish_reason=finish)
    ok = answer.ok
    score = float(right) if ok else None
    reason = (
        f"{answer.text} equals {question.reference}"
        if right
        else f"{answer.text} is not {question.reference}"
    )
    return {
        "rollout_id": f"{stage}/{prompt.prompt_id}/{index}",
        "stage": stage,
        "round": 0,
        "step": 0,
        "policy_version": version,
        "prompt_id": prompt.prompt_id,
        "kind": prompt.kind,
        "tags": list(prompt.tags),
        "verifier": prompt.verifier,
        "reference": prompt.reference,
        "index": index,
        "response": text,
        "thought": thought,
        "answer": answer.text,
        "answer_status": answer.status,
        "finish_reason": finish,
        "num_prompt_tokens": 12,
        "num_response_tokens": len(text) // 2,
        "reward": float(right),
        "verdict_status": "scored" if ok else None,
        "verdict_score": score,
        "verdict_code": ("equal" if right else "different") if ok else None,
        "verdict_reason": reason if ok else None,
        "verdict_extracted": answer.text if ok else None,
        "judge_s": 0.002,
    }


def write_rollouts(run: Path, stage: str, rows: list[dict[str, Any]]) -> None:
    def columns(part: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
        return {name: [row[name] for row in part] for name, _ in ROLLOUT_FIELDS}

    write_parquet(run / "rollouts" / stage / "part-0.parquet", rows, columns, ROLLOUT_FIELDS)


class RunMaker:
    """Appends one stage after another to a run directory."""

    def __init__(self, run: Path, num_heldout: int = 24, num_train: int = 32) -> None:
        self.run = run
        self.rng = random.Random("made-up run")
        self.heldout = ask_many(num_heldout, "heldout", heldout=True)
        self.train = ask_many(num_train, "train", heldout=False)
        self.num_stages = 0
        self.version = 0
        (run / "recipe.yaml").write_text(RECIPE)
        paths = {}
        for name, asked in (("heldout", self.heldout), ("train", self.train)):
            paths[name] = f"stages/00-prepare/data/{name}.parquet"
            save_prompts(run / paths[name], [prompt for prompt, _ in asked])
        self.stage("prepare", 0, "prepare data", {"build": 2.0, "load": 0.5, "model": 0.3}, paths=paths,
                   policy={"version": 0, "hub": "base", "stage": "00-prepare"})  # fmt: skip

    def stage(
        self, kind: str, round_index: int, title: str, phase_s: dict[str, float], **result: object
    ) -> str:
        name = self.next_name(kind, round_index)
        directory = self.run / "stages" / name
        directory.mkdir(parents=True, exist_ok=True)
        manifest = {
            "stage": name,
            "kind": kind,
            "round": round_index,
            "title": title if kind == "prepare" else f"round {round_index} · {title}",
            "started_at": "2026-11-22T12:00:00+00:00",
            "ended_at": "2026-11-22T12:01:00+00:00",
            "wall_s": sum(phase_s.values()) * 1.04,
            "phase_s": phase_s,
            "inputs": {},
            "outputs": {},
            "code_version": "cce07e6",
            "packages": PACKAGES,
            "hardware": {"cpus": 2, "memory_gib": 24},
            "result": result,
        }
        (directory / "manifest.json").write_text(json.dumps(manifest))
        self.num_stages += 1
        return name

    def row(self, **fields: Any) -> dict[str, Any]:
        """A row of the rollout log about which nothing is known but this, and that a verifier judged it."""
        ids = {"rollout_id": "r", "stage": "s", "prompt_id": "p", "verifier": "number"}
        return dict.fromkeys(name for name, _ in ROLLOUT_FIELDS) | ids | fields

    def next_name(self, kind: str, round_index: int = 0) -> str:
        return f"{self.num_stages:02d}-{kind}" + ("" if kind == "prepare" else f"-r{round_index}")

    def metrics(self, stage: str, round_index: int, step: int, **values: float) -> None:
        named = {name.replace("__", "/"): value for name, value in values.items()}
        kind = stage.split("-", 1)[1].rsplit("-", 1)[0]
        where = {"stage": stage, "kind": kind, "round": round_index, "step": step}
        line = {**where, "time": 0.0, "metrics": named}
        with (self.run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def sft(self, round_index: int, num_steps: int) -> None:
        stage = self.next_name("sft", round_index)
        for step in range(num_steps):
            loss = 0.15 + 3 * math.exp(-step / num_steps * 5) / (1 + round_index) + self.rng.gauss(0, 0.03)
            self.metrics(stage, round_index, step, train__loss=loss, train__tokens_per_s=9000.0)
        self.stage("sft", round_index, "SFT", {"train": 60.0 / (1 + round_index)}, num_steps=num_steps)

    def verified_rows(self, stage: str, round_index: int, skill: float) -> list[dict[str, Any]]:
        """The held-out attempts of a policy that is right this often."""
        rows = []
        for asked in self.heldout:
            own_skill = min(max(skill + self.rng.gauss(0, 0.25), 0.02), 0.98)
            for index in range(NUM_SAMPLES):
                said = respond(asked, own_skill, self.rng)
                row = rollout_row(asked, said, stage=stage, version=self.version, index=index)
                rows.append({**row, "round": round_index})
        return rows

    def evaluate(self, round_index: int, after: str, skill: float) -> str:
        stage = self.next_name("evaluate", round_index)
        rows = self.verified_rows(stage, round_index, skill)
        write_rollouts(self.run, stage, rows)
        result = evaluation_result(rows)
        phases = {"generate": 7.5, "judge": 0.6}
        self.stage(
            "evaluate", round_index, "evaluate", phases, after=after, policy_version=self.version, **result
        )
        return stage

    def rl(self, round_index: int, num_steps: int, reward_from: float, reward_to: float) -> None:
        stage = self.next_name("rl", round_index)
        for step in range(num_steps):
            progress = 1 - math.exp(-3 * step / num_steps)
            reward = reward_from + (reward_to - reward_from) * progress + self.rng.gauss(0, 0.03)
            values = {
                "rollout__reward_mean": reward,
                "rollout__response_tokens_mean": 10 + 6 * progress + self.rng.gauss(0, 0.4),
                "rollout__thought_frac": 0.5 + 0.45 * progress,
                "rollout__uniform_group_frac": 0.2 + 0.3 * progress,
                "train__entropy": 0.5 - 0.3 * progress,
                "rollout__tokens_per_s": 4600 + self.rng.gauss(0, 200),
                "train__tokens_per_s": 9100 + self.rng.gauss(0, 300),
                "train__mismatch_kl": abs(self.rng.gauss(0, 8e-6)),
                "train__loss": -0.01,
                "train__grad_norm": 0.6 + abs(self.rng.gauss(0, 0.2)),
                "time__generate_s": 1.7,
                "time__train_s": 1.0,
            }
            self.metrics(stage, round_index, step, **values)
            self.version += 1
        phases = {"generate": 1.7, "judge": 0.1, "train": 1.0, "sync": 0.15}
        phases = {name: seconds * num_steps for name, seconds in phases.items()}
        self.stage("rl", round_index, "RL", phases, num_steps=num_steps)

    def harvest(self, round_index: int) -> None:
        name = self.next_name("harvest", round_index)
        rows = []
        for prompt, question in self.train[:10]:
            verdict = {
                "status": "scored",
                "score": 1.0,
                "code": "equal",
                "reason": f"equals {question.reference}",
            }
            rollout_id = f"{name}/{prompt.prompt_id}/3"
            response = question.response()
            rows.append(SftRow(prompt, response, "harvest", rollout_id, self.version, round_index, verdict))
        save_sft_rows(self.run / "stages" / name / "harvest_rows.parquet", rows)
        dropped = {
            "repetition": 3,
            "over_length": 1,
            "duplicate": 611,
            "per_prompt_limit": 420,
            "balance": 17,
        }
        self.stage(
            "harvest",
            round_index,
            "harvest",
            {"generate": 20.0, "judge": 2.0},
            num_prompts_sampled=800,
            num_hard=212,
            num_rollouts=2544,
            num_correct=1362,
            num_kept=310,
            dropped=dropped,
            by_tag={"sum": 80, "largest": 76, "count": 78, "where": 76},
        )


def evaluation_result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    def part(name: str, of: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(of(row), []).append(row)
        return {
            key: {
                "pass_at_1": sum(row["reward"] for row in group) / len(group),
                "num_prompts": len(group) // NUM_SAMPLES,
            }
            for key, group in groups.items()
        }

    solved: dict[str, bool] = {}
    statuses: dict[str, float] = {}
    for row in rows:
        solved[row["prompt_id"]] = solved.get(row["prompt_id"], False) or row["reward"] == 1.0
        statuses[row["answer_status"]] = statuses.get(row["answer_status"], 0.0) + 1 / len(rows)
    return {
        "num_prompts": len(solved),
        "samples_per_prompt": NUM_SAMPLES,
        "pass_at_1": sum(row["reward"] for row in rows) / len(rows),
        "pass_at_k": {str(NUM_SAMPLES): sum(solved.values()) / len(solved)},
        "by_tag": part("tag", lambda row: str(row["tags"][0])),
        "by_verifier": part("verifier", lambda row: str(row["verifier"])),
        "by_kind": part("kind", lambda row: str(row["kind"])),
        "answer_status": statuses,
    }


def make_whole_run(run: Path, num_heldout: int = 24, num_steps: int = 30) -> RunMaker:
    """Two rounds: evaluate, SFT, evaluate, RL, evaluate, harvest; SFT, evaluate, RL, evaluate."""
    maker = RunMaker(run, num_heldout)
    maker.evaluate(0, "start", 0.02)
    maker.sft(0, num_steps * 4)
    maker.evaluate(0, "sft", 0.45)
    maker.rl(0, num_steps, 0.45, 0.75)
    maker.evaluate(0, "rl", 0.74)
    maker.harvest(0)
    maker.sft(1, num_steps * 2)
    maker.evaluate(1, "sft", 0.78)
    maker.rl(1, num_steps, 0.78, 0.9)
    maker.evaluate(1, "rl", 0.9)
    (run / "summary.json").write_text('{"status": "complete"}')
    return maker


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run; read it, do not write into it."""
    run = tmp_path_factory.mktemp("runs") / "digits"
    run.mkdir()
    make_whole_run(run)
    return run


@pytest.fixture
def run_maker(tmp_path: Path) -> RunMaker:
    """An empty run to add stages to."""
    run = tmp_path / "digits"
    run.mkdir()
    return RunMaker(run, num_heldout=8, num_train=12)


@pytest.fixture(scope="session")
def new_run() -> type[RunMaker]:
    """To make a run of one's own."""
    return RunMaker


@pytest.fixture(name="evaluation_result", scope="session")
def _evaluation_result() -> Callable[..., dict[str, Any]]:
    return evaluation_result


@pytest.fixture(name="write_rollouts", scope="session")
def _write_rollouts() -> Callable[..., None]:
    return write_rollouts


@pytest.fixture(scope="session")
def write_prompts() -> Callable[..., None]:
    """Write prompts with other pictures and videos than their own."""

    def write(
        path: Path, prompts: list[Prompt], images: Sequence[bytes] = (), videos: Sequence[bytes] = ()
    ) -> None:
        shown = {
            name: [[{"bytes": one, "path": None} for one in files]]
            for name, files in (("images", images), ("videos", videos))
        }
        write_parquet(
            path,
            prompts,
            lambda part: prompt_columns(part) | {name: held * len(part) for name, held in shown.items()},
            PROMPT_FIELDS,
        )

    return write
