"""How much likelier a prompt's answers are if the one that most agree on were right and the reference wrong.

Of n answers k agree on a wrong one, a, and r give the reference. With the other prompts of the question type for what
the policy does, the likelihood ratio is

    true(a)  BB(k; n, pass rates)  BB(r; n - k, said(reference))
    ------------------------------------------------------------
             BB(r; n, pass rates)  BB(k; n - r, said(a))

where true(a) is how often a is the reference, and said(a) the share of a among the wrong answers to prompts with
another reference: what a policy likes to say when it is wrong tells little, however much it agrees with itself. BB is
beta-binomial, since answers to one prompt agree more than answers to several; its spread is that of the type, by
moments, for pass rates and for wrong answers (the correlation: where two wrong answers are the same as often as to two
prompts it is 0, where to one prompt they always are, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sampler.store.belief import Floats

SMOOTHING = 0.5  # of a prompt, for each answer that was ever seen in the type
WEIGHT = 4.0  # prompts that a fit begins with: Jeffreys' for pass rates, those of all types for a correlation
MIN_CORRELATION, MAX_CORRELATION = 0.05, 0.95


@dataclass(frozen=True)
class Agreement:
    """What is known of each of S suspects, all [S]; ``other`` prompts are those of its type without itself."""

    num_agree: Floats
    num_answers: Floats
    num_right: Floats
    other_prompts: Floats
    other_rates: Floats  # the sum of the others' pass rates, of those with two answers or more
    other_squares: Floats  # and of r (r - 1) / n (n - 1)
    other_rated: Floats  # how many these are
    num_distinct: Floats  # answers and references of the type
    num_true: Floats  # others whose reference is the answer, or that it was judged right for
    said: Floats  # wrong answers that are the answer, to others with another reference
    wrong: Floats  # all wrong answers to these
    wrong_prompts: Floats  # how many of these have wrong answers
    reference_said: Floats  # as said, wrong and wrong_prompts, of the suspect reference
    reference_wrong: Floats
    reference_wrong_prompts: Floats
    correlation: Floats  # how much wrong answers to one prompt agree beyond their shares, 0 to 1

    @property
    def usual(self) -> Floats:
        """The share of the answer among wrong answers to others with another reference."""
        return _share(self.said, self.wrong, self.wrong_prompts, self.num_distinct)

    def log_ratio(self) -> Floats:
        """The natural logarithm of the likelihood ratio [S]."""
        n, k, right = self.num_answers, self.num_agree, self.num_right
        correlation = np.clip(self.correlation, MIN_CORRELATION, MAX_CORRELATION)
        size = 1 / correlation - 1
        usual = self.usual
        usual_reference = _share(
            self.reference_said, self.reference_wrong, self.reference_wrong_prompts, self.num_distinct
        )
        a, b = self._pass_rates()
        true = (self.num_true + SMOOTHING) / (self.other_prompts + SMOOTHING * self.num_distinct)
        wrong_reference = (
            np.log(true)
            + _log_chance(k, n, a, b)
            + _log_chance(right, n - k, usual_reference * size, (1 - usual_reference) * size)
        )
        right_reference = _log_chance(right, n, a, b) + _log_chance(
            k, n - right, usual * size, (1 - usual) * size
        )
        ratio: Floats = wrong_reference - right_reference
        return ratio

    def _pass_rates(self) -> tuple[Floats, Floats]:
        """Beta(a, b) of the others' pass rates, by their moments; see ``StoppingRule.fitted``."""
        whole = WEIGHT + self.other_rated
        mean = (WEIGHT / 2 + self.other_rates) / whole
        square = (WEIGHT * 3 / 8 + self.other_squares) / whole
        size = np.clip((mean - square) / np.maximum(1e-9, square - mean**2), 0.1, 10.0)
        return mean * size, (1 - mean) * size


def _share(said: Floats, wrong: Floats, prompts: Floats, num_distinct: Floats) -> Floats:
    """In units of prompts, so that many answers to few prompts are no more evidence than the prompts are."""
    each = wrong / np.maximum(prompts, 1)
    share: Floats = (said / np.maximum(each, 1) + SMOOTHING) / (prompts + SMOOTHING * num_distinct)
    return np.minimum(share, 1 - 1e-9)


def _log_chance(k: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    """Of k among n, beta-binomial."""
    from scipy.special import betaln, gammaln

    choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    chance: Floats = choose + betaln(a + k, b + n - k) - betaln(a, b)
    return chance
