"""How fast a large prompt set is prepared, and how much memory it takes: rows/s and resident MiB.

    python tools/bench_prompt_sets.py --rows 400000 --out /disk/with/20/GB
    python tools/bench_prompt_sets.py --rows 1000000 --picture-bytes 100 --out /tmp   # memory alone

A set of different pictures is written once, then read, searched for leaks and
measured in tokens as `hone run` does before its first stage. The seconds of each part are printed.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from rl.data.prompt_encoder import PromptEncoder
from rl.data.run_data import RunData, leaks, long_prompts, read_set
from rl.families.family import load_family
from sampler.data.prompt_schema import PROMPT_FIELDS

GROUP_ROWS = 100  # as `datasets` writes sets with pictures


def main() -> None:
    """Make the set once, then time reading, leaks and token counts, in wall-clock rows a second and CPU time a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--picture-bytes", type=int, default=50_000)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--limit-tokens", type=int, default=4096)
    given = parser.parse_args()
    file = given.out / f"prompts-{given.rows}-{given.picture_bytes}.parquet"
    if not file.exists():
        write_set(file, given.rows, given.picture_bytes)
    with tempfile.TemporaryDirectory() as hub:
        load_family("qwen3_vl_moe").build_tiny(Path(hub), seed=1, corpus=["What is the sum?"], sizes={})
        encoder = PromptEncoder(Path(hub))
    before, spent_s, start = resident_mib(), cpu_s(), time.perf_counter()
    loaded = read_set("train", str(file))
    read = time.perf_counter()
    data = RunData(loaded.rows, loaded.rows[:1000], (), locations={"train": loaded.locations})
    assert len(leaks(data)) == len(data.heldout)
    searched = time.perf_counter()
    assert not long_prompts(loaded.rows, encoder, given.limit_tokens)
    end = time.perf_counter()
    num = len(loaded.rows)
    print(f"{num:,} prompts of {file.stat().st_size / num:,.0f} bytes, load {os.getloadavg()[0]:.1f}")
    print(f"  read and checked {num / (read - start):8,.0f} rows/s")
    print(f"  leaks            {num / (searched - read):8,.0f} rows/s")
    print(f"  token counts     {num / (end - searched):8,.0f} rows/s")
    print(f"  all              {num / (end - start):8,.0f} rows/s")
    print(f"  CPU time         {(cpu_s() - spent_s) / num * 1e6:8.0f} us a row, all processes")
    grown = resident_mib() - before
    print(f"  memory           {before:.0f} MiB + {grown:.0f} MiB, {grown * 2**20 / num:.0f} bytes a prompt")


def write_set(file: Path, num_rows: int, picture_bytes: int) -> None:
    schema = pa.schema(list(PROMPT_FIELDS))
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, num_rows, GROUP_ROWS):
            numbers = range(start, min(num_rows, start + GROUP_ROWS))
            rows = [row(number, picture(picture_bytes)) for number in numbers]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def row(number: int, encoded: bytes) -> dict[str, Any]:
    text = f"In picture {number}, what is the sum of all the digits you can see? Answer with a whole number."
    return {
        "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}],
        "images": [{"bytes": encoded}],
        "kind": "verifiable",
        "verifier": "math",
        "verifier_options": "{}",
        "reference": str(number % 100),
        "source": "benchmark",
        "tags": ["sum", "3"],
    }


def picture(num_bytes: int) -> bytes:
    """A JPEG of 320 x 240 pixels, brought to that many bytes by comments of noise, which no two have alike."""
    noise = os.urandom(max(8, num_bytes - len(_jpeg())))
    comments = [noise[start : start + 60_000] for start in range(0, len(noise), 60_000)]
    segments = [b"\xff\xfe" + (len(one) + 2).to_bytes(2, "big") + one for one in comments]
    return _jpeg()[:2] + b"".join(segments) + _jpeg()[2:]


@cache
def _jpeg() -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (320, 240), "teal").save(encoded, "JPEG")
    return encoded.getvalue()


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cpu_s() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


if __name__ == "__main__":
    main()
