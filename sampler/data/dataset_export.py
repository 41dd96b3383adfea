"""A prompt set as a folder that `datasets` loads and people can read: Parquet files and a card."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from sampler.atomic_file import write_atomically
from sampler.data.prompt_schema import PROMPT_FIELDS, prompt_columns, write_parquet
from sampler.prompt import Prompt
from verifiers.counted import counted
from verifiers.verifier import shown

PROMPTS_PER_FILE = 50_000
MEANS = {
    "prompt_id": "the prompt's id; a corrected prompt keeps it",
    "messages": "chat messages; a part of type image or video stands for the next picture or film",
    "images": "pictures, in the order of the parts",
    "videos": "films, encoded",
    "kind": "verifiable (a rule judges) or general (a reward model does)",
    "verifier": "the rule that judges the final answer",
    "verifier_options": "its options, JSON",
    "reference": "the right answer, as text",
    "reference_json": "the right answer where it is a list or a mapping, JSON",
    "source": "where the prompt came from",
    "tags": "the first is the question type",
    "pass_rate": "believed pass rate, the mean of a Beta posterior",
    "pass_rate_low": "the lower end of its 90% interval",
    "pass_rate_high": "the upper end",
    "num_samples": "judged samples behind it",
}
BELIEF_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    ("pass_rate", pa.float64()),
    ("pass_rate_low", pa.float64()),
    ("pass_rate_high", pa.float64()),
    ("num_samples", pa.int64()),
)

_CARD = """---
{front}# license: say which, before this is given to anybody
---

# {name}

{size}, each with how its final answer is judged.

```python
import datasets

prompts = datasets.load_dataset("PATH_OF_THIS_FOLDER", split="{split}")
```

Hone trains on it as it is: `data.train_prompts=PATH_OF_THIS_FOLDER`.

## Where it comes from

{provenance}

## What is in it

{counts}
## Columns

| column | type | what |
|---|---|---|
{columns}

## Licence

To be said by whoever gives this set to others. It follows from what the pictures and questions were made of.
"""


@dataclass(frozen=True)
class DatasetExport:
    """``beliefs`` are by prompt id what `BELIEF_FIELDS` name; none: the columns are left out. ``provenance`` are lines
    for the card: where the prompts came from, and the rule that chose them."""

    name: str
    prompts: Sequence[Prompt]
    split: str = "train"
    beliefs: Mapping[str, Mapping[str, Any]] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> list[Path]:
        """`folder/data/SPLIT-00000-of-0000N.parquet` and `folder/README.md`, the card last. Returns the files."""
        number = -(-len(self.prompts) // PROMPTS_PER_FILE)
        files = []
        for index in range(number):
            part = self.prompts[index * PROMPTS_PER_FILE : (index + 1) * PROMPTS_PER_FILE]
            path = folder / "data" / f"{self.split}-{index:05d}-of-{number:05d}.parquet"
            files.append(write_parquet(path, part, self._columns, self.fields))
        write_atomically(folder / "README.md", self.card())
        return [*files, folder / "README.md"]

    @property
    def fields(self) -> tuple[tuple[str, pa.DataType], ...]:
        return PROMPT_FIELDS if self.beliefs is None else (*PROMPT_FIELDS, *BELIEF_FIELDS)

    def _columns(self, prompts: Sequence[Prompt]) -> dict[str, list[Any]]:
        columns = prompt_columns(prompts)
        if self.beliefs is not None:
            known = [self.beliefs.get(prompt.prompt_id, {}) for prompt in prompts]
            columns |= {name: [one.get(name) for one in known] for name, _ in BELIEF_FIELDS}
        return columns

    def card(self) -> str:
        """Markdown. Whatever stands in the data is shown as code, so that no text of it becomes markup."""
        files = {"split": self.split, "path": f"data/{self.split}-*.parquet"}
        front = {
            "pretty_name": _plain(self.name),
            "size_categories": [_size_category(len(self.prompts))],
            "configs": [{"config_name": "default", "data_files": [files]}],
        }
        pictures = sum(len(prompt.images) for prompt in self.prompts)
        films = sum(len(prompt.videos) for prompt in self.prompts)
        shows = [counted(num, noun) for num, noun in ((pictures, "picture"), (films, "film")) if num]
        size = counted(len(self.prompts), "prompt")
        return _CARD.format(
            front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
            name=_plain(self.name),
            split=self.split,
            size=f"{size} with {' and '.join(shows)}" if shows else size,
            provenance="\n".join(f"- {name}: {_code(value)}" for name, value in self.provenance.items()),
            counts="\n".join(self._counts()),
            columns="\n".join(
                f"| `{name}` | {_code(_type(dtype))} | {MEANS[name]} |" for name, dtype in self.fields
            ),
        )

    def _counts(self) -> Iterator[str]:
        by = {
            "question type": Counter(prompt.question_type for prompt in self.prompts),
            "judged by": Counter(prompt.verifier or "a reward model" for prompt in self.prompts),
            "source": Counter(prompt.source or "not said" for prompt in self.prompts),
        }
        for title, counts in by.items():
            yield f"| {title} | prompts |\n|---|---:|"
            yield from (f"| {_code(name)} | {num:,} |" for name, num in counts.most_common(40))
            if len(counts) > 40:
                yield f"| {len(counts) - 40:,} more | {sum(num for _, num in counts.most_common()[40:]):,} |"
            yield ""


def _plain(text: str) -> str:
    """For a heading: nothing that Markdown or HTML would read."""
    return re.sub(r"[^\w .,()-]", " ", shown(text, 100)).strip() or "prompts"


def _code(text: str) -> str:
    """As code in a table's cell or a list."""
    return f"`{shown(text, 300).replace('`', chr(39)).replace('|', '¦')}`"


def _type(dtype: pa.DataType) -> str:
    fields = {field.name for field in dtype} if pa.types.is_struct(dtype) else set()
    if fields == {"bytes", "path"}:
        return "Image" if dtype.field("bytes").type == pa.binary() else "bytes"
    if pa.types.is_list(dtype):
        return f"list of {_type(dtype.value_type)}"
    return f"{{{', '.join(f'{one.name}: {_type(one.type)}' for one in dtype)}}}" if fields else str(dtype)


def _size_category(num: int) -> str:
    """As the hub names them."""
    bounds = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    return next((name for bound, name in bounds.items() if num < bound), "1M<n<10M")
