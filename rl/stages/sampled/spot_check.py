"""A few kept and dropped responses of a harvest with reasons, for a person to read before they are learnt from."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rl.experience.judge import JudgedRollout
from sampler.atomic_file import write_atomically
from sampler.rejection_sampling import Harvest

FILE = "harvest_spot_check.jsonl"


def reasoned(tried: Sequence[JudgedRollout], harvest: Harvest) -> list[tuple[JudgedRollout, str]]:
    """Each response with the reason why it was dropped; empty where it was kept."""
    reasons = {one.rollout_id: "" for one in harvest.kept}
    reasons |= {one.rollout_id: reason for one, reason in harvest.left_out}
    return [(one, reasons.get(one.rollout.rollout_id, "not right")) for one in tried]


def write_spot_check(path: Path, judged: Sequence[tuple[JudgedRollout, str]], num: int) -> None:
    """``judged`` are responses to the hard prompts with the reason why each was dropped, empty where it was kept. At
    most ``num`` kept and ``num`` dropped ones are written, evenly over reasons and question types; which ones depends
    on their rollout ids alone."""
    kept = [one for one in judged if not one[1]]
    dropped = [one for one in judged if one[1]]
    rows = [_row(*one) for among in (kept, dropped) for one in _evenly(among, num)]
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _evenly(judged: Sequence[tuple[JudgedRollout, str]], num: int) -> Iterator[tuple[JudgedRollout, str]]:
    """One of each reason and question type in turn."""
    groups: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for place, (one, reason) in enumerate(judged):
        draw = hashlib.sha256(one.rollout.rollout_id.encode()).hexdigest()
        groups[reason, one.prompt.question_type].append((draw, place))
    turns = sorted(
        (turn, key, place) for key, group in groups.items() for turn, (_, place) in enumerate(sorted(group))
    )
    yield from (judged[place] for _, _, place in turns[:num])


def _row(one: JudgedRollout, reason: str) -> dict[str, Any]:
    judged = one.reward.judged
    return {
        "kept": not reason,
        "reason": reason,
        "question_type": one.prompt.question_type,
        "question": one.prompt.text,
        "reference": one.prompt.reference_text,
        "response": one.rollout.text,
        "reward": one.reward.value,
        "judge": None if judged is None else judged.reason,
        "num_response_tokens": one.rollout.num_response_tokens,
        "prompt_id": one.prompt.prompt_id,
        "rollout_id": one.rollout.rollout_id,
        "policy_version": one.rollout.policy_version,
    }
