"""The prompts that rollouts answer, found by id wherever the run took them from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.report.attempt import MAX_SHOWN_CHARS, ShownText
from recipes.report.picture import Picture
from rl.run.run_record import read_manifests
from sampler.store.prompt_store import table_of
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from sampler.prompt import Prompt

Query = Callable[[str, list[Any]], list[dict[str, Any]]]
MAX_PICTURES = 4
MAX_RULE_REFERENCE_CHARS = 300


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt made ready to be shown.

    Without a `verifier` the reference is an answer like others, which a reward model compares them with; else it is the
    right one.
    """

    prompt_id: str
    question: ShownText
    pictures: tuple[Picture, ...]
    question_type: str
    verifier: str
    reference: ShownText

    @classmethod
    def of(cls, row: dict[str, Any]) -> ShownPrompt:
        """From a row with a prompt's columns, be it of a prompt file or of harvested SFT rows."""
        tags = row.get("tags") or []
        vision_inputs = [(Picture.of, one) for one in row.get("images") or []]
        vision_inputs += [(Picture.of_video, one) for one in row.get("videos") or []]
        limit = MAX_RULE_REFERENCE_CHARS if row.get("verifier") else MAX_SHOWN_CHARS
        return cls(
            prompt_id=str(row["prompt_id"]),
            question=ShownText.of(message_text(row.get("messages") or [])),
            pictures=tuple(made((one or {}).get("bytes")) for made, one in vision_inputs[:MAX_PICTURES]),
            question_type=str(tags[0] if tags else row.get("kind") or ""),
            verifier=str(row.get("verifier") or ""),
            reference=ShownText.of(row.get("reference_json") or row.get("reference"), limit=limit),
        )


@dataclass(frozen=True)
class ShownPrompts:
    """`files` lie inside the run; `locations` are what its recipe named: files elsewhere, or hub ids."""

    files: tuple[Path, ...]
    locations: tuple[str, ...]

    @classmethod
    def of(cls, run: Path) -> ShownPrompts:
        """Files the run keeps, and the paths that its data stage wrote into its manifest."""
        files = sorted([*run.glob("data/**/*.parquet"), *run.glob("stages/*/data/**/*.parquet")])
        named = [(manifest.get("result") or {}).get("paths") or {} for manifest in read_manifests(run)]
        locations = [str(paths[name]) for paths in named for name in ("heldout", "train") if name in paths]
        return cls(
            tuple(files),
            tuple(str(run / location) if (run / location).exists() else location for location in locations),
        )

    def find(self, prompt_ids: Sequence[str], query: Query) -> dict[str, ShownPrompt]:
        """Those of `prompt_ids` that are there. `query` runs SQL; places it cannot read go through the loader."""
        found: dict[str, ShownPrompt] = {}

        def missing() -> list[str]:
            return [prompt_id for prompt_id in prompt_ids if prompt_id not in found]

        elsewhere = [location for location in self.locations if Path(location) not in self.files]
        for file in self.files if missing() else ():
            columns = {row["column_name"] for row in query(f"DESCRIBE SELECT * FROM {table_of([file])}", [])}
            if {"prompt_id", "messages"} <= columns:
                sql = f"SELECT * FROM {table_of([file])} WHERE list_contains(?, prompt_id)"
                found |= {row["prompt_id"]: ShownPrompt.of(row) for row in query(sql, [missing()])}
            elif str(file) in self.locations:
                elsewhere.append(str(file))
        for location in elsewhere:
            prompts = _loaded(location) if missing() else {}
            found |= {name: ShownPrompt.of(_row(prompts[name])) for name in missing() if name in prompts}
        return found


@lru_cache(maxsize=4)
def _loaded(location: str) -> dict[str, Prompt]:
    """By id; empty where the set has gone since the run, which a reader of the rollouts can live with."""
    from sampler.data.prompt_dataset import load_prompts

    try:
        return {prompt.prompt_id: prompt for prompt in load_prompts(location, max_decoded=0)}
    except (HoneError, OSError):
        return {}


def _row(prompt: Prompt) -> dict[str, Any]:
    encoded = {"images": prompt.images, "videos": prompt.videos}
    return {
        **vars(prompt),
        "reference": prompt.reference_text,
        **{name: [{"bytes": one.read()} for one in files] for name, files in encoded.items()},
    }


def message_text(messages: Sequence[dict[str, Any]]) -> str:
    """What the messages say, without pictures; content is a list of parts, or plain text."""
    words = []
    for message in messages:
        content = message.get("content") or []
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words += [str(part.get("text") or "") for part in parts if part.get("type") == "text"]
    return "\n".join(words)
