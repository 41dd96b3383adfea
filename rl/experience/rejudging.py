"""Stored answers judged again where a correction or a changed verifier asks for it. Nothing is sampled.

The rollout log is not changed: verdicts go into a table beside it (``RUN/rejudged``), a part at a time, each whole or
not at all. What a part holds is not judged again, so a call after a kill goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import verifiers
from sampler.atomic_file import written_whole
from sampler.prompt import Prompt
from sampler.store.decisions.curation_table import as_judged
from sampler.store.prompt_store import PromptStore
from verifiers.answer import FinalAnswer
from verifiers.case import Case
from verifiers.errors import BadInput
from verifiers.registry import load_verifier
from verifiers.service.service import VerifierService
from verifiers.verdict import Verdict

PART_ANSWERS = 20_000
HELD_PARTS = 50  # whose answers are read at once, and held
SCHEMA = pa.schema(
    [
        ("rollout_id", pa.string()),
        ("stage", pa.string()),
        ("step", pa.int32()),
        ("policy_version", pa.int64()),
        ("prompt_id", pa.string()),
        ("kind", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("index", pa.int32()),
        ("blind", pa.bool_()),
        ("answer", pa.string()),
        ("answer_status", pa.string()),
        ("verifier", pa.string()),
        ("reference", pa.string()),
        ("revision", pa.string()),  # as in the rollout log: what this row's verdict is of
        ("judging", pa.int64()),  # of one revision the highest counts
        ("verifier_code", pa.string()),
        ("reward", pa.float64()),
        ("previous_reward", pa.float64()),  # by the log
        ("verdict_status", pa.string()),
        ("verdict_code", pa.string()),
        ("verdict_reason", pa.string()),
        ("verdict_extracted", pa.string()),
        ("verdict_tier", pa.string()),
        ("verdict_confident", pa.bool_()),
        ("verdict_parts", pa.string()),
        ("judge_s", pa.float64()),
    ]
)
KEPT = ("rollout_id", "stage", "step", "policy_version", "prompt_id", "kind", "tags", "index", "blind", "answer",
        "answer_status")  # fmt: skip

# Answers of which no verdict is of what their prompt is judged by now. All of a prompt's answers in a stage are judged
# again where one is, so that their verdicts can stand for those of the log.
_PENDING = """
    SELECT stage, prompt_id, any_value(judging) AS judging, count(*) AS num, bool_or(rollout_id IS NULL) AS is_unnamed
    FROM (
        SELECT rollouts.stage, rollouts.prompt_id, rollouts.rollout_id,
               coalesce(max(judged.judging) OVER (PARTITION BY rollouts.stage, rollouts.prompt_id), 0) + 1 AS judging,
               CASE WHEN wanted.code IS NOT NULL THEN judged.verifier_code IS DISTINCT FROM wanted.code
                    WHEN judged.rollout_id IS NOT NULL THEN false
                    WHEN rollouts.revision IS NOT NULL THEN rollouts.revision <> wanted.revision
                    ELSE rollouts.verifier IS DISTINCT FROM wanted.verifier
                         OR rollouts.reference IS DISTINCT FROM wanted.reference END AS is_pending
        FROM rollouts JOIN wanted USING (prompt_id) LEFT JOIN (
            SELECT run, rollout_id, revision, max(judging) AS judging,
                   arg_max_null(verifier_code, judging) AS verifier_code
            FROM rejudged GROUP BY ALL
        ) AS judged ON judged.run = rollouts.run AND judged.rollout_id = rollouts.rollout_id
            AND (judged.revision = wanted.revision OR (judged.revision IS NULL AND NOT wanted.is_corrected))
        WHERE rollouts.run = $run
    ) GROUP BY stage, prompt_id HAVING bool_or(is_pending)
"""
_HELD = f"""
    SELECT part, pending.judging, rollouts.reward, rollouts.revision, {", ".join(f'rollouts."{name}"' for name in KEPT)}
    FROM rollouts JOIN pending USING (stage, prompt_id) JOIN parts USING (stage, prompt_id)
    WHERE rollouts.run = $run AND part >= $first AND part < $past
