"""How fast foreign sets are imported, and duplicates and leaks found: rows/s, and CPU time a row.

    python tools/bench_prompt_import.py import --rows 200000 --out /tmp       # EasyR1's lines, verl's Parquet
    python tools/bench_prompt_import.py duplicates --rows 100000 --out /tmp   # 2% near copies; 500 of them held out

Sets are written once. Pictures are small: what is measured is the program, not the decoder.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from recipes.cli import NEW_OBJECTS
from sampler.data.prompt_dataset import load_prompt_dataset, save_prompts
from sampler.duplicates.duplicate_pairs import duplicate_pairs
from sampler.duplicates.leak_pairs import leak_pairs
from sampler.duplicates.prompt_prints import PromptPrints
from sampler.imports.prompt_import import ImportPlan, import_prompts
from sampler.prompt import Prompt

NUM_PICTURES = 1000  # different ones of a set to import
NUM_HELD_OUT = 2000  # of which a quarter are hidden copies
WORDS = "a cup plate table window lamp door left right above under red blue green small large near far many few".split()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("import", "duplicates"))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    gc.set_threshold(NEW_OBJECTS)  # as the command does
    folder = given.out / f"{given.what}-{given.rows}"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{given.rows:,} rows, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    (bench_import if given.what == "import" else bench_duplicates)(folder, given.rows)


def bench_import(folder: Path, num_rows: int) -> None:
    for write in (write_lines, write_parquet):
        source = write(folder, num_rows)
        with timed(f"import {source.name}", num_rows):
            report = import_prompts(
                str(source), folder / "out.parquet", ImportPlan(), on_part=lambda *_: None
            )
        assert report.num_imported == num_rows


def bench_duplicates(folder: Path, num_rows: int) -> None:
    """Prints, duplicates and leaks of ``num_rows`` made-up prompts, timed and counted."""
    files = {"train": folder / "train.parquet", "heldout": folder / "heldout.parquet"}
    if not all(file.exists() for file in files.values()):
        save_prompts(files["train"], (prompt(at, hidden=at % 50 == 1) for at in range(num_rows)))
        save_prompts(files["heldout"], held_out(num_rows))
    prints = {}
    for name, file in files.items():
        prompts = load_prompt_dataset(file, max_decoded=0).prompts
        with timed(f"prints of {name}", len(prompts)):
            prints[name] = PromptPrints.of(prompts)
    with timed("duplicates", num_rows):
        within = duplicate_pairs(prints["train"])
    with timed("leaks", num_rows):
        leaked = leak_pairs(prints["heldout"], prints["train"])
    print(f"duplicates {dict(Counter(one.kind for one in within))}, of {num_rows // 50} near copies")
    print(
        f"leaks {dict(Counter(one.kind for one in leaked))}, of {NUM_HELD_OUT // 4} hidden copies and their own"
    )


class timed:  # noqa: N801 - reads as a word
    """Prints rows/s and the CPU time of this process and its children, in microseconds a row."""

    def __init__(self, name: str, num_rows: int) -> None:
        self._name, self._num_rows = name, num_rows

    def __enter__(self) -> None:
        self._start, self._spent = time.perf_counter(), cpu_s()

    def __exit__(self, *_: object) -> None:
        wall, spent = time.perf_counter() - self._start, cpu_s() - self._spent
        rate = f"{self._num_rows / wall:9,.0f} rows/s, {spent / self._num_rows * 1e6:6.0f} us of CPU a row"
        print(f"  {self._name:24} {wall:7.1f} s  {rate}")


def cpu_s() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def write_lines(folder: Path, num_rows: int) -> Path:
    """EasyR1's columns, pictures by path."""
    path = folder / "lines.jsonl"
    if not path.exists():
        for at in range(NUM_PICTURES):
            (folder / f"{at}.png").write_bytes(picture(at))
        with path.open("w") as file:
            for at in range(num_rows):
                row = {"problem": asked(at), "answer": str(at % 13), "images": [f"{at % NUM_PICTURES}.png"]}
                file.write(json.dumps({**row, "source": f"source {at % 3}"}) + "\n")
    return path


def write_parquet(folder: Path, num_rows: int) -> Path:
    """verl's columns, pictures as bytes."""
    path = folder / "verl.parquet"
    if not path.exists():
        pictures = [picture(at) for at in range(NUM_PICTURES)]
        rows = [
            {
                "data_source": f"source {at % 3}",
                "prompt": [{"role": "user", "content": asked(at)}],
                "images": [{"bytes": pictures[at % NUM_PICTURES]}],
                "reward_model": {"style": "rule", "ground_truth": str(at % 13)},
            }
            for at in range(num_rows)
        ]
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2000)
    return path


def asked(at: int) -> str:
    return f"<image>How many lamps of {at} kinds are lit in this room number {at % 977}?"


def prompt(at: int, hidden: bool = False) -> Prompt:
    """A question over a picture of its own; ``hidden``: the one before, with a pixel changed or as a JPEG."""
    at, form = (at - 1, "JPEG" if at % 100 == 1 else "PNG") if hidden else (at, "PNG")
    text = f"How many {' '.join(np.random.default_rng(at).choice(WORDS, 12))}?"
    content = [{"type": "image"}, {"type": "text", "text": text}]
    return Prompt.build(
        messages=[{"role": "user", "content": content}],
        images=[picture(at, form, pixel=hidden)],
        verifier="number",
        reference=str(at % 10),
    )


def held_out(num_rows: int) -> Iterator[Prompt]:
    yield from (prompt(10**7 + at) for at in range(NUM_HELD_OUT - NUM_HELD_OUT // 4))
    step = max(2, num_rows // (NUM_HELD_OUT // 4))
    yield from (prompt(at + 1, hidden=True) for at in range(0, num_rows, step)[: NUM_HELD_OUT // 4])


def picture(at: int, form: str = "PNG", pixel: bool = False) -> bytes:
    coarse = np.random.default_rng(at).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((48, 36), Image.Resampling.BICUBIC)
    if pixel:
        image.putpixel((1, 2), (255, 0, 255))
    encoded = io.BytesIO()
    image.save(encoded, form)
    return encoded.getvalue()


if __name__ == "__main__":
    main()
