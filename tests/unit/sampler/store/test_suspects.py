"""Suspect references of made-up logs, in which it is known which references are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
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
    correlation_of = correlations(rows)
    for suspect in log.found(with_usual=True):
        assert suspect["ratio"] == pytest.approx(ratio_of(rows, suspect, correlation_of), rel=1e-5)


def correlations(rows: list[dict[str, Any]]) -> dict[str, float]:
    """By question type, from every pair of wrong answers: those to one prompt, and those to two."""
    weighed = {}
    for kind in {row["tags"][0] for row in rows}:
        wrong: dict[str, Counter[str]] = {}
        for row in rows:
            if row["tags"] == [kind] and row["reward"] == 0:
                wrong.setdefault(row["prompt_id"], Counter())[row["answer"]] += 1
        within, across = [0, 0], [0, 0]  # pairs of the same answer, all pairs
        for one, other in product(wrong.values(), repeat=2):
            pairs = within if one is other else across
            pairs[0] += sum(one[said] * (other[said] - (one is other)) for said in one)
            pairs[1] += one.total() * (other.total() - (one is other))
        told = min(sum(each.total() > 1 for each in wrong.values()), len(wrong) - 1)
        same, by_chance = (pairs[0] / max(pairs[1], 1) for pairs in (within, across))
        weighed[kind] = (told * (same - by_chance), told * (1 - by_chance)) if wrong else (0.0, 0.0)
    more, most = (sum(each[which] for each in weighed.values()) for which in (0, 1))
    of_all = (more + 4 * 0.95) / (most + 4)
    return {kind: (own[0] + 4 * of_all) / (own[1] + 4) for kind, own in weighed.items()}


def ratio_of(rows: list[dict[str, Any]], suspect: dict[str, Any], correlation_of: dict[str, float]) -> float:
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

    alphabet = {one for each in wrong.values() for one in each}
    correlation = min(0.95, max(0.05, correlation_of[suspect["question_type"]]))
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
    prompts = []
    for number in range(120):
        kind = "favourite" if number < 6 else "rare" if number == 6 else "solved"
        said = {"favourite": "77", "rare": "5", "solved": str(number % 10)}[kind]
        reference, reward = (said, 1.0) if kind == "solved" else ("3", 0.0)
        prompts.append((f"{kind}-{number}", "t", reference, [(said, reward)] * 6))
    log = log_of(tmp_path, prompts)
    assert [row["prompt_id"] for row in log.found()] == ["rare-6"]
    assert len(log.found(with_usual=True)) == 7


def log_of(folder: Path, prompts: Iterable[tuple[str, str, str, list[tuple[str, float]]]]) -> MadeLog:
    """Of prompts by name, question type, reference, and answers with their rewards."""
    rows = [
        {"rollout_id": f"{name}/{i}", "stage": "s", "policy_version": 1, "prompt_id": name, "kind": "verifiable",
         "tags": [kind], "verifier": "number", "reference": reference, "index": i, "answer": said,
         "answer_status": "ok", "verdict_extracted": said, "reward": reward}
        for name, kind, reference, answers in prompts for i, (said, reward) in enumerate(answers)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "step-00000.parquet")
    return MadeLog(StorePart("run", [folder / "step-00000.parquet"], {}), frozenset())


@pytest.mark.parametrize("num_of_type", [1, 2, 100])
@pytest.mark.parametrize("own_answers", [True, False], ids=["own", "common"])
def test_types_of_few_failed_prompts_are_no_more_suspect(
    tmp_path: Path, num_of_type: int, own_answers: bool
) -> None:
    """A hundred prompts, each of whose answers are all wrong and the same: a habit of this policy, also where a
    question type has one such prompt, which by itself cannot tell a habit from eight independent witnesses."""
    prompts = [
        (
            f"{n}",
            f"type {n // num_of_type}",
            f"{n + 1000}",
            [(str(n if own_answers else n // num_of_type), 0.0)] * 8,
        )
        for n in range(100)
    ]
    log = log_of(tmp_path, prompts)
    rows = pq.read_table(log.part.rollout_files[0]).to_pylist()
    correlation_of = correlations(rows)
    every = log.found(with_usual=True)
    assert len(every) == 100 and all(
        row["ratio"] == pytest.approx(ratio_of(rows, row, correlation_of), rel=1e-5) for row in every
    )
    assert log.found() == []


@pytest.mark.parametrize(
    "answers", [[("7", 0.0)] * 8, [("7", 0.0)] * 6 + [("7", 1.0)]], ids=["eight", "one_right"]
)
@pytest.mark.parametrize("num_others", [0, 3])
def test_a_prompt_is_none_of_its_others(
    tmp_path: Path, answers: list[tuple[str, float]], num_others: int
) -> None:
    """Its answer is its own reference as written, or was once judged right: no other prompt has it."""
    others = [(f"other-{n}", "sum", f"{n}", [(f"{n + 20}", 0.0)] * 4) for n in range(num_others)]
    log = log_of(tmp_path, [("own", "sum", "7", answers), *others])
    every = log.found(with_usual=True)
    (own,) = (row for row in every if row["prompt_id"] == "own")
    assert np.isfinite([row["ratio"] for row in every]).all() and 0 < own["usual"] <= 1
    num_distinct = 1 + 2 * num_others
    assert own["usual"] == pytest.approx(0.5 / (num_others + 0.5 * num_distinct), abs=1e-8)
    assert log.found() == [row for row in every if not row["is_usual"]]
