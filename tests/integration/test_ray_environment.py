"""`ray.environment` reaches every process that Ray starts, those with an environment of their own too."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SCRIPT = """
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


def test_every_process_has_it() -> None:
    """What an engine needs is its own: it comes before what the recipe says."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plain, sampler, task = json.loads(done.stdout.splitlines()[-1])
    assert plain == task == ["eth7", "DEBUG"]
    assert sampler == ["eth7", "WARNING"]
