"""How `hone prompts` does at scale: a made-up log of the real columns, counted, asked and chosen from.

python tools/bench_prompt_store.py --prompts 1000000 --rollouts 20000000 --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from rl.run.run_history import store_part
from sampler.store.belief import believed
from sampler.store.prompt_store import PromptStore
from sampler.store.selection import SelectionRule, select

GROUP, SHARDS = 8, 40
ROLLOUTS = """
    COPY (
        WITH groups AS (SELECT i, (i * 7919) % {prompts} AS prompt FROM range({first}, {last}) AS t(i))
        SELECT 'rl-' || i || '-' || s AS rollout_id, '02-rl-r0' AS stage, 0 AS round, {shard} AS step,
            {shard}::BIGINT AS policy_version, md5(prompt::VARCHAR)[:16] AS prompt_id, 'verifiable' AS kind,
            ['type' || (prompt % 12)] AS tags, 'math' AS verifier, (prompt % 10)::VARCHAR AS reference, s::INT AS index,
            repeat('so it is ', 12) || i AS response, (i % 10)::VARCHAR AS answer, 'ok' AS answer_status,
            (hash(i * 8 + s) % 100 < prompt % 101)::INT::DOUBLE AS reward, 'scored' AS verdict_status
        FROM groups, range({group}) AS u(s)
    ) TO '{file}' (FORMAT parquet, COMPRESSION zstd)
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
        duckdb.sql(ROLLOUTS.format(**values, group=GROUP, file=file))
    duckdb.sql(PROMPTS.format(prompts=prompts, file=prepared / "data" / "train.parquet"))
    paths = {"train": "stages/00-prepare/data/train.parquet"}
    policy = {"version": 0, "hub": "base", "stage": "00-prepare"}
    manifest = {"kind": "prepare", "result_version": 1, "result": {"paths": paths, "policy": policy}}
    (prepared / "manifest.json").write_text(json.dumps(manifest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--rollouts", type=int, default=2_000_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    run = asked.out / "run"
    if not run.exists():
        make(run, asked.prompts, asked.rollouts)
    for opening in ("first, counting", "again"):
        began = time.perf_counter()
        with PromptStore([store_part(run)]) as store:
            seconds = {f"open ({opening})": time.perf_counter() - began}
            moves = "SELECT policy_version, move, count(*) FROM turnover GROUP BY 1, 2"
            history = "SELECT * FROM attempts WHERE prompt_id = md5('7')[:16]"
            questions: dict[str, Callable[[], object]] = {
                "beliefs of all prompts": partial(believed, store, "run"),
                "moves of the newest policies": partial(store.query, moves),
                "one prompt's history": partial(store.query, history),
                "select 4,096": partial(select, store, "run", SelectionRule((0.1, 0.75)), num=4096),
            }
            for name, ask in questions.items():
                began = time.perf_counter()
                ask()
                seconds[name] = time.perf_counter() - began
        for name, took in seconds.items():
            print(f"{name}: {took:.2f} s")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