"""
_ANSWERS = 'SELECT * FROM held WHERE part = ? ORDER BY prompt_id, policy_version, "index"'


@dataclass
class VerdictChanges:
    """How many verdicts changed which way; ``by_prompt`` counts those that changed."""

    now_right: int = 0
    now_wrong: int = 0
    other_score: int = 0
    as_before: int = 0
    undecided: int = 0
    by_prompt: Counter[str] = field(default_factory=Counter)

    def count(self, prompt_id: str, before: float | None, after: float | None, pass_score: float) -> None:
        """``before`` and ``after`` are rewards, none without a decision."""
        if after is None:
            self.undecided += 1
            return
        was, is_now = before is not None and before >= pass_score, after >= pass_score
        if was != is_now:
            self.now_right, self.now_wrong = self.now_right + is_now, self.now_wrong + was
        elif before == after:
            self.as_before += 1
            return
        else:
            self.other_score += 1
        self.by_prompt[prompt_id] += 1

    def __str__(self) -> str:
        more = {"got another score": self.other_score, "undecided": self.undecided}
        words = [
            f"{self.now_right:,} now right",
            f"{self.now_wrong:,} now wrong",
            f"{self.as_before:,} as before",
        ]
        return ", ".join([*words, *(f"{num:,} {what}" for what, num in more.items() if num)])


class Rejudging:
    """What is to be judged again of one run in a store: answers of corrected prompts, and those of the verifiers
    ``again``, whose code changed. Prompts that a reward model judges are in ``skipped``."""

    def __init__(self, store: PromptStore, run: str, again: Collection[str] = ()) -> None:
        """Raises: BadInput for a verifier that judges none of the run's prompts, or that does not load, and for a log
        too old to name its rollouts."""
        self.store, self.run = store, run
        self.pass_score = store.parts[run].pass_score
        self.corrected = store.decisions[run].corrected
        self.again = frozenset(again)
        self.changes = VerdictChanges()
        wanted = [prompt for prompt in self._prompts() if prompt.verifier is not None]
        self.prompts = {prompt.prompt_id: prompt for prompt in wanted}
        if missing := sorted(self.again - {prompt.verifier for prompt in wanted}):
            raise BadInput(f"no prompt of run {run} is judged by {missing[0]!r}")
        rows = [
            {
                "prompt_id": prompt.prompt_id, "revision": prompt.revision, "verifier": prompt.verifier,
                "reference": prompt.reference_text, "code": self._code_of(prompt, only_again=True),
                "is_corrected": prompt.prompt_id in self.corrected,
            }
            for prompt in wanted
        ]  # fmt: skip
        table = pa.Table.from_pylist(rows, schema=_WANTED)
        store.keep("wanted", "SELECT * FROM wanted_rows", {}, wanted_rows=table)
        store.keep("pending", _PENDING, {"run": run})
        if store.query("SELECT 1 FROM pending WHERE is_unnamed LIMIT 1").num_rows:
            raise BadInput(
                f"the rollout log of run {run} names no rollouts: it is too old to be judged again"
            )

    @cached_property
    def skipped(self) -> list[str]:
        """Corrected prompts that a reward model judges."""
        return [prompt.prompt_id for prompt in self._prompts() if prompt.verifier is None]

    @property
    def num_pending(self) -> dict[str, int]:
        """By prompt id, how many answers are to be judged again."""
        found = self.store.query(
            "SELECT prompt_id, sum(num)::BIGINT AS num FROM pending GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return {row["prompt_id"]: row["num"] for row in found.to_pylist()}

    def judge(self, service: VerifierService, folder: Path) -> Iterator[int]:
        """Judge all that is pending into parts in ``folder``; after each part how many answers it had. ``changes`` are
        those so far. Raises: BadInput where another process is at it."""
        with _held(folder):
            number = max((int(file.stem) for file in folder.glob("*.parquet")), default=-1) + 1
            for answers in self._parts():
                rows = self._judged(answers, service)
                for row in rows:
                    self.changes.count(
                        row["prompt_id"], row["previous_reward"], row["reward"], self.pass_score
                    )
                with written_whole(folder / f"{number:05d}.parquet") as temporary:
                    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary, compression="zstd")
                number += 1
                yield len(rows)

    def _prompts(self) -> list[Prompt]:
        """Corrected prompts as they stand now, and those of the verifiers ``again``."""
        decisions = self.store.decisions[self.run]
        found = self.store.query(
            "SELECT * FROM prompts WHERE run = ? AND (list_contains(?, prompt_id) OR len(?) > 0)",
            [self.run, sorted(self.corrected), sorted(self.again)],
        ).to_pylist()
        now = [decisions.of_prompt(row["prompt_id"]).applied(as_judged(row)) for row in found]
        return [one for one in now if one.prompt_id in self.corrected or one.verifier in self.again]

    def _parts(self) -> Iterator[list[dict[str, Any]]]:
        """The answers to some prompts of a stage at a time. The log is read once for many parts."""
        found = self.store.query("SELECT stage, prompt_id, num FROM pending ORDER BY stage, prompt_id")
        parts, stage, size = list[int](), "", 0
        for row in found.to_pylist():
            is_new = row["stage"] != stage or size + row["num"] > PART_ANSWERS
            parts.append(parts[-1] + is_new if parts else 0)
            stage, size = row["stage"], row["num"] + (0 if is_new else size)
        numbered = found.append_column("part", pa.array(parts, pa.int64()))
        self.store.keep("parts", "SELECT * FROM numbered", {}, numbered=numbered)
        for part in range(parts[-1] + 1 if parts else 0):
            if part % HELD_PARTS == 0:
                self.store.keep("held", _HELD, {"run": self.run, "first": part, "past": part + HELD_PARTS})
            yield self.store.query(_ANSWERS, [part]).to_pylist()

    def _judged(self, answers: Sequence[Mapping[str, Any]], service: VerifierService) -> list[dict[str, Any]]:
        """Rows of ``SCHEMA``. A broken format is worth 0 by every reference, as in RL."""
        cases = [self._case(row) for row in answers if row["answer_status"] == "ok"]
        verdicts = service.judge_many(cases)
        return [self._row(row, verdicts.get(row["rollout_id"])) for row in answers]

    def _case(self, row: Mapping[str, Any]) -> Case:
        prompt = self.prompts[row["prompt_id"]]
        assert prompt.verifier is not None
        answer = FinalAnswer(row["answer"], row["answer_status"])
        return Case(row["rollout_id"], prompt.verifier, prompt.verifier_options, prompt.reference, answer)

    def _row(self, row: Mapping[str, Any], verdict: Verdict | None) -> dict[str, Any]:
        prompt = self.prompts[row["prompt_id"]]
        # An old log names no revision: of a prompt as it was these verdicts stand for those of the log.
        is_corrected = prompt.prompt_id in self.corrected
        judged = {name: row[name] for name in KEPT} | {
            "verifier": prompt.verifier,
            "reference": prompt.reference_text,
            "revision": prompt.revision if is_corrected else row["revision"],
            "judging": row["judging"],
            "verifier_code": self._code_of(prompt),
            "previous_reward": row["reward"],
            "reward": 0.0,
        }
        if verdict is None:
            return judged
        return judged | {
            "reward": verdict.score,
            "verdict_status": verdict.status,
            "verdict_code": verdict.code,
            "verdict_reason": verdict.reason,
            "verdict_extracted": verdict.extracted,
            "verdict_tier": verdict.tier,
            "verdict_confident": verdict.confident,
            "verdict_parts": json.dumps(dict(verdict.parts)),
            "judge_s": verdict.seconds,
        }

    def _code_of(self, prompt: Prompt, *, only_again: bool = False) -> str | None:
        if prompt.verifier is None or (only_again and prompt.verifier not in self.again):
            return None
        return _verifier_code(prompt.verifier, json.dumps(prompt.verifier_options, sort_keys=True))


_WANTED = pa.schema(
    [(name, pa.string()) for name in ("prompt_id", "revision", "verifier", "reference", "code")]
    + [("is_corrected", pa.bool_())]
)


@cache
def _verifier_code(name: str, options: str) -> str:
    """A hash of the code that judges: of Hone's rules, and of the file of one from elsewhere. Raises: BadInput."""
    files = sorted(Path(verifiers.__file__).parent.rglob("*.py"))
    file = inspect.getsourcefile(type(load_verifier(name, json.loads(options))))
    digest = hashlib.sha256()
    for one in [*files, *([Path(file)] if file else [])]:
        digest.update(one.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One process at a time. Raises: BadInput where another is at it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{folder}: another process is judging again: wait for it") from None
        yield
