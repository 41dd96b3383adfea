"""The history of every prompt: DuckDB views over the rollout logs and prompt sets of one run or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import pyarrow as pa

from sampler.store.attempt_summary import counted
from sampler.store.decisions.curation_table import Decisions
from sampler.store.decisions.event_log import EventLog
from sampler.store.decisions.in_force import answers_sql, create_views, profiled_sql
from sampler.store.log_schema import migrated
from sampler.store.set_rows import NO_PROMPT, prompts_sql
from sampler.store.sql_text import literal, require_query, table_of
from sampler.store.turnover import TURNOVER
from verifiers.errors import BadInput

AnswerT = TypeVar("AnswerT")

MAX_TRIES = 10  # of a question whose files are gone, as when a log is compacted meanwhile
EVEN = 1e-6  # as near to 0.5 a reward model's probability is a tie

# The log with the two columns that a reader asks for most. A response that a judge came to no decision on has no
# worth; right or won is worth 1, a tie half.
_ROLLOUTS = """
    WITH logged AS (SELECT NULL::BIGINT AS judging WHERE false UNION ALL BY NAME ({logged}))
    SELECT {run} AS run, * REPLACE (coalesce(blind, false) AS blind), coalesce(tags[1], kind) AS question_type,
        CASE WHEN reward IS NULL THEN NULL
             WHEN verifier IS NULL AND abs(reward - 0.5) <= {even} THEN 0.5
             WHEN verifier IS NULL THEN (reward > 0.5)::DOUBLE
             ELSE (reward >= {pass_score})::DOUBLE END AS worth
    FROM logged
"""
_NO_VERDICT = """
    SELECT NULL::DOUBLE AS previous_reward, NULL::VARCHAR AS verifier_code WHERE false
"""
# One row for each prompt, policy, judge and revision; `spread` is what curation calls max - mean.
_ATTEMPTS = """
    SELECT {run} AS run, policy_version, min(stage) AS stage, prompt_id, verifier, revision,
           any_value(question_type) AS question_type, sum(n)::BIGINT AS n, sum(num_right) AS num_right,
           sum(num_right) / nullif(sum(n), 0) AS pass_rate,
           sum(reward_sum) / nullif(sum(num_rewards), 0) AS reward_mean, max(reward_max) - reward_mean AS spread,
           sum(num - n)::BIGINT AS unjudged
    FROM ({counts}) WHERE blind = {blind} GROUP BY policy_version, prompt_id, verifier, revision
"""
# Of answers that were judged again under the same revision only the newest verdicts.
_NEWEST_VERDICTS = """
    SELECT * FROM {summary} QUALIFY judging IS NOT DISTINCT FROM max(judging) OVER (
        PARTITION BY stage, policy_version, prompt_id, verifier, revision, blind
    )
"""


@dataclass(frozen=True)
class StorePart:
    """What one run gives: its rollout shards, its prompt sets by split, and from which score a response is right.

    ``summary_file`` may be written, so that the shards need not be counted again: none, or where it does not matter.
    ``rejudged_files`` hold verdicts that came later, ``event_files`` what people decided about the prompts.
    ``profiles`` are tables of decided prompts by what was shown (whole, blind, caption), each with the band.
    ``relist`` gives the part anew once shards are gone, as when a log was compacted."""

    run: str
    rollout_files: Sequence[Path]
    prompt_sets: Mapping[str, str]
    pass_score: float = 0.5
    summary_file: Path | None = None
    rejudged_files: Sequence[Path] = ()
    event_files: Sequence[Path] = ()
    profiles: Mapping[str, tuple[Path, tuple[float, float]]] = field(default_factory=dict)
    relist: Callable[[], StorePart] | None = None

    def with_events(self, log: EventLog) -> StorePart:
        """The same with these events too: those to which a curator's next decision goes."""
        return replace(self, event_files=(*self.event_files, log.path))

    @property
    def shards(self) -> dict[str, Path]:
        """The rollout shards by what their counts depend on: name, size, time, and the score that is right."""
        stats = {file: file.stat() for file in (*self.rollout_files, *self.rejudged_files)}
        return {
            f"{file.parent.name}/{file.name} {stat.st_size} {stat.st_mtime_ns} {self.pass_score:g}": file
            for file, stat in stats.items()
        }


