"""Trainer ranks for tests, without Ray: imports DeepSpeed and its company once, then forks a process for each rank.

    python rank_server.py ADDRESS

Started by `conftest.py`, which sends `(environment, address)` down the control connection for each rank it wants.
The rank connects to that address, says its process id, and serves calls `(method, arguments)` on one `RankModels`, made
by `build`; `patch` sets a module's name to a value, and `partitioned` counts
parameters, of frozen policies too, that this rank holds a part of.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from importlib import import_module
from multiprocessing.connection import Client, Connection
from typing import Any

KEY = b"hone-tests"


def serve(connection: Connection) -> None:
    """Answer calls with `(result, None)` or `(None, traceback)` until the connection closes."""
    from rl.trainer.rank_models import RankModels

    engine: Any = None
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            if method == "build":
                engine = RankModels(*arguments)
                result = engine.model_sizes
            elif method == "patch":
                module, name, value = arguments
                result = setattr(import_module(module), name, value)
            elif method == "partitioned":
                result = _num_partitioned([engine.policy, *engine.frozen.values()])
            else:
                result = getattr(engine, method)(*arguments)
            connection.send((result, None))
        except Exception:  # noqa: BLE001 - the test that called shall see it
            connection.send((None, traceback.format_exc()))


def _num_partitioned(models: list[Any]) -> tuple[int, int]:
    """Of the models' parameters those that are not here whole between two steps, and all."""
    parameters = [one for model in models for one in model.module.parameters()]
    parts = [one for one in parameters if getattr(one, "ds_numel", one.numel()) != one.numel()]
    return len(parts), len(parameters)


def main(address: str) -> None:
    import verl.trainer.ppo.core_algos
    import verl.workers.config  # noqa: F401

    import rl.trainer.rank_models  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ranks that end are not waited for
    with Client(address, authkey=KEY) as control:
        control.send("ready")
        while True:
            try:
                environment, rank_address = control.recv()
            except EOFError:
                return
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                os.environ.update(environment)
                with Client(rank_address, authkey=KEY) as connection:
                    connection.send(os.getpid())
                    serve(connection)
                os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # nothing here is worth the seconds that Ray's and vLLM's clean-up takes
