"""Suspect references of made-up logs, in which it is known which references are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import betabinom

from sampler.store.prompt_store import PromptStore, StorePart
from sampler.store.suspicion.suspects import MIN_RATIO, SCHEMA, suspects

FAVOURITES = {"largest": ("9", "8"), "sum": ("7", "10", "12")}
NUM_PROMPTS, NUM_SAMPLES = 300, 8  # of each type
WRONG_FRAC = 0.03


@dataclass(frozen=True)
class MadeLog:
    """A store of answers and the prompts whose references were changed."""

    part: StorePart
    planted: frozenset[str]

    def found(self, **options: Any) -> list[dict[str, Any]]:
        with PromptStore([self.part]) as store:
            return suspects(store, "run", **options).to_pylist()


def made_log(folder: Path, seed: int, skill: float) -> MadeLog:
    """A policy right at ``skill`` of the samples in the mean, with prompts of every difficulty. When it is wrong, it
    says a favourite of the type, reads the same prompt wrongly in the same way, or guesses; it keeps to that."""
    rng = np.random.default_rng(seed)
    rows, planted = [], set()
    for kind, favourites in FAVOURITES.items():
        truths = rng.integers(0, 10 if kind == "largest" else 37, NUM_PROMPTS).astype(str)
        rates = rng.beta(1.2 * skill, 1.2 * (1 - skill), NUM_PROMPTS)
        for number, (truth, rate) in enumerate(zip(truths, rates, strict=True)):
            name, choices = f"{kind}-{number}", sorted(set(truths) - {truth})
            habit = rng.choice([*favourites, rng.choice(choices)], p=_shares(len(favourites)))
            steady = rng.beta(2, 1)
            reference = truth
            if rng.random() < WRONG_FRAC:
                reference = rng.choice(choices)
                planted.add(name)
            for index in range(NUM_SAMPLES):
                said = (
                    truth if rng.random() < rate else habit if rng.random() < steady else rng.choice(choices)
                )
                rows.append(
                    {"rollout_id": f"{name}/{index}", "stage": "s", "policy_version": 1, "prompt_id": name,
                     "kind": "verifiable", "tags": [kind], "verifier": "number", "reference": reference,
                     "index": index, "answer": said, "answer_status": "ok", "verdict_extracted": said,
                     "reward": float(said == reference)}
                )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "step-00000.parquet")
    return MadeLog(StorePart("run", [folder / "step-00000.parquet"], {}), frozenset(planted))


def _shares(num_favourites: int) -> list[float]:
    """One habit in ten is the first favourite, fewer are the others, the rest are the prompt's own."""
    favourites = [0.3, *([0.1] * (num_favourites - 1))]
    return [*favourites, 1 - sum(favourites)]


def measured(folder: Path, skill: float) -> dict[str, float]:
    """Over six logs: how many are listed, the share that was planted, the share of the planted that is found; and the
    share that was planted of all that agree enough, which is the rule without what the policy says elsewhere."""
    listed = hits = num_planted = agreeing = agreeing_hits = 0
    for seed in range(6):
        log = made_log(folder / f"{skill}-{seed}", seed, skill)
        every = log.found(with_usual=True)
        found = [row["prompt_id"] for row in every if not row["is_usual"]]
        listed, hits = listed + len(found), hits + len(log.planted & set(found))
        agreeing += len(every)
        agreeing_hits += len(log.planted & {row["prompt_id"] for row in every})
        num_planted += len(log.planted)
    return {
        "listed": listed, "precision": hits / listed, "found": hits / num_planted, "alone": agreeing_hits / agreeing,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("skill", "precision", "found"), [(0.9, 0.75, 0.85), (0.8, 0.6, 0.85), (0.6, 0.25, 0.45)]
)
def test_planted_references_are_found(tmp_path: Path, skill: float, precision: float, found: float) -> None:
    measure = measured(tmp_path, skill)
    print(
        f"| {skill:.0%} | {measure['listed']:.0f} | {measure['precision']:.0%} | {measure['found']:.0%} | "
        f"{measure['alone']:.0%} |"
    )
    assert measure["precision"] >= max(precision, 1.5 * measure["alone"])
    assert measure["found"] >= found


def test_the_most_suspect_come_first(tmp_path: Path) -> None:
    log = made_log(tmp_path, 7, 0.8)
    rows = log.found(with_usual=True)
    ratios = [row["ratio"] for row in rows]
    assert ratios == sorted(ratios, reverse=True)
    assert [row["is_usual"] for row in rows] == [ratio < MIN_RATIO for ratio in ratios]
    assert log.found() == [row for row in rows if not row["is_usual"]] and set(rows[0]) == set(SCHEMA.names)


