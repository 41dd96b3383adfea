"""Rows of prompts as people left them: one SQL text for the kept table, the choice of prompts and the viewer."""

from __future__ import annotations

from collections.abc import Sequence

# As `Curation.applied` does it. The first tag is the question type; without tags the kind is.
_COLUMNS = {
    "verifier": "coalesce(people.verifier, known.verifier)",
    "reference": "coalesce(people.reference, known.reference)",
    "tags": "CASE WHEN people.prompt_id IS NULL THEN known.tags ELSE left_tags END",
    "question_type": "CASE WHEN people.prompt_id IS NULL THEN known.question_type "
    "ELSE coalesce(left_tags[1], known.kind, known.question_type) END",
}
_LEFT = """
    SELECT known.* REPLACE ({columns}), people.accepted
    FROM {known} AS known LEFT JOIN {people} AS people USING ({keys}), LATERAL (SELECT list_concat(
        list_filter(coalesce(known.tags, []), lambda tag: NOT list_contains(coalesce(people.tags_removed, []), tag)),
        list_filter(coalesce(people.tags_added, []), lambda tag: NOT list_contains(coalesce(known.tags, []), tag))
    ) AS left_tags)
"""


def left_prompts(known: str, people: str, keys: str, columns: Sequence[str]) -> str:
    """SQL that selects the rows of ``known``, a table with kind, tags and question_type, where these ``columns`` are as
    the decisions of ``people`` (rows such as `Decisions.table` makes) leave them, and with ``accepted``."""
    left = ", ".join(f"{_COLUMNS[name]} AS {name}" for name in columns)
    return _LEFT.format(columns=left, known=known, people=people, keys=keys)
