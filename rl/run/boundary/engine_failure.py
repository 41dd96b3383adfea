"""The boundary where errors of others (Ray, vLLM, DeepSpeed, the operating system) become one line that says what to
change or where to look."""

from __future__ import annotations

import errno
import os
import re
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from verifiers.errors import HoneError

MAX_SHOWN = 300
LOGS_OF_ACTOR = {"TrainerRank": "trainer-rank-*.log", "RolloutWorker": "rollout-worker-*.log"}
ALMOST_NOTHING = 1 << 16  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_UNFINISHED = re.compile(r"(?<=/)\.([^/]+)\.\d+\.tmp$")
_WHY = {
    errno.EACCES: "this user has no rights there",
    errno.EPERM: "this user has no rights there",
    errno.EROFS: "it is on a read-only file system",
    errno.ENOTDIR: "it is, or is below, a file",
    errno.EEXIST: "it is, or is below, a file",
    errno.EISDIR: "it is a folder",
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.ENOENT: "there is no such file or folder",
}
_DEAD_ACTOR = re.compile(r"class_name: (?P<name>\w+).*?pid: (?P<pid>\d+)", re.DOTALL)


class EngineFailure(HoneError):
    """An engine failed with an error that is not Hone's own; the traceback is in the log that the message names."""


@contextmanager
def failures_in_one_line(log: Path) -> Iterator[None]:
    """Within the block an error that is not Hone's is written to ``log`` whole and leaves as an ``EngineFailure``.

    A ``HoneError`` that a Ray actor raised leaves as itself, without Ray's wrapping; ``HONE_DEBUG=1`` shows the chain.
    """
    try:
        yield
    except HoneError:
        raise
    except Exception as error:  # the boundary: anything may come out of an engine
        with suppress(OSError), log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n" + "".join(traceback.format_exception(error)))
        cause = getattr(error, "cause", None)
        if isinstance(cause, HoneError):
            raise cause from error
        refused = _refusal_in(cause or error, log.parent)
        if refused is not None:
            raise EngineFailure(f"{refused}; the same command resumes") from error
        raise EngineFailure(words_for(error, log)) from error


def words_for(error: BaseException, log: Path) -> str:
    """What failed, in one line, and the log that tells more."""
    cause = getattr(error, "cause", None) or error  # of a RayTaskError: what the actor raised
    dead = _DEAD_ACTOR.search(str(cause)) if type(cause).__name__ == "ActorDiedError" else None
    if dead is not None:
        own_log = LOGS_OF_ACTOR.get(dead["name"])
        logs = f"{log.parent / own_log} and {log}" if own_log else str(log)
        return (
            f"the process of a {dead['name']} (pid {dead['pid']}) died, killed from outside or out of memory; "
            f"the same command resumes; logs: {logs}"
        )
    text = " ".join(str(cause).split())
    shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
    return f"{type(cause).__name__}{': ' if shown else ''}{shown} (traceback in {log})"


def _refusal_in(error: BaseException, folder: Path) -> str | None:
    """Why, where an engine failed because ``folder`` is full or something is somebody else's; libraries that write for
    themselves (safetensors, torch, Arrow) have errors of their own for a full disk. Else None."""
    if isinstance(error, OSError) and (error.errno in FULL or (error.errno in DENIED and error.filename)):
        return refusal(error)
    if os.strerror(errno.ENOSPC) in str(error) or shutil.disk_usage(folder).free < ALMOST_NOTHING:
        return f"{folder}: {_WHY[errno.ENOSPC]}"
    return None


def refusal(error: OSError) -> str:
    """Why a file or folder is refused, in a clause, with the path if the system named one."""
    why = _WHY.get(error.errno or 0) or (os.strerror(error.errno) if error.errno else str(error))
    path = error.filename2 or error.filename  # of a renaming: what it was to become
    if path is None:
        return why
    named = _UNFINISHED.sub(r"\1", str(path))  # while a file is written it has another name
    return f"{named}: {why}"
