"""One check of the preflight and what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rl.run.boundary.engine_failure import refusal
from rl.run.progress import Outcome
from sampler.rows.wrong_rows import BadRows
from verifiers.counted import counted
from verifiers.errors import HoneError

MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What came out, and in words what to do about it; ``details`` are lines of their own, such as the wrong rows."""

    outcome: Outcome
    summary: str
    details: Sequence[str] = ()


@dataclass
class Check:
    """A question of the preflight, with its name, so that it can be announced before it is asked."""

    name: str
    ask: Callable[[], Finding]
    finding: Finding | None = field(default=None, init=False)  # once it has run

    def run(self) -> Finding:
        """A failed check is a finding; the next check still runs."""
        self.finding = self._found()
        return self.finding

    @property
    def passed(self) -> bool:
        """Whether it has run and did not fail."""
        return self.finding is not None and self.finding.outcome in ("ok", "warning")

    def _found(self) -> Finding:
        try:
            return self.ask()
        except BadRows as error:
            return Finding("failed", f"{counted(error.num_rows, 'row')} cannot be read", error.named)
        except HoneError as error:
            return Finding("failed", str(error))
        except OSError as error:
            return Finding("failed", refusal(error))


def not_asked(name: str, why: str) -> Check:
    """What stands for a check that would have too little to look at."""
    return Check(name, lambda: Finding("not asked", f"not asked: {why}"))


def some_of(locations: Sequence[str]) -> str:
    """The first few, and how many more there are.

    >>> some_of([f"line {number}" for number in range(1, 9)])
    'line 1; line 2; line 3; line 4; line 5; and 3 more'
    """
    more = len(locations) - MOST_NAMED
    return "; ".join([*locations[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
