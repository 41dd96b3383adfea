"""References that many agreeing answers speak against: for a person to look at."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from sampler.store.prompt_store import PromptStore
from sampler.store.suspicion.agreement import MAX_CORRELATION, WEIGHT, Agreement
from verifiers.errors import BadInput

MIN_AGREE = 4  # answers that are wrong in the same way
MIN_SHARE = 0.5  # of all answers to the prompt that were judged
MIN_RATIO = 3.0  # of likelihoods: below, what the policy says when it is wrong explains the answers as well

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("prompt_id", "question_type", "reference", "answer")]
    + [("num_agree", pa.int64()), ("num_answers", pa.int64()), ("num_right", pa.float64())]
    + [
        ("num_policies", pa.int64()),
        ("usual", pa.float64()),
        ("ratio", pa.float64()),
        ("is_usual", pa.bool_()),
    ]
)
# Wrong answers as the verifier read them, each prompt's commonest, with what the others of its type say: the columns of
# `Agreement`. An answer is a prompt's reference where it is so written, or was judged right. How much answers to one
# prompt agree is compared with how much those to two prompts do, which a type with few failed prompts cannot say: its
# correlation begins with that of all types, and theirs with the largest, each as if $weight prompts had shown it.
_SUSPECTS = """
    WITH judged AS (
        SELECT answers.prompt_id, question_type, policy_version, worth, accepted IS NULL AS is_open,
               answers.reference AS logged_reference,
               trim(coalesce(verdict_extracted, answer)) AS answer
        FROM answers_in_force AS answers
        LEFT JOIN curation ON curation.run = answers.run AND curation.prompt_id = answers.prompt_id
        WHERE answers.run = $run AND NOT blind AND answers.verifier IS NOT NULL AND answer_status = 'ok'
            AND worth IS NOT NULL
    ), named AS (
        SELECT prompt_id, any_value(coalesce(people.reference, prompts.reference)) AS reference
        FROM (SELECT * FROM prompts WHERE run = $run) AS prompts
        FULL JOIN (SELECT * FROM curation WHERE run = $run) AS people USING (prompt_id) GROUP BY prompt_id
    ), tried AS (
        SELECT prompt_id, any_value(question_type) AS question_type, bool_and(is_open) AS is_open,
               trim(coalesce(any_value(reference), any_value(logged_reference))) AS reference, count(*) AS n,
               sum(worth) AS num_right, count(*) FILTER (worth = 0 AND answer <> '') AS num_wrong
        FROM judged LEFT JOIN named USING (prompt_id) GROUP BY prompt_id
    ), meant AS (
        SELECT question_type, reference AS answer, prompt_id FROM tried WHERE reference <> ''
        UNION SELECT question_type, answer, prompt_id FROM judged WHERE worth > 0
    ), said AS (
        SELECT prompt_id, question_type, answer, num, num_policies, meant.prompt_id IS NOT NULL AS is_true
        FROM (
            SELECT prompt_id, any_value(question_type) AS question_type, answer, count(*) AS num,
                   count(DISTINCT policy_version) AS num_policies
            FROM judged WHERE worth = 0 AND answer <> '' GROUP BY prompt_id, answer
        ) LEFT JOIN meant USING (prompt_id, question_type, answer)
    ), by_answer AS (
        SELECT question_type, answer, sum(num) AS num, sum(num * (num - 1)) AS num_pairs,
               coalesce(sum(num) FILTER (NOT is_true), 0) AS num_untrue
        FROM said GROUP BY ALL
    ), by_reference AS (
        SELECT tried.question_type, answer, count(*) AS num_prompts, sum(num_wrong) AS num_wrong,
               count(*) FILTER (num_wrong > 0) AS num_wrong_prompts
        FROM meant JOIN tried USING (prompt_id) GROUP BY ALL
    ), of_type AS (
        SELECT question_type, count(*) AS num_prompts, sum(num_wrong) AS num_wrong,
               count(*) FILTER (num_wrong > 0) AS num_wrong_prompts, sum(num_wrong * (num_wrong - 1)) AS num_pairs,
               least(count(*) FILTER (num_wrong > 1), count(*) FILTER (num_wrong > 0) - 1) AS num_told,
               coalesce(sum(num_right / n) FILTER (n > 1), 0) AS rates, count(*) FILTER (n > 1) AS num_rated,
               coalesce(sum(greatest(num_right * (num_right - 1), 0) / (n * (n - 1))) FILTER (n > 1), 0) AS squares
        FROM tried GROUP BY question_type
    ), answers_of_type AS (
        SELECT question_type, sum(num * num) AS num_squares, sum(num_pairs) AS num_same FROM by_answer GROUP BY ALL
    ), agreed AS (
        SELECT question_type, num_told, num_same / greatest(num_pairs, 1) AS same,
               (num_squares - num_same - num_wrong) / greatest(num_wrong * num_wrong - num_pairs - num_wrong, 1)
                   AS by_chance
        FROM of_type JOIN answers_of_type USING (question_type)
    ), correlated AS (
        SELECT question_type,
               (num_told * (same - by_chance) + $weight * of_all) / (num_told * (1 - by_chance) + $weight)
                   AS correlation
        FROM agreed, (
            SELECT (sum(num_told * (same - by_chance)) + $weight * $most) / (sum(num_told * (1 - by_chance)) + $weight)
                       AS of_all
            FROM agreed
        )
    ), distinct_of_type AS (
        SELECT question_type, count(DISTINCT answer) AS num_distinct
        FROM (SELECT question_type, answer FROM by_answer UNION SELECT question_type, answer FROM meant) GROUP BY ALL
    ), found AS (
        SELECT said.*, n, num_right, num_wrong, reference FROM said JOIN tried USING (prompt_id, question_type)
        WHERE is_open AND num >= $min_agree AND num >= $min_share * n AND num > num_right
        QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY num DESC, answer) = 1
    )
    SELECT prompt_id, question_type, found.reference, answer, found.num AS num_agree, n AS num_answers, found.num_right,
           num_policies, whole.num_prompts - 1 AS other_prompts, num_distinct,
           whole.rates - CASE WHEN n > 1 THEN found.num_right / n ELSE 0 END AS other_rates,
           whole.squares - CASE WHEN n > 1 THEN greatest(found.num_right * (found.num_right - 1), 0) / (n * (n - 1))
               ELSE 0 END AS other_squares,
           whole.num_rated - CASE WHEN n > 1 THEN 1 ELSE 0 END AS other_rated,
           coalesce(as_true.num_prompts, 0) - CASE WHEN is_true THEN 1 ELSE 0 END AS num_true,
           by_answer.num_untrue - CASE WHEN is_true THEN 0 ELSE found.num END AS said,
           whole.num_wrong - coalesce(as_true.num_wrong, 0)
               - CASE WHEN is_true THEN 0 ELSE found.num_wrong END AS wrong,
           whole.num_wrong_prompts - coalesce(as_true.num_wrong_prompts, 0)
               - CASE WHEN is_true THEN 0 ELSE 1 END AS wrong_prompts,
           coalesce(instead.num_untrue, 0) AS reference_said,
           whole.num_wrong - coalesce(of_reference.num_wrong, found.num_wrong) AS reference_wrong,
           whole.num_wrong_prompts - coalesce(of_reference.num_wrong_prompts, 1) AS reference_wrong_prompts,
           correlation
    FROM found JOIN of_type AS whole USING (question_type) JOIN correlated USING (question_type)
    JOIN distinct_of_type USING (question_type)
    JOIN (SELECT question_type, answer, num_untrue FROM by_answer) AS by_answer USING (question_type, answer)
    LEFT JOIN by_reference AS as_true USING (question_type, answer)
    LEFT JOIN by_reference AS of_reference
        ON of_reference.question_type = found.question_type AND of_reference.answer = found.reference
    LEFT JOIN by_answer AS instead
        ON instead.question_type = found.question_type AND instead.answer = found.reference
    ORDER BY prompt_id
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
    gave it), usual (its share, 0 to 1, among the wrong answers to other prompts of the type with another reference),
    ratio (see `Agreement.log_ratio`: how much likelier the answers are if it were right) and is_usual: a ratio under
    ``MIN_RATIO``. Such are explained by what the policy says when it is wrong; they come last, ``with_usual``, and not
    at all without.

    Prompts that somebody accepted or rejected are left out, and those that a reward model judges. Raises: BadInput
    where the log holds no judged answer."""
    held = "SELECT 1 FROM rollouts WHERE run = ? AND answer IS NOT NULL AND worth IS NOT NULL LIMIT 1"
    if not store.query(held, [run]).num_rows:
        raise BadInput(f"the rollout log of run {run} holds no judged answer: there is nothing to suspect by")
    least = {"min_agree": min_agree, "min_share": min_share}
    asked = {"run": run, **least, "weight": WEIGHT, "most": MAX_CORRELATION}
    found = store.query(_SUSPECTS, asked)

    def column(name: str) -> np.ndarray:
        return np.asarray(found[name].to_numpy(), np.float64)

    agreement = Agreement(**{name: column(name) for name in Agreement.__dataclass_fields__})
    # DuckDB's threads add up in any order: rounded, so that the same log gives the same table.
    ratio = np.exp(np.minimum(agreement.log_ratio(), math.log(1e12)).round(6))
    table = found.append_column("usual", pa.array(agreement.usual.round(9))).append_column(
        "ratio", pa.array(ratio)
    )
    table = table.append_column("is_usual", pa.array(ratio < MIN_RATIO)).select(SCHEMA.names).cast(SCHEMA)
    table = table.sort_by([("ratio", "descending"), ("prompt_id", "ascending")])
    return table if with_usual else table.filter(pa.compute.invert(table["is_usual"]))
