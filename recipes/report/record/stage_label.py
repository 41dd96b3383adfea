"""What the report calls the stages of a run."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
WORDS_OF_KIND = {
    "sft": "SFT",
    "reward-model": "reward model",
    "critic": "critic",
    "rl": "RL",
    "harvest": "harvest",
}


def evaluation_label(evaluation: Json) -> str:
    """Which policy was evaluated, in a few words: "start", "round 0 SFT", "round 1 RL"."""
    after = str(evaluation.get("after"))
    if after == "start":
        return "start"
    return f"round {evaluation.get('round', 0)} {WORDS_OF_KIND.get(after, 'evaluate')}"


def stage_label(manifest: Json) -> str:
    """A stage's title; an evaluation's says after what it was."""
    title = str(manifest.get("title") or manifest["stage"])
    after = str((manifest.get("result") or {}).get("after"))
    return title + {"start": " at start", "sft": " after SFT", "rl": " after RL"}.get(after, "")
