"""Other people's output goes into a log file; the terminal is for ours.

vLLM warns once per request, DeepSpeed and Ray narrate, and native libraries print from C, some of them only
when the process ends. In the driver:

    with quiet_third_party(run_dir / "logs" / "driver.log") as terminal:
        with ProgressDisplay(Console(file=terminal)) as display: ...

In a Ray actor, which has no terminal: `send_output_to(log_path)`.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

from rl.run.boundary.engine_failure import EngineFailure, failures_in_one_line

STDOUT_FD, STDERR_FD = 1, 2


@contextmanager
def quiet_third_party(log_path: str | Path, *, native: bool = True) -> Iterator[TextIO]:
    """Within the block prints, warnings, logging and (`native`) writes to descriptors 1 and 2 go to a log.

    Yields a stream to the real terminal. An exception leaves the block with the terminal restored, so its
    message reaches the user. What native code prints while the interpreter shuts down (nanobind's list of
    leaks) still goes to the log. `native=False` leaves the descriptors alone: only Python's output is caught.
    """
    log = _open_log(log_path)
    stdout, stderr = sys.stdout, sys.stderr
    _flush_standard_streams()
    saved_fds = (os.dup(STDOUT_FD), os.dup(STDERR_FD)) if native else None
    # A stream that is not on descriptor 1 (captured by a test, say) keeps working untouched.
    on_terminal = saved_fds is not None and _fileno(stdout) == STDOUT_FD
    terminal = _stream_on(saved_fds[0], like=stdout) if saved_fds is not None and on_terminal else stdout
    moved_handlers = _move_log_handlers(from_streams=(stdout, stderr), to=log)
    sys.stdout = sys.stderr = log
    if native:
        _point_fds_at(log)
        atexit.register(_point_fds_at, log)
    try:
        yield terminal
    finally:
        with suppress(OSError):  # its reader has gone, which whoever wrote to it has found
            terminal.flush()
        log.flush()
        sys.stdout, sys.stderr = stdout, stderr
        for handler, stream in moved_handlers:
            handler.setStream(stream)
        if saved_fds is not None:
            for saved_fd, fd in zip(saved_fds, (STDOUT_FD, STDERR_FD), strict=True):
                os.dup2(saved_fd, fd)
                os.close(saved_fd)


def send_output_to(log_path: str | Path) -> None:
    """From now on all output of this process, native too, is appended to `log_path`. For Ray actors."""
    log = _open_log(log_path)
    _move_log_handlers(from_streams=(sys.stdout, sys.stderr), to=log)
    _point_fds_at(log)
    sys.stdout = sys.stderr = log
    # A warning is worth one line in a log, not one per call.
    warnings.simplefilter("once")


def _open_log(log_path: str | Path) -> TextIO:
    path = Path(log_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab", buffering=0)
    return _Log(file, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True)


class _Log(io.TextIOWrapper):
    """A log that loses lines where its disk is full: what is logged must not end what logs it."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        # At exit either may be gone already: None, closed, or a pipe whose reader left.
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()


def _point_fds_at(log: TextIO) -> None:
    _flush_standard_streams()
    for fd in (STDOUT_FD, STDERR_FD):
        os.dup2(log.fileno(), fd)


def _stream_on(fd: int, like: TextIO) -> TextIO:
    """A line-buffered text stream on `fd`, in the encoding of `like`, that does not close the descriptor."""
    stream = open(fd, "w", buffering=1, encoding=like.encoding, errors=like.errors, closefd=False)  # noqa: SIM115
    return cast(TextIO, stream)


def _fileno(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, io.UnsupportedOperation, ValueError):
        return None


def _move_log_handlers(
    from_streams: tuple[TextIO, TextIO], to: TextIO
) -> list[tuple[logging.StreamHandler[TextIO], TextIO]]:
    """Point each logging handler on one of `from_streams` at `to`; returns each with its old stream."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    moved = []
    for logger in [logging.getLogger(), *loggers]:
        for handler in logger.handlers:
            if isinstance(handler, type(logging.lastResort)):
                continue  # looks sys.stderr up each time it writes
            if isinstance(handler, logging.StreamHandler) and any(
                handler.stream is one for one in from_streams
            ):
                moved.append((handler, handler.stream))
                handler.setStream(to)
    return moved


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
