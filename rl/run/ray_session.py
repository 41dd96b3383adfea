"""Ray for as long as one run lasts: the cluster at RAY_ADDRESS, or one on this machine that ends with the run."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil

from verifiers.errors import BadInput

if TYPE_CHECKING:
    from rl.recipe.recipe import Recipe

START_TRIES = 3
ANSWER_WITHIN_S = 5.0
PORTS = range(20_000, 32_768)  # above those of Ray's workers, below Linux's for outgoing connections

# What a cluster of this process's own starts with, and hands to every worker; what the user has set wins.
OWN_CLUSTER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # a waiting process must not spin on the cores of a working one
    "KMP_BLOCKTIME": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # Ray would run every worker at niceness 15
    # After a `kill -9` of this process Ray's agents look for their dead head node for so long, and end; 60 by default.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}


def ray_for(recipe: Recipe) -> AbstractContextManager[None]:
    """The session a recipe asks for."""
    # Placement groups want whole CPUs; on a small machine there are fewer than there are ranks and workers.
    num_cpus = recipe.ray.num_cpus or max(os.cpu_count() or 1, recipe.trainer.num_ranks + 1)
    return ray_session(num_cpus, recipe.ray.object_store_mib, recipe.ray.environment)


@contextmanager
def ray_session(
    num_cpus: int, object_store_mib: int, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Ray inside the block, whose processes have this environment. One that this process has already started or joined
    is used, and left as it is."""
    import ray

    if ray.is_initialized():
        yield
        return
    own = signal.getsignal(signal.SIGTERM)
    _join_or_start(num_cpus, object_store_mib, environment)
    _end_in_peace(own)
    try:
        yield
    finally:
        ray.shutdown()


def require_reachable(address: str) -> None:
    """Raises: BadInput where nobody listens at a RAY_ADDRESS of the form host:port; Ray itself asks for minutes."""
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if not host or not port.isdigit():
        return  # "auto", "local", or a name that only Ray can resolve
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_WITHIN_S).close()
    except (OSError, OverflowError) as why:
        raise BadInput(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({why}): start it there, or unset RAY_ADDRESS to run on "
            "this machine"
        ) from None


def free_port() -> int:
    """A TCP port that nobody listens at. Not one of those that the system gives to outgoing connections, nor of Ray's
    workers: until whoever asked listens, one of them could take it."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def node_gpus() -> list[float]:
    """GPUs of each node of the cluster, whoever uses them."""
    import ray

    return [float(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]]


def _end_in_peace(own: Any) -> None:
    """The process's own handler of SIGTERM back over Ray's two: that in Python asks to end but once, which an import
    may swallow, and that of its core aborts the process three seconds later, in the midst of its ending (absl's
    `alarm_on_failure_secs`). A process without one keeps Ray's in Python."""
    handler = own or signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


def _join_or_start(num_cpus: int, object_store_mib: int, environment: Mapping[str, str] | None) -> None:
    import ray

    runtime_env = {"env_vars": dict(environment)} if environment else None
    address = os.environ.get("RAY_ADDRESS")
    if address:
        require_reachable(address)
        ray.init(address=address, runtime_env=runtime_env, log_to_driver=False, logging_level="ERROR")
        return
    for name, value in OWN_CLUSTER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for attempt in range(START_TRIES):
        earlier = set(psutil.Process().children(recursive=True))
        try:
            ray.init(
                address="local",
                num_cpus=num_cpus,
                object_store_memory=object_store_mib << 20,
                include_dashboard=False,
                runtime_env=runtime_env,
                log_to_driver=False,
                logging_level="ERROR",
            )
            return
        except (
            BaseException
        ) as why:  # Ray gives its own processes 30 s to start, which a busy machine may not
            ray.shutdown()
            for process in set(psutil.Process().children(recursive=True)) - earlier:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            if attempt + 1 == START_TRIES or not isinstance(why, Exception):
                raise
