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


def create_views(database: DuckDBPyConnection) -> None:
    """``attempts_in_force``, ``blind_attempts_in_force`` and ``answers_in_force``, over the tables that they name."""
    counts = _COUNTS.format(tried="tried")
    for name in ("attempts", "blind_attempts"):
        database.execute(_ATTEMPTS.format(attempts=name, counts=counts))
    database.execute(_ANSWERS.format(counts=counts))
