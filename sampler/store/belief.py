"""What is believed of a prompt's pass rate: a Beta posterior over all policies of a run, older ones counting less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sampler.store.prompt_store import PromptStore

PRIOR = 0.5  # right and wrong samples that are believed in before any was seen: Jeffreys' prior
LEVEL = 0.9
HALF_LIFE = 32.0  # policy versions after which a sample counts half
SOLVED, HOPELESS = 0.9, 0.1

Standing = Literal["unknown", "hopeless", "in between", "solved"]
Floats = npt.NDArray[np.float64]

# The evidence of a policy halves with every `half_life` policy versions that came after it in its run.
_EVIDENCE = """
    WITH newest AS (SELECT run, max(policy_version) AS version FROM {attempts} GROUP BY run)
    SELECT prompt_id, any_value(question_type) AS question_type, sum(n)::BIGINT AS n,
           sum(weight * num_right) AS num_right, sum(weight * (n - num_right)) AS num_wrong,
           max_by(spread, policy_version) AS spread, max(policy_version) AS policy_version
    FROM (
        SELECT {attempts}.*, 0.5 ** ((version - policy_version) / ?) AS weight
        FROM {attempts} JOIN newest USING (run) WHERE run = ? AND n > 0 AND ({where})
    ) GROUP BY prompt_id ORDER BY prompt_id
"""


@dataclass(frozen=True)
class Belief:
    """Beta(right + 1/2, wrong + 1/2) for each of P prompts; ``right`` and ``wrong`` are weighed counts [P]."""

    right: Floats
    wrong: Floats

    @property
    def mean(self) -> Floats:
        """The expected pass rate [P]."""
        return (self.right + PRIOR) / (self.right + self.wrong + 2 * PRIOR)

    def interval(self, level: float = LEVEL) -> tuple[Floats, Floats]:
        """The central credible interval, low [P] and high [P]. Without a right or a wrong sample it reaches 0 or 1, as
        Brown, Cai and DasGupta 2001 (section 4.3) advise for Jeffreys' interval."""
        from scipy.special import betaincinv

        # Many prompts have the same counts: each pair is worked out once.
        pairs, place = np.unique(self.right + 1j * self.wrong, return_inverse=True)
        right, wrong = pairs.real, pairs.imag
        a, b = right + PRIOR, wrong + PRIOR
        low = np.where(right > 0, betaincinv(a, b, (1 - level) / 2), 0.0)
        high = np.where(wrong > 0, betaincinv(a, b, (1 + level) / 2), 1.0)
        return low[place], high[place]

    @property
    def standing(self) -> npt.NDArray[np.str_]:
        """By the interval [P]: ``standing_of``."""
        return standing_of(*self.interval())


def standing_of(low: Floats, high: Floats) -> npt.NDArray[np.str_]:
    """Solved where the pass rate is surely at least 0.9, hopeless where it is surely at most 0.1, in between where it
    is surely neither; else unknown. So 0 of 4 is unknown, 0 of 30 hopeless."""
    surely: dict[str, npt.NDArray[np.bool_]] = {
        "hopeless": high <= HOPELESS,
        "solved": low >= SOLVED,
        "in between": (low > HOPELESS) & (high < SOLVED),
    }
    return np.select(list(surely.values()), list(surely), "unknown")


def believed_blind(store: PromptStore, *, half_life: float = HALF_LIFE) -> pa.Table:
    """A row for each prompt that any run of the store tried without its picture: prompt_id, num_blind (samples) and
    blind_mean, the expected pass rate over all these runs."""
    tables = [believed(store, run, half_life=half_life, blind=True) for run in store.parts]
    sums = pa.concat_tables(tables).group_by("prompt_id").aggregate(
        [(name, "sum") for name in ("n", "num_right", "num_wrong")]
    )  # fmt: skip
    right, wrong = (sums[f"{name}_sum"].to_numpy().astype(np.float64) for name in ("num_right", "num_wrong"))
    return pa.table(
        {"prompt_id": sums["prompt_id"], "num_blind": sums["n_sum"], "blind_mean": Belief(right, wrong).mean}
    )


def believed(
    store: PromptStore, run: str, *, half_life: float = HALF_LIFE, where: str = "true", blind: bool = False
) -> pa.Table:
    """A row for each prompt tried in ``run``: prompt_id, question_type, n (samples), num_right and num_wrong (weighed),
    spread, mean, low, high and standing. Of a corrected prompt only verdicts of the revision in force
    count. ``blind`` asks for the pass rate without the picture. ``where`` is SQL over ``attempts``, such as a stage:
    how old a policy is depends on the run's newest all the same, so ask for one policy with an infinite
    ``half_life``."""
    attempts = "blind_attempts_in_force" if blind else "attempts_in_force"
    evidence = store.query(_EVIDENCE.format(where=where, attempts=attempts), [half_life, run])
    belief = Belief(*(evidence[name].to_numpy().astype(np.float64) for name in ("num_right", "num_wrong")))
    low, high = belief.interval()
    columns: dict[str, Any] = {
        "mean": belief.mean,
        "low": low,
        "high": high,
        "standing": standing_of(low, high),
    }
    for name, values in columns.items():
        evidence = evidence.append_column(name, pa.array(values))
    return evidence
