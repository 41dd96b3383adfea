"""Proof that a refactoring changed nothing: two runs of Hone, compared value by value.

    compare_runs.py run OUT [--recipe NAME]     the tests' tiny programs by this checkout's code, into OUT/NAME
    compare_runs.py digest RUN [--out FILE]     count what a run left; FILE keeps all of it as JSON
    compare_runs.py compare BEFORE AFTER        exit 0 when nothing differs; each is a run directory or a digest

A digest holds the metrics of every step, every logged rollout, the rows harvested, each stage's result, and a hash of
each weights file; nothing that a clock had a hand in. What only AFTER has inside a record (a metric, a column) is
reported as added; a record that only one side has is a difference, and so is anything missing from AFTER.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ("tiny_program", "tiny_hybrid")
PLUGINS = ROOT / "tests" / "integration" / "program" / "plugins"  # the builders that tiny_hybrid names
TIMED = ("time/", "rollout/tokens_per_s", "train/tokens_per_s", "rollout/num_worker_restarts")
TIMED_COLUMNS = ("judge_s",)
TIMED_RESULTS = ("tokens_per_s",)
JSON_COLUMNS = ("score_parts", "verdict", "verifier_options")
RENAMED_STAGE = re.compile(r"\b(\d+)-collect-r(?=\d)")  # the name of harvest stages in earlier runs

Record = dict[str, Any]  # {"train/loss": 0.7, ...}
Part = dict[str, Record]  # by the record's name: {"03-rl-r0 step 2": {...}, ...}
Digest = dict[str, Part]  # by the part's name


# What a run left


def metric_lines(run: Path) -> Iterator[dict[str, Any]]:
    """Every line of the log of metrics, without what a clock had a hand in."""
    for text in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        del line["time"]
        line["metrics"] = {
            name: value for name, value in line["metrics"].items() if not name.startswith(TIMED)
        }
        yield line


def rollout_rows(run: Path) -> Iterator[dict[str, Any]]:
    """Every logged rollout, without the seconds its verdict took."""
    for file in sorted(run.glob("rollouts/*/*.parquet")):
        for row in pq.read_table(file).to_pylist():
            yield {name: value for name, value in row.items() if name not in TIMED_COLUMNS}


def weights_hash(file: Path) -> str:
    """SHA-256 over name, dtype, shape and bytes of each tensor, whatever their order in the file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(header_bytes))
        header.pop("__metadata__", None)
        for name, tensor in sorted(header.items()):
            begin, end = tensor["data_offsets"]
            stream.seek(8 + header_bytes + begin)
            digest.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
            digest.update(stream.read(end - begin))
    return digest.hexdigest()


# The digest of a run


def digest_of(run: Path) -> Digest:
    """Raises: ValueError where `run` is no run directory, or something is logged twice."""
    if not (run / "metrics.jsonl").is_file():
        raise ValueError(f"{run} is no run directory: it has no metrics.jsonl")
    return {name: read(run) for name, read in PARTS.items()}


def _metrics(run: Path) -> Part:
    part: Part = {}
    for line in metric_lines(run):
        name = f"{line.pop('stage')} step {line.pop('step')}"
        line["kind"] = {"collect": "harvest"}.get(line["kind"], line["kind"])
        _add(part, name, {**line.pop("metrics"), **line})
    return part


def _rollouts(run: Path) -> Part:
    part: Part = {}
    for row in rollout_rows(run):
        _add(part, f"{row['stage']} step {row['step']} rollout {row['rollout_id']}", _parsed(row))
    return part


def _harvested(run: Path) -> Part:
    part: Part = {}
    for stage in sorted(run.glob("stages/*")):
        if not re.search(r"-(collect|harvest)-r\d+$", stage.name):
            continue
        for file in sorted(stage.glob("*.parquet")):
            for number, row in enumerate(pq.read_table(file).to_pylist()):
                _add(part, f"{stage.name} row {number}", _parsed(row))
    return part


def _results(run: Path) -> Part:
    part: Part = {}
    for file in sorted(run.glob("stages/*/manifest.json")):
        result = json.loads(file.read_text())["result"]
        kept = {name: value for name, value in result.items() if name not in TIMED_RESULTS}
        _add(part, file.parent.name, kept)
    return part


def _weights(run: Path) -> Part:
    part: Part = {}
    for file in sorted(run.rglob("*.safetensors")):
        _add(part, str(file.relative_to(run)), {"sha256": weights_hash(file)})
    return part


PARTS: dict[str, Callable[[Path], Part]] = {
    "metrics": _metrics,
    "rollouts": _rollouts,
    "harvested": _harvested,
    "results": _results,
    "weights": _weights,
}


def _add(part: Part, name: str, record: Mapping[str, Any]) -> None:
    name = _renamed(name)
    if name in part:
        raise ValueError(f"{name} is there twice")
    part[name] = dict(_leaves(record))


