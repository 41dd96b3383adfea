"""Views of what counts: attempts and answers by the verdicts of the revision in force, the newest of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
# An answer that no verdict in force is of has no worth.
_ANSWERS = """
    CREATE OR REPLACE VIEW answers_in_force AS
    WITH later AS (
        SELECT run, rollout_id, revision, count(*) AS num, max_by(worth, judging) AS worth,
               max_by(verdict_extracted, judging) AS extracted, max_by(verdict_reason, judging) AS reason
        FROM rejudged GROUP BY ALL
    )
    SELECT tried.* REPLACE (
        CASE WHEN later.num IS NOT NULL THEN later.worth WHEN {counts} THEN tried.worth END AS worth,
        CASE WHEN later.num IS NOT NULL THEN later.extracted ELSE tried.verdict_extracted END AS verdict_extracted,
        CASE WHEN later.num IS NOT NULL THEN later.reason ELSE tried.verdict_reason END AS verdict_reason
    ) FROM rollouts AS tried
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


def create_views(database: DuckDBPyConnection) -> None:
    """``attempts_in_force``, ``blind_attempts_in_force``, ``answers_in_force`` and ``verdicts``, over the tables that
    they name."""
    counts = _COUNTS.format(tried="tried")
    for name in ("attempts", "blind_attempts"):
        database.execute(_ATTEMPTS.format(attempts=name, counts=counts))
    database.execute(_ANSWERS.format(counts=counts))
    database.execute(_VERDICTS)
