"""How `hone prompts` and the viewer do at scale: a made-up log of the real columns, counted, asked and chosen from.

python tools/bench_prompt_store.py --prompts 1000000 --rollouts 20000000 --out FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import duckdb
import numpy as np

from recipes.view.opened import Opened, Snapshot
from recipes.view.pages.prompt_page import prompt_page
from recipes.view.pages.prompt_table import found, neighbours
from recipes.view.prompt_filter import PromptFilter
from rl.experience.judge import JudgedRollout, Reward
from rl.experience.prompt_source import SOURCES, prompt_source_of
from rl.experience.rollout_log import TokenFigures, write_rollouts
from rl.experience.selection.weighted_source import WeightedSource
from rl.recipe.rl_config import RlConfig
from sampler.prompt import Prompt
from sampler.rollout import Rollout, Turn
from sampler.store.log_schema import VERSION, VERSION_KEY, migrated
from verifiers.answer import FinalAnswer
from verifiers.verdict import Verdict

GROUP, SHARDS = 8, 40
NUM_DRAWS = 10
ROLLOUTS = """
    WITH groups AS (SELECT i, (i * 7919) % {prompts} AS prompt FROM range({first}, {last}) AS t(i))
    SELECT 'rl-' || i || '-' || s AS rollout_id, '02-rl-r0' AS stage, 0 AS round, {shard} AS step, 1 AS run_seed,
        {shard}::BIGINT AS policy_version, md5(prompt::VARCHAR)[:16] AS prompt_id, 'verifiable' AS kind,
        ['type' || (prompt % 12)] AS tags, 'math' AS verifier, (prompt % 10)::VARCHAR AS reference, s::INT AS index,
        false AS blind, 'so it is ' || i AS thought, repeat('so it is ', 12) || i AS response,
        (i % 10)::VARCHAR AS answer, 'ok' AS answer_status, 'stop' AS finish_reason, 40 AS num_prompt_tokens,
        60 AS num_response_tokens, (hash(i * 8 + s) % 100 < prompt % 101)::INT::DOUBLE AS reward,
        'scored' AS verdict_status, 'compared' AS verdict_code, 'numbers differ' AS verdict_reason, 0.001 AS judge_s
    FROM groups, range({group}) AS u(s)
"""
PROMPTS = """
    COPY (
        SELECT md5(i::VARCHAR)[:16] AS prompt_id, 'verifiable' AS kind, 'math' AS verifier, 'made up' AS source,
            [{{'role': 'user', 'content': [{{'type': 'text', 'text': 'What is ' || i}}]}}] AS messages,
            []::STRUCT(bytes BLOB, path VARCHAR)[] AS images, (i % 10)::VARCHAR AS reference,
            ['type' || (i % 12)] AS tags
        FROM range({prompts}) AS t(i)
    ) TO '{file}' (FORMAT parquet, COMPRESSION zstd)
"""


def make(run: Path, prompts: int, rollouts: int) -> None:
    """The log and the prompt set of a run."""
    shards, prepared = run / "rollouts" / "02-rl-r0", run / "stages" / "00-prepare"
    shards.mkdir(parents=True)
    (prepared / "data").mkdir(parents=True)
    num = rollouts // GROUP // SHARDS
    for shard in range(SHARDS):
        file = shards / f"step-{shard:05d}.parquet"
        values = {"prompts": prompts, "first": shard * num, "last": (shard + 1) * num, "shard": shard}
        rows = migrated(f"({ROLLOUTS.format(**values, group=GROUP)})")
        written = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{'{VERSION_KEY.decode()}': '{VERSION}'}}"
        duckdb.sql(f"COPY ({rows}) TO '{file}' ({written})")
    duckdb.sql(PROMPTS.format(prompts=prompts, file=prepared / "data" / "train.parquet"))
    paths = {"train": "stages/00-prepare/data/train.parquet"}
    policy = {"version": 0, "hub": "base", "stage": "00-prepare"}
    manifest = {"kind": "prepare", "result_version": 1, "result": {"paths": paths, "policy": policy}}
    (prepared / "manifest.json").write_text(json.dumps(manifest))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Beside other work the seconds of CPU say more than those that passed."""
    began, worked = time.perf_counter(), _cpu_s()
    yield
    print(f"{name}: {time.perf_counter() - began:.2f} s, {_cpu_s() - worked:.2f} s of CPU", flush=True)


