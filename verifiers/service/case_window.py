"""How many cases a worker holds at once."""

from __future__ import annotations

MAX_WINDOW = 128
WINDOW_S = 0.06  # of work that a worker holds while many cases wait
DEEP_WINDOW = 8  # jobs; workers that hold at least half of so many can be left alone for a moment


class CaseWindow:
    """One case for slow ones; several for fast ones while many wait. Learns from how long cases take."""

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self.mean_case_s = 0.004  # a guess until cases have come back

    def observe(self, case_s: float) -> None:
        """A case took so long."""
        self.mean_case_s += 0.1 * (case_s - self.mean_case_s)

    def size(self, num_waiting: int) -> int:
        """In cases a worker."""
        fair_share = num_waiting // (2 * self.num_workers)
        return max(1, min(MAX_WINDOW, int(WINDOW_S / max(self.mean_case_s, 1e-6)), fair_share))


def wants_more(num_held: int, window: int) -> bool:
    """A worker is refilled when its window is half empty: fewer, larger writes."""
    return num_held <= window // 2
