"""SQL over a run's rollout log and prompts, as DuckDB views of its Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from recipes.report.attempt import MAX_SHOWN_CHARS, Attempt
from recipes.report.shown_prompt import ShownPrompt, ShownPrompts
from reward_models.score import PARITY_TOLERANCE
from sampler.store.decisions.curation import Curation
from sampler.store.log_schema import migrated
from sampler.store.sql_text import table_of

MAX_ATTEMPTS = 400

PASS_SCORE = 0.5

# An error of the judge is not a wrong answer; a response without a final answer is one, under its own name. What has
# no verifier a reward model compared with the reference: parity is 0.5.
VIEW_SQL = """
    CREATE VIEW rollouts AS
    WITH logged AS ({logged})
    SELECT *, coalesce(tags[1], kind) AS question_type, verifier IS NULL AS compared,
    CASE WHEN verdict_status IN ('timeout', 'error') THEN verdict_status
         WHEN coalesce(answer_status, 'ok') <> 'ok' THEN replace(answer_status, '_', ' ')
         WHEN coalesce(reward, verdict_score) IS NULL THEN 'not judged'
         WHEN verifier IS NULL AND abs(reward - 0.5) <= {parity} THEN 'even'
         WHEN verifier IS NULL THEN CASE WHEN reward > 0.5 THEN 'won' ELSE 'lost' END
         WHEN coalesce(reward, verdict_score) >= {pass_score} THEN 'right'
         WHEN verdict_status = 'unparseable' THEN 'unparseable'
         ELSE 'wrong' END AS word
    FROM logged
"""

Parameters = list[Any] | dict[str, Any] | tuple[()]


class RolloutTable:
    """A context manager. Reads only; the files it sees are those there when it was opened.

    `rollouts` has the columns of the log and three more: `question_type`; `compared`, which is true where a reward
    model judges; and `word`: "right" (from `pass_score` on), "wrong", "won", "even", "lost" or what went wrong.
    """

    def __init__(
        self, run: Path, pass_score: float = PASS_SCORE, files: Sequence[Path] | None = None
    ) -> None:
        """Of all shards, or of ``files`` alone."""
        import duckdb

        self.rollout_files = sorted((run / "rollouts").glob("**/*.parquet")) if files is None else list(files)
        self._prompts = ShownPrompts.of(run)
        self._db = duckdb.connect(config={"threads": 2})
        if self.rollout_files:
            self._db.execute(
                VIEW_SQL.format(
                    logged=migrated(table_of(self.rollout_files)),
                    pass_score=float(pass_score),
                    parity=PARITY_TOLERANCE,
                )
            )

    def __enter__(self) -> RolloutTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def query(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """Rows as dictionaries; nothing where no rollout has been logged yet."""
        if not self.rollout_files:
            return []
        return self.query_files(sql, parameters)

    def query_files(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The same for SQL that names its own files with `table_of`."""
        cursor = self._db.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def attempts(
        self,
        prompt_id: str,
        stages: Sequence[str] | None = None,
        max_chars: int = MAX_SHOWN_CHARS,
        version: int | None = None,
    ) -> list[Attempt]:
        """The attempts at one prompt in the order they were made; `stages` of None means all, `version` too."""
        where, parameters = "prompt_id = ?", [prompt_id, *([] if stages is None else [list(stages)])]
        where += "" if stages is None else " AND list_contains(?, stage)"
        where += "" if version is None else f" AND policy_version = {int(version)}"
        order = 'stage, step, "index"'
        sql = f"SELECT {attempt_columns(max_chars)} FROM rollouts WHERE {where} ORDER BY {order} LIMIT {MAX_ATTEMPTS}"
        return [Attempt.from_row(row, max_chars) for row in self.query(sql, parameters)]

    def prompts(
        self, prompt_ids: Sequence[str], curated: Mapping[str, Curation] = MappingProxyType({})
    ) -> dict[str, ShownPrompt]:
        """Those of `prompt_ids` that the run still has, as people decided."""
        return self._prompts.find(prompt_ids, curated)


def attempt_columns(max_chars: int) -> str:
    """Text is cut in the database: a response of a megabyte never reaches Python."""
    texts = ("thought", "answer", "response")
    cut = [f"left({name}, {max_chars}) AS {name}, length({name}) AS {name}_chars" for name in texts]
    return f"* EXCLUDE ({', '.join(texts)}), {', '.join(cut)}"
