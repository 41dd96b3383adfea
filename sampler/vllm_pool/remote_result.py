"""Waiting for a remote call so that an error Hone raised over there reads as it was written over there."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayTaskError

from verifiers.errors import HoneError


def remote_result(call: Any, timeout_s: float | None = None) -> Any:
    """`ray.get`, but a HoneError of the remote side is raised as itself, not wrapped in its traceback.

    Anything else the remote side raised keeps Ray's wrapping, which holds the remote traceback; a process that died is
    a `RayActorError`.
    """
    try:
        return ray.get(call, timeout=timeout_s)
    except RayTaskError as error:
        if isinstance(error.cause, HoneError):
            raise error.cause from error
        raise
