"""When a prompt has been sampled enough: once it is nearly sure what all its samples would say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from sampler.store.belief import PRIOR, Floats

Decision = Literal["undecided", "below", "inside", "above"]
WEIGHT = 20.0  # prompts of Jeffreys' prior that a fit begins with
TIE = 1e-9  # a rate at a bound is at it, however its fraction was rounded


@dataclass(frozen=True)
class StoppingRule:
    """Of ``num_samples`` of a prompt some are right; the prompt is inside of ``band`` where low < pass rate <= high.

    Fewer samples decide once the chance that the rest would decide otherwise is at most 1 - ``sureness``: the number of
    right ones among them is beta-binomial under a belief of the prompt's pass rate, Beta(right + a, wrong + b), where
    ``prior`` (a, b) is Jeffreys' or ``fitted`` to the set. With a sureness of 1 a prompt stops only where the rest
    cannot matter.
    """

    num_samples: int
    band: tuple[float, float] = (0.1, 0.75)
    sureness: float = 0.92
    prior: tuple[float, float] = (PRIOR, PRIOR)

    def fitted(self, right: Floats, wrong: Floats) -> StoppingRule:
        """With the Beta distribution of the set's pass rates for its prior, by the moments of equally many samples of P
        prompts, right [P] and wrong [P], beside ``WEIGHT`` prompts of Jeffreys' prior.

        E p = E k/n and E p^2 = E k(k-1) / n(n-1); a + b = (E p - E p^2) / (E p^2 - (E p)^2). Of a set of which
        every prompt is either solved or hopeless a + b would be near 0: at least 0.1 is taken, and at most 10.
        """
        num = right + wrong
        several = num > 1
        k, n = right[several], num[several]
        whole = WEIGHT + len(k)
        mean = (WEIGHT / 2 + (k / n).sum()) / whole
        square = (WEIGHT * 3 / 8 + (np.maximum(0, k * (k - 1)) / (n * (n - 1))).sum()) / whole
        size = min(10.0, max(0.1, (mean - square) / max(TIE, square - mean**2)))
        return replace(self, prior=(float(mean * size), float((1 - mean) * size)))

    def decide(self, right: Floats, wrong: Floats, num_left: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
        """A `Decision` for each of P prompts, of which ``num_left`` [P] samples have not been drawn; a tie is half
        right [P] and half wrong [P]. Without a single decided sample a prompt stays undecided."""
        if not len(right):
            return np.empty(0, np.str_)
        # Many prompts have the same counts: each is worked out once. Halves make whole numbers, and these one code.
        halves = [np.round(2 * counts).astype(np.int64) for counts in (right, wrong, num_left)]
        base = int(max(counts.max() for counts in halves)) + 1
        codes, place = np.unique((halves[0] * base + halves[1]) * base + halves[2], return_inverse=True)
        columns = (codes // base**2 / 2, codes // base % base / 2, codes % base / 2)
        return np.array([self._decide(*counts) for counts in zip(*columns, strict=True)])[place]

    def _decide(self, right: float, wrong: float, num_left: float) -> Decision:
        total = right + wrong + num_left
        if not total:
            return "undecided"
        rates = (right + np.arange(num_left + 1)) / total  # that all samples could come to [num_left + 1]
        chances = _chances(right + self.prior[0], wrong + self.prior[1], int(num_left))
        low, high = self.band
        below, above = rates <= low + TIE, rates > high + TIE
        ends: dict[Decision, npt.NDArray[np.bool_]] = {
            "below": below,
            "inside": ~below & ~above,
            "above": above,
        }
        for decision, reached in ends.items():
            if reached.all() or (self.sureness < 1 and chances[reached].sum() >= self.sureness):
                return decision
        return "undecided"


def _chances(a: float, b: float, num: int) -> Floats:
    """Of 0, 1 .. ``num`` right ones among ``num`` samples, with a pass rate of Beta(a, b): beta-binomial [num + 1]."""
    from scipy.special import betaln, gammaln

    k = np.arange(num + 1)
    choose = gammaln(num + 1) - gammaln(k + 1) - gammaln(num - k + 1)
    chances: Floats = np.exp(choose + betaln(a + k, b + num - k) - betaln(a, b))
    return chances
