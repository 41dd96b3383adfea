"""A Ray session of a process: what its processes are told, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

ENVIRONMENT = """
import json, os, ray
from rl.run.ray_session import ray_session
from sampler.vllm_pool.sampler_config import SamplerConfig, engine_environment

class Environment:
    def get(self):
        return dict(os.environ)

with ray_session(2, 100, {"NCCL_SOCKET_IFNAME": "eth7", "VLLM_LOGGING_LEVEL": "DEBUG"}):
    plain = ray.remote(Environment).remote()
    own = engine_environment(SamplerConfig())
    sampler = ray.remote(Environment).options(runtime_env={"env_vars": own}).remote()
    task = ray.remote(lambda: dict(os.environ)).remote()
    names = ("NCCL_SOCKET_IFNAME", "VLLM_LOGGING_LEVEL")
    found = ray.get([plain.get.remote(), sampler.get.remote(), task])
    print(json.dumps([[one.get(name) for name in names] for one in found]))
"""
ENDING = """
import os, signal, time
from rl.run.ray_session import ray_session

with ray_session(2, 100):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        time.sleep(4)
        print("ended", flush=True)
"""

RESERVING = """
import ray
from rl.engines import placement
from rl.recipe.trainer_config import TrainerConfig
from rl.run.ray_session import ray_session
from verifiers.errors import HoneError

with ray_session(4, 100):
    groups = placement.reserve_ranks(TrainerConfig(ranks_per_node=3), "cpu")
    print(ray.available_resources()["CPU"])
    placement.RESERVED_WITHIN_S = 0.5
    try:
        placement.reserve_ranks(TrainerConfig(ranks_per_node=2), "cpu")
    except HoneError as why:
        print(why)
    placement.release_ranks(groups)
    placement.RESERVED_WITHIN_S = 60.0
    print(len(placement.reserve_ranks(TrainerConfig(ranks_per_node=2, num_nodes=2), "cpu")))
"""


def test_ray_environment_reaches_every_process() -> None:
    """Those with an environment of their own too. What an engine needs is its own: it comes before the recipe's."""
    done = run_apart(ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    plain, sampler, task = json.loads(done.stdout.splitlines()[-1])
    assert plain == task == ["eth7", "DEBUG"]
    assert sampler == ["eth7", "WARNING"]


def test_who_is_told_to_end_takes_the_time_it_needs() -> None:
    """A batch system sends SIGTERM and waits. Ray's core aborts after three seconds, if it is let."""
    done = run_apart(ENDING)
    assert (done.returncode, done.stdout) == (signal.SIGTERM, "ended\n"), done.stderr


def test_what_the_trainer_needs_is_reserved_or_told() -> None:
    done = run_apart(RESERVING)
    assert done.returncode == 0, done.stderr
    left, refused, groups = done.stdout.splitlines()
    assert (float(left), int(groups)) == (1.0, 2)
    assert "no room" in refused and "1 node of 2 trainer ranks" in refused


def run_apart(script: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, with a Ray of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
