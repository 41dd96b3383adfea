"""Views of what counts: attempts and answers by the verdicts of the revision in force, the newest of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.store.sql_text import literal, table_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Of a corrected prompt the verdicts of its revision; a log without revisions was judged by the set's own.
_COUNTS = """
    curation.revision IS NULL OR {tried}.revision = curation.revision
    OR ({tried}.revision IS NULL AND curation.correction = 0)
"""
_ATTEMPTS = """
    CREATE OR REPLACE VIEW {attempts}_in_force AS
    SELECT tried.* FROM {attempts} AS tried
    LEFT JOIN curation ON tried.run = curation.run AND tried.prompt_id = curation.prompt_id
    WHERE {counts}
"""
# An answer that no verdict in force is of has no reward and no worth.
_ANSWERS = """
    WITH later AS (
        SELECT run, rollout_id, revision, count(*) AS num, arg_max_null(reward, judging) AS reward,
               arg_max_null(worth, judging) AS worth,
               arg_max_null(verdict_extracted, judging) AS extracted,
               arg_max_null(verdict_reason, judging) AS reason
        FROM {rejudged} GROUP BY ALL
    )
    SELECT tried.* REPLACE (
        CASE WHEN later.num IS NOT NULL THEN later.reward WHEN {counts} THEN tried.reward END AS reward,
        CASE WHEN later.num IS NOT NULL THEN later.worth WHEN {counts} THEN tried.worth END AS worth,
        CASE WHEN later.num IS NOT NULL THEN later.extracted ELSE tried.verdict_extracted END AS verdict_extracted,
        CASE WHEN later.num IS NOT NULL THEN later.reason ELSE tried.verdict_reason END AS verdict_reason
    ) FROM {rollouts} AS tried
    LEFT JOIN curation ON tried.run = curation.run AND tried.prompt_id = curation.prompt_id
    LEFT JOIN later ON later.run = tried.run AND later.rollout_id = tried.rollout_id
        AND later.revision IS NOT DISTINCT FROM coalesce(curation.revision, tried.revision)
"""
# Every judgement of an answer that there is, the log's and later ones; a broken format was judged by nobody.
_VERDICTS = """
    CREATE OR REPLACE VIEW verdicts AS
    WITH judged AS (SELECT * FROM rollouts UNION ALL BY NAME SELECT * FROM rejudged)
    SELECT run, rollout_id, stage, policy_version, prompt_id, "index", blind, verifier IS NULL AS by_reward_model,
           verifier, revision, judging, coalesce(verdict_status, score_status) AS status, reward AS score, worth,
           verdict_code AS code, coalesce(verdict_reason, score_reason) AS reason, verdict_extracted AS extracted,
           verdict_tier AS tier, verdict_confident AS confident, coalesce(verdict_parts, score_parts) AS parts, judge_s
    FROM judged WHERE verdict_status IS NOT NULL OR score_status IS NOT NULL
"""

# What a profile decided of prompts; of a corrected prompt it decided nothing.
_PROFILED = """
    CREATE OR REPLACE VIEW profiled AS
    SELECT tables.* FROM ({tables}) AS tables LEFT JOIN curation USING (run, prompt_id)
    WHERE curation.revision IS NULL AND decision <> 'undecided'
"""
_PROFILE = """
    SELECT {run} AS run, {shown} AS shown, prompt_id, decision, {low}::DOUBLE AS band_low, {high}::DOUBLE AS band_high
    FROM {table}
"""


def profiled_sql(profiles: Iterable[tuple[str, Mapping[str, tuple[Path, tuple[float, float]]]]]) -> str:
    """A view ``profiled`` over the profiles of runs."""
    none = "(SELECT NULL AS prompt_id, NULL AS decision WHERE false)"
    tables = [_PROFILE.format(run="''", shown="''", low=0, high=0, table=none)] + [
        _PROFILE.format(run=literal(run), shown=literal(shown), low=low, high=high, table=table_of([path]))
        for run, found in profiles
        for shown, (path, (low, high)) in found.items()
    ]
    return _PROFILED.format(tables=" UNION ALL BY NAME ".join(tables))


def answers_sql(rollouts: str = "rollouts", rejudged: str = "rejudged") -> str:
    """SQL that selects the answers of ``rollouts`` by the verdicts that count."""
    return _ANSWERS.format(counts=_COUNTS.format(tried="tried"), rollouts=rollouts, rejudged=rejudged)


def create_views(database: DuckDBPyConnection) -> None:
    """``attempts_in_force``, ``blind_attempts_in_force``, ``answers_in_force`` and ``verdicts``, over the tables that
    they name."""
    counts = _COUNTS.format(tried="tried")
    for name in ("attempts", "blind_attempts"):
        database.execute(_ATTEMPTS.format(attempts=name, counts=counts))
    database.execute(f"CREATE OR REPLACE VIEW answers_in_force AS {answers_sql()}")
    database.execute(_VERDICTS)
