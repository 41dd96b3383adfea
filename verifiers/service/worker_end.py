"""How a worker ended, as its zygote saw it."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

_FRAME = re.compile(r'File "([^"]*)", line (\d+) in (\S+)')
_IMPORTING = "<frozen importlib._bootstrap"


@dataclass(frozen=True, slots=True)
class WorkerEnd:
    """`status` is an exit status, or minus a signal's number; None where the zygote died too. `stack` is what
    `faulthandler` wrote of it, the innermost frame first; empty where it could not.

    >>> WorkerEnd(-11, 'File "/x/plug.py", line 3 in compare').cause
    'SIGSEGV at plug.py, line 3 (compare)'
    """

    status: int | None = None
    stack: str = ""

    @property
    def cause(self) -> str:
        """A few words for a person, of a worker that nobody here ended."""
        where = _line_of(_FRAME.search(self.stack))
        if self.status is None:
            return "its fork server died"
        if self.status >= 0:
            return f"exit status {self.status}{where}"
        hint = ", by the kernel for want of memory or by a person" if self.status == -signal.SIGKILL else ""
        return f"{signal.Signals(-self.status).name}{hint}{where}"

    @property
    def import_line(self) -> str:
        """The line whose import was under way, as ` at file, line n (function)`; empty where none was."""
        frames = list(_FRAME.finditer(self.stack.partition("\n\n")[0]))
        last = max((i for i, frame in enumerate(frames) if frame[1].startswith(_IMPORTING)), default=-1)
        ours = [frame for frame in frames[last + 1 :] if "importlib" not in frame[1]]
        return _line_of(ours[0]) if last >= 0 and ours else ""


def _line_of(frame: re.Match[str] | None) -> str:
    return f" at {Path(frame[1]).name}, line {frame[2]} ({frame[3]})" if frame is not None else ""