def _cpu_s() -> float:
    """Of this process with all its threads, and of those it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def questions_of(snapshot: Snapshot) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a curator asks of the viewer, page by page as it makes them."""
    yield "the tables of prompts", lambda: snapshot.rows_table(None)
    yield "the table of one policy", lambda: snapshot.rows_table(SHARDS - 1)
    pages = {
        "from place 100,000 on, sorted by pass rate": {"sort": "-rate", "page": "2001"},
        "filtered by pass rate and type": {"low": "0.1", "high": "0.5", "type": "type3", "sort": "n"},
        "of one policy": {"policy": str(SHARDS - 1), "sort": "rate"},
        "by words of the question": {"q": "is 77"},
    }
    for name, query in pages.items():
        yield f"a page, {name}", partial(found, snapshot, PromptFilter.from_query(query))
    wanted, prompt_id = PromptFilter(sort="-rate"), hashlib.md5(b"7", usedforsecurity=False).hexdigest()[:16]
    yield "the prompts beside one", partial(neighbours, snapshot, wanted, ("run", "train", prompt_id))
    yield "a prompt's page", partial(prompt_page, snapshot, snapshot.places["run"], prompt_id)


def bench_sources(num: int) -> None:
    """Draws of 4,096 of so many prompts, and what is then observed."""
    message = {"role": "user", "content": [{"type": "text", "text": "What is it?"}]}
    prompts = [Prompt(str(i), (message,), tags=(f"type{i % 12}",)) for i in range(num)]
    rng, indices = np.random.default_rng(0), np.arange(num)
    right = rng.integers(0, 9, num).astype(np.float64)
    for name in (*SOURCES, "uniform"):
        config = RlConfig(prompt_source=name, loss={"kl_coef_general": 1e-5})
        source = prompt_source_of(prompts, config, seed="s")
        if isinstance(source, WeightedSource):
            source.rates.add(indices, right, 8 - right, 1)
            source.reweigh_all()
        source.draw(4096)
        began, worked = time.perf_counter(), _cpu_s()
        for _ in range(NUM_DRAWS):
            assert len({one.prompt_id for one in source.draw(4096) or ()}) == min(4096, num)
        took, cpu = (1000 * spent / NUM_DRAWS for spent in (time.perf_counter() - began, _cpu_s() - worked))
        print(f"draw 4,096 of {num:,}, {name}: {took:.1f} ms, {cpu:.1f} ms of CPU", flush=True)


def bench_append(folder: Path, num_tokens: int, num: int = 512) -> None:
    """A step's shard, with and without the figures of single tokens."""
    message = {"role": "user", "content": [{"type": "text", "text": "What is the sum of the digits?"}]}
    prompts = [
        Prompt(str(i), (message,), tags=("sum",), verifier="math", reference="9") for i in range(num // GROUP)
    ]
    rng = np.random.default_rng(0)
    asked, said = np.arange(60, dtype=np.int32), np.arange(num_tokens, dtype=np.int32)
    drawn = -rng.exponential(0.5, (4, num * num_tokens)).astype(np.float32)  # of no two tokens alike
    logprobs, *others = (np.split(row, num) for row in drawn)
    turns = (Turn(asked, said, row, "stop", ((3, num_tokens),)) for row in logprobs)
    verdict = Verdict.scored(1.0, "equal", "9 equals 9")
    judged = [
        JudgedRollout(
            prompt,
            Rollout(
                f"rl-0-{prompt.prompt_id}-{index}",
                prompt.prompt_id,
                index,
                (next(turns),),
                "3+5+1 " * num_tokens,
            ),
            "3+5+1 " * num_tokens,
            FinalAnswer("9", "ok"),
            Reward(1.0, verdict),
        )
        for prompt in prompts
        for index in range(GROUP)
    ]
    figures = {
        one.rollout.rollout_id: TokenFigures(*rows) for one, *rows in zip(judged, *others, strict=True)
    }
    for name, kept in (("", None), (" with its tokens", figures)):
        spent = []
        for step in range(NUM_DRAWS):
            began = _cpu_s()
            write_rollouts(folder, judged, stage="rl", round_index=0, step=step, tokens=kept)
            spent.append(1000 * (_cpu_s() - began))
        print(
            f"append {num} rollouts of {num_tokens} tokens{name}: {median(spent):.1f} ms of CPU", flush=True
        )


def main() -> None:
    """Make the run once, then time the viewer's pages, the commands, the prompt sources and the writing of logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--rollouts", type=int, default=2_000_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    run = asked.out / "run"
    if not run.exists():
        made = asked.out / "making"
        shutil.rmtree(made, ignore_errors=True)
        make(made, asked.prompts, asked.rollouts)
        made.rename(run)
    for opening in ("counting", "again"):
        with timed(f"open, {opening}"):
            viewed = Opened([run])
        for name, ask in questions_of(viewed.snapshot()):
            with timed(name):
                ask()
        viewed.close()
    chosen = ["--num", "4096", "--pass-rate", "0.1", "0.75", "--out", str(asked.out / "chosen.parquet")]
    for words in (["stats", str(run)], ["select", str(run), *chosen]):
        with timed(f"hone prompts {words[0]}, start to end"):
            command = [sys.executable, "-m", "recipes", "prompts", *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    bench_sources(asked.prompts)
    with TemporaryDirectory() as folder:
        for num_tokens in (24, 256):
            bench_append(Path(folder), num_tokens)
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
