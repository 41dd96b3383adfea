"""References that many agreeing answers speak against: for a person to look at."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from sampler.store.prompt_store import PromptStore
from sampler.store.suspicion.agreement import Agreement
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
# `Agreement`. An answer is a prompt's reference where it is so written, or was judged right.
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
    ), said AS (
        SELECT prompt_id, any_value(question_type) AS question_type, answer, count(*) AS num,
               count(DISTINCT policy_version) AS num_policies
        FROM judged WHERE worth = 0 AND answer <> '' GROUP BY prompt_id, answer
    ), by_answer AS (
        SELECT question_type, answer, sum(num) AS num, sum(num * (num - 1)) AS num_pairs FROM said GROUP BY ALL
    ), meant AS (
        SELECT DISTINCT question_type, reference AS answer, prompt_id FROM tried WHERE reference <> ''
        UNION SELECT DISTINCT question_type, answer, prompt_id FROM judged WHERE worth > 0
    ), by_reference AS (
        SELECT tried.question_type, answer, count(*) AS num_prompts, sum(num_wrong) AS num_wrong,
               count(*) FILTER (num_wrong > 0) AS num_wrong_prompts
        FROM meant JOIN tried USING (prompt_id) GROUP BY ALL
    ), of_type AS (
        SELECT question_type, count(*) AS num_prompts, sum(num_wrong) AS num_wrong,
               count(*) FILTER (num_wrong > 0) AS num_wrong_prompts, sum(num_wrong * (num_wrong - 1)) AS num_pairs,
               coalesce(sum(num_right / n) FILTER (n > 1), 0) AS rates, count(*) FILTER (n > 1) AS num_rated,
               coalesce(sum(greatest(num_right * (num_right - 1), 0) / (n * (n - 1))) FILTER (n > 1), 0) AS squares
        FROM tried GROUP BY question_type
    ), answers_of_type AS (
        SELECT question_type, sum(num * num) AS num_squares, sum(num_pairs) AS num_same FROM by_answer GROUP BY ALL
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
           coalesce(as_true.num_prompts, 0) AS num_true,
           by_answer.num - found.num AS said,
           whole.num_wrong - found.num_wrong - coalesce(as_true.num_wrong, 0) AS wrong,
           whole.num_wrong_prompts - 1 - coalesce(as_true.num_wrong_prompts, 0) AS wrong_prompts,
           coalesce(instead.num, 0) AS reference_said,
           whole.num_wrong - coalesce(of_reference.num_wrong, found.num_wrong) AS reference_wrong,
           whole.num_wrong_prompts - coalesce(of_reference.num_wrong_prompts, 1) AS reference_wrong_prompts,
           num_same / greatest(whole.num_pairs, 1) AS same,
           num_squares / (whole.num_wrong * whole.num_wrong) AS by_chance
    FROM found JOIN of_type AS whole USING (question_type) JOIN answers_of_type USING (question_type)
    JOIN distinct_of_type USING (question_type) JOIN (SELECT question_type, answer, num FROM by_answer) AS by_answer
        USING (question_type, answer)
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
    found = store.query(_SUSPECTS, {"run": run, "min_agree": min_agree, "min_share": min_share})

    def column(name: str) -> np.ndarray:
        return np.asarray(found[name].to_numpy(), np.float64)

    by_chance = column("by_chance")
    correlation = (column("same") - by_chance) / np.maximum(1 - by_chance, 1e-9)
    known = {name: column(name) for name in Agreement.__dataclass_fields__ if name != "correlation"}
    agreement = Agreement(**known, correlation=correlation)
    # DuckDB's threads add up in any order: rounded, so that the same log gives the same table.
    ratio = np.exp(np.minimum(agreement.log_ratio(), math.log(1e12)).round(6))
    table = found.append_column("usual", pa.array(agreement.usual.round(9))).append_column(
        "ratio", pa.array(ratio)
    )
    table = table.append_column("is_usual", pa.array(ratio < MIN_RATIO)).select(SCHEMA.names).cast(SCHEMA)
    table = table.sort_by([("ratio", "descending"), ("prompt_id", "ascending")])
    return table if with_usual else table.filter(pa.compute.less_equal(MIN_RATIO, table["ratio"]))
