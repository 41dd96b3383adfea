"""The prompts that rollouts answer, found by id wherever the run took them from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recipes.report.attempt import MAX_SHOWN_CHARS, ShownText
from recipes.report.drawing.picture import Picture
from recipes.report.drawing.places import PlaceReader
from rl.run.results.manifest import read_manifests
from sampler.store.decisions.curation import Curation
from verifiers.errors import HoneError

if TYPE_CHECKING:
    from sampler.prompt import Prompt

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
    tags: tuple[str, ...] = ()
    places: PlaceReader = field(default_factory=PlaceReader)

    @classmethod
    def of(cls, row: dict[str, Any]) -> ShownPrompt:
        """From a row with a prompt's columns, be it of a prompt file or of harvested SFT rows."""
        tags = [str(tag) for tag in row.get("tags") or []]
        vision_inputs = [(Picture.of, one) for one in row.get("images") or []]
        vision_inputs += [(Picture.of_video, one) for one in row.get("videos") or []]
        limit = MAX_RULE_REFERENCE_CHARS if row.get("verifier") else MAX_SHOWN_CHARS
        return cls(
            prompt_id=str(row["prompt_id"]),
            question=ShownText.of(message_text(row.get("messages") or [])),
            pictures=tuple(made((one or {}).get("bytes")) for made, one in vision_inputs[:MAX_PICTURES]),
            question_type=str(tags[0] if tags else row.get("kind") or ""),
            verifier=str(row.get("verifier") or ""),
            reference=ShownText.of(reference_text(row), limit=limit),
            tags=tuple(tags),
            places=PlaceReader(
                str(row.get("verifier") or ""), _mapping(row.get("verifier_options")), reference_of(row)
            ),
        )

    @classmethod
    def of_prompt(cls, prompt: Prompt) -> ShownPrompt:
        """Of a prompt that was read; its pictures are read now."""
        return cls.of(_row(prompt))


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

    def find(
        self, prompt_ids: Sequence[str], curated: Mapping[str, Curation] = MappingProxyType({})
    ) -> dict[str, ShownPrompt]:
        """Those of `prompt_ids` that are there, by the references in force where it is said what people decided."""
        rows = self.rows(prompt_ids).items()
        return {name: ShownPrompt.of(corrected_row(row, curated.get(name))) for name, row in rows}

    def rows(self, prompt_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Their rows, with the bytes of pictures and videos. Files of other forms go through the loader."""
        found: dict[str, dict[str, Any]] = {}

        def missing() -> list[str]:
            return [prompt_id for prompt_id in prompt_ids if prompt_id not in found]

        elsewhere = [location for location in self.locations if Path(location) not in self.files]
        for file in self.files if missing() else ():
            if _is_prompt_file(file):
                # The first row of an id counts, as in the run.
                found |= {row["prompt_id"]: row for row in reversed(rows_of(file, missing()))}
            elif str(file) in self.locations:
                elsewhere.append(str(file))
        for location in elsewhere:
            prompts = _loaded(location) if missing() else {}
            found |= {name: _row(prompts[name]) for name in missing() if name in prompts}
        return found


def corrected_row(row: Mapping[str, Any], curation: Curation | None) -> dict[str, Any]:
    """A prompt's row with the reference, the verifier and the tags that are in force."""
    corrected = dict(row)
    if curation is not None:
        corrected["tags"] = list(curation.left_tags(row.get("tags") or ()))
    if curation is not None and curation.reference is not None:
        corrected |= {"reference": curation.reference, "reference_json": None}
    if curation is not None and curation.verifier is not None:
        options = dict(curation.verifier.options)
        corrected |= {"verifier": curation.verifier.name, "verifier_options": options}
    return corrected


def rows_of(file: Path, prompt_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows with these ids of a Parquet file in Hone's columns. Only the row groups that hold one are read."""
    stat = file.stat()
    ids = _ids(file, stat.st_mtime_ns, stat.st_size)
    wanted = pc.indices_nonzero(pc.is_in(ids, pa.array(list(prompt_ids), ids.type))).to_pylist()
    if not wanted:
        return []
    rows, start = [], 0
    with pq.ParquetFile(file) as opened:
        for group in range(opened.num_row_groups):
            end = start + opened.metadata.row_group(group).num_rows
            inside = [place - start for place in wanted if start <= place < end]
            if inside:
                rows += opened.read_row_group(group).take(inside).to_pylist()
            start = end
    return rows


@lru_cache(maxsize=8)
def _ids(file: Path, _time: int, _size: int) -> pa.ChunkedArray:
    """The column of ids of one state of a file."""
    return pq.read_table(file, columns=["prompt_id"])["prompt_id"]


def _is_prompt_file(file: Path) -> bool:
    try:
        return {"prompt_id", "messages"} <= set(pq.read_schema(file).names)
    except (OSError, pa.ArrowInvalid):
        return False


def reference_text(row: dict[str, Any]) -> str:
    """For people: a list or a mapping as JSON."""
    reference = row.get("reference_json") or row.get("reference") or ""
    return reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)


def reference_of(row: dict[str, Any]) -> Any:
    """As the verifier takes it: text, or what its JSON holds."""
    if row.get("reference_json"):
        try:
            return json.loads(row["reference_json"])
        except ValueError:
            return None
    return row.get("reference")


def _mapping(options: Any) -> dict[str, Any]:
    if isinstance(options, str):
        try:
            options = json.loads(options)
        except ValueError:
            return {}
    return dict(options) if isinstance(options, dict) else {}


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
        "reference": prompt.reference,
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
