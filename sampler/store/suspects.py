"""References that many agreeing answers speak against: for a person to look at."""

from __future__ import annotations

import pyarrow as pa

from sampler.store.prompt_store import PromptStore
from verifiers.errors import BadInput

MIN_AGREE = 4  # answers that are wrong in the same way
MIN_SHARE = 0.5  # of all answers to the prompt that were judged
MAX_USUAL, MAX_ALIKE = (
    0.25,
    4,
)  # an answer given more often in its type, against more references, is the policy's own

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("prompt_id", "question_type", "reference", "answer")]
    + [("num_agree", pa.int64()), ("num_answers", pa.int64()), ("num_right", pa.float64())]
    + [("num_policies", pa.int64()), ("usual", pa.float64())]
    + [("num_alike", pa.int64()), ("is_usual", pa.bool_())]
)
# Wrong answers as the verifier read them. `usual` is how often this answer is given in the whole question type: a
# policy that always says "1" speaks against no reference.
_SUSPECTS = """
    WITH judged AS (
        SELECT answers.prompt_id, question_type, policy_version, worth,
               trim(coalesce(verdict_extracted, answer)) AS answer
        FROM answers_in_force AS answers
        LEFT JOIN curation ON curation.run = answers.run AND curation.prompt_id = answers.prompt_id
        WHERE answers.run = $run AND NOT blind AND answers.verifier IS NOT NULL AND answer_status = 'ok'
            AND worth IS NOT NULL AND curation.accepted IS NULL
    ), of_type AS (
        SELECT question_type, answer, count(*) / sum(count(*)) OVER (PARTITION BY question_type) AS usual
        FROM judged GROUP BY question_type, answer
    ), said AS (
        SELECT prompt_id, any_value(question_type) AS question_type, answer, count(*) AS num_agree,
               count(DISTINCT policy_version) AS num_policies
        FROM judged WHERE worth = 0 AND answer <> '' GROUP BY prompt_id, answer
    ), counted AS (
        SELECT prompt_id, count(*) AS num_answers, sum(worth) AS num_right FROM judged GROUP BY prompt_id
    ), found AS (
        SELECT prompt_id, question_type, coalesce(curation.reference, prompts.reference) AS reference, answer,
               num_agree, num_answers, num_right, num_policies, usual
        FROM said JOIN counted USING (prompt_id) JOIN of_type USING (question_type, answer)
        LEFT JOIN (SELECT * FROM prompts WHERE run = $run) AS prompts USING (prompt_id)
        LEFT JOIN (SELECT * FROM curation WHERE run = $run) AS curation USING (prompt_id)
        WHERE num_agree >= $min_agree AND num_agree >= $min_share * num_answers AND num_agree > num_right
        QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY num_agree DESC, answer) = 1
    )
    SELECT *, count(*) OVER (PARTITION BY question_type, answer) AS num_alike,
           usual > $max_usual AND num_alike > $max_alike AS is_usual
    FROM found ORDER BY is_usual, num_agree * (1 - usual) DESC, prompt_id
"""


def suspects(
    store: PromptStore,
    run: str,
    *,
    min_agree: int = MIN_AGREE,
    min_share: float = MIN_SHARE,
    with_usual: bool = False,
) -> pa.Table:
    """A row for each prompt with a suspect reference, the most suspect first: prompt_id, question_type, reference,
    answer (that speaks against it), num_agree (answers that give it), num_answers (all), num_right, num_policies (that
    gave it), usual (the answer's share of all answers of the question type), num_alike (suspects of the type with this
    answer) and is_usual: more than a quarter of the type's answers, against more than four references. Such are the
    policy's own failing; they come last, ``with_usual``, and not at all without.

    Prompts that somebody accepted or rejected are left out, and those that a reward model judges. Raises: BadInput
    where the log holds no judged answer."""
    held = "SELECT 1 FROM rollouts WHERE run = ? AND answer IS NOT NULL AND worth IS NOT NULL LIMIT 1"
    if not store.query(held, [run]).num_rows:
        raise BadInput(f"the rollout log of run {run} holds no judged answer: there is nothing to suspect by")
    given = {
        "run": run,
        "min_agree": min_agree,
        "min_share": min_share,
        "max_usual": MAX_USUAL,
        "max_alike": MAX_ALIKE,
    }
    store.keep("suspects", _SUSPECTS, given)
    where = "" if with_usual else " WHERE NOT is_usual"
    return store.query(f"SELECT * FROM suspects{where}").cast(SCHEMA)
