"""A process with a Ray session that is told to end takes the time it needs: a batch system sends SIGTERM and waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

SCRIPT = """
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


def test_a_long_ending_is_not_cut_short() -> None:
    """Ray's core aborts after three seconds, if it is let."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (signal.SIGTERM, "ended\n"), done.stderr