class PromptStore:
    """A context manager. Reads only; the files it sees are those there when it was opened, or when one was gone.

    Views, each with a column ``run``:

    prompts     split and what a set says of each; no pictures
    rollouts    the log's columns, with question_type and worth
    rejudged    later verdicts on the same answers; ``answers_in_force`` are all answers by the verdicts that count
    verdicts    every judgement of an answer, the log's and later ones: status, score, reason, tier, parts
    attempts    per prompt, policy, judge and revision: n, num_right, pass_rate, spread; ``blind_attempts`` those
                without the picture, ``attempts_in_force`` those of the revision that counts
    turnover    per prompt from one policy to the next: newly solved, forgotten, repaired
    profiled    what a profile decided of a prompt's pass rate: shown, decision, band_low, band_high
    curation    what people decided, prompt by prompt; ``events``, decision by decision. ``decisions`` has both by run.
    """

    def __init__(self, parts: Sequence[StorePart], *, may_lack_rollouts: bool = False) -> None:
        """Raises: BadInput where two runs have one name, or, unless it may be so, no run has a rollout."""
        import duckdb

        self.parts = {part.run: part for part in parts}
        if len(self.parts) < len(parts):
            raise BadInput("two runs have the same name: give each once, or rename a directory")
        if not may_lack_rollouts and not any(part.rollout_files for part in parts):
            raise BadInput("no rollout has been logged yet: let the run sample first")
        self._db = duckdb.connect(config={"threads": 2})
        self._is_stale = True
        self._fresh(lambda: None)

    def _fresh(self, ask: Callable[[], AnswerT]) -> AnswerT:
        """What ``ask`` gives over views of files that are there: where one is gone, of those that hold its rows now.

        Raises: OSError or DuckDB's where a file stays away."""
        import duckdb

        for tries_left in reversed(range(MAX_TRIES)):
            try:
                if self._is_stale:
                    self._make_views()
                    self._is_stale = False
                return ask()
            except (OSError, duckdb.IOException):
                if not tries_left or not any(part.relist for part in self.parts.values()):
                    raise
                self.parts = {run: part.relist() if part.relist else part for run, part in self.parts.items()}
                self._is_stale = True
        raise AssertionError("the last try raises")

    def _make_views(self) -> None:
        parts = list(self.parts.values())
        logged = [part for part in parts if part.rollout_files] or parts[:1]
        self._view("rollouts", [_rollouts_of(part, part.rollout_files) for part in logged])
        self._view("rejudged", [_rejudged_in(part) for part in logged])
        counts = [(part.run, self._counts_of(part)) for part in logged]
        for name, blind in {"attempts": False, "blind_attempts": True}.items():
            self._view(
                name,
                [_ATTEMPTS.format(run=literal(run), counts=table, blind=blind) for run, table in counts],
            )
        self._db.register("no_prompt", NO_PROMPT)
        prompts = [
            prompts_sql(self._db, part.run, split, location)
            for part in parts
            for split, location in part.prompt_sets.items()
        ]
        self._view("prompts", ["SELECT * FROM no_prompt", *prompts])
        self.decisions = {part.run: Decisions.of(part.event_files) for part in parts}
        self._db.register("curation", pa.concat_tables([self._curation_of(run) for run in self.decisions]))
        self._db.register("events", pa.concat_tables([one.log(run) for run, one in self.decisions.items()]))
        create_views(self._db)
        self._db.execute(profiled_sql([(part.run, part.profiles) for part in parts]))
        self._db.execute(TURNOVER)

    def __enter__(self) -> PromptStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The views are gone."""
        self._db.close()

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Any query over the views. Raises: BadInput where it is none, with DuckDB's own words where it is wrong."""
        import duckdb

        given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        try:
            require_query(sql)
            return self._fresh(lambda: self._db.sql(sql, params=given).to_arrow_table())
        except duckdb.Error as why:
            raise BadInput(f"the query cannot be answered: {str(why).splitlines()[0]}") from why

    def query_with(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], **tables: pa.Table
    ) -> pa.Table:
        """``query``, where ``tables`` may be asked too."""
        for name, table in tables.items():
            self._db.register(name, table)
        try:
            return self.query(sql, parameters)
        finally:
            for name in tables:
                self._db.unregister(name)

    def shards_of(self, run: str, prompt_id: str) -> list[Path]:
        """The files of a run's log that hold a rollout of one prompt, by the counts: the others need not be opened."""
        return self._fresh(lambda: self._shards_of(run, prompt_id))

    def answers_of(self, run: str, prompt_id: str) -> pa.Table:
        """The rows of ``answers_in_force`` of one prompt, read from the files that hold it."""

        def asked() -> pa.Table:
            part = self.parts[run]
            rollouts, rejudged = (
                f"(SELECT * FROM ({table}) WHERE prompt_id = {literal(prompt_id)})"
                for table in (_rollouts_of(part, self._shards_of(run, prompt_id)), "rejudged")
            )
            return self._db.sql(answers_sql(rollouts, rejudged)).to_arrow_table()

        return self._fresh(asked)

    def _shards_of(self, run: str, prompt_id: str) -> list[Path]:
        if not self.parts[run].rollout_files:
            return []
        asked = f"SELECT DISTINCT shard FROM {_summary_name(run)} WHERE prompt_id = ?"
        wanted = {shard for (shard,) in self._db.sql(asked, params=[prompt_id]).fetchall()}
        named = {file for shard, file in self.parts[run].shards.items() if shard in wanted}
        return [file for file in self.parts[run].rollout_files if file in named]

    def keep(self, name: str, sql: str, parameters: Mapping[str, Any], **tables: pa.Table) -> None:
        """The answer to ``sql`` as a table of its own, for further queries; ``tables`` may be asked in it."""
        for other, table in tables.items():
            self._db.register(other, table)
        made = f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}"
        self._fresh(lambda: self._db.execute(made, dict(parameters)))
        for other in tables:
            self._db.unregister(other)

    def drop(self, name: str) -> None:
        """Forget a table that was kept."""
        self._db.execute(f"DROP TABLE IF EXISTS {name}")

    def _view(self, name: str, selects: Sequence[str]) -> None:
        """A view takes no parameters: what differs stands in the selects as literals."""
        self._db.execute(
            f"CREATE OR REPLACE VIEW {name} AS {' UNION ALL BY NAME '.join(f'({sql})' for sql in selects)}"
        )

    def _counts_of(self, part: StorePart) -> str:
        summary = _summary_name(part.run)
        counts = counted(
            self._db,
            part.shards,
            lambda files: _judged_in(part, files, "filename = true"),
            part.summary_file,
            name=f"{summary}_held",
        )
        self._view(summary, [counts])
        newest = _NEWEST_VERDICTS if part.rejudged_files else "SELECT * FROM {summary}"
        return newest.format(summary=summary)

    def _curation_of(self, run: str) -> pa.Table:
        decisions = self.decisions[run]
        asked = "SELECT * FROM prompts WHERE run = ? AND list_contains(?, prompt_id)"
        found: list[dict[str, Any]] = []
        if decisions.corrected:
            rows = self._db.sql(asked, params=[run, sorted(decisions.corrected)])
            found = rows.to_arrow_table().to_pylist()
        return decisions.table(run, found)


def _rollouts_of(part: StorePart, files: Sequence[Path]) -> str:
    return f"SELECT * EXCLUDE (judging) FROM ({_judged_in(part, files)})"


def _rejudged_in(part: StorePart) -> str:
    return f"{_NO_VERDICT} UNION ALL BY NAME SELECT * FROM ({_judged_in(part, part.rejudged_files)})"


def _judged_in(part: StorePart, files: Sequence[Path], *options: str) -> str:
    logged, run = migrated(table_of(files, *options)), literal(part.run)
    return _ROLLOUTS.format(logged=logged, run=run, pass_score=float(part.pass_score), even=EVEN)


def _summary_name(run: str) -> str:
    return f"summary_{run.encode().hex()}"
