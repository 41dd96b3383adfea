"""What a run leaves, in real clients' hands: the blocks of docs/operating.md, run as they stand on a run's files."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rl.run.ray_session import free_port

pytestmark = pytest.mark.timeout(1800)  # the run itself, and a server
REPOSITORY = Path(__file__).parents[3]
SECTION = (
    (REPOSITORY / "docs" / "operating.md").read_text().partition("## Use what a run leaves elsewhere")[2]
)
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", SECTION.partition("\n## ")[0], re.DOTALL)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def blocks(undisturbed: Any, port: int) -> list[str]:
    """In order, with the run's directory and a free port for those of the document."""
    return [
        text.replace("runs/digits_cpu", str(undisturbed.run_dir)).replace("8000", str(port))
        for _, text in BLOCKS
    ]


@pytest.fixture(scope="module")
def in_transformers(blocks: list[str]) -> dict[str, Any]:
    """The names that the first block leaves."""
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    return names


@pytest.fixture(scope="module")
def server(blocks: list[str], port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """vLLM's, by the command of the document."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = shlex.split(blocks[1].replace("\\\n", " ").replace(".venv/bin/python", sys.executable))
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + 500
        while True:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def test_the_policy_in_plain_transformers(in_transformers: dict[str, Any]) -> None:
    assert in_transformers["said"] and in_transformers["row"]["images"]


def test_the_policy_under_vllm_s_openai_server(
    server: None, blocks: list[str], in_transformers: dict[str, Any]
) -> None:
    """Greedy in float32, it says to a picture what transformers says."""
    names = dict(in_transformers)
    exec(blocks[2], names)
    assert names["reply"].choices[0].message.content.strip() == in_transformers["said"].strip()


def test_the_harvest_s_rows_are_a_data_set_for_trl(
    in_transformers: dict[str, Any], blocks: list[str]
) -> None:
    """What `trl.SFTTrainer` makes of prompt and completion: the template of the prompt begins that of both, a place for
    each picture, and the rest is what is learnt."""
    names = dict(in_transformers)
    exec(blocks[3], names)
    rows, processor = names["rows"], names["processor"]
    assert len(rows) and set(rows.column_names) == {"prompt", "images", "completion"}
    for row in rows:
        prompt = processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        whole = processor.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=False)
        (said,) = row["completion"][0]["content"]
        assert whole.removeprefix(prompt).startswith(said["text"]) and said["text"]
        assert prompt.count("<|image_pad|>") == len(row["images"]) == 1


def test_the_rollout_log_in_pandas_datasets_and_duckdb(blocks: list[str], undisturbed: Any) -> None:
    from datasets import load_dataset

    names: dict[str, Any] = {"load_dataset": load_dataset}
    exec(blocks[4], names)
    num_rows = len(undisturbed.rollouts())
    counted = names["by_stage"].fetchall()
    assert len(names["frame"]) == len(names["dataset"]) == sum(row[1] for row in counted) == num_rows
    assert [row[0] for row in counted] == sorted(path.name for path in undisturbed.run_dir.glob("rollouts/*"))
