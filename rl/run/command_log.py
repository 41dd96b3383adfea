"""Where a command's third-party output goes, and what of it is left when the command is over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rl.run.engine_failure import EngineFailure, failures_in_one_line
from rl.run.output import quiet_third_party


@contextmanager
def command_log(log: Path) -> Iterator[TextIO]:
    """Within the block other people's output goes to ``log`` and their errors leave in one line that names it. Yields
    the terminal. An empty log goes again, and with it the directories that were made for it."""
    made = [folder for folder in log.parents if not folder.exists()]
    try:
        with quiet_third_party(log) as terminal, failures_in_one_line(log):
            yield terminal
    finally:
        if log.exists() and not log.stat().st_size:
            log.unlink()
        for folder in made:
            with suppress(OSError):  # something is in it
                folder.rmdir()


@contextmanager
def scratch_with_logs(prefix: str) -> Iterator[Path]:
    """A temporary directory. When an engine fails, its folder ``logs``, which the error names, is kept."""
    scratch = Path(tempfile.mkdtemp(prefix=prefix))
    kept = ""
    try:
        yield scratch
    except EngineFailure:
        kept = "logs"
        raise
    finally:
        for entry in scratch.iterdir():
            if entry.name != kept:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not kept:
            scratch.rmdir()
