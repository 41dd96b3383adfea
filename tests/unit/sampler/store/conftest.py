"""Rollout logs and prompt sets made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sampler.data.prompt_dataset import save_prompts
from sampler.prompt import Prompt
from sampler.store.prompt_store import PromptStore, StorePart

# prompt id, policy version, rewards; None: no decision
Attempt = tuple[str, int, Sequence[float | None]]
TYPES = {"a": "sum", "b": "sum", "c": "where", "d": "where", "e": "where"}
REFERENCES = {"a": "1", "b": "2", "c": "1", "d": "1", "e": "it's 5%"}


def prompt_of(name: str) -> Prompt:
    message = {"role": "user", "content": [{"type": "text", "text": f"What is {name}?"}]}
    return Prompt(
        name,
        (message,),
        (),
        tags=(TYPES[name], "all"),
        verifier="math",
        reference=REFERENCES[name],
        source="hand",
    )


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., StorePart]:
    def make(run: str, attempts: Sequence[Attempt], **more: Any) -> StorePart:
        folder = tmp_path / run.replace("/", "_")
        folder.mkdir()
        rows = [
            {
                "stage": f"{version:02d}-rl", "policy_version": version, "prompt_id": name, "kind": "verifiable",
                "tags": [TYPES[name], "all"], "verifier": "math", "reward": reward, "index": index,
            }
            for name, version, rewards in attempts
            for index, reward in enumerate(rewards)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), folder / "it's a step.parquet")
        save_prompts(folder / "train.parquet", [prompt_of(name) for name in "abcde"])
        sets = {"train": str(folder / "train.parquet")}
        return StorePart(run, [folder / "it's a step.parquet"], sets, **more)

    return make


@pytest.fixture
def store(part: Callable[..., StorePart]) -> Callable[..., PromptStore]:
    return lambda attempts, run="run": PromptStore([part(run, attempts)])
