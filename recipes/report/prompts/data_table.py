"""What the run's prompt sets hold: rows, question types, sizes, and rows that ask the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recipes.report.exam_table import Cell, WordTable
from sampler.image import image_size
from sampler.store.prompt_store import PromptStore
from sampler.store.sql_text import table_of
from verifiers.errors import BadInput

MAX_MEASURED = 200  # pictures whose size is looked at
MAX_TYPES = 12

_COUNTS = """
    SELECT split, count(*) AS num, count(DISTINCT coalesce(tags[1], kind)) AS num_types,
           count(*) FILTER (verifier IS NULL) AS num_general, sum(num_pictures)::BIGINT AS num_pictures,
           sum(num_films)::BIGINT AS num_films,
           median(length(question))::BIGINT AS chars, max(length(question)) AS most_chars,
           count(DISTINCT reference) AS num_references
    FROM prompts WHERE run = ? GROUP BY split
"""
_TYPES = """
    SELECT split, coalesce(tags[1], kind) AS question_type, count(*) AS num
    FROM prompts WHERE run = ? GROUP BY ALL ORDER BY num DESC
"""
# Rows with the question, the pictures and the films of another row; bytes are compared, so a copy that was saved anew
# is not among them (`hone prompts duplicates` finds those).
_ASKED = "SELECT concat(md5(messages::VARCHAR), {shown}) AS asked FROM {table}"
_SHOWN = "list_transform({column}, lambda one: coalesce(md5(one.bytes), one.path))::VARCHAR"


def data_table(store: PromptStore, run: str) -> WordTable | None:
    """A column for each split; None where the run has no prompt sets."""
    counts = {row["split"]: row for row in store.query(_COUNTS, [run]).to_pylist()}
    if not counts:
        return None
    splits = sorted(counts, key=lambda split: (split != "train", split))
    files = {split: Path(store.parts[run].prompt_sets[split]) for split in splits}
    named = {
        "prompts": "num", "question types": "num_types", "judged by a reward model": "num_general",
        "pictures": "num_pictures", "films": "num_films", "different references": "num_references",
        "characters of a question": "chars",
        "of the longest": "most_chars",
    }  # fmt: skip
    if not any(row["num_films"] for row in counts.values()):
        del named["films"]
    rows = {words: tuple(_cell(counts[split][name]) for split in splits) for words, name in named.items()}
    rows["pixels of a picture"] = tuple(Cell(_sizes(files[split])) for split in splits)
    rows["rows that ask what an earlier row asks"] = tuple(_repeated(store, files[split]) for split in splits)
    if {"train", "heldout"} <= counts.keys():
        leaked = _leaked(store, files["train"], files["heldout"])
        rows["held-out prompts that are trained on too"] = tuple(
            leaked if split == "heldout" else Cell("") for split in splits
        )
    of_type: dict[str, dict[str, int]] = {}
    for row in store.query(_TYPES, [run]).to_pylist():
        of_type.setdefault(str(row["question_type"]), {})[row["split"]] = row["num"]
    for name in list(of_type)[:MAX_TYPES]:
        rows[f"of type {name}"] = tuple(_cell(of_type[name].get(split, 0)) for split in splits)
    return WordTable("the data", tuple(splits), rows)


def _cell(number: int | None) -> Cell:
    return Cell("–" if number is None else f"{number:,}")


def _repeated(store: PromptStore, file: Path) -> Cell:
    if not _is_own(file):
        return Cell("not looked at")
    sql = f"SELECT count(*) - count(DISTINCT asked) AS num FROM ({_asked(file)})"
    return _cell(store.query(sql)["num"][0].as_py())


def _leaked(store: PromptStore, train: Path, heldout: Path) -> Cell:
    if not (_is_own(train) and _is_own(heldout)):
        return Cell("not looked at")
    sql = f"SELECT count(*) AS num FROM ({_asked(heldout)}) WHERE asked IN (FROM ({_asked(train)}))"
    num = store.query(sql)["num"][0].as_py()
    return Cell(f"{num:,}", "fell" if num else "")


def _asked(file: Path) -> str:
    columns = [name for name in ("images", "videos") if name in _columns(file)]
    shown = ", ".join(f"'{name}', {_SHOWN.format(column=name)}" for name in columns)
    return _ASKED.format(shown=shown, table=table_of([file]))


def _sizes(file: Path) -> str:
    """ "32 x 32 to 640 x 480, half have at most 320 x 240", of the first pictures."""
    found = sorted(_measured(file), key=lambda size: size[0] * size[1]) if _is_own(file) else []
    if not found:
        return "–"
    low, middle, high = (
        f"{width} × {height}" for width, height in (found[0], found[len(found) // 2], found[-1])
    )
    return low if low == high else f"{low} to {high}, half at most {middle}"


def _measured(file: Path) -> Iterator[tuple[int, int]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=MAX_MEASURED, columns=["images"]):
            for images in batch["images"].to_pylist():
                for one in (images or [])[:1]:
                    try:
                        yield image_size((one or {}).get("bytes") or b"")
                    except BadInput:
                        continue
            return


def _is_own(file: Path) -> bool:
    return {"messages", "images"} <= _columns(file)


def _columns(file: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_schema(file).names) if file.suffix == ".parquet" and file.is_file() else set()
