"""What became of prompts from one policy to the next: a view of the store."""

# From one policy that tried a prompt to the next that did. `repaired` is solved again after having been forgotten, and
# `versions_lost` how many versions that took.
TURNOVER = """
    CREATE OR REPLACE VIEW turnover AS
    WITH moves AS (
        SELECT *, n > 0 AND pass_rate >= 0.5 AS solved, lag(pass_rate >= 0.5) OVER history AS was_solved,
               lag(policy_version) OVER history AS version_before
        FROM attempts_in_force WHERE n > 0
        WINDOW history AS (PARTITION BY run, prompt_id, verifier ORDER BY policy_version)
    ), named AS (
        SELECT *, CASE WHEN was_solved IS NULL THEN 'first' WHEN solved AND NOT was_solved THEN 'newly solved'
                       WHEN was_solved AND NOT solved THEN 'forgotten' ELSE 'same' END AS move,
               max(CASE WHEN was_solved AND NOT solved THEN policy_version END) OVER (
                   PARTITION BY run, prompt_id, verifier ORDER BY policy_version
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
               ) AS forgotten_at
        FROM moves
    )
    SELECT run, prompt_id, verifier, question_type, version_before, policy_version,
           CASE WHEN move = 'newly solved' AND forgotten_at IS NOT NULL THEN 'repaired' ELSE move END AS move,
           CASE WHEN move = 'newly solved' THEN policy_version - forgotten_at END AS versions_lost
    FROM named
"""