def _parsed(row: Mapping[str, Any]) -> Record:
    """A row of a table; a column of JSON text becomes the object it holds, so that its keys compare one by one."""
    return {
        name: json.loads(value) if name in JSON_COLUMNS and value else value for name, value in row.items()
    }


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key."""
    for name, value in record.items():
        key = _renamed(f"{prefix}{name}")
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, _plain(value)


def _plain(value: Any) -> Any:
    """As JSON can hold it: bytes (pictures, films) by their hash, stages by today's name."""
    if isinstance(value, bytes):
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, str):
        return _renamed(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [_plain(inner) for inner in value]
    return value


def _renamed(text: str) -> str:
    return RENAMED_STAGE.sub(r"\1-harvest-r", text)


def read_digest(path: Path) -> Digest:
    """Of a run directory, or one that `digest --out` wrote. Raises: ValueError for anything else."""
    if path.is_dir():
        return digest_of(path)
    try:
        digest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is neither a run directory nor a digest: {error}") from error
    if not isinstance(digest, dict) or set(digest) != set(PARTS):
        raise ValueError(f"{path} is no digest: it must hold {', '.join(PARTS)}")
    return digest


# The comparison


@dataclass
class Comparison:
    """What two runs share and where they part, in the order of the earlier run."""

    equal: dict[str, Counter[str]] = field(default_factory=dict)  # by part: records and values
    differences: dict[str, list[str]] = field(default_factory=dict)  # by part
    added: Counter[str] = field(default_factory=Counter)  # in how many records each key is new

    @property
    def num_differences(self) -> int:
        return sum(map(len, self.differences.values()))


def compare(before: Digest, after: Digest) -> Comparison:
    """Every value of one digest with that of the other."""
    comparison = Comparison()
    for name in {**before, **after}:
        _compare_part(comparison, name, before.get(name, {}), after.get(name, {}))
    return comparison


def _compare_part(comparison: Comparison, part: str, before: Part, after: Part) -> None:
    equal = comparison.equal[part] = Counter()
    differences = comparison.differences[part] = []
    for name, record in before.items():
        if name not in after:
            differences.append(f"{name}: missing")
            continue
        found = list(_record_differences(record, after[name]))
        differences += [f"{name}: {difference}" for difference in found]
        equal["records"] += not found
        equal["values"] += len(record) - len(found)
        comparison.added.update(f"{part}: {key}" for key in after[name].keys() - record.keys())
    differences += [f"{name}: new" for name in after if name not in before]


def _record_differences(before: Record, after: Record) -> Iterator[str]:
    for key, value in before.items():
        if key not in after:
            yield f"{key}: missing, was {_cut(_text(value))}"
        elif (old := _text(value)) != (new := _text(after[key])):
            parted = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
            start = max(0, parted - 40)
            yield f"{key}: {_cut(old, start)} != {_cut(new, start)}"


def _text(value: Any) -> str:
    """Equal for equal values to the last bit: NaN equals NaN, and 0.0 is not -0.0."""
    return json.dumps(value, sort_keys=True)


def _cut(text: str, start: int = 0, limit: int = 100) -> str:
    """A long text from near the place where it matters."""
    if len(text) <= limit:
        return text
    return f"{'...' * (start > 0)}{text[start : start + limit]}{'...' * (start + limit < len(text))}"


# The commands


def print_digest(digest: Digest) -> None:
    for name, part in digest.items():
        num_values = sum(map(len, part.values()))
        whole = hashlib.sha256(_text(part).encode()).hexdigest()
        print(f"{name:10} {len(part):6} records {num_values:7} values  sha256 {whole[:16]}")


def print_comparison(comparison: Comparison, limit: int) -> None:
    for part, equal in comparison.equal.items():
        differences = comparison.differences[part]
        print(
            f"{part}: {equal['records']} records equal ({equal['values']} values), {len(differences)} differences"
        )
        for difference in differences[:limit]:
            print(f"  {difference}")
    for key, count in sorted(comparison.added.items()):
        print(f"added: {key} (in {count} records)")
    print("identical" if not comparison.num_differences else "DIFFERENT")


def run_recipe(recipe: str, run: Path) -> float:
    """One tiny program from beginning to end by the code of this checkout. Returns its wall time in seconds.

    Raises: ValueError where `run` exists, since a program that is done does nothing; CalledProcessError."""
    if run.exists():
        raise ValueError(f"{run} exists: give another folder or delete it")
    paths = (str(ROOT), str(PLUGINS), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles torch and vLLM again
    command = [
        sys.executable,
        "-m",
        "recipes",
        "run",
        f"tests/data/{recipe}.yaml",
        f"run_dir={run.absolute()}",
    ]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    digest = commands.add_parser("digest", help="count what a run left, and keep it as JSON")
    digest.add_argument("run", type=Path)
    digest.add_argument("--out", type=Path)
    comparison = commands.add_parser("compare", help="two run directories or digests")
    comparison.add_argument("before", type=Path)
    comparison.add_argument("after", type=Path)
    comparison.add_argument("--limit", type=int, default=10, help="differences shown of each part")
    run = commands.add_parser("run", help="the tests' tiny programs by this checkout's code")
    run.add_argument("out", type=Path)
    run.add_argument("--recipe", choices=(*RECIPES, "both"), default="both")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 1 where the runs differ or one failed, 2 for wrong arguments."""
    asked = parse(arguments)
    try:
        return COMMANDS[asked.command](asked)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"the run failed with exit status {error.returncode}", file=sys.stderr)
        return 1


def _digest_command(asked: argparse.Namespace) -> int:
    digest = digest_of(asked.run)
    print_digest(digest)
    if asked.out:
        asked.out.write_text(json.dumps(digest, indent=1))
    return 0


def _compare_command(asked: argparse.Namespace) -> int:
    comparison = compare(read_digest(asked.before), read_digest(asked.after))
    print_comparison(comparison, asked.limit)
    return int(comparison.num_differences > 0)


def _run_command(asked: argparse.Namespace) -> int:
    for recipe in RECIPES if asked.recipe == "both" else (asked.recipe,):
        print(f"{recipe}: {run_recipe(recipe, asked.out / recipe):.0f} s", flush=True)
    return 0


COMMANDS = {"digest": _digest_command, "compare": _compare_command, "run": _run_command}

if __name__ == "__main__":
    sys.exit(main())
