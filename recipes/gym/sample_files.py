"""Questions as files that people can open: pictures beside a prompt set in JSONL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from recipes.gym.exercise import Question
from sampler.prompt import Prompt


def write_sample(folder: Path, drawn: Sequence[tuple[Prompt, Question]]) -> Path:
    """`prompts.jsonl` in the form of docs/data.md, and its pictures and films beside it; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (prompt, question) in enumerate(drawn):
        row = {
            name: getattr(prompt, name)
            for name in ("verifier", "verifier_options", "reference", "source", "tags")
        }
        row["messages"] = list(prompt.messages)
        for column, files, suffix in (("images", question.images, "png"), ("videos", question.videos, "gif")):
            names = [f"{prompt.question_type}-{index}-{place}.{suffix}" for place in range(len(files))]
            for name, encoded in zip(names, files, strict=True):
                (folder / name).write_bytes(encoded)
            row[column] = names
        rows.append(json.dumps(row, ensure_ascii=False))
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(rows) + "\n")
    return path