def test_the_ratio_is_that_of_the_formula(tmp_path: Path) -> None:
    """Worked out anew from the rows of the log for every suspect, with scipy's beta-binomial distribution."""
    log = made_log(tmp_path, 3, 0.7)
    rows = pq.read_table(log.part.rollout_files[0]).to_pylist()
    for suspect in log.found(with_usual=True):
        assert suspect["ratio"] == pytest.approx(ratio_of(rows, suspect), rel=1e-5)


def ratio_of(rows: list[dict[str, Any]], suspect: dict[str, Any]) -> float:
    of_type = [row for row in rows if row["tags"] == [suspect["question_type"]]]
    answers: dict[str, list[str]] = {}
    references = {row["prompt_id"]: row["reference"] for row in of_type}
    for row in of_type:
        answers.setdefault(row["prompt_id"], []).append(row["answer"])
    own, answer, reference = suspect["prompt_id"], suspect["answer"], suspect["reference"]
    others = [name for name in answers if name != own]
    wrong = {name: [one for one in said if one != references[name]] for name, said in answers.items()}

    rates = [answers[name].count(references[name]) for name in others]
    mean = (2 + sum(r / 8 for r in rates)) / (4 + len(rates))
    square = (1.5 + sum(r * (r - 1) / 56 for r in rates)) / (4 + len(rates))
    size = min(10, max(0.1, (mean - square) / (square - mean**2)))

    total = sum(len(each) for each in wrong.values())
    alphabet = {one for each in wrong.values() for one in each}
    shares = [sum(each.count(one) for each in wrong.values()) / total for one in alphabet]
    same = sum(each.count(one) * (each.count(one) - 1) for each in wrong.values() for one in alphabet)
    pairs = sum(len(each) * (len(each) - 1) for each in wrong.values())
    by_chance = sum(share**2 for share in shares)
    correlation = min(0.95, max(0.05, (same / pairs - by_chance) / (1 - by_chance)))
    num_distinct = len(alphabet | set(references.values()))

    def share(one: str) -> float:
        tried = [wrong[name] for name in others if references[name] != one and wrong[name]]
        each = max(1.0, sum(map(len, tried)) / max(1, len(tried)))
        said = sum(said.count(one) for said in tried)
        return (said / each + 0.5) / (len(tried) + 0.5 * num_distinct)

    def chance(k: float, n: float, a: float, b: float) -> float:
        return float(betabinom.pmf(k, n, a, b))

    def of_wrong(k: float, n: float, one: str) -> float:
        width = 1 / correlation - 1
        return chance(k, n, share(one) * width, (1 - share(one)) * width)

    num_true = sum(references[name] == answer for name in others)
    true = (num_true + 0.5) / (len(others) + 0.5 * num_distinct)
    n, k, r = len(answers[own]), answers[own].count(answer), answers[own].count(reference)
    right_rates = (mean * size, (1 - mean) * size)
    wrong_reference = true * chance(k, n, *right_rates) * of_wrong(r, n - k, reference)
    return wrong_reference / (chance(r, n, *right_rates) * of_wrong(k, n - r, answer))


def test_a_favourite_speaks_against_no_reference(tmp_path: Path) -> None:
    """Of equally agreed answers the one that the policy gives to others, too, is less suspect, and left out at a
    tenth of the wrong answers where it is no reference."""
    rows = []
    for number in range(120):
        kind = "favourite" if number < 6 else "rare" if number == 6 else "solved"
        said = {"favourite": "77", "rare": "5", "solved": str(number % 10)}[kind]
        rows += [
            {"rollout_id": f"{number}/{i}", "stage": "s", "policy_version": 1, "prompt_id": f"{kind}-{number}",
             "kind": "verifiable", "tags": ["t"], "verifier": "number", "reference": said if kind == "solved" else "3",
             "index": i, "answer": said, "answer_status": "ok", "verdict_extracted": said,
             "reward": float(kind == "solved")}
            for i in range(6)
        ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "step-00000.parquet")
    log = MadeLog(StorePart("run", [tmp_path / "step-00000.parquet"], {}), frozenset())
    assert [row["prompt_id"] for row in log.found()] == ["rare-6"]
    assert len(log.found(with_usual=True)) == 7
