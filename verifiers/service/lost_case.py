"""What becomes of a case whose worker was killed over it, or died."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from verifiers.case import Job
from verifiers.service.worker_end import WorkerEnd
from verifiers.service.worker_log import WorkerLog
from verifiers.verdict import Verdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LostCase:
    """A case whose worker was late with it; if not `late`, it died. `loading`: it had the time that loading takes.
    `loaded`: the verifier itself was loaded."""

    job: Job
    late: bool = False
    loading: bool = False
    loaded: bool = False


class LostCases:
    """Decides by how the worker ended: a verdict, or one more try.

    A verifier whose import takes a case's time gets more of it from then on (`slow_imports`), and one that takes too
    long to load is not tried again (`refusal`). Each is said once.
    """

    def __init__(
        self, *, timeout_s: float, load_timeout_s: float, crash_retries: int, log: WorkerLog
    ) -> None:
        self.timeout_s, self.load_timeout_s, self.crash_retries = timeout_s, load_timeout_s, crash_retries
        self.slow_imports: set[str] = set()
        self._refused: dict[str, Verdict] = {}
        self._log = log

    def refusal(self, key: str) -> Verdict | None:
        """Why no case of this key is tried any more."""
        return self._refused.get(key)

    def settle(self, lost: LostCase, end: WorkerEnd) -> Verdict | None:
        """The case's verdict; None where it is to be tried again."""
        job, name = lost.job, lost.job.case.verifier
        cause = "ended by this service, since it was late" if lost.late else end.cause
        self._log.add_stack(f"{name!r} on case {job.case.case_id!r}: {cause}", end.stack)
        if not lost.late:
            job.num_crashes += 1
            if job.num_crashes <= self.crash_retries:
                return None
            reason = f"the worker process died while verifier {name!r} judged this case ({end.cause})"
            return self.named(Verdict.failed("worker_died", reason))
        if lost.loading and (end.import_line or not lost.loaded):
            return self._refuse(job.key, name, end)
        if end.import_line and not job.num_crashes:
            job.num_crashes += 1
            if job.key not in self.slow_imports:
                self.slow_imports.add(job.key)
                _LOG.warning(
                    "verifier %r spends more than a case's %g s on an import%s: name that module in the class's "
                    "`imports`, and it is loaded before the clock runs",
                    *(name, self.timeout_s, end.import_line),
                )
            return None
        reason = f"verifier {name!r} did not finish within {self.timeout_s:g} s"
        return Verdict.timed_out(reason, seconds=self.timeout_s)

    def named(self, verdict: Verdict) -> Verdict:
        """An error that came with a traceback, with the file that holds it."""
        if verdict.code not in ("verifier_raised", "worker_died", "load_timeout"):
            return verdict
        return verdict.with_fields(reason=f"{verdict.reason} (log: {self.log_path})")

    @property
    def log_path(self) -> Path:
        return self._log.path

    def _refuse(self, key: str, name: str, end: WorkerEnd) -> Verdict:
        if key not in self._refused:
            busy = f": the import{end.import_line} takes longer" if end.import_line else ""
            reason = f"verifier {name!r} did not load within {self.load_timeout_s:g} s{busy}"
            _LOG.warning("%s; none of its cases is tried any more", reason)
            self._refused[key] = self.named(Verdict.failed("load_timeout", reason))
        return self._refused[key]
